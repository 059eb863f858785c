"""Pooling of NumPy arrays: a window's entries are shifted views, channels last, combined one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from minigrad.core.table import variant
from minigrad.kernels import long_rows, threads
from minigrad.kernels.unfolding import FIRST, LAST
from minigrad.ops.pooling import window_max, window_spread, window_sum

__all__: list[str] = []  # what is here is entered in the table

Pair = tuple[int, int]
WORTHWHILE = 400_000  # numbers from which a second thread is worth waking


def _out(shape: tuple[int, ...], kernel: Pair, stride: Pair) -> Pair:
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(shape[2:], kernel, stride, strict=True))
    return rows, columns


def _entries(x: np.ndarray, kernel: Pair, stride: Pair, out: Pair) -> Iterator[np.ndarray]:
    """For each entry of the window, what it reads of x (N, H, W, C): views of shape (N, HO, WO, C)."""
    (kh, kw), (sh, sw), (ho, wo) = kernel, stride, out
    for i, j in product(range(kh), range(kw)):
        yield x[:, i : i + (ho - 1) * sh + 1 : sh, j : j + (wo - 1) * sw + 1 : sw]


def _by_images(work: Callable[[slice], None], x: np.ndarray) -> None:
    threads.over(work, len(x), len(x), x.size >= WORTHWHILE)


def _last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(LAST))


def _blank(shape: tuple[int, ...], kernel: Pair, stride: Pair, out: Pair, dtype: Any) -> np.ndarray:
    """Memory for (N, C, H, W), channels last, to be filled window by window; zeros where windows do not tile it."""
    n, channels, height, width = shape
    tiled = kernel == stride and (height, width) == (out[0] * kernel[0], out[1] * kernel[1])
    return (np.empty if tiled else np.zeros)((n, height, width, channels), dtype)


# ------------------------------------------------------------------------------------------------------------ sums
@variant(window_sum, np.ndarray)
def _sum(x: np.ndarray, kernel: Pair, stride: Pair, scale: float = 1.0) -> np.ndarray:
    out, last = _out(x.shape, kernel, stride), _last(x)
    if kernel == x.shape[2:] and x.size:
        return long_rows.image_sums(last, scale)[:, :, None, None]
    y = np.empty((len(x), *out, x.shape[1]), x.dtype)

    def work(images: slice) -> None:  # first over rows, which are long, then over columns
        summed = _added(_entries(last[images], (kernel[0], 1), (stride[0], 1), (out[0], x.shape[3])))
        np.multiply(_added(_entries(summed, (1, kernel[1]), (1, stride[1]), out)), scale, out=y[images])

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


@variant(window_spread, np.ndarray)
def _spread(y: np.ndarray, shape: tuple[int, ...], kernel: Pair, stride: Pair, scale: float = 1.0) -> np.ndarray:
    shape = (len(y), *shape[1:])
    out, last = _out(shape, kernel, stride), _last(y) if scale == 1 else _last(y * y.dtype.type(scale))
    if kernel == shape[2:] and y.size:
        return long_rows.spread_image_values(last.reshape(len(y), -1), kernel).transpose(FIRST)
    x = _blank(shape, kernel, stride, out, y.dtype)

    def work(images: slice) -> None:
        n, ho, _, channels = last[images].shape
        dilated = _blank((n, channels, ho, shape[3]), (1, kernel[1]), (1, stride[1]), out, y.dtype)
        for entry in _entries(dilated, (1, kernel[1]), (1, stride[1]), out):
            _put(entry, last[images], kernel[1] <= stride[1])
        for entry in _entries(x[images], (kernel[0], 1), (stride[0], 1), (ho, shape[3])):
            _put(entry, dilated, kernel[0] <= stride[0])

    _by_images(work, x)
    return x.transpose(FIRST)


def _put(place: np.ndarray, value: np.ndarray, once: bool) -> None:
    if once:
        place[...] = value
    else:
        place += value


# ---------------------------------------------------------------------------------------------------------- maxima
@variant(window_max, np.ndarray)
def _max(x: np.ndarray, kernel: Pair, stride: Pair) -> np.ndarray:
    out = _out(x.shape, kernel, stride)
    last, y = _last(x), np.empty((len(x), *out, x.shape[1]), x.dtype)

    def work(images: slice) -> None:
        first, *rest = _entries(last[images], kernel, stride, out)
        top = y[images]
        top[...] = first
        for entry in rest:
            np.maximum(top, entry, out=top)

    _by_images(work, x)
    return y.transpose(FIRST)


@variant(window_max, np.ndarray, of=0)
def _max_rule(g: np.ndarray, y: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair) -> np.ndarray:
    out = _out(x.shape, kernel, stride)
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
