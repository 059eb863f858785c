"""Operations that move entries and change none: their rules move the cotangent back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad.arrays.backend import TensorLike, to_numpy
from minigrad.arrays.dtypes import as_operand
from minigrad.core.graph import Tensor, array_of
from minigrad.core.table import composite, op

__all__ = [
    "broadcast_to", "concatenate", "diagonal", "expand_dims", "flip", "moveaxis", "pad", "ravel", "repeat", "reshape",
    "roll", "split", "squeeze", "stack", "swapaxes", "tile", "trace", "transpose", "tril", "triu",
]  # fmt: skip


# ------------------------------------------------------------------------------ the same entries, another shape
@op(lambda g, y, x, shape: g.reshape(x.shape), view=True, numpy=np.reshape)
def reshape(x: Any, shape: int | tuple[int, ...]) -> Any:
    """The entries of ``x``, in row-major order, in another shape; one length may be -1, for what is left.

    Raises:
        ValueError: the shape holds another number of entries.

    >>> import minigrad as mg
    >>> mg.reshape(mg.arange(6), (2, -1))
    Tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return as_operand(x).reshape(shape)


@composite(np.ravel)
def ravel(x: Any) -> Tensor:
    """``x`` as one axis, in row-major order.

    >>> import minigrad as mg
    >>> mg.ravel(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 2., 3., 4.])
    """
    return reshape(x, (-1,))


@op(lambda g, y, x, axis: np.reshape(g, x.shape), forward=np.expand_dims, view=True)
def expand_dims(x: TensorLike, axis: int | tuple[int, ...]) -> Any:
    """``x`` with new axes of length 1, which stand at ``axis`` in the result.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0])
    >>> mg.expand_dims(x, 0).shape, mg.expand_dims(x, -1).shape
    ((1, 3), (3, 1))
    """


@op(lambda g, y, x, axis=None: np.reshape(g, x.shape), forward=np.squeeze, view=True)
def squeeze(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Any:
    """``x`` without the axes ``axis``, which have length 1 (None: without all such).

    Raises:
        ValueError: an axis of another length.

    >>> import minigrad as mg
    >>> x = mg.zeros((1, 3, 1))
    >>> mg.squeeze(x).shape, mg.squeeze(x, 0).shape
    ((3,), (3, 1))
    """


# The walk sums a cotangent over broadcast axes, which is all that broadcast_to needs.
@op(lambda g, y, x, shape: g, forward=np.broadcast_to, view=True)
def broadcast_to(x: TensorLike, shape: int | tuple[int, ...]) -> Any:
    """``x`` repeated along its axes of length 1, and along new leading axes, to fill ``shape``, without copying.

    Every repetition uses the same entry, so the gradient is the sum of theirs.

    Raises:
        ValueError: another axis than those would have to change its length.

    >>> import minigrad as mg
    >>> mg.grad(lambda x: mg.broadcast_to(x, (4, 2)).sum())(mg.tensor([1.0, 2.0]))
    Tensor([4., 4.])
    """


# -------------------------------------------------------------------------------------------- the order of axes
def _inverse(axes: Sequence[int] | None) -> Any:
    """The permutation that undoes ``axes``; reversing (None) undoes itself."""
    return None if axes is None else sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))


@op(lambda g, y, x, axes=None: np.transpose(g, _inverse(axes)), forward=np.transpose, view=True)
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Any:
    """``x`` with axis i taken from its axis axes[i] (None: the axes in reverse).

    Raises:
        ValueError: ``axes`` is no permutation of the axes of ``x``.

    >>> import minigrad as mg
    >>> x = mg.zeros((2, 3, 5))
    >>> mg.transpose(x).shape, mg.transpose(x, (1, 2, 0)).shape
    ((5, 3, 2), (3, 5, 2))
    """


@op(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2), view=True, numpy=np.swapaxes)
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """``x`` with two axes exchanged: (-1, -2) transposes every matrix of a stack.

    >>> import minigrad as mg
    >>> mg.swapaxes(mg.zeros((2, 3, 5)), -1, -2).shape
    (2, 5, 3)
    """
    return np.swapaxes(x, axis1, axis2)


@composite(np.moveaxis)
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """``x`` with the axes ``source`` at the places ``destination``; the others keep their order.

    Raises:
        ValueError: the numbers of axes and of places differ.

    >>> import minigrad as mg
    >>> mg.moveaxis(mg.zeros((2, 3, 5, 7)), 1, -1).shape  # (N, C, H, W) with the channels last
    (2, 5, 7, 3)
    """
    source, destination = normalize_axis_tuple(source, x.ndim), normalize_axis_tuple(destination, x.ndim)
    if len(source) != len(destination):
        raise ValueError(f"moveaxis: {len(source)} axes cannot go to {len(destination)} places")
    order = [a for a in range(x.ndim) if a not in source]
    for place, a in sorted(zip(destination, source, strict=True)):
        order.insert(place, a)
    return transpose(x, tuple(order))


# ----------------------------------------------------------------------------------------- the order of entries
@op(lambda g, y, x, axis=None: np.flip(g, axis), forward=np.flip, view=True)
def flip(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Any:
    """``x`` with its entries in reverse order along ``axis`` (None: along every axis).

    >>> import minigrad as mg
    >>> mg.flip(mg.tensor([1.0, 2.0, 3.0]))
    Tensor([3., 2., 1.])
    """


def _back(shift: int | Sequence[int]) -> Any:
    """The shift that undoes ``shift``."""
    return tuple(-s for s in shift) if isinstance(shift, Sequence) else -shift


@op(lambda g, y, x, shift, axis=None: np.roll(g, _back(shift), axis), numpy=np.roll)
def roll(x: Any, shift: int | Sequence[int], axis: int | tuple[int, ...] | None = None) -> Any:
    """Entries moved by ``shift`` along ``axis`` (None: in the flattened array), re-entering at the other end.

    Several axes take the same shift, or one each.

    >>> import minigrad as mg
    >>> mg.roll(mg.tensor([1.0, 2.0, 3.0, 4.0]), 1)
    Tensor([4., 1., 2., 3.])
    """
    return np.roll(x, shift, axis)


# ---------------------------------------------------------------------------------------------- parts of arrays
@op(lambda g, y, x, k=0: np.tril(g, k), forward=np.tril)
def tril(x: TensorLike, k: int = 0) -> Any:
    """The lower triangles of the matrices on the last two axes: 0 above the k-th diagonal.

    >>> import minigrad as mg
    >>> mg.tril(mg.ones((3, 3)))
    Tensor([[1., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]])
    """


@op(lambda g, y, x, k=0: np.triu(g, k), forward=np.triu)
def triu(x: TensorLike, k: int = 0) -> Any:
    """The upper triangles of the matrices on the last two axes: 0 below the k-th diagonal.

    >>> import minigrad as mg
    >>> mg.triu(mg.ones((3, 3)), 1)
    Tensor([[0., 1., 1.],
            [0., 0., 1.],
            [0., 0., 0.]])
    """


@composite(np.diagonal)
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """x_{i, i + offset} of the matrices on two axes, as the last axis of the result.

    In a flattened (n, m) matrix, one step down the diagonal is a stride of m + 1, so it is a slice.

    >>> import minigrad as mg
    >>> A = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> mg.diagonal(A), mg.diagonal(A, 1)
    (Tensor([1., 4.]), Tensor([2.]))
    """
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    n, m = x.shape[-2:]
    length = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    start = offset if offset >= 0 else -offset * m
    flat = reshape(x, (*x.shape[:-2], n * m))
    return flat[..., start : start + length * (m + 1) : m + 1][..., :length]


@composite(np.trace)
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """sum_i x_{i, i + offset}: the sum of the diagonal of the matrices on two axes.

    >>> import minigrad as mg
    >>> mg.grad(mg.trace)(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 0.],
            [0., 1.]])
    """
    return diagonal(x, offset, axis1, axis2).sum(axis=-1)


@composite(np.split)
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Views of consecutive pieces along ``axis``: so many equal ones, or those between the given indices.

    Raises:
        ValueError: the axis does not divide into that many equal sections.

    >>> import minigrad as mg
    >>> mg.split(mg.tensor([1.0, 2.0, 3.0, 4.0]), [1, 3])
    [Tensor([1.]), Tensor([2., 3.]), Tensor([4.])]
    """
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if n % indices_or_sections:
            raise ValueError(f"split: an axis of length {n} does not divide into {indices_or_sections} equal sections")
        cuts = list(range(0, n, n // indices_or_sections))[1:] if n else [0] * (indices_or_sections - 1)
    else:
        cuts = list(indices_or_sections)
    before = (slice(None),) * normalize_axis_index(axis, x.ndim)
    return [x[*before, a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


# ------------------------------------------------------------------------------------------------- more entries
def _concatenate_rule(i: int, g: Any, y: Any, *xs: Any, axis: int | None = 0) -> Any:
    """The piece of ``g`` that came from the i-th array."""
    if axis is None:
        start = sum(x.size for x in xs[:i])
        return g[start : start + xs[i].size].reshape(xs[i].shape)
    start = sum(x.shape[axis] for x in xs[:i])
    return g[(slice(None),) * (axis % y.ndim) + (slice(start, start + xs[i].shape[axis]),)]


@op(each=_concatenate_rule, sequence=True, numpy=np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays joined along an axis they have (None: flattened first). Their shapes agree along every other axis.

    Raises:
        ValueError: no arrays, or shapes that differ along another axis.

    >>> import minigrad as mg
    >>> mg.concatenate([mg.ones((2, 3)), mg.zeros((2, 1))], axis=1)
    Tensor([[1., 1., 1., 0.],
            [1., 1., 1., 0.]])
    """
    return np.concatenate(arrays, axis=axis)


@composite(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis, which stands at ``axis`` in the result.

    Raises:
        ValueError: no arrays, or shapes that differ.

    >>> import minigrad as mg
    >>> mg.stack([mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0])], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return concatenate([expand_dims(x, axis) for x in arrays], axis=axis)


def _widths(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each of ``ndim`` axes, from a number, a pair or a pair per axis."""
    return tuple((before, after) for before, after in np.broadcast_to(pad_width, (ndim, 2)).tolist())


def _pad_rule(g: Any, y: Any, x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """The cotangent inside the border: the border itself is constant."""
    pairs = zip(_widths(pad_width, x.ndim), x.shape, strict=True)
    return g[tuple(slice(before, before + n) for (before, _), n in pairs)]


@op(_pad_rule, numpy=np.pad)
def pad(
    x: Any,
    pad_width: int | Sequence[int] | Sequence[Sequence[int]],
    mode: Literal["constant"] = "constant",
    constant_values: float = 0,
) -> Any:
    """``x`` in a border of constant entries.

    Args:
        pad_width: how many entries before and after along every axis; or (before, after); or such a pair per axis.
        mode: only "constant".
        constant_values: the entries of the border.

    Raises:
        ValueError: a mode other than "constant", or a negative width.

    >>> import minigrad as mg
    >>> mg.pad(mg.ones((1, 2)), ((1, 0), (2, 0)))
    Tensor([[0., 0., 0., 0.],
            [0., 0., 1., 1.]])
    """
    if mode != "constant":
        raise ValueError(f"mode {mode!r} is not supported, only 'constant'; build others from flip and concatenate")
    return np.pad(x, _widths(pad_width, x.ndim), constant_values=constant_values)


@composite(np.tile)
def tile(x: Any, reps: int | Sequence[int]) -> Tensor:
    """``x`` repeated as a whole ``reps`` times along each axis; the shorter of shape and ``reps`` gets leading ones.

    >>> import minigrad as mg
    >>> mg.tile(mg.tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """
    times = (reps,) if isinstance(reps, int) else tuple(reps)
    ndim = max(x.ndim, len(times))
    shape, times = (1,) * (ndim - x.ndim) + tuple(x.shape), (1,) * (ndim - len(times)) + times
    apart = reshape(x, tuple(n for size in shape for n in (1, size)))
    tiled = broadcast_to(apart, tuple(n for pair in zip(times, shape, strict=True) for n in pair))
    return reshape(tiled, tuple(r * size for r, size in zip(times, shape, strict=True)))


@composite(np.repeat)
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each entry along ``axis`` (None: of the flattened array) repeated in place.

    ``repeats`` is one number, or one per entry of the axis.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0])
    >>> mg.repeat(x, 2), mg.repeat(x, [3, 1])
    (Tensor([1., 1., 2., 2.]), Tensor([1., 1., 1., 2.]))
    """
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, x.ndim)
    if isinstance(repeats, int):
        apart = expand_dims(x, axis + 1)
        shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
        return reshape(broadcast_to(apart, shape), (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]))
    places = np.repeat(np.arange(x.shape[axis]), to_numpy(array_of(repeats)))
    return x[(slice(None),) * axis + (places,)]
