"""The operators and methods that a NumPy array has, each one call of an operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.core.graph import Variable, apply
from minigrad.core.table import primitive
from minigrad.ops import choices, elementwise, indexing, linalg, reductions, shapes

Operator = Callable[[Any, Any], Any]

_equal, _not_equal = primitive(choices.equal), primitive(choices.not_equal)


def _binary(operation: Callable[..., Any]) -> tuple[Operator, Operator]:
    """The operator, and the reflected one for a tensor on the right; both go to the engine without a detour."""
    op = primitive(operation)

    def operator(self: Any, other: Any) -> Any:
        return apply(op, (self, other))

    def reflected(self: Any, other: Any) -> Any:
        return apply(op, (other, self))

    operator.__doc__ = reflected.__doc__ = f"See :func:`minigrad.{op.name}`."
    operator.__name__, reflected.__name__ = op.name, f"reflected_{op.name}"
    return operator, reflected


class Operators(Variable):
    """What a tensor can do that needs no knowledge of how it is stored."""

    __slots__ = ()

    item: Any
    numpy: Any
    __getitem__: Any

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
    def dtype(self) -> Any:
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
    __add__, __radd__ = _binary(elementwise.add)
    __sub__, __rsub__ = _binary(elementwise.subtract)
    __mul__, __rmul__ = _binary(elementwise.multiply)
    __truediv__, __rtruediv__ = _binary(elementwise.divide)
    __floordiv__, __rfloordiv__ = _binary(choices.floor_divide)
    __mod__, __rmod__ = _binary(choices.remainder)
    __pow__, __rpow__ = _binary(elementwise.power)
    __matmul__, __rmatmul__ = _binary(linalg.matmul)

    __lt__ = _binary(choices.less)[0]
    __le__ = _binary(choices.less_equal)[0]
    __gt__ = _binary(choices.greater)[0]
    __ge__ = _binary(choices.greater_equal)[0]

    def __eq__(self, other: object) -> Any:  # a method, so that type checkers do not take object's, which gives a bool
        return apply(_equal, (self, other))

    def __ne__(self, other: object) -> Any:
        return apply(_not_equal, (self, other))

    def __neg__(self) -> Any:
        return elementwise.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return choices.absolute(self)

    def __round__(self, ndigits: int = 0) -> Any:
        return choices.round(self, ndigits)

    def __and__(self, other: Any) -> Any:
        return choices.logical_and(_bools(self), _bools(other))

    def __or__(self, other: Any) -> Any:
        return choices.logical_or(_bools(self), _bools(other))

    def __invert__(self) -> Any:
        return choices.logical_not(_bools(self))

    # ------------------------------------------------------------------------------------------------- methods
    @property
    def T(self) -> Any:
        """The axes reversed."""
        return shapes.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return shapes.swapaxes(self, -1, -2)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum over ``axis`` (None: over all)."""
        return reductions.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean over ``axis`` (None: over all)."""
        return reductions.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The largest entry along ``axis``; equal ones share the gradient."""
        return reductions.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The smallest entry along ``axis``; equal ones share the gradient."""
        return reductions.min(self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The product over ``axis``."""
        return reductions.prod(self, axis, keepdims)

    def var(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The mean square deviation from the mean, over n - ddof."""
        return reductions.var(self, axis, ddof, keepdims)

    def std(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The square root of :meth:`var`."""
        return reductions.std(self, axis, ddof, keepdims)

    def cumsum(self, axis: int | None = None) -> Any:
        """The running sum along ``axis`` (None: of the flattened tensor)."""
        return reductions.cumsum(self, axis)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """The index of the largest entry along ``axis``."""
        return reductions.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """The index of the smallest entry along ``axis``."""
        return reductions.argmin(self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether all entries along ``axis`` are true."""
        return reductions.all(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether any entry along ``axis`` is true."""
        return reductions.any(self, axis, keepdims)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Entries limited to [min, max]; either may be None."""
        return choices.clip(self, min, max)

    def round(self, decimals: int = 0) -> Any:
        """Entries rounded to ``decimals`` places."""
        return choices.round(self, decimals)

    def astype(self, dtype: Any) -> Any:
        """The same numbers with another dtype; the gradient is cast back."""
        return self if self.dtype == dtype else elementwise.astype(self, dtype)

    def copy(self) -> Any:
        """The same numbers in memory of their own."""
        return elementwise.copy(self)

    def reshape(self, *shape: Any) -> Any:
        """The same entries in another shape, given as numbers or as one tuple; -1 for what is left."""
        return shapes.reshape(self, shape[0] if len(shape) == 1 else shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """The axes from ``start_dim`` to ``end_dim`` as one."""
        if not self.ndim:
            return self.reshape(1)
        start, end = range(self.ndim)[start_dim], range(self.ndim)[end_dim]
        n = math.prod(self.shape[start : end + 1])
        return self.reshape((*self.shape[:start], n, *self.shape[end + 1 :]))

    def ravel(self) -> Any:
        """The entries as one axis."""
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> Any:
        """The axes in the given order (none: reversed)."""
        order = axes[0] if len(axes) == 1 else axes or None
        return shapes.transpose(self, order)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two axes exchanged."""
        return shapes.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        """Without axes of length 1: all, or those named."""
        return shapes.squeeze(self, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        """Each entry repeated in place."""
        return shapes.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """The diagonal of the matrices on two axes, as the last axis."""
        return shapes.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """The sum of the diagonal."""
        return shapes.trace(self, offset, axis1, axis2)

    def dot(self, other: Any) -> Any:
        """NumPy's dot; see :func:`minigrad.dot`."""
        return linalg.dot(self, other)

    def take(self, indices: Any, axis: int | None = None) -> Any:
        """The slices at ``indices`` along ``axis``."""
        return indexing.take(self, indices, axis)


def _bools(x: Any) -> Any:
    if getattr(x, "dtype", np.bool_) != np.bool_:
        raise TypeError(f"&, | and ~ combine bools (the results of comparisons), not {x.dtype}")
    return x
