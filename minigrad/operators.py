"""The operators and methods that a NumPy array has, each one call of an operation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.engine import apply
from minigrad.ops import elementwise as E
from minigrad.ops import indexing, linalg, reductions, shapes


class Operators:
    """What a tensor can do that needs no knowledge of how it is stored."""

    __slots__ = ()

    array: Any
    item: Any
    numpy: Any
    __getitem__: Any

    # --------------------------------------------------------------------------------------------- description
    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def tolist(self) -> Any:
        return self.numpy().tolist()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
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
    def __add__(self, other: Any) -> Any:
        return apply(E.add, (self, other))

    def __radd__(self, other: Any) -> Any:
        return apply(E.add, (other, self))

    def __sub__(self, other: Any) -> Any:
        return apply(E.subtract, (self, other))

    def __rsub__(self, other: Any) -> Any:
        return apply(E.subtract, (other, self))

    def __mul__(self, other: Any) -> Any:
        return apply(E.multiply, (self, other))

    def __rmul__(self, other: Any) -> Any:
        return apply(E.multiply, (other, self))

    def __truediv__(self, other: Any) -> Any:
        return apply(E.divide, (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return apply(E.divide, (other, self))

    def __mod__(self, other: Any) -> Any:
        return apply(E.remainder, (self, other))

    def __rmod__(self, other: Any) -> Any:
        return apply(E.remainder, (other, self))

    def __floordiv__(self, other: Any) -> Any:
        return apply(E.floor_divide, (self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return apply(E.floor_divide, (other, self))

    def __pow__(self, other: Any) -> Any:
        return apply(E.power, (self, other))

    def __rpow__(self, other: Any) -> Any:
        return apply(E.power, (other, self))

    def __matmul__(self, other: Any) -> Any:
        return apply(linalg.matmul, (self, other))

    def __rmatmul__(self, other: Any) -> Any:
        return apply(linalg.matmul, (other, self))

    def __neg__(self) -> Any:
        return apply(E.negative, (self,))

    def __pos__(self) -> Any:
        return self

    def __round__(self, ndigits: int = 0) -> Any:
        return apply(E.round, (self, ndigits))

    def __abs__(self) -> Any:
        return apply(E.absolute, (self,))

    def __lt__(self, other: Any) -> Any:
        return apply(E.less, (self, other))

    def __le__(self, other: Any) -> Any:
        return apply(E.less_equal, (self, other))

    def __gt__(self, other: Any) -> Any:
        return apply(E.greater, (self, other))

    def __ge__(self, other: Any) -> Any:
        return apply(E.greater_equal, (self, other))

    def __eq__(self, other: object) -> Any:
        return apply(E.equal, (self, other))

    def __ne__(self, other: object) -> Any:
        return apply(E.not_equal, (self, other))

    def __and__(self, other: Any) -> Any:
        return apply(E.logical_and, (_bools(self), _bools(other)))

    def __or__(self, other: Any) -> Any:
        return apply(E.logical_or, (_bools(self), _bools(other)))

    def __invert__(self) -> Any:
        return apply(E.logical_not, (_bools(self),))

    # ------------------------------------------------------------------------------------------------- methods
    @property
    def T(self) -> Any:
        """The axes reversed."""
        return apply(shapes.transpose, (self,))

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return apply(shapes.swapaxes, (self, -1, -2))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(reductions.sum, (self, axis, keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(reductions.mean, (self, axis, keepdims))

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(reductions.max, (self, axis, keepdims))

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(reductions.min, (self, axis, keepdims))

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        return reductions.prod(self, axis, keepdims)

    def var(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        return reductions.var(self, axis, ddof, keepdims)

    def std(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        return reductions.std(self, axis, ddof, keepdims)

    def cumsum(self, axis: int | None = None) -> Any:
        return reductions.cumsum(self, axis)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Any:
        return apply(reductions.argmax, (self, axis, keepdims))

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Any:
        return apply(reductions.argmin, (self, axis, keepdims))

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(reductions.all, (self, axis, keepdims))

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        return apply(reductions.any, (self, axis, keepdims))

    def clip(self, min: Any = None, max: Any = None) -> Any:
        return apply(E.clip, (self, min, max))

    def round(self, decimals: int = 0) -> Any:
        return apply(E.round, (self, decimals))

    def astype(self, dtype: Any) -> Any:
        return self if self.dtype == dtype else apply(E.astype, (self, dtype))

    def copy(self) -> Any:
        return E.copy(self)

    def reshape(self, *shape: Any) -> Any:
        return apply(shapes.reshape, (self, shape[0] if len(shape) == 1 else shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """The axes from ``start_dim`` to ``end_dim`` as one."""
        if not self.ndim:
            return self.reshape(1)
        start, end = range(self.ndim)[start_dim], range(self.ndim)[end_dim]
        n = math.prod(self.shape[start : end + 1])
        return self.reshape((*self.shape[:start], n, *self.shape[end + 1 :]))

    def ravel(self) -> Any:
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> Any:
        order = axes[0] if len(axes) == 1 else axes or None
        return apply(shapes.transpose, (self, order))

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return apply(shapes.swapaxes, (self, axis1, axis2))

    def squeeze(self, axis: Any = None) -> Any:
        return apply(shapes.squeeze, (self, axis))

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        return shapes.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return shapes.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return shapes.trace(self, offset, axis1, axis2)

    def dot(self, other: Any) -> Any:
        return linalg.dot(self, other)

    def take(self, indices: Any, axis: int | None = None) -> Any:
        return indexing.take(self, indices, axis)


def _bools(x: Any) -> Any:
    if getattr(x, "dtype", np.bool_) != np.bool_:
        raise TypeError(f"&, | and ~ combine bools (the results of comparisons), not {x.dtype}")
    return x
