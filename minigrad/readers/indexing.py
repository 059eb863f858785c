"""Reading and adding at an index, per example, where the array, the index, or both may be batched.

Slices and integers shift past the hidden axes. Where arrays index, every axis gets an explicit array of positions,
shaped to broadcast over the result: so one NumPy call serves all examples, each with its own index.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.core.table import variant
from minigrad.ops.indexing import add_at, getitem, is_basic
from minigrad.readers.batched import Batched, align, levels_of

__all__ = ["every_axis", "explicit_index", "levels_among"]


def levels_among(*xs: Any) -> tuple[tuple[int, ...], dict[int, int]]:
    """The levels of ``xs``, outermost first, and how many examples each has."""
    sizes = {level: n for x in xs if isinstance(x, Batched) for level, n in zip(x.levels, x.array.shape, strict=False)}
    return tuple(sorted(sizes)), sizes


@variant(getitem, Batched, mixed=True)
def _getitem(x: Any, *index: Any) -> Any:
    """``x[index]`` per example, where ``x``, and the integer arrays inside ``index``, may be batched."""
    levels, sizes = levels_among(x, *index)
    if isinstance(x, Batched) and is_basic(index):
        return x[index]
    array = x.array if isinstance(x, Batched) else x
    return Batched(array[explicit_index(index, x.shape, levels_of(x), levels, sizes, array)], levels)


@variant(add_at, Batched, mixed=True)
def _add_at(g: Any, *index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``index``, per example: the transpose of reading."""
    levels, sizes = levels_among(g, *index)
    batch = tuple(sizes[level] for level in levels)
    (values,), _ = align([g if isinstance(g, Batched) else Batched(g, ())], levels=levels)
    if is_basic(index):
        index = (slice(None),) * len(levels) + index
    else:
        index = explicit_index(index, shape, levels, levels, sizes, values)
    return Batched(add_at(values, *index, shape=batch + tuple(shape)), levels)


def explicit_index(
    index: tuple[Any, ...],
    shape: tuple[int, ...],
    own_levels: tuple[int, ...],
    levels: tuple[int, ...],
    sizes: dict[int, int],
    like: Array,
) -> tuple[Array, ...]:
    """One integer array per axis of an array of shape (*own_levels, *shape), which together pick ``index`` per example.

    Every array is shaped to broadcast over the result: (*levels, axes of slices before, block of indexed axes, axes of
    slices after), where the block stands as NumPy would put it for one example.
    """
    index = every_axis(index, len(shape))
    places = [k for k, i in enumerate(index) if not (i is None or isinstance(i, slice))]
    arrays = [index[k] if hasattr(index[k], "shape") else np.asarray(index[k], like=like) for k in places]
    block = max(i.ndim for i in arrays)
    aligned = iter(align([i if isinstance(i, Batched) else Batched(i, ()) for i in arrays], block, levels)[0])
    L, free = len(levels), len(index) - len(places)
    before = places[0] if places == list(range(places[0], places[-1] + 1)) else 0  # NumPy's rule for the block

    def along(position: int, positions: Array) -> Array:
        return positions.reshape([-1 if k == position else 1 for k in range(L + free + block)])

    full = [along(levels.index(level), np.arange(sizes[level], like=like)) for level in own_levels]
    seen = axis = 0
    for i in index:
        if i is None or isinstance(i, slice):
            if isinstance(i, slice):
                position = L + seen + (block if seen >= before else 0)
                full.append(along(position, np.arange(*i.indices(shape[axis]), like=like)))
            seen += 1
        else:
            array = next(aligned)
            full.append(array.reshape(*array.shape[:L], *[1] * before, *array.shape[L:], *[1] * (free - before)))
        axis += i is not None
    return tuple(full)


def every_axis(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """``index`` with an entry for each axis: ``...`` and missing axes as full slices, masks as integer arrays."""
    if any(isinstance(i, Batched) and i.dtype == np.bool_ for i in index):
        raise TypeError("inside vmap a boolean mask would give every example another shape: use where(...)")
    index = tuple(part for i in index for part in (i.nonzero() if getattr(i, "dtype", None) == np.bool_ else (i,)))
    at = next((k for k, i in enumerate(index) if i is Ellipsis), len(index))
    named = sum(i is not None and i is not Ellipsis for i in index)
    return index[:at] + (slice(None),) * (ndim - named) + index[at + 1 :]
