"""Batched: an array whose leading axes are examples, named by the ``vmap`` that made them.

Inside ``vmap(f)`` the function ``f`` is written for one example; a :class:`Batched` lets the same code run on all of
them at once. It holds the whole array but shows the ``shape``, ``ndim`` and axes of *one* example, and speaks the NumPy
protocols: one method aligns the hidden axes and so covers every element-wise function, and the rest need a line each
that shifts an axis past the hidden ones. Nested vmaps hide several axes, one per level, outermost first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array

__all__ = [
    "Batched", "align", "arg_reduction", "broadcast_to", "concatenate", "cumsum", "einsum", "enter", "expand_dims",
    "filled_like", "folds", "last_axes", "levels_of", "matmul", "pad", "past_levels", "reduction", "reshape", "rewrap",
    "roll", "solve", "transpose", "where",
]  # fmt: skip


class Batched(np.lib.mixins.NDArrayOperatorsMixin):
    """``array`` of shape (*batch, *shape), where axis i of ``batch`` belongs to the vmap numbered ``levels[i]``."""

    __slots__ = ("array", "dtype", "levels", "ndim", "shape")

    def __init__(self, array: Array, levels: tuple[int, ...]) -> None:
        self.array, self.levels = array, levels
        self.shape = array.shape[len(levels) :]
        self.ndim = len(self.shape)
        self.dtype = array.dtype

    # -------------------------------------------------------------------------------- the NumPy protocols
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or "out" in kwargs:
            raise TypeError(f"vmap has no rule for numpy.{ufunc.__name__}.{method} with {sorted(kwargs)}")
        if ufunc is np.matmul:
            return matmul(*inputs)
        arrays, levels = align(inputs)
        return Batched(ufunc(*arrays, **kwargs), levels)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func in (np.arange, np.asarray, np.eye, np.ones):  # asked for like=batched: the same for every example
            return func(*args, like=self.array, **kwargs)
        if func not in RULES:
            raise TypeError(f"vmap has no rule for numpy.{func.__name__}")
        return RULES[func](*args, **kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("inside vmap a value cannot become a plain array: it stands for many examples at once")

    def __bool__(self) -> bool:
        raise TypeError(
            "inside vmap the truth of a value is not one bool but one per example: use where(...) instead of if"
        )

    # ------------------------------------------------------------------- what rules and forwards ask of an array
    def __iadd__(self, other: Any) -> Batched:
        if not (isinstance(other, Batched) and other.levels == self.levels and other.array.shape == self.array.shape):
            return self + other
        self.array += other.array
        return self

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, index: Any) -> Batched:
        """Slices, integers, new axes and dots; for integer arrays see indexing.py."""
        index = index if isinstance(index, tuple) else (index,)
        return Batched(self.array[(slice(None),) * len(self.levels) + index], self.levels)

    @property
    def size(self) -> int:
        """The number of entries of one example."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all examples."""
        return self.array.nbytes

    def sum(self, axis: Any = None, keepdims: bool = False) -> Batched:
        """The sum over ``axis`` of one example."""
        return RULES[np.sum](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Batched:
        """The largest entry along ``axis`` of one example."""
        return RULES[np.max](self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Batched:
        """One example in another shape."""
        return reshape(self, shape[0] if len(shape) == 1 else shape)

    @property
    def T(self) -> Batched:
        """The axes of one example reversed."""
        return transpose(self)

    def swapaxes(self, a: int, b: int) -> Batched:
        """Two axes of one example exchanged."""
        return RULES[np.swapaxes](self, a, b)

    def astype(self, dtype: Any) -> Batched:
        """The same numbers with another dtype."""
        return Batched(self.array.astype(dtype), self.levels)

    def copy(self) -> Batched:
        """The same numbers in memory of their own."""
        return Batched(self.array.copy(), self.levels)

    # ------------------------------------------------------------------------------------ one level at a time
    def sum_level(self, level: int) -> Array:
        """The sum over the examples of ``level``."""
        i = self.levels.index(level)
        return rewrap(self.array.sum(axis=i), self.levels[:i] + self.levels[i + 1 :])

    def leave(self, level: int, axis: int = 0) -> Array:
        """The array with the examples of ``level`` as an ordinary axis, placed at ``axis``."""
        i = self.levels.index(level)
        rest = self.levels[:i] + self.levels[i + 1 :]
        axis = axis + self.ndim + 1 if axis < 0 else axis
        return rewrap(np.moveaxis(self.array, i, len(rest) + axis), rest)


def enter(x: Array, level: int, axis: int = 0) -> Batched:
    """``x`` with ``axis`` hidden, as the examples of ``level``: the inverse of :meth:`Batched.leave`."""
    levels = levels_of(x)
    array = x.array if isinstance(x, Batched) else x
    axis = axis + x.ndim if axis < 0 else axis
    i = sum(other < level for other in levels)  # in the walk back an inner level may be there already
    return Batched(np.moveaxis(array, len(levels) + axis, i), (*levels[:i], level, *levels[i:]))


def rewrap(array: Array, levels: tuple[int, ...]) -> Array:
    """A batch, or the bare array where no level is left."""
    return Batched(array, levels) if levels else array


def levels_of(x: Any) -> tuple[int, ...]:
    """The vmaps that ``x`` is batched over; none for a bare array."""
    return x.levels if isinstance(x, Batched) else ()


def align(
    xs: Sequence[Any], ndim: int | None = None, levels: tuple[int, ...] | None = None
) -> tuple[list[Any], tuple[int, ...]]:
    """Bare arrays that broadcast as the examples would: missing levels and missing logical axes become 1."""
    if levels is None:
        levels = tuple(sorted({level for x in xs for level in levels_of(x)}))
    if ndim is None:
        ndim = max(getattr(x, "ndim", 0) for x in xs)
    arrays = []
    for x in xs:
        if isinstance(x, Batched):
            if x.levels != levels or x.ndim != ndim:
                sizes = dict(zip(x.levels, x.array.shape, strict=False))
                batch = [sizes.get(level, 1) for level in levels]
                x = x.array.reshape(*batch, *[1] * (ndim - x.ndim), *x.shape)
            else:
                x = x.array
        arrays.append(x)
    return arrays, levels


# ------------------------------------------------------------------------------------------ matrix products
def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` per example. An operand that all examples share is folded into one large matrix product."""
    if a.ndim == 1 or b.ndim == 1:
        A = expand_dims(a, 0) if a.ndim == 1 else a
        B = expand_dims(b, 1) if b.ndim == 1 else b
        y = matmul(A, B)
        if b.ndim == 1:
            y = reshape(y, y.shape[:-1])
        return reshape(y, y.shape[:-2] + y.shape[-1:] if b.ndim > 1 else y.shape[:-1]) if a.ndim == 1 else y
    if not levels_of(b) and b.ndim == 2 and folds(a.array):
        *batch, k = a.array.shape
        y = a.array.reshape(math.prod(batch), k) @ b
        return Batched(y.reshape(*batch, b.shape[-1]), a.levels)
    if not levels_of(a) and a.ndim == 2 and folds(b.array.swapaxes(-1, -2)):
        return matmul(Batched(b.array.swapaxes(-1, -2), b.levels), a.swapaxes(-1, -2)).swapaxes(-1, -2)
    (a, b), levels = align([a, b], max(a.ndim, b.ndim))
    if a.shape[-1] == 1:  # outer products: BLAS has no batched form of them
        return Batched(a * b, levels)
    return Batched(np.matmul(a, b), levels)


def folds(array: Array) -> bool:
    """Whether reshaping to (-1, last axis) is free: memory runs in the order of the axes."""
    return array.flags.c_contiguous


# -------------------------------------------------------------------------------- one line per NumPy function
def past_levels(axis: Any, x: Batched, ndim: int | None = None) -> Any:
    """The logical ``axis`` (or axes; None for all) of one example, as axes of the whole array."""
    k, n = len(x.levels), x.ndim if ndim is None else ndim
    if axis is None:
        return tuple(range(k, k + n))
    if isinstance(axis, (tuple, list)):
        return tuple(past_levels(a, x, n) for a in axis)
    if not -n <= axis < n:
        raise np.exceptions.AxisError(axis, n)
    return k + axis % n


def reshape(x: Any, shape: Any) -> Any:
    """One example in another ``shape``, in which -1 is what one example leaves."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not isinstance(x, Batched):
        return x.reshape(shape)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape = tuple((x.size // known if known else 0) if n == -1 else n for n in shape)
    return Batched(x.array.reshape(*x.array.shape[: len(x.levels)], *shape), x.levels)


def expand_dims(x: Any, axis: Any) -> Any:
    """New axes, counted among those of one example."""
    if not isinstance(x, Batched):
        return np.expand_dims(x, axis)
    added = len(axis) if isinstance(axis, tuple) else 1
    return Batched(np.expand_dims(x.array, past_levels(axis, x, x.ndim + added)), x.levels)


def broadcast_to(x: Batched, shape: tuple[int, ...]) -> Batched:
    """Each example broadcast to ``shape``."""
    (array,), _ = align([x], len(shape))
    return Batched(np.broadcast_to(array, array.shape[: len(x.levels)] + tuple(shape)), x.levels)


def reduction(func: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a reduction: its axes are those of one example."""

    def rule(x: Batched, axis: Any = None, keepdims: bool = False) -> Batched:
        return Batched(func(x.array, axis=past_levels(axis, x), keepdims=keepdims), x.levels)

    return rule


def arg_reduction(func: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of argmax and argmin, whose index counts within one example."""

    def rule(x: Batched, axis: int | None = None, keepdims: bool = False) -> Batched:
        y = reshape(x, (-1,)) if axis is None else x
        y = Batched(func(y.array, axis=past_levels(0 if axis is None else axis, y), keepdims=keepdims), x.levels)
        return reshape(y, (1,) * x.ndim) if keepdims and axis is None else y

    return rule


def last_axes(func: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the last axes that broadcasts over the leading ones already."""

    def rule(x: Batched, *args: Any, **kwargs: Any) -> Any:
        y = func(x.array, *args, **kwargs)
        return tuple(Batched(part, x.levels) for part in y) if isinstance(y, tuple) else Batched(y, x.levels)

    return rule


def filled_like(func: Callable[..., Any]) -> Callable[..., Any]:
    """zeros_like and its kin: the same values for every example, so there is nothing to batch."""

    def rule(x: Batched, *args: Any, shape: Any = None, **kwargs: Any) -> Array:
        return func(x.array, *args, shape=x.shape if shape is None else shape, **kwargs)

    return rule


def transpose(x: Batched, axes: Any = None) -> Batched:
    """The axes of one example in another order."""
    k = len(x.levels)
    return Batched(
        np.transpose(x.array, (*range(k), *past_levels(tuple(range(x.ndim)[::-1] if axes is None else axes), x))),
        x.levels,
    )


def where(condition: Any, a: Any, b: Any) -> Batched:
    """The choice per example; any of the three may be shared."""
    arrays, levels = align([condition, a, b])
    return Batched(np.where(*arrays), levels)


def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Batched:
    """Joined per example; arrays that all examples share are repeated."""
    if axis is None:
        xs, axis = [reshape(x, (-1,)) for x in xs], 0
    ndim = xs[0].ndim
    arrays, levels = align([x if isinstance(x, Batched) else Batched(x, ()) for x in xs], ndim)
    batch = np.broadcast_shapes(*[array.shape[: len(levels)] for array in arrays])
    arrays = [np.broadcast_to(array, batch + array.shape[len(levels) :]) for array in arrays]
    return Batched(np.concatenate(arrays, axis=len(levels) + axis % ndim), levels)


def roll(x: Batched, shift: Any, axis: Any = None) -> Any:
    """Rolled within each example."""
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    return Batched(np.roll(x.array, shift, past_levels(axis, x)), x.levels)


def cumsum(x: Batched, axis: int | None = None) -> Batched:
    """The running sum within each example."""
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return Batched(np.cumsum(x.array, axis=past_levels(axis, x)), x.levels)


def pad(x: Batched, pad_width: Any, **kwargs: Any) -> Batched:
    """Padded around each example."""
    return Batched(np.pad(x.array, ((0, 0),) * len(x.levels) + tuple(pad_width), **kwargs), x.levels)


def solve(a: Any, b: Any) -> Any:
    """``a x = b`` for stacks of matrices, batched or bare; broadcast here, because CuPy's solve does not."""
    (a, b), levels = align([x if isinstance(x, Batched) else Batched(x, ()) for x in (a, b)], max(a.ndim, b.ndim))
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
    return rewrap(np.linalg.solve(a, b), levels)


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Batched:
    """The same subscripts per example, with a letter more for each level."""
    inputs, output = subscripts.split("->")
    levels = tuple(sorted({level for x in operands for level in levels_of(x)}))
    unused = iter(sorted(set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") - set(subscripts)))
    letters = {level: next(unused) for level in levels}
    named = [
        "".join(letters[level] for level in levels_of(x)) + axes
        for x, axes in zip(operands, inputs.split(","), strict=True)
    ]
    bare = [x.array if isinstance(x, Batched) else x for x in operands]
    return Batched(np.einsum(f"{','.join(named)}->{''.join(letters.values())}{output}", *bare, **kwargs), levels)


RULES: dict[Any, Callable[..., Any]] = {
    np.reshape: reshape,
    np.expand_dims: expand_dims,
    np.broadcast_to: broadcast_to,
    np.transpose: transpose,
    np.where: where,
    np.concatenate: concatenate,
    np.pad: pad,
    np.linalg.solve: solve,
    np.einsum: einsum,
    np.dot: matmul,
    np.swapaxes: lambda x, axis1, axis2: Batched(
        np.swapaxes(x.array, past_levels(axis1, x), past_levels(axis2, x)), x.levels
    ),
    np.squeeze: lambda x, axis=None: reshape(x, np.empty(x.shape, bool).squeeze(axis).shape),
    np.flip: lambda x, axis=None: Batched(np.flip(x.array, past_levels(axis, x)), x.levels),
    np.roll: roll,
    np.cumsum: cumsum,
    np.round: lambda x, decimals=0: Batched(np.round(x.array, decimals), x.levels),
    **{f: reduction(f) for f in (np.sum, np.mean, np.max, np.min, np.all, np.any)},
    **{f: arg_reduction(f) for f in (np.argmax, np.argmin)},
    **{
        f: last_axes(f) for f in (np.tril, np.triu, np.linalg.inv, np.linalg.det, np.linalg.slogdet, np.linalg.cholesky)
    },
    **{f: filled_like(f) for f in (np.zeros_like, np.ones_like, np.full_like)},
}
