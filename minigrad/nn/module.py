"""Module: a function with parameters. There is no registry: a module's state is whatever its attributes hold.

A :class:`Parameter` is learned, a :class:`Buffer` is state that is saved but not learned, a :class:`Module` is a part.
They are found by looking at the attributes, in the order they were assigned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from minigrad.arrays import backend as _backend
from minigrad.arrays.dtypes import DType, as_array
from minigrad.tensor import Tensor

__all__ = [
    "Buffer",
    "Forward",
    "Module",
    "Parameter",
    "StateDictError",
    "evaluating",
    "functional_call",
]

P = ParamSpec("P")
Output = TypeVar("Output", covariant=True)


class Parameter(Tensor):
    """A tensor that a module learns: it requires gradients from the start."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: DType = None) -> None:
        super().__init__(data, requires_grad, dtype)


class Buffer(Tensor):
    """State that belongs to a module and its checkpoints but is not learned, such as running statistics."""

    __slots__ = ()


class StateDictError(ValueError):
    """A state dict does not fit the module; the message lists every key that is wrong."""


class Forward(Protocol[P, Output]):
    """What calling a module needs of it, so that a call takes and returns, to type checkers too, what forward does."""

    def forward(self, *inputs: P.args, **kwargs: P.kwargs) -> Output:
        """See :meth:`Module.forward`."""


class Module:
    """Base class of layers and networks: define parameters in ``__init__`` and the computation in ``forward``."""

    training = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module computes, called by ``module(...)``: the class's docstring says what that is."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self: Forward[P, Output], *inputs: P.args, **kwargs: P.kwargs) -> Output:
        return self.forward(*inputs, **kwargs)

    def __getattr__(self, name: str) -> Any:  # called only for what the instance does not hold
        computed = vars(self.__dict__["parametrizations"]) if "parametrizations" in self.__dict__ else {}
        if name not in computed:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return computed[name]()  # a weight that is a function of other parameters: see reparametrization.py

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(self.__dict__.get(name), Parameter) and not isinstance(value, (Parameter, type(None))):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter; assigning a {type(value).__name__} would silently stop "
                f"its training. To change its numbers: module.{name}.assign_(value); to replace it: Parameter(value)"
            )
        if isinstance(getattr(value, "__wrapped__", None), Module):
            raise TypeError(
                f"{type(self).__name__}.{name}: a function made of a module (mg.checkpoint(module)) hides its "
                f"parameters, which would not be trained. Keep the module, and call mg.checkpoint(self.{name})(x) in "
                "forward"
            )
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        if any(isinstance(item, (Module, Parameter)) for item in items):
            raise TypeError(
                f"{type(self).__name__}.{name}: modules inside a plain {type(value).__name__} would not be found, and "
                "so not trained. Use nn.ModuleList, nn.Sequential, or an attribute each"
            )
        object.__setattr__(self, name, value)

    # ------------------------------------------------------------------------------------ walking over the parts
    def children(self) -> Iterator[tuple[str, Module]]:
        """(attribute name, module) of the immediate parts."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module), this one first, every module once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module
                parts = [(f"{name}.{part}" if name else part, child) for part, child in module.children()]
                stack += reversed(parts)

    def modules(self) -> Iterator[Module]:
        """This module and all that it holds, at any depth."""
        return (module for _, module in self.named_modules())

    def _named(self, kind: type | tuple[type, ...]) -> Iterator[tuple[str, Any]]:
        """The tensors of a kind that the attributes hold, by every name they have: a module's own before its parts'."""
        stack: list[tuple[str, Module, tuple[Module, ...]]] = [("", self, (self,))]
        while stack:
            prefix, module, path = stack.pop()
            parts, replaced = [], vars(module).get("_replaced", {})
            for name, value in list(vars(module).items()):
                if isinstance(replaced.get(name, value), kind):  # what stands in for a parameter counts as one
                    yield prefix + name, value
                elif isinstance(value, Module) and value not in path:
                    parts.append((f"{prefix}{name}.", value, (*path, value)))
            stack += reversed(parts)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter) in the order of definition; a shared parameter once."""
        return _once(self._named(Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, in the order of :meth:`named_parameters`."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """(dotted name, buffer) in the order of definition; a shared buffer once."""
        return _once(self._named(Buffer))

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call ``function`` on every module, the parts before the whole; returns the module."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    # ------------------------------------------------------------------------------------------------- modes
    def train(self, mode: bool = True) -> Self:
        """Training mode (dropout on, batch statistics), or evaluation mode with ``mode=False``."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode."""
        return self.train(False)

    def requires_grad_(self, value: bool = True) -> Self:
        """Freeze (False) or unfreeze every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad = value
        return self

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, backend: str | None = None, dtype: DType = None) -> Self:
        """Move every parameter and buffer to a backend, or cast the floating-point ones to a dtype, in place.

        Raises:
            BackendError: the backend is unknown or not installed.
        """
        for _, tensor in self._named((Parameter, Buffer)):
            array = tensor.array if backend is None else _backend.move(tensor.array, backend)
            if dtype is not None and array.dtype.kind == "f":
                array = array.astype(dtype)
            if array is not tensor.array:
                tensor.array, tensor.grad = array, None
                tensor.version[0] += 1
        return self

    # -------------------------------------------------------------------------------------------------- state
    def state_dict(self) -> dict[str, np.ndarray]:
        """A snapshot of every parameter and buffer by dotted name, with PyTorch's names and layouts: NumPy copies."""
        return {name: _backend.to_numpy(tensor.array).copy() for name, tensor in self._named((Parameter, Buffer))}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Copy the arrays of ``state`` (tensors or anything NumPy can read) into the parameters and buffers.

        Args:
            strict: every key must be there, and no other; otherwise only common keys are loaded.

        Raises:
            StateDictError: missing, unexpected or mis-shaped keys, all listed; then nothing is loaded.
        """
        own = dict(self._named((Parameter, Buffer)))
        arrays = {
            name: value.array if isinstance(value, Tensor) else as_array(np.asarray(value))
            for name, value in state.items()
        }
        missing = [name for name in own if name not in arrays]
        unexpected = [name for name in arrays if name not in own]
        wrong = [
            f"{name} has shape {tuple(arrays[name].shape)}, the module's has {own[name].shape}"
            for name in own
            if name in arrays and tuple(arrays[name].shape) != tuple(own[name].shape)
        ]
        complaints = [
            f"{title}: {', '.join(names)}"
            for title, names in (
                ("missing", missing * strict),
                ("unexpected", unexpected * strict),
                ("mis-shaped", wrong),
            )
            if names
        ]
        if complaints:
            raise StateDictError(f"the state dict does not fit {type(self).__name__}; " + "; ".join(complaints))
        for name, tensor in own.items():
            if name in arrays:
                tensor.assign_(arrays[name])

    def holding(self, values: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Inside the block, the parameters and buffers named in ``values`` are these, and are found as such.

        Raises:
            StateDictError: a name the module does not have.
        """
        return _holding(self, values)

    # -------------------------------------------------------------------------------------------- description
    def extra_repr(self) -> str:
        """What a layer prints between its parentheses."""
        return ""

    def parameter_count(self) -> int:
        """How many numbers the parameters hold."""
        return sum(parameter.size for parameter in self.parameters())

    def __repr__(self) -> str:
        name, count = type(self).__name__, self.parameter_count()
        note = f"  # {count:,} parameters" if count else ""
        parts = [f"({part}): {child!r}" for part, child in self.children()]
        if not parts:
            return f"{name}({self.extra_repr()}){note}"
        body = "\n".join("  " + line for part in parts for line in part.split("\n"))
        return f"{name}({self.extra_repr()}{note}\n{body}\n)"


def _once(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Without the further names of what has come already."""
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Inside the block, the module is in evaluation mode; after it, whatever happens there, each of its parts is in its
    own mode again, also where they differ (a frozen layer's statistics, say).

    >>> part = Module().eval()
    >>> whole = Module()
    >>> whole.part = part
    >>> with evaluating(whole):
    ...     whole.training, part.training
    (False, False)
    >>> whole.training, part.training
    (True, False)
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def _holding(module: Module, values: Mapping[str, Any]) -> Iterator[None]:
    own = dict(module._named((Parameter, Buffer)))
    unknown = [name for name in values if name not in own]
    if unknown:
        raise StateDictError(f"{type(module).__name__} has no {', '.join(unknown)}; it has {', '.join(own)}")
    new = {id(own[name]): value for name, value in values.items()}
    before = []
    for attributes in map(vars, module.modules()):
        old = {name: value for name, value in attributes.items() if id(value) in new}  # shared ones in every place
        if old:
            before.append((attributes, old, attributes.get("_replaced", {})))
    try:
        for attributes, old, replaced in before:
            attributes.update({name: new[id(value)] for name, value in old.items()})
            attributes["_replaced"] = {**old, **replaced}  # inside another block: what that one replaced
        yield
    finally:
        for attributes, old, replaced in before:
            attributes.update(old, _replaced=replaced)
            if not replaced:
                del attributes["_replaced"]


def functional_call(module: Module, params: Mapping[str, Any], *inputs: Any, **kwargs: Any) -> Any:
    """``module(*inputs)`` with the parameters (and buffers) in ``params`` in place of its own.

    So a module becomes a function of its parameters, and every transformation applies::

        loss = lambda params, x, y: F.cross_entropy(functional_call(model, params, x), y)
        per_example = vmap(grad(loss), in_axes=(None, 0, 0))(dict(model.named_parameters()), X, Y)

    Raises:
        StateDictError: a name the module does not have.
    """
    with module.holding(params):
        return module(*inputs, **kwargs)
