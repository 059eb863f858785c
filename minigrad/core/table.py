"""The table of operations: the one way in, and how NumPy's functions find their entry.

An operation is entered as a function, its rules above it::

    @op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, forward=np.multiply)
    def multiply(a, b):
        '''a b, entry by entry.'''

What the function computes on arrays is the forward (or ``forward=``, where NumPy has it already and the function only
says how it is called); its signature and docstring are those that users see. What users get is a tensor, and so type
checkers are told; rules, which call operations on arrays, get an array.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

import numpy as np

from minigrad.core.graph import Op, Rule, Tensor, Variable, apply
from minigrad.core.kernel import Kernel

__all__ = ["NUMPY", "TABLE", "composite", "op", "primitive", "variant"]

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

TABLE: dict[str, Callable[..., Any]] = {}  # every operation by name
NUMPY: dict[Any, Callable[..., Any]] = {}  # NumPy's function -> ours; creation.py adds zeros_like and its kin


def op(
    *rules: Rule | None,
    forward: Callable[..., Any] | None = None,
    each: Rule | None = None,
    vjp: Rule | None = None,
    view: bool = False,
    sequence: bool = False,
    numpy: Any = None,
) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator: enter a primitive, with one rule per argument (see :class:`minigrad.core.graph.Op`).

    Args:
        forward: computes it on arrays, where the decorated function does not.
        sequence: the first argument is a sequence of arrays; the rules see them as arguments of their own.
        numpy: NumPy's function of the same meaning, where that is not ``forward`` itself.
    """

    def enter(function: Callable[P, Any]) -> Callable[P, Tensor]:
        compute: Any = forward or function
        if sequence:
            compute = lambda *arrays, **params: function(arrays, **params)
        entry = Op(function.__name__, compute, *rules, each=each, vjp=vjp, view=view)
        public = _as_function(entry, function, sequence)
        numpys = numpy or forward
        from_numpy = isinstance(numpys, np.ufunc) or (getattr(numpys, "__module__", None) or "").startswith("numpy")
        _enter(public, numpys if from_numpy else None)
        return public

    return enter


def _as_function(entry: Op, function: Callable[P, Any], sequence: bool) -> Callable[P, Tensor]:
    """``entry`` as a function that looks like ``function``: its signature, its docstring, and ``op`` for the engine."""
    call_by = signature(function)
    kinds = {p.name: p.kind for p in call_by.parameters.values()}
    named = [name for name, kind in kinds.items() if kind is Parameter.POSITIONAL_OR_KEYWORD]
    most = sys.maxsize if Parameter.VAR_POSITIONAL in kinds.values() else len(named)
    required = [name for name in named if call_by.parameters[name].default is Parameter.empty]
    several = not isinstance(entry.rules, list) or entry.vjp  # one rule for any number of arguments
    arrays = frozenset(named if several else named[: len(entry.rules)] or required)

    def by_name(inputs: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """An array given by name is an argument all the same; what the operation does not take is refused."""
        if len(inputs) > most or not params.keys() <= kinds.keys():
            extra = (
                f"{len(inputs)} arguments" if len(inputs) > most else ", ".join(sorted(params.keys() - kinds.keys()))
            )
            raise TypeError(f"{entry.name} takes ({', '.join(kinds)}), not {extra}")
        if arrays.isdisjoint(params):
            for name, value in params.items():
                if isinstance(value, Variable):
                    raise TypeError(
                        f"{entry.name}: {name} is an option, no tensor; pass a number or an array: .item(), .numpy()"
                    )
            return inputs, params
        try:
            bound = call_by.bind(*inputs, **params)
        except TypeError as error:
            raise TypeError(f"{entry.name} takes ({', '.join(kinds)}): {error}") from None
        bound.apply_defaults()
        return bound.args, bound.kwargs

    @wraps(function)
    def call(*inputs: Any, **params: Any) -> Any:
        if params or len(inputs) > most:
            inputs, params = by_name(inputs, params)
        if sequence:
            inputs, params = _spread(inputs, params, named)
        return apply(entry, inputs, params)

    call.op = entry  # type: ignore[attr-defined]
    return call


def _spread(
    inputs: tuple[Any, ...], params: dict[str, Any], names: list[str]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of the sequence that comes first as arguments, and the rest by name."""
    return tuple(inputs[0]), {**dict(zip(names[1:], inputs[1:], strict=False)), **params}


def primitive(operation: Callable[..., Any]) -> Op:
    """The operation behind a function of the table, for callers who go to ``apply`` directly, as operators do."""
    return operation.op  # type: ignore[attr-defined]


def composite(*numpy: Any) -> Callable[[F], F]:
    """Decorator: enter a function made of other operations, which therefore needs no rule of its own."""

    def enter(function: F) -> F:
        _enter(function, *numpy)
        return function

    return enter


def _enter(function: Callable[..., Any], *numpys: Any) -> None:
    name = function.__name__
    if name in TABLE:
        raise ValueError(f"there is an operation {name} already, in {TABLE[name].__module__}: choose another name")
    TABLE[name] = function
    NUMPY.update((f, function) for f in numpys if f is not None)


def variant(
    operation: Callable[..., Any], kind: type, of: str | int = "forward", min_size: int = 0, mixed: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: enter a variant of a primitive for arrays of type ``kind`` (see :class:`minigrad.core.kernel.Kernel`).

    Args:
        of: "forward", "vjp", or the number of a rule.
        min_size: for a first argument (of rules: the cotangent) of at least so many numbers.
        mixed: where at least one array is a ``kind``; by default all have to be.

    Raises:
        TypeError: the operation has no such rule.
    """
    entry = primitive(operation)
    if isinstance(of, int) and not (isinstance(entry.rules, list) and of < len(entry.rules) and entry.rules[of]):
        raise TypeError(f"{entry.name} has no rule {of} that could have a variant")
    parts: Any = entry.rules if isinstance(of, int) else vars(entry)
    if not isinstance(parts[of], Kernel):
        parts[of] = Kernel(parts[of] or _by_the_rules, sized=of == "vjp")  # what is asked for comes first there
    return parts[of].variant(kind, min_size, mixed)


def _by_the_rules(*arguments: Any, **options: Any) -> Any:
    """The plain way of ``vjp`` where an operation has none."""
    return NotImplemented
