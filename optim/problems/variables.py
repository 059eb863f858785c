"""theta in R^p, and what it stands for: an array, a tree of tensors, a module's parameters, or somebody's own tensors.

A method sees one contiguous vector; the function that is optimized sees what the user gave. Here, and nowhere else, the
one becomes the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, to_numpy
from minigrad.arrays.dtypes import as_array
from minigrad.nn.module import Module
from minigrad.tensor import Tensor
from minigrad.transforms.flat import Layout, check_alike
from minigrad.transforms.tree import flatten

__all__ = ["Owned", "Variables", "check_parameter"]


class Variables:
    """One or two arguments (a game has two players), as one vector.

    Args:
        arguments: each an array, a Tensor, a Module, or a list, tuple or dict of arrays and Tensors; Python numbers
            become float64, as in SciPy.

    Raises:
        TypeError: they are not all of one floating-point dtype, or not on one backend.
        ValueError: nothing to optimize.
    """

    def __init__(self, *arguments: Any) -> None:
        self.arguments: list[Any] = [x if isinstance(x, Owned) else _argument(x) for x in arguments]
        arrays = self._arrays()
        if not arrays:
            raise ValueError("there is nothing to optimize: x0 holds no parameters that require gradients")
        check_alike(arrays, "the variables")
        self.counts = [len(argument.arrays()) for argument in self.arguments]
        self.layout = Layout([a.shape for a in arrays])
        self.p = self.layout.size

    def _arrays(self) -> list[Array]:
        return [array for argument in self.arguments for array in argument.arrays()]

    def read(self) -> Array:
        """theta now: a copy."""
        return self.join(self._arrays())

    @property
    def like(self) -> Array:
        """An array of theta's dtype, on its backend."""
        return self.arguments[0].arrays()[0]

    @property
    def boundary(self) -> int:
        """Where the second player's part of theta begins."""
        return self.layout.offsets[self.counts[0]]

    @property
    def in_place(self) -> bool:
        """Whether the function reads its parameters itself, so that evaluating it means overwriting them."""
        return any(argument.in_place for argument in self.arguments)

    @property
    def modules(self) -> bool:
        """Whether an argument is a module, which is trained in place."""
        return any(isinstance(argument, _ModuleArgument) for argument in self.arguments)

    @property
    def tensors(self) -> bool:
        """Whether all arguments are made of tensors."""
        return all(isinstance(argument, _Tree) and all(argument.was_tensor) for argument in self.arguments)

    @property
    def stamp(self) -> int:
        """Changes when tensors that an earlier graph was recorded on are overwritten."""
        return sum(argument.stamp for argument in self.arguments)

    def join(self, parts: Sequence[Array]) -> Array:
        """The parts, one per tensor, as one new vector."""
        return self.layout.join(parts)

    def leaves(self, theta: Array) -> list[Tensor]:
        """Tensors that hold ``theta`` and require gradients."""
        return [leaf for argument, parts in self._shares(theta) for leaf in argument.leaves(parts)]

    def call(self, fun: Callable[..., Any], leaves: Sequence[Tensor], *examples: Any) -> Any:
        """fun(arguments made of ``leaves``, *examples)."""
        rest = iter(leaves)
        with ExitStack() as stack:
            values: list[Any] = []
            for argument, n in zip(self.arguments, self.counts, strict=True):
                values += stack.enter_context(argument.bound([next(rest) for _ in range(n)]))
            return fun(*values, *examples)

    def rebuild(self, leaves: Sequence[Tensor]) -> list[Any]:
        """The arguments with ``leaves`` in the place of their arrays; a module's as a dict by name."""
        rest = iter(leaves)
        each = zip(self.arguments, self.counts, strict=True)
        return [argument.rebuild([next(rest) for _ in range(n)]) for argument, n in each]

    def show(self, theta: Array) -> list[Any]:
        """``theta`` in the structure of the arguments; a module's as a dict of tensors by name."""
        return [argument.show(parts) for argument, parts in self._shares(theta)]

    def write(self, theta: Array) -> list[Any]:
        """As :meth:`show`, but modules and owned tensors are overwritten, and a module stands for itself."""
        return [argument.give(parts) for argument, parts in self._shares(theta)]

    def _shares(self, theta: Array) -> Iterator[tuple[Any, list[Array]]]:
        parts = iter(self.layout.split(theta))
        for argument, n in zip(self.arguments, self.counts, strict=True):
            yield argument, [next(parts) for _ in range(n)]


def _argument(x: Any) -> Any:
    return _ModuleArgument(x) if isinstance(x, Module) else _Tree(x)


class _Tree:
    """Arrays and tensors in lists, tuples and dicts; a list of plain numbers is an array, as in SciPy."""

    in_place, stamp = False, 0

    def __init__(self, tree: Any) -> None:
        items, rebuild = flatten(_numbers_as_arrays(tree))
        wrong = [x for x in items if not hasattr(x, "dtype")]
        if wrong:
            raise TypeError(f"x0 holds a {type(wrong[0]).__name__}: it is to hold arrays, tensors and numbers")
        self.rebuild = rebuild
        self.was_tensor = [isinstance(x, Tensor) for x in items]
        self._arrays = [_floating(x) for x in items]

    def arrays(self) -> list[Array]:
        return self._arrays

    def leaves(self, parts: Sequence[Array]) -> list[Tensor]:
        return [Tensor(a, requires_grad=True) for a in parts]

    def bound(self, leaves: Sequence[Tensor]) -> AbstractContextManager[list[Any]]:
        return _yield([self.rebuild(leaves)])

    def show(self, parts: Sequence[Array]) -> Any:
        return self.rebuild(
            [Tensor(a) if tensor else to_numpy(a) for a, tensor in zip(parts, self.was_tensor, strict=True)]
        )

    give = show


def _numbers_as_arrays(tree: Any) -> Any:
    """``tree`` with each number, and each list of numbers, as one array."""
    if _is_numbers(tree):
        return np.array(tree, dtype=np.float64)
    if isinstance(tree, dict):
        return {name: _numbers_as_arrays(part) for name, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = map(_numbers_as_arrays, tree)
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


def _is_numbers(tree: Any) -> bool:
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        return bool(tree) and all(map(_is_numbers, tree))
    return isinstance(tree, (int, float)) and not hasattr(tree, "dtype")


class _ModuleArgument:
    """A module's parameters that require gradients; the function is given the module, holding the tensors."""

    in_place, stamp = False, 0

    def __init__(self, module: Module) -> None:
        self.module = module
        self.parameters = {name: x for name, x in module.named_parameters() if x.requires_grad}

    def arrays(self) -> list[Array]:
        return [x.array for x in self.parameters.values()]

    def rebuild(self, leaves: Sequence[Tensor]) -> dict[str, Tensor]:
        return dict(zip(self.parameters, leaves, strict=True))

    def leaves(self, parts: Sequence[Array]) -> list[Tensor]:
        return [Tensor(a, requires_grad=True) for a in parts]

    @contextmanager
    def bound(self, leaves: Sequence[Tensor]) -> Iterator[list[Any]]:
        with self.module.holding(dict(zip(self.parameters, leaves, strict=True))):
            yield [self.module]

    def show(self, parts: Sequence[Array]) -> dict[str, Tensor]:
        return self.rebuild([Tensor(part) for part in parts])

    def give(self, parts: Sequence[Array]) -> Module:
        for x, a in zip(self.parameters.values(), parts, strict=True):
            x.assign_(a)
        return self.module


class Owned:
    """Parameters that a closure reads by itself: theta is written into them, and the closure takes no arguments.

    Args:
        params: tensors, or (name, tensor) pairs, as for :class:`~minigrad.optim.Optimizer`.
    """

    in_place = True

    def __init__(self, params: Any) -> None:
        if isinstance(params, Tensor):
            params = [params]
        items = list(params.items() if isinstance(params, Mapping) else params)
        self.tensors: list[Tensor] = []
        for i, item in enumerate(items):
            name, x = item if isinstance(item, tuple) else (f"parameter {i}", item)
            check_parameter(name, x)
            if x.requires_grad:  # a frozen parameter is a constant
                self.tensors.append(x)
        if len({id(x) for x in self.tensors}) < len(self.tensors):
            raise ValueError("a parameter was given twice")
        self.stamp = 0

    def arrays(self) -> list[Array]:
        """What theta starts as."""
        return [x.array for x in self.tensors]

    def leaves(self, parts: Sequence[Array]) -> list[Tensor]:
        """The tensors themselves, holding ``parts`` now."""
        self.give(parts)
        return self.tensors

    def bound(self, leaves: Sequence[Tensor]) -> AbstractContextManager[list[Any]]:
        """Nothing: the closure takes no arguments."""
        return _yield([])

    def give(self, parts: Sequence[Array]) -> None:
        """Write ``parts`` into the tensors."""
        self.stamp += 1
        for x, a in zip(self.tensors, parts, strict=True):
            x.assign_(a)


@contextmanager
def _yield(values: list[Any]) -> Iterator[list[Any]]:
    yield values


def check_parameter(name: str, x: Any) -> None:
    """Raise TypeError unless ``x`` is a floating-point leaf tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}, not a tensor: pass module.parameters()")
    if x.node is not None:
        raise TypeError(f"{name} is computed, not a leaf: optimize the tensors that it is computed from")
    if x.dtype.kind != "f":
        raise TypeError(f"{name} has dtype {x.dtype}; only floating-point tensors can be optimized")


def _floating(x: Any) -> Array:
    if isinstance(x, Tensor):
        check_parameter("x0", x.detach())
        return x.array
    array = as_array(np.asarray(x) if not hasattr(x, "dtype") else x)
    return array if array.dtype.kind == "f" else array.astype(np.float64)
