"""Maxima and sums over windows of images (N, C, H, W), and the transpose of the sum; none is zero-padded here.

A window's entries are as many shifted views of the image, combined one after the other. Sums and their transpose are
linear, hence each other's derivative; how NumPy computes them fast is in kernels/shifts.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from minigrad.core.table import op
from minigrad.ops.indexing import add_at

__all__ = ["window_max", "window_spread", "window_sum"]

Pair = tuple[int, ...]  # rows and columns


def _windows(shape: tuple[int, ...], kernel: Pair, stride: Pair) -> Iterator[tuple[slice, ...]]:
    """For each entry of the window, the index of what it reads of (N, C, H, W) in all windows that lie inside."""
    places = [(n - k) // s * s + 1 for n, k, s in zip(shape[2:], kernel, stride, strict=True)]
    for start in product(range(kernel[0]), range(kernel[1])):
        rows, columns = (slice(i, i + n, s) for i, n, s in zip(start, places, stride, strict=True))
        yield slice(None), slice(None), rows, columns


@op(
    lambda g, y, x, kernel, stride, scale=1.0: window_spread(
        g, shape=x.shape, kernel=kernel, stride=stride, scale=scale
    )
)
def window_sum(x: Any, kernel: Pair, stride: Pair, scale: float = 1.0) -> Any:
    """The sum of every window of (N, C, H, W) that lies inside, times ``scale``: 1 / (kh kw) makes it the average.

    Args:
        kernel: rows and columns of a window.
        stride: rows and columns from one window to the next.

    Returns:
        (N, C, (H - kh) // sh + 1, (W - kw) // sw + 1).

    >>> import minigrad as mg
    >>> from minigrad.ops.pooling import window_sum
    >>> window_sum(mg.tensor([[[[1.0, 2.0, 3.0, 4.0, 5.0]]]]), kernel=(1, 2), stride=(1, 2))  # 5 is in no window
    Tensor([[[[3., 7.]]]])
    """
    if tuple(kernel) == tuple(x.shape[2:]):
        return x.sum(axis=(2, 3), keepdims=True) * scale
    total: Any = 0
    for at in _windows(x.shape, kernel, stride):
        total = total + x[at]
    return total * scale


@op(lambda g, x, y, shape, kernel, stride, scale=1.0: window_sum(g, kernel=kernel, stride=stride, scale=scale))
def window_spread(y: Any, shape: tuple[int, ...], kernel: Pair, stride: Pair, scale: float = 1.0) -> Any:
    """The transpose of :func:`window_sum`: ``scale`` y is added to every number of its window in x, of ``shape``.

    >>> import minigrad as mg
    >>> from minigrad.ops.pooling import window_spread
    >>> window_spread(mg.tensor([[[[1.0, 10.0]]]]), shape=(1, 1, 1, 3), kernel=(1, 2), stride=(1, 1))
    Tensor([[[[ 1., 11., 10.]]]])
    """
    shape, y = (y.shape[0], *shape[1:]), y * scale
    return sum(add_at(y, *at, shape=shape) for at in _windows(shape, kernel, stride))


def _maximum_rule(g: Any, y: Any, x: Any, kernel: Pair, stride: Pair) -> Any:
    """The largest entries of a window share its cotangent equally."""
    places = list(_windows(x.shape, kernel, stride))
    largest = [(x[at] == y).astype(g.dtype) for at in places]
    share = g / np.maximum(sum(largest), 1)  # no entry equals a maximum that is NaN
    return sum(add_at(share * mask, *at, shape=x.shape) for at, mask in zip(places, largest, strict=True))


@op(_maximum_rule)
def window_max(x: Any, kernel: Pair, stride: Pair) -> Any:
    """The maximum of every window of (N, C, H, W) that lies inside; equal maxima share the gradient.

    Args:
        kernel: rows and columns of a window.
        stride: rows and columns from one window to the next.

    Returns:
        (N, C, (H - kh) // sh + 1, (W - kw) // sw + 1).

    >>> import minigrad as mg
    >>> from minigrad.ops.pooling import window_max
    >>> window_max(mg.tensor([[[[1.0, 4.0, 3.0, 2.0]]]]), kernel=(1, 2), stride=(1, 2))
    Tensor([[[[4., 3.]]]])
    """
    first, *rest = _windows(x.shape, kernel, stride)
    y = x[first]
    for at in rest:
        y = np.maximum(y, x[at])
    return y
