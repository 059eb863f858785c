"""The operators and methods that a NumPy array has, each one call of an operation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from minigrad.arrays.backend import TensorLike
from minigrad.core.graph import Tensor, Variable, apply
from minigrad.core.table import primitive
from minigrad.ops import choices, elementwise, indexing, linalg, reductions, shapes
from minigrad.ops.reductions import Axes

__all__ = ["Operators"]

# Operators go to the engine without a detour.
_add, _subtract, _multiply = map(primitive, (elementwise.add, elementwise.subtract, elementwise.multiply))
_divide, _power, _matmul = map(primitive, (elementwise.divide, elementwise.power, linalg.matmul))
_floor_divide, _remainder = map(primitive, (choices.floor_divide, choices.remainder))
_less, _less_equal, _equal = map(primitive, (choices.less, choices.less_equal, choices.equal))
_greater, _greater_equal, _not_equal = map(primitive, (choices.greater, choices.greater_equal, choices.not_equal))


class Operators(Variable):
    """What a tensor can do that needs no knowledge of how it is stored."""

    __slots__ = ()

    item: Any  # these are tensor.py's
    numpy: Any
    astype: Any
    __getitem__: Any
    __array_ufunc__: Any
    __array_function__: Any

    # --------------------------------------------------------------------------------------------- description
    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        """The bytes that the entries take."""
        return self.array.nbytes

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        return self.numpy().tolist()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("a 0-d tensor cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor can be an index, not one of {self.dtype}")
        return int(self.item())

    # ----------------------------------------------------------------------------------------------- operators
    def __add__(self, other: TensorLike) -> Tensor:
        return apply(_add, (self, other))

    def __radd__(self, other: TensorLike) -> Tensor:
        return apply(_add, (other, self))

    def __sub__(self, other: TensorLike) -> Tensor:
        return apply(_subtract, (self, other))

    def __rsub__(self, other: TensorLike) -> Tensor:
        return apply(_subtract, (other, self))

    def __mul__(self, other: TensorLike) -> Tensor:
        return apply(_multiply, (self, other))

    def __rmul__(self, other: TensorLike) -> Tensor:
        return apply(_multiply, (other, self))

    def __truediv__(self, other: TensorLike) -> Tensor:
        return apply(_divide, (self, other))

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return apply(_divide, (other, self))

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return apply(_floor_divide, (self, other))

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return apply(_floor_divide, (other, self))

    def __mod__(self, other: TensorLike) -> Tensor:
        return apply(_remainder, (self, other))

    def __rmod__(self, other: TensorLike) -> Tensor:
        return apply(_remainder, (other, self))

    def __pow__(self, other: TensorLike) -> Tensor:
        return apply(_power, (self, other))

    def __rpow__(self, other: TensorLike) -> Tensor:
        return apply(_power, (other, self))

    def __matmul__(self, other: TensorLike) -> Tensor:
        return apply(_matmul, (self, other))

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return apply(_matmul, (other, self))

    def __lt__(self, other: TensorLike) -> Tensor:
        return apply(_less, (self, other))

    def __le__(self, other: TensorLike) -> Tensor:
        return apply(_less_equal, (self, other))

    def __gt__(self, other: TensorLike) -> Tensor:
        return apply(_greater, (self, other))

    def __ge__(self, other: TensorLike) -> Tensor:
        return apply(_greater_equal, (self, other))

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]  # object's gives a bool
        return apply(_equal, (self, other))

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return apply(_not_equal, (self, other))

    __hash__ = object.__hash__  # identity: == is element-wise

    def __neg__(self) -> Tensor:
        return elementwise.negative(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Tensor:
        return choices.absolute(self)

    def __round__(self, ndigits: int = 0) -> Tensor:
        return choices.round(self, ndigits)

    def __and__(self, other: TensorLike) -> Tensor:
        return choices.logical_and(_bools(self), _bools(other))

    def __or__(self, other: TensorLike) -> Tensor:
        return choices.logical_or(_bools(self), _bools(other))

    def __invert__(self) -> Tensor:
        return choices.logical_not(_bools(self))

    # ------------------------------------------------------------------------------------------------- methods
    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return shapes.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return shapes.swapaxes(self, -1, -2)

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The sum over ``axis`` (None: over all)."""
        return reductions.sum(self, axis, keepdims)

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The mean over ``axis`` (None: over all)."""
        return reductions.mean(self, axis, keepdims)

    def max(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The largest entry along ``axis``; equal ones share the gradient."""
        return reductions.max(self, axis, keepdims)

    def min(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The smallest entry along ``axis``; equal ones share the gradient."""
        return reductions.min(self, axis, keepdims)

    def prod(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The product over ``axis``."""
        return reductions.prod(self, axis, keepdims)

    def var(self, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """The mean square deviation from the mean, over n - ddof."""
        return reductions.var(self, axis, ddof, keepdims)

    def std(self, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """The square root of :meth:`var`."""
        return reductions.std(self, axis, ddof, keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """The running sum along ``axis`` (None: of the flattened tensor)."""
        return reductions.cumsum(self, axis)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The index of the largest entry along ``axis``."""
        return reductions.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The index of the smallest entry along ``axis``."""
        return reductions.argmin(self, axis, keepdims)

    def all(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Whether all entries along ``axis`` are true."""
        return reductions.all(self, axis, keepdims)

    def any(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Whether any entry along ``axis`` is true."""
        return reductions.any(self, axis, keepdims)

    def clip(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        """Entries limited to [min, max]; either may be None."""
        return choices.clip(self, min, max)

    def round(self, decimals: int = 0) -> Tensor:
        """Entries rounded to ``decimals`` places."""
        return choices.round(self, decimals)

    def copy(self) -> Tensor:
        """The same numbers in memory of their own."""
        return elementwise.copy(self)

    def reshape(self, *shape: Any) -> Tensor:
        """The same entries in another shape, given as numbers or as one tuple; -1 for what is left."""
        return shapes.reshape(self, shape[0] if len(shape) == 1 else shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from ``start_dim`` to ``end_dim`` as one."""
        if not self.ndim:
            return self.reshape(1)
        start, end = range(self.ndim)[start_dim], range(self.ndim)[end_dim]
        n = math.prod(self.shape[start : end + 1])
        return self.reshape((*self.shape[:start], n, *self.shape[end + 1 :]))

    def ravel(self) -> Tensor:
        """The entries as one axis."""
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in the given order (none: reversed)."""
        order = axes[0] if len(axes) == 1 else axes or None
        return shapes.transpose(self, order)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return shapes.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Axes = None) -> Tensor:
        """Without axes of length 1: all, or those named."""
        return shapes.squeeze(self, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """Each entry repeated in place."""
        return shapes.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The diagonal of the matrices on two axes, as the last axis."""
        return shapes.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The sum of the diagonal."""
        return shapes.trace(self, offset, axis1, axis2)

    def dot(self, other: TensorLike) -> Tensor:
        """NumPy's dot; see :func:`minigrad.dot`."""
        return linalg.dot(self, other)

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """The slices at ``indices`` along ``axis``."""
        return indexing.take(self, indices, axis)


def _bools(x: Any) -> Any:
    if getattr(x, "dtype", np.bool_) != np.bool_:
        raise TypeError(f"&, | and ~ combine bools (the results of comparisons), not {x.dtype}")
    return x
