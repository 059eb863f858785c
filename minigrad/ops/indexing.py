"""Reading entries by index, and its transpose, adding entries at an index: each is the other's rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from minigrad import gather
from minigrad.engine import Op, bare
from minigrad.ops.shapes import ravel
from minigrad.ops.table import TABLE, composite

getitem = Op(
    "getitem",
    lambda x, index: gather.getitem(x, index),
    lambda g, y, x, index: add_at(g, index=index, shape=x.shape),
    view=True,
    doc="``x[index]``, with NumPy's slices, integers, integer arrays and masks.",
)
add_at: Op = Op(
    "add_at",
    lambda g, index, shape: gather.add_at(g, index, shape),
    lambda gg, y, g, index, shape: getitem(gg, index=index),
    doc="Zeros of ``shape`` with ``g`` added at ``index``; an index that occurs twice is added twice.",
)
TABLE["getitem"], TABLE["add_at"] = getitem, add_at


@composite(np.take_along_axis)
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """Entries picked by an integer array of the same rank: ``y[i, j] = x[i, indices[i, j]]`` for the last axis."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, x.ndim)
    indices = bare(indices)
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: x has {x.ndim} axes and indices {indices.ndim}; they must agree")
    index = tuple(
        indices if a == axis else np.arange(n, like=indices).reshape((-1,) + (1,) * (x.ndim - a - 1))
        for a, n in enumerate(x.shape)
    )
    return getitem(x, index=index)


@composite(np.take)
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The slices of ``x`` at ``indices`` along ``axis`` (None: entries of the flattened array)."""
    if axis is None:
        x, axis = ravel(x), 0
    return getitem(x, index=(slice(None),) * normalize_axis_index(axis, x.ndim) + (bare(indices),))
