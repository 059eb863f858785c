"""Reading entries by index, and its transpose, adding entries at an index: each is the other's rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from minigrad.core.graph import Tensor, array_of
from minigrad.core.table import composite, op
from minigrad.ops.shapes import ravel

__all__ = ["add_at", "getitem", "is_basic", "take", "take_along_axis"]


@op(lambda g, y, x, *index: add_at(g, *index, shape=x.shape), view=True)
def getitem(x: Any, *index: Any) -> Any:
    """``x[index]``, with NumPy's slices, integers, integer arrays, masks, None and ``...``.

    Its transpose adds: an entry that is read twice receives both cotangents.

    Raises:
        IndexError: an index outside its axis, or too many of them.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    Tensor([2., 0., 1.])
    """
    return x[index]


@op(lambda gg, y, g, *index, shape: getitem(gg, *index))
def add_at(g: Any, *index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``index``; an index that occurs twice is added twice.

    The transpose of :func:`getitem`: <add_at(g), x> = <g, x[index]> for every x of ``shape``.

    >>> import minigrad as mg
    >>> from minigrad.ops.indexing import add_at
    >>> add_at(mg.tensor([1.0, 10.0]), slice(1, 3), shape=(4,))
    Tensor([ 0.,  1., 10.,  0.])
    """
    zeros = np.zeros_like(g, shape=shape)
    if is_basic(index):  # every entry is met once, so assigning is adding
        zeros[index] = g
    else:
        np.add.at(zeros, index, g)
    return zeros


def is_basic(index: tuple[Any, ...]) -> bool:
    """Slices and integers only: the result is a view, and no entry occurs twice."""
    return all(i is None or i is Ellipsis or isinstance(i, (slice, int, np.integer)) for i in index)


@composite(np.take_along_axis)
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Tensor:
    """Entries picked by an integer array of the same rank: ``y[i, j] = x[i, indices[i, j]]`` for the last axis.

    Args:
        axis: the axis along which ``indices`` point; None for the flattened array.

    Raises:
        ValueError: ``x`` and ``indices`` differ in rank.

    >>> import minigrad as mg
    >>> mg.take_along_axis(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), mg.tensor([[1], [0]]), axis=1)
    Tensor([[2.],
            [3.]])
    """
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, x.ndim)
    indices = array_of(indices)
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: x has {x.ndim} axes and indices {indices.ndim}; they must agree")
    index = (
        indices if a == axis else np.arange(n, like=indices).reshape((-1,) + (1,) * (x.ndim - a - 1))
        for a, n in enumerate(x.shape)
    )
    return getitem(x, *index)


@composite(np.take)
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The slices of ``x`` at ``indices`` along ``axis``: shape (*x.shape[:axis], *indices.shape, *x.shape[axis + 1:]).

    Args:
        axis: None for entries of the flattened array.

    >>> import minigrad as mg
    >>> mg.take(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 1, 0], axis=0)
    Tensor([[3., 4.],
            [3., 4.],
            [1., 2.]])
    """
    if axis is None:
        x, axis = ravel(x), 0
    return getitem(x, *(slice(None),) * normalize_axis_index(axis, x.ndim), array_of(indices))
