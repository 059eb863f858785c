"""Functions with a derivative of their own: custom_vjp and custom_jvp, with JAX's protocol.

A function whose derivative by the rules of its operations would be unstable, wasteful or meaningless is given another:
a pullback of cotangents (:class:`custom_vjp`), or a linear map of tangents (:class:`custom_jvp`), which is transposed.
A call is one node of the graph, whatever it computes inside.

What a forward keeps for the backward (the residuals) serves first derivatives only. Where the backward itself is
recorded, the residuals are computed again, as functions of the arguments: a saved number has no derivative, and a
second derivative that took it for a constant would silently be wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Generic

import numpy as np

from minigrad.arrays.backend import find_backend
from minigrad.core.errors import GraphError
from minigrad.core.graph import Op, Variable, apply, reachable, wrap
from minigrad.core.modes import enable_grad, is_grad_enabled
from minigrad.creation import zeros_like
from minigrad.tensor import Tensor
from minigrad.transforms.closures import Call
from minigrad.transforms.flat import TypedLayout
from minigrad.transforms.recording import pull
from minigrad.transforms.signatures import Result
from minigrad.transforms.tree import flatten

__all__ = ["custom_jvp", "custom_vjp"]


class _Custom(Generic[Result]):
    """What both kinds share: arguments as tensors, one node for a call, and the errors."""

    kind = ""
    define = ""

    def __init__(self, fun: Callable[..., Result], nondiff_argnums: Sequence[int] = ()) -> None:
        self.fun = fun
        self.nondiff_argnums = tuple(nondiff_argnums)
        update_wrapper(self, fun)
        self.name = f"{self.kind} {getattr(fun, '__name__', type(fun).__name__)}"
        self.op = Op(self.name, _forward, vjp=_vjp)
        self.rule: Any = None
        try:
            self.signature: Any = inspect.signature(fun)
        except ValueError:  # a builtin without one
            self.signature = None

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        if self.rule is None:
            raise TypeError(f"{self.name} has no derivative yet: say {self.define} before it is called")
        arguments = _Arguments(self, self._by_position(args, kwargs))
        inputs = arguments.inputs
        arguments.inputs = []  # a node holds its inputs itself
        if not (is_grad_enabled() and any(x.tracked for x in inputs)):
            return self.check_no_closure("it", self.fun(*arguments.all(inputs)))
        call = _Call(self, arguments)
        leaves = call.run([x.detach() for x in inputs])
        if call.places:
            y = apply(self.op, (*inputs, call))
            for i, part in zip(call.places, call.layout.split(y), strict=True):
                leaves[i] = part
        return call.rebuild(leaves)

    def _by_position(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position: the rules know no names."""
        if self.signature is None:
            return args
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(
                f"{self.name}: {', '.join(bound.kwargs)} can be given by name only, but the rules of a custom "
                "derivative take their arguments by position: declare it before the * (or **)"
            )
        return bound.args

    def check_no_closure(self, what: str, out: Any) -> Any:
        """``out``, unless it is tracked: made of untracked arguments, it depends on something else."""
        for y in flatten(out)[0]:
            if isinstance(y, Variable) and reachable([y])[1]:
                raise GraphError(
                    f"{self.name}: {what} reads a tensor that requires gradients and is not one of its arguments (a "
                    f"result of shape {y.shape} depends on it). A custom rule has cotangents for arguments only, so "
                    "that gradient would silently be missing: pass the tensor as an argument, or .detach() it"
                )
        return out

    def at(self, args: Sequence[Any]) -> tuple[Any, Any]:
        """The results at ``args``, and the residuals."""
        raise NotImplementedError

    def residuals(self, args: Sequence[Any]) -> Any:
        """The residuals at ``args`` alone."""
        return self.at(args)[1]

    def pullback(self, arguments: _Arguments, xs: Sequence[Any], residuals: Any, g: Any, again: bool) -> Sequence[Any]:
        """One cotangent (a tree, or None for zero) per argument that is not in nondiff_argnums."""
        raise NotImplementedError


class custom_vjp(_Custom[Result]):
    """``f = custom_vjp(f); f.defvjp(fwd, bwd)``: the function f, with cotangents by ``bwd``.

    * ``fwd(*args)`` returns (f(*args), residuals): what bwd will need, a tree of anything.
    * ``bwd(residuals, g)``, with the cotangent g of the result, returns a tuple with one cotangent per argument, of the
      argument's structure and shapes: v -> v^T J. None stands for zero.

    Args:
        fun: of trees of tensors, returning such a tree; used where no derivative is asked for. Python floats (in the
            precision of the tensors beside them) and NumPy arrays reach it as tensors; whatever else there is (an int,
            a string, a bool tensor) gets no cotangent.
        nondiff_argnums: arguments that are no tensors to differentiate by (a function, an option). ``bwd`` gets them
            first: ``bwd(*those, residuals, g)``.

    Raises:
        GraphError: when called: ``fun`` or a rule reads a tracked tensor that is not an argument.
        TypeError: defvjp was not called, or fwd or bwd returns something else than a pair or a tuple of cotangents.
        ValueError: a cotangent has another shape or structure than its argument.

    Where a derivative is itself differentiated, ``fwd`` is run again on what the arguments are then, and ``bwd`` is
    recorded. So residuals may be anything that operations compute from the arguments, and must be that alone: a number
    taken out of the graph (``float(x)``, ``x.array``) is a constant to the second derivative. The value that is
    differentiated again follows ``fun``'s rule too, also where ``fwd`` computes it in another way.

    >>> import minigrad as mg
    >>> @mg.custom_vjp
    ... def log1pexp(x):
    ...     return mg.log(1 + mg.exp(x))
    >>> def fwd(x):
    ...     return log1pexp(x), x
    >>> def bwd(x, g):
    ...     return (g * (1 - 1 / (1 + mg.exp(x))),)
    >>> log1pexp.defvjp(fwd, bwd)
    >>> mg.grad(log1pexp)(0.0), mg.grad(mg.grad(log1pexp))(0.0)
    (Tensor(0.5), Tensor(0.25))
    """

    kind, define = "custom_vjp", "f.defvjp(fwd, bwd)"

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the forward that returns (result, residuals), and the backward that returns cotangents."""
        self.rule = fwd, bwd

    def at(self, args: Sequence[Any]) -> tuple[Any, Any]:
        """What fwd returns."""
        pair = self.rule[0](*args)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(
                f"{self.name}: fwd must return a pair (result, residuals), not {_told(pair)}; where bwd needs nothing, "
                "return (result, None)"
            )
        self.check_no_closure("its fwd", None if _recorded(args) else pair)
        return pair[0], pair[1]

    def pullback(self, arguments: _Arguments, xs: Sequence[Any], residuals: Any, g: Any, again: bool) -> Sequence[Any]:
        """What bwd returns."""
        found = self.rule[1](*arguments.constants(), residuals, g)
        primals = arguments.primals(xs)
        if not isinstance(found, (tuple, list)) or len(found) != len(primals):
            raise TypeError(
                f"{self.name}: bwd must return a tuple of {len(primals)}, one cotangent per argument (None for zero), "
                f"not {_told(found)}" + ("; for one argument, write (g,)" if len(primals) == 1 else "")
            )
        return found


class custom_jvp(_Custom[Result]):
    """``f = custom_jvp(f); f.defjvp(rule)``: the function f, with tangents by ``rule``.

    ``rule(primals, tangents)``, two tuples with an entry per argument, returns (f(*primals), J t): the result, and its
    directional derivative, **linear** in the tangents. That map is transposed for reverse mode. A tangent is a tree
    like its argument, with None for what is not floating-point.

    Args:
        fun: as for :class:`custom_vjp`.
        nondiff_argnums: arguments that ``rule`` gets first, ``rule(*those, primals, tangents)``.

    Raises:
        GraphError: when called: ``fun`` reads a tracked tensor that is not an argument.
        TypeError: defjvp was not called, or its rule does not return a pair.
        ValueError: the tangent of a result has another shape or structure than the result.

    The rule runs in the backward, so it computes the result once more.

    >>> import minigrad as mg
    >>> @mg.custom_jvp
    ... def square(x):
    ...     return x * x
    >>> @square.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return square(x), 2 * x * t
    >>> mg.grad(square)(3.0), mg.jvp(square, (3.0,), (1.0,))[1], mg.hessian(square)(3.0)
    (Tensor(6.), Tensor(6.), Tensor(2.))
    """

    kind, define = "custom_jvp", "f.defjvp(rule)"

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule; returns it, and so serves as a decorator."""
        self.rule = rule
        return rule

    def at(self, args: Sequence[Any]) -> tuple[Any, Any]:
        """The function itself, which leaves nothing to the rule."""
        return self.check_no_closure("it", self.fun(*args)), None

    def residuals(self, args: Sequence[Any]) -> Any:
        """None: the rule needs the arguments only."""

    def pullback(self, arguments: _Arguments, xs: Sequence[Any], residuals: Any, g: Any, again: bool) -> Sequence[Any]:
        """The transpose of t -> J t, which is linear: its derivative at 0."""
        tangents = [zeros_like(x) for x in xs]
        wanted = [t for t in tangents if t.dtype.kind == "f"]
        for t in wanted:
            t.tracked = True
        try:
            found = iter(self._transposed(arguments, xs, tangents, wanted, g, again))
            cotangents = [next(found) if t.tracked else None for t in tangents]
        finally:
            for t in wanted:
                t.tracked = False  # in the graph of what is differentiated again, a constant
        return arguments.primals(cotangents, others=False)

    def _transposed(
        self, arguments: _Arguments, xs: Sequence[Any], tangents: list[Any], wanted: list[Any], g: Any, again: bool
    ) -> list[Any]:
        """The cotangents of the ``wanted`` tangents."""
        primals = tuple(arguments.primals(xs))
        given = tuple(arguments.primals([t if t.tracked else None for t in tangents], others=False))
        pair = self.rule(*arguments.constants(), primals, given)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{self.name}: the rule must return a pair (result, its tangent), not {_told(pair)}")
        roots = [
            (dy, c if again else c.array)
            for dy, c in zip(_like(f"{self.name}: the tangent of the result", g, pair[1]), flatten(g)[0], strict=True)
            if dy is not None and dy.tracked
        ]
        return pull(roots, wanted, again, again)


class _Arguments:
    """The arguments of one call: which leaves are tensors, and where they go."""

    def __init__(self, custom: _Custom, args: Sequence[Any]) -> None:
        for i in custom.nondiff_argnums:
            if not -len(args) <= i < len(args):
                raise ValueError(
                    f"{custom.name}: nondiff_argnums={custom.nondiff_argnums}, but it was called with {len(args)} "
                    "arguments; they count its positional arguments, from 0"
                )
        self.static = {i % len(args): args[i] for i in custom.nondiff_argnums}
        self.dynamic = [i for i in range(len(args)) if i not in self.static]
        for i, arg in self.static.items():
            if any(isinstance(x, Variable) and x.tracked for x in flatten(arg)[0]):
                raise TypeError(
                    f"{custom.name}: argument {i} is one of nondiff_argnums, but a tensor in it requires gradients: "
                    ".detach() it, or take the argument out of nondiff_argnums"
                )
        leaves, self.rebuild = flatten([args[i] for i in self.dynamic])
        leaves = [x if type(x) is float else _as_tensor(x) for x in leaves]
        dtypes = [x.dtype for x in leaves if isinstance(x, Tensor) and x.dtype.kind == "f"]
        dtype = np.result_type(*dtypes) if dtypes else None  # as a number beside tensors rounds none of their digits
        leaves = [Tensor(x, dtype=dtype) if type(x) is float else x for x in leaves]
        self.inputs: list[Tensor] = [x for x in leaves if isinstance(x, Tensor)]
        self.places = [k for k, x in enumerate(leaves) if isinstance(x, Tensor)]
        self.others = [None if isinstance(x, Tensor) else x for x in leaves]

    def primals(self, inputs: Sequence[Any], others: bool = True) -> list[Any]:
        """The arguments to differentiate by, made of ``inputs`` and the ``others`` (or None in their places)."""
        leaves = list(self.others) if others else [None] * len(self.others)
        for k, x in zip(self.places, inputs, strict=True):
            leaves[k] = x
        return self.rebuild(leaves)

    def all(self, inputs: Sequence[Any]) -> list[Any]:
        """All arguments."""
        args = {**self.static, **dict(zip(self.dynamic, self.primals(inputs), strict=True))}
        return [args[i] for i in range(len(args))]

    def constants(self) -> list[Any]:
        """The arguments of nondiff_argnums, which come first in the rules."""
        return [arg for _, arg in sorted(self.static.items())]


class _Call(Call):
    """One call of a custom function: a constant argument of its node."""

    def __init__(self, custom: _Custom, arguments: _Arguments) -> None:
        self.custom, self.arguments = custom, arguments
        self.value: Any = None  # the joined results, until the forward hands them on
        self.kept: Any = None  # the residuals

    def bare(self) -> _Call:
        return _Call(self.custom, self.arguments)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The results at ``inputs``, which are not tracked."""
        out, self.kept = self.custom.at(self.arguments.all(inputs))
        leaves, self.rebuild = flatten(out)
        leaves = [_as_tensor(y) for y in leaves]
        self.places = [i for i, y in enumerate(leaves) if isinstance(y, Tensor) and y.dtype.kind == "f"]
        results = [leaves[i] for i in self.places]
        self.layout, self.results = TypedLayout(results), len(leaves)
        self.value = self.layout.join(results).array if results else None
        return leaves

    def cotangent(self, g: Any) -> Any:
        """The cotangent of the joined results as a tree like the output; None for what is not floating-point."""
        parts: list[Any] = [None] * self.results
        for i, part in zip(self.places, self.layout.split(g), strict=True):
            parts[i] = part
        return self.rebuild(parts)


def _forward(*inputs: Any) -> Any:
    *arrays, call = inputs
    if call.value is None:  # in a program, which computes again
        call.run([wrap(x) for x in arrays])
    value, call.value = call.value, None
    return value


def _vjp(asked: list[int], g: Any, y: Any, *inputs: Any) -> list[Any]:
    """The rule on constants, with the residuals that were kept; or on tensors, with new ones."""
    *args, call = inputs
    again = any(isinstance(x, Variable) for x in args)
    custom, xs = call.custom, [x if isinstance(x, Variable) else wrap(x) for x in args]
    with enable_grad():
        kept = custom.residuals(call.arguments.all(xs)) if again else call.kept
        g = call.cotangent(g if isinstance(g, Variable) else wrap(g))
        found = custom.pullback(call.arguments, xs, kept, g, again)
    if not again:
        custom.check_no_closure("its rule", found)
    primals = call.arguments.primals(xs)
    leaves = [
        leaf
        for i, arg, c in zip(call.arguments.dynamic, primals, found, strict=True)
        for leaf in _like(f"{custom.name}: the cotangent of argument {i}", arg, c)
    ]
    cotangents = [leaves[k] for k in call.arguments.places]
    cotangents = [zeros_like(x) if c is None else c for c, x in zip(cotangents, xs, strict=True)]
    return cotangents if again else [c.array.copy() for c in cotangents]  # bwd may return one array twice


def _as_tensor(x: Any) -> Any:
    """Floats and arrays as tensors."""
    return Tensor(x) if isinstance(x, (float, np.floating)) or find_backend(x) is not None else x


def _recorded(args: Any) -> bool:
    return any(isinstance(x, Variable) and x.tracked for x in flatten(args)[0])


def _told(x: Any) -> str:
    return f"{len(x)} values" if isinstance(x, (tuple, list)) else f"a {type(x).__name__}"


def _like(what: str, tree: Any, given: Any) -> list[Any]:
    """The leaves of ``given``, which must have the structure and shapes of ``tree``; None for zero, or no tensor."""
    if given is None:
        return [None] * len(flatten(tree)[0])
    if isinstance(tree, dict):
        if isinstance(given, dict) and given.keys() == tree.keys():
            return [leaf for k in tree for leaf in _like(f"{what}[{k!r}]", tree[k], given[k])]
    elif isinstance(tree, (list, tuple)):
        if isinstance(given, (list, tuple)) and len(given) == len(tree):
            return [leaf for k, t in enumerate(tree) for leaf in _like(f"{what}[{k}]", t, given[k])]
    elif not (isinstance(tree, Tensor) and tree.dtype.kind == "f"):
        return [None]
    elif not isinstance(given, (dict, list, tuple)):
        given = given if isinstance(given, Tensor) else Tensor(given, dtype=tree.dtype)
        if given.shape != tree.shape:
            raise ValueError(f"{what} has shape {given.shape}, but must have shape {tree.shape}, as that has")
        return [given]
    raise ValueError(f"{what} has another structure: {_outline(given)} in place of {_outline(tree)}")


def _outline(tree: Any) -> str:
    if isinstance(tree, dict):
        return "a dict of " + ", ".join(map(repr, tree))
    return f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, (list, tuple)) else "a tensor"
