"""Maxima and sums over windows of images (N, C, H, W), and the transpose of the sum; none is zero-padded here.

For NumPy arrays a window's entries are as many shifted views, channels last, combined one after the other; sums and
their transpose are linear, hence each other's derivative. Everything else (a batch of ``vmap``, a device array) goes
by way of convolutions with kernels of ones, one channel at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from minigrad import gather, parallel, sweeps
from minigrad.backend import home_of, innermost, move
from minigrad.engine import Op, bare
from minigrad.ops.convolution import FIRST, LAST, Geometry, conv, conv_input
from minigrad.ops.table import TABLE

Pair = tuple[int, int]
WORTHWHILE = 400_000  # numbers from which a second thread is worth waking


def _out(shape: tuple[int, ...], kernel: Pair, stride: Pair) -> Pair:
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(shape[2:], kernel, stride, strict=True))
    return rows, columns


def _entries(x: Any, kernel: Pair, stride: Pair, out: Pair) -> Iterator[Any]:
    """For each entry of the window, what it reads of x (N, H, W, C): views of shape (N, HO, WO, C)."""
    (kh, kw), (sh, sw), (ho, wo) = kernel, stride, out
    for i, j in product(range(kh), range(kw)):
        yield x[:, i : i + (ho - 1) * sh + 1 : sh, j : j + (wo - 1) * sw + 1 : sw]


def _by_images(work: Callable[[slice], None], x: np.ndarray) -> None:
    parallel.over(work, len(x), len(x), x.size >= WORTHWHILE)


def _last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(LAST))


def _blank(shape: tuple[int, ...], kernel: Pair, stride: Pair, out: Pair, dtype: Any) -> np.ndarray:
    """Memory for (N, C, H, W), channels last, to be filled window by window; zeros where windows do not tile it."""
    n, channels, height, width = shape
    tiled = kernel == stride and (height, width) == (out[0] * kernel[0], out[1] * kernel[1])
    return (np.empty if tiled else np.zeros)((n, height, width, channels), dtype)


# ------------------------------------------------------------------------------------------------------------ sums
def _depthwise(x: Any, channels: int, entries: np.ndarray) -> Any:
    """The weights of a convolution that applies the kernel ``entries`` to each channel, where x lives."""
    weights = np.broadcast_to(entries, (channels, 1, *entries.shape)).astype(x.dtype)
    return move(weights, home_of(innermost(x)).name)


def _sum(x: Any, kernel: Pair, stride: Pair, scale: float) -> Any:
    if type(x) is not np.ndarray:
        geometry = Geometry(stride, (0, 0, 0, 0), (1, 1), x.shape[1])
        return conv.forward(x, _depthwise(x, x.shape[1], np.full(kernel, scale)), geometry)
    out, last = _out(x.shape, kernel, stride), _last(x)
    if kernel == x.shape[2:] and x.size:
        return sweeps.image_sums(last, scale)[:, :, None, None]
    y = np.empty((len(x), *out, x.shape[1]), x.dtype)

    def work(images: slice) -> None:  # first over rows, which are long, then over columns
        rows = _added(_entries(last[images], (kernel[0], 1), (stride[0], 1), (out[0], x.shape[3])))
        np.multiply(_added(_entries(rows, (1, kernel[1]), (1, stride[1]), out)), scale, out=y[images])

    _by_images(work, x)
    return y.transpose(FIRST)


def _added(entries: Iterator[np.ndarray]) -> np.ndarray:
    first, *rest = entries
    if not rest:
        return first
    total = first + rest[0]
    for entry in rest[1:]:
        total += entry
    return total


def _spread(y: Any, shape: tuple[int, ...], kernel: Pair, stride: Pair, scale: float) -> Any:
    shape = (y.shape[0], *shape[1:])
    if type(y) is not np.ndarray:
        geometry = Geometry(stride, (0, 0, 0, 0), (1, 1), shape[1])
        return conv_input.forward(y, _depthwise(y, shape[1], np.full(kernel, scale)), shape, geometry)
    out, last = _out(shape, kernel, stride), _last(y) if scale == 1 else _last(y * y.dtype.type(scale))
    if kernel == shape[2:] and y.size:
        return sweeps.image_spread(last.reshape(len(y), -1), kernel).transpose(FIRST)
    x = _blank(shape, kernel, stride, out, y.dtype)

    def work(images: slice) -> None:
        n, ho, _, channels = last[images].shape
        rows = _blank((n, channels, ho, shape[3]), (1, kernel[1]), (1, stride[1]), out, y.dtype)
        for entry in _entries(rows, (1, kernel[1]), (1, stride[1]), out):
            _put(entry, last[images], kernel[1] <= stride[1])
        for entry in _entries(x[images], (kernel[0], 1), (stride[0], 1), (ho, shape[3])):
            _put(entry, rows, kernel[0] <= stride[0])

    _by_images(work, x)
    return x.transpose(FIRST)


def _put(place: np.ndarray, value: np.ndarray, once: bool) -> None:
    if once:
        place[...] = value
    else:
        place += value


window_sum: Op = Op(
    "window_sum",
    lambda x, kernel, stride, scale=1.0: _sum(x, kernel, stride, scale),
    lambda g, y, x, kernel, stride, scale=1.0: window_spread(
        g, shape=x.shape, kernel=kernel, stride=stride, scale=scale
    ),
    doc="The sum of every window of (N, C, H, W) that lies inside, times ``scale``.",
)
window_spread: Op = Op(
    "window_spread",
    lambda y, shape, kernel, stride, scale=1.0: _spread(y, shape, kernel, stride, scale),
    lambda g, x, y, shape, kernel, stride, scale=1.0: window_sum(g, kernel=kernel, stride=stride, scale=scale),
    doc="The transpose of ``window_sum``: ``scale`` times y is added to every number of its window in x, of ``shape``.",
)


# ---------------------------------------------------------------------------------------------------------- maxima
def _max(x: Any, kernel: Pair, stride: Pair) -> Any:
    out = _out(x.shape, kernel, stride)
    if type(x) is not np.ndarray:
        y, *rest = _entries_first(x, kernel, stride, out)
        for entry in rest:
            y = np.maximum(y, entry)
        return y
    last, y = _last(x), np.empty((len(x), *out, x.shape[1]), x.dtype)

    def work(images: slice) -> None:
        first, *rest = _entries(last[images], kernel, stride, out)
        top = y[images]
        top[...] = first
        for entry in rest:
            np.maximum(top, entry, out=top)

    _by_images(work, x)
    return y.transpose(FIRST)


def _entries_first(x: Any, kernel: Pair, stride: Pair, out: Pair) -> Iterator[Any]:
    """:func:`_entries` of x (N, C, H, W), of any kind."""
    (kh, kw), (sh, sw), (ho, wo) = kernel, stride, out
    for i, j in product(range(kh), range(kw)):
        rows, columns = slice(i, i + (ho - 1) * sh + 1, sh), slice(j, j + (wo - 1) * sw + 1, sw)
        yield gather.getitem(x, (slice(None), slice(None), rows, columns))


def _max_rule(g: Any, y: Any, x: Any, kernel: Pair, stride: Pair) -> Any:
    """The largest entries of a window share its cotangent equally."""
    out = _out(x.shape, kernel, stride)
    if not all(type(v) is np.ndarray for v in (g, y, x)):
        masks = [(entry == bare(y)).astype(g.dtype) for entry in _entries_first(bare(x), kernel, stride, out)]
        share, total = g / np.maximum(sum(masks), 1), 0
        geometry = Geometry(stride, (0, 0, 0, 0), (1, 1), x.shape[1])
        for i, mask in enumerate(masks):
            one = np.eye(len(masks))[i].reshape(kernel)
            total = total + conv_input(share * mask, _depthwise(x, x.shape[1], one), shape=x.shape, geometry=geometry)
        return total
    g, y, last = _last(g), _last(y), _last(x)
    gx = _blank(x.shape, kernel, stride, out, g.dtype)

    def work(images: slice) -> None:
        top = y[images]
        masks = [entry == top for entry in _entries(last[images], kernel, stride, out)]
        count = masks[0].astype(np.min_scalar_type(len(masks)))
        for mask in masks[1:]:
            count += mask
        share = g[images] / np.maximum(count, 1)  # no entry equals a maximum that is NaN
        for mask, entry in zip(masks, _entries(gx[images], kernel, stride, out), strict=True):
            if kernel[0] <= stride[0] and kernel[1] <= stride[1]:
                np.multiply(share, mask, out=entry)
            else:
                entry += share * mask

    _by_images(work, x)
    return gx.transpose(FIRST)


window_max = Op(
    "window_max",
    lambda x, kernel, stride: _max(x, kernel, stride),
    _max_rule,
    doc="The maximum of every window of (N, C, H, W) that lies inside; equal maxima share the gradient.",
)
TABLE.update(window_sum=window_sum, window_spread=window_spread, window_max=window_max)
