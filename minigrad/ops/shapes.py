"""Operations that move entries and change none: their transposes move the cotangent back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad.arrays import as_operand
from minigrad.backend import to_numpy
from minigrad.engine import bare
from minigrad.ops.table import composite, op


def _inverse(axes: Sequence[int] | None) -> Any:
    return None if axes is None else sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))


reshape = op(
    "reshape",
    lambda x, shape: as_operand(x).reshape(shape),
    lambda g, y, x, shape: g.reshape(x.shape),
    view=True,
    numpy=np.reshape,
)
transpose = op(
    "transpose",
    lambda x, axes=None: np.transpose(x, axes),
    lambda g, y, x, axes=None: np.transpose(g, _inverse(axes)),
    view=True,
    numpy=np.transpose,
)
swapaxes = op(
    "swapaxes",
    lambda x, axis1, axis2: np.swapaxes(x, axis1, axis2),
    lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2),
    view=True,
    numpy=np.swapaxes,
)
expand_dims = op(
    "expand_dims",
    lambda x, axis: np.expand_dims(x, axis),
    lambda g, y, x, axis: np.reshape(g, x.shape),
    view=True,
    numpy=np.expand_dims,
)
squeeze = op(
    "squeeze",
    lambda x, axis=None: np.squeeze(x, axis),
    lambda g, y, x, axis=None: np.reshape(g, x.shape),
    view=True,
    numpy=np.squeeze,
)
# The walk sums a cotangent over broadcast axes, which is all that broadcast_to needs.
broadcast_to = op(
    "broadcast_to",
    lambda x, shape: np.broadcast_to(x, shape),
    lambda g, y, x, shape: g,
    view=True,
    numpy=np.broadcast_to,
)
flip = op(
    "flip",
    lambda x, axis=None: np.flip(x, axis),
    lambda g, y, x, axis=None: np.flip(g, axis),
    view=True,
    numpy=np.flip,
)
roll_ = op(
    "roll",
    lambda x, shift, axis: np.roll(x, shift, axis),
    lambda g, y, x, shift, axis: np.roll(g, tuple(-s for s in shift), axis),
)
tril = op("tril", lambda x, k=0: np.tril(x, k), lambda g, y, x, k=0: np.tril(g, k), numpy=np.tril)
triu = op("triu", lambda x, k=0: np.triu(x, k), lambda g, y, x, k=0: np.triu(g, k), numpy=np.triu)
pad_ = op(
    "pad",
    lambda x, pad_width, constant_values=0: np.pad(x, pad_width, constant_values=constant_values),
    lambda g, y, x, pad_width, constant_values=0: g[
        tuple(slice(before, before + n) for (before, _), n in zip(pad_width, x.shape, strict=True))
    ],
)


def _concatenate_rule(i: int, g: Any, y: Any, *xs: Any, axis: int) -> Any:
    start = sum(x.shape[axis] for x in xs[:i])
    return g[(slice(None),) * (axis % y.ndim) + (slice(start, start + xs[i].shape[axis]),)]


concatenate_ = op("concatenate", lambda *xs, axis: np.concatenate(xs, axis=axis), each=_concatenate_rule)


@composite(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Join arrays along an axis they have (None: flatten them first)."""
    if axis is None:
        return concatenate_(*(reshape(x, (-1,)) for x in arrays), axis=0)
    return concatenate_(*arrays, axis=axis)


@composite(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis."""
    return concatenate_(*(expand_dims(x, axis) for x in arrays), axis=axis)


@composite(np.split)
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """Views of consecutive pieces: so many equal ones, or those between the given indices.

    Raises:
        ValueError: the axis does not divide into that many equal sections.
    """
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if n % indices_or_sections:
            raise ValueError(f"split: an axis of length {n} does not divide into {indices_or_sections} equal sections")
        cuts = list(range(0, n, n // indices_or_sections))[1:] if n else [0] * (indices_or_sections - 1)
    else:
        cuts = list(indices_or_sections)
    before = (slice(None),) * normalize_axis_index(axis, x.ndim)
    return [x[before + (slice(a, b),)] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]  # noqa: RUF005 - for 3.10


@composite(np.moveaxis)
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """``x`` with the axes ``source`` at the places ``destination``; the others keep their order."""
    source, destination = normalize_axis_tuple(source, x.ndim), normalize_axis_tuple(destination, x.ndim)
    if len(source) != len(destination):
        raise ValueError(f"moveaxis: {len(source)} axes cannot go to {len(destination)} places")
    order = [a for a in range(x.ndim) if a not in source]
    for place, a in sorted(zip(destination, source, strict=True)):
        order.insert(place, a)
    return transpose(x, tuple(order))


@composite(np.ravel)
def ravel(x: Any) -> Any:
    """``x`` as one axis."""
    return reshape(x, (-1,))


@composite(np.roll)
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Entries moved by ``shift`` along ``axis`` (None: in the flattened array), re-entering at the other end."""
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    shift, axis = np.broadcast_arrays(shift, axis)
    return roll_(x, tuple(shift.ravel().tolist()), tuple(axis.ravel().tolist()))


@composite(np.pad)
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """``x`` with ``pad_width`` ((before, after) per axis, or one for all) constant entries around it.

    Raises:
        ValueError: a mode other than "constant".
    """
    if mode != "constant":
        raise ValueError(
            f"pad: mode {mode!r} is not supported, only 'constant'; build others from flip and concatenate"
        )
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    return pad_(x, tuple(map(tuple, widths)), constant_values)


@composite(np.tile)
def tile(x: Any, reps: int | Sequence[int]) -> Any:
    """``x`` repeated ``reps`` times along each axis."""
    times = (reps,) if isinstance(reps, int) else tuple(reps)
    ndim = max(x.ndim, len(times))
    shape, times = (1,) * (ndim - x.ndim) + tuple(x.shape), (1,) * (ndim - len(times)) + times
    apart = reshape(x, tuple(n for size in shape for n in (1, size)))
    tiled = broadcast_to(apart, tuple(n for pair in zip(times, shape, strict=True) for n in pair))
    return reshape(tiled, tuple(r * size for r, size in zip(times, shape, strict=True)))


@composite(np.repeat)
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each entry repeated in place, so many times (one number, or one per entry of the axis)."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, x.ndim)
    if isinstance(repeats, int):
        apart = expand_dims(x, axis + 1)
        shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
        return reshape(broadcast_to(apart, shape), (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]))
    places = np.repeat(np.arange(x.shape[axis]), to_numpy(bare(repeats)))
    return x[(slice(None),) * axis + (places,)]


@composite(np.diagonal)
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of the matrices on two axes, as the last axis of the result.

    In a flattened (n, m) matrix, one step down the diagonal is a stride of m + 1, so it is a slice.
    """
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    n, m = x.shape[-2:]
    length = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    start = offset if offset >= 0 else -offset * m
    flat = reshape(x, (*x.shape[:-2], n * m))
    return flat[..., start : start + length * (m + 1) : m + 1][..., :length]


@composite(np.trace)
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal."""
    return np.sum(diagonal(x, offset, axis1, axis2), axis=-1)
