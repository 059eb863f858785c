"""Many arrays as one vector, and back: theta in R^p is what optimizers and curvature work on.

:func:`ravel_tree` is the transformation for users, differentiable both ways; :class:`Layout` says where each array
lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeVar, overload

import numpy as np

from minigrad.arrays.backend import Array, backend_of, unwrapped
from minigrad.creation import zeros
from minigrad.tensor import Tensor
from minigrad.transforms.tree import flatten

__all__ = ["HasParameters", "Layout", "TypedLayout", "check_alike", "ravel_tree"]


Tree = TypeVar("Tree")


class Layout:
    """Where arrays of these shapes lie in one vector, one after the other.

    >>> layout = Layout([(2, 2), (3,)])
    >>> layout.size, layout.join([np.eye(2), np.zeros(3)])
    (7, array([1., 0., 0., 1., 0., 0., 0.]))

    Attributes:
        offsets: where each begins, and after that where the last one ends.
        size: the length of the vector.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self.shapes = [tuple(shape) for shape in shapes]
        self.offsets: list[int] = np.cumsum([0, *map(math.prod, self.shapes)], dtype=int).tolist()
        self.size = self.offsets[-1]

    def join(self, parts: Sequence[Any], batch: tuple[int, ...] = ()) -> Any:
        """The parts as one new vector; leading axes ``batch`` that all have stay in front."""
        rows = [part.reshape((*batch, b - a)) for part, (a, b) in zip(parts, pairwise(self.offsets), strict=True)]
        return np.concatenate(rows, axis=-1) if len(rows) != 1 else rows[0].copy()

    def split(self, vector: Any) -> list[Any]:
        """The vector as parts of their shapes, views of it; axes before its last one stay in front.

        Raises:
            ValueError: it has another length.
        """
        *batch, length = vector.shape
        if length != self.size:
            raise ValueError(f"the parts {self.shapes} have {self.size} entries, but the vector has {length}")
        cuts = zip(pairwise(self.offsets), self.shapes, strict=True)
        return [vector[..., a:b].reshape((*batch, *shape)) for (a, b), shape in cuts]


class TypedLayout(Layout):
    """Where tensors lie in one vector of the dtype that holds all of them; each gets its own dtype back.

    >>> import minigrad as mg
    >>> xs = mg.tensor([[1.0, 2.0]]), mg.tensor(3.0)
    >>> layout = TypedLayout(xs)
    >>> layout.split(2 * layout.join(xs))
    [Tensor([[2., 4.]]), Tensor(6.)]
    """

    def __init__(self, xs: Sequence[Any]) -> None:
        super().__init__([x.shape for x in xs])
        self.dtypes = [x.dtype for x in xs]
        self.dtype = np.result_type(*self.dtypes) if xs else np.dtype(float)

    def join(self, parts: Sequence[Any], batch: tuple[int, ...] = ()) -> Any:
        return super().join([_cast(x, self.dtype) for x in parts], batch)

    def split(self, vector: Any) -> list[Any]:
        return [_cast(x, dtype) for x, dtype in zip(super().split(vector), self.dtypes, strict=True)]


def _cast(x: Any, dtype: Any) -> Any:
    return x if x.dtype == dtype else x.astype(dtype)


class HasParameters(Protocol):
    """A module."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Its parameters, by name."""


def check_alike(arrays: Sequence[Array], whose: str) -> None:
    """Raise TypeError unless the arrays share a dtype and a backend, as parts of one vector must."""
    kinds = {(str(a.dtype), backend_of(unwrapped(a)).name) for a in arrays}
    if len(kinds) > 1:
        raise TypeError(
            f"{whose} are kept in one vector, so they must share a dtype and a backend; these have {sorted(kinds)}. "
            "Convert them with .astype(dtype), or a module with module.to(backend, dtype)"
        )


@overload
def ravel_tree(tree: HasParameters) -> tuple[Tensor, Callable[[Any], dict[str, Tensor]]]: ...
@overload
def ravel_tree(tree: Tree) -> tuple[Tensor, Callable[[Any], Tree]]: ...
def ravel_tree(tree: Any) -> tuple[Tensor, Callable[[Any], Any]]:
    """A tree of tensors as one vector, and the function that makes such a tree of a vector: JAX's ``ravel_pytree``.

    Both are differentiable, so a function of a tree becomes a function of a vector: ``f(unravel(theta))``. What a
    method for vectors needs (an eigenvalue, a line through weight space, SciPy) then serves networks too:

    >>> import minigrad as mg
    >>> vector, unravel = ravel_tree({"W": mg.ones((2, 2)), "b": mg.zeros(3)})
    >>> vector
    Tensor([1., 1., 1., 1., 0., 0., 0.])
    >>> unravel(2 * vector)["W"]
    Tensor([[2., 2.],
            [2., 2.]])

    Args:
        tree: tensors, arrays and numbers in lists, tuples and dicts; or a Module, which counts as the dict of its
            parameters that require gradients (``nn.functional_call(module, unravel(theta), x)`` calls it with them).

    Returns:
        the vector, a copy, of the dtype that holds all of them (NumPy's promotion); and ``unravel``, which gives each
        its shape and dtype back.

    Raises:
        TypeError: something else in the tree, or arrays on different backends.
        ValueError: ``unravel`` is given a vector of another length.
    """
    if hasattr(tree, "named_parameters"):
        tree = {name: x for name, x in tree.named_parameters() if x.requires_grad}
    leaves, rebuild = flatten(tree)
    tensors = [_tensor(x) for x in leaves]
    layout = TypedLayout(tensors)
    vector = layout.join(tensors) if tensors else zeros(0)

    def unravel(theta: Any) -> Any:
        theta = theta if isinstance(theta, Tensor) else Tensor(theta)
        if theta.shape != (layout.size,):
            raise ValueError(f"unravel: this tree has {layout.size} entries, but the vector has shape {theta.shape}")
        return rebuild(layout.split(theta))

    return vector, unravel


def _tensor(x: Any) -> Tensor:
    if hasattr(x, "named_parameters"):
        raise TypeError(
            f"ravel_tree: a module inside a tree ({type(x).__name__}) does not say which of its tensors are meant; put "
            "dict(module.named_parameters()) in its place"
        )
    if not isinstance(x, (Tensor, bool, int, float)) and not hasattr(x, "dtype"):
        raise TypeError(f"ravel_tree: a tree holds tensors, arrays and numbers, not a {type(x).__name__}")
    return x if isinstance(x, Tensor) else Tensor(x)
