"""Convolution kernels: plain NumPy, in channels-last memory, as matrix products on windows that are never copied.

A convolution and its derivatives are two sums over windows: y = sum over k of x[window, k] w[k] (:func:`correlate`),
and w[k] = sum over windows of y x[window, k] (:func:`correlate_weights`). Both unfold rows only: U[n, h, w, i] is the
padded row of x that kernel row i reads at output row h, so a window of kh x kw x C numbers is one contiguous run of U,
and windows that overlap along the width are overlapping views. Blocks of images keep U in cache. An accelerator would
replace these functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

BLOCK_BYTES = 1 << 20  # of U: with its share of inputs and outputs it fits a core's second-level cache

Pair = tuple[int, int]


def _blocks(x: np.ndarray, kernel: Pair, stride: Pair, before: Pair, out: Pair) -> Iterator[tuple[slice, np.ndarray]]:
    """(images, U) for x (N, H, W, C): U is (images, rows out, padded width, kernel rows, C)."""
    n, height, width, channels = x.shape
    (kh, kw), (sh, sw), (top, left), (ho, wo) = kernel, stride, before, out
    needed = (wo - 1) * sw + kw
    per_image = ho * needed * kh * channels * x.itemsize
    block = max(1, min(n, BLOCK_BYTES // max(1, per_image)))
    buffer = np.empty((block, ho, needed, kh, channels), x.dtype)
    # columns [a, b) of U hold columns [a - left, b - left) of x; the rest is padding
    a, b = min(max(0, left), needed), max(0, min(needed, left + width))
    for start in range(0, n, block):
        images = slice(start, min(start + block, n))
        U = buffer[: images.stop - start]
        U[:, :, :a] = 0
        U[:, :, b:] = 0
        for i in range(kh):
            first = min(ho, max(0, -((i - top) // sh)))  # the first output row whose input row lies inside
            last = max(first, min(ho, (height - 1 - i + top) // sh + 1))
            U[:, :first, a:b, i] = 0
            U[:, last:, a:b, i] = 0
            row = first * sh + i - top
            if last > first and b > a:
                U[:, first:last, a:b, i] = x[images, row : row + (last - first - 1) * sh + 1 : sh, a - left : b - left]
        yield images, U


def _pointwise(x: np.ndarray, kernel: Pair, stride: Pair, before: Pair, out: Pair) -> np.ndarray | None:
    """The pixels that a 1 x 1 kernel without padding reads: its sums over windows are plain matrix products."""
    (sh, sw), (ho, wo) = stride, out
    reach = (ho - 1) * sh < x.shape[1] and (wo - 1) * sw < x.shape[2]
    if kernel != (1, 1) or before != (0, 0) or not reach:
        return None
    return x[:, : (ho - 1) * sh + 1 : sh, : (wo - 1) * sw + 1 : sw]


def correlate(x: np.ndarray, w: np.ndarray, stride: Pair, before: Pair, out: np.ndarray) -> None:
    """out[n, h, w] = sum over (i, j) of x[n, h sh + i - top, w sw + j - left] @ w[i, j]; zero outside x.

    Args:
        x: (N, H, W, C).
        w: (kh, kw, C, O).
        before: the padding above and to the left; negative to skip.
        out: (N, HO, WO, O), overwritten; may be a view with gaps, but not along its last axis.
    """
    kh, kw, channels, outputs = w.shape
    ho, wo = out.shape[1:3]
    picked = _pointwise(x, (kh, kw), stride, before, (ho, wo))
    if picked is not None:
        if out.flags.c_contiguous:
            np.matmul(np.ascontiguousarray(picked).reshape(-1, channels), w[0, 0], out=out.reshape(-1, outputs))
        else:
            out[...] = picked @ w[0, 0]
        return
    size = kh * kw * channels
    W = np.ascontiguousarray(w.transpose(1, 0, 2, 3)).reshape(size, outputs)
    for images, U in _blocks(x, (kh, kw), stride, before, (ho, wo)):
        s = U.strides
        windows = as_strided(U, (len(U), wo, ho, size), (s[0], stride[1] * s[2], s[1], s[4]))
        np.matmul(windows, W, out=out[images].swapaxes(1, 2))


def correlate_weights(x: np.ndarray, y: np.ndarray, kernel: Pair, stride: Pair, before: Pair) -> np.ndarray:
    """(kh, kw, C, O): sum over n, h, w of x[n, h sh + i - top, w sw + j - left] outer y[n, h, w].

    Args:
        x: (N, H, W, C).
        y: (N, HO, WO, O).
    """
    (kh, kw), channels = kernel, x.shape[3]
    _, ho, wo, outputs = y.shape
    picked = _pointwise(x, kernel, stride, before, (ho, wo))
    if picked is not None:
        return (np.ascontiguousarray(picked).reshape(-1, channels).T @ y.reshape(-1, outputs))[None, None]
    size = kh * kw * channels
    total = np.zeros((outputs, size), x.dtype)
    for images, U in _blocks(x, kernel, stride, before, (ho, wo)):
        s = U.strides
        rows = len(U) * ho
        windows = as_strided(U, (wo, rows, size), (stride[1] * s[2], s[1], s[4]))
        g = y[images].reshape(rows, wo, outputs).transpose(1, 2, 0)
        total += np.matmul(g, windows).sum(axis=0)
    return total.reshape(outputs, kw, kh, channels).transpose(2, 1, 3, 0)


def spread(y: np.ndarray, w: np.ndarray, stride: Pair, before: Pair, shape: tuple[int, ...]) -> np.ndarray:
    """The transpose of :func:`correlate` in x: a correlation with flipped weights for every phase of the stride.

    Args:
        y: (N, HO, WO, O).
        w: (kh, kw, C, O).
        shape: of the result, (N, H, W, C).
    """
    kh, kw = w.shape[:2]
    x = np.empty(shape, y.dtype)
    (sh, sw), (top, left) = stride, before
    for a in range(min(sh, shape[1])):
        for b in range(min(sw, shape[2])):
            phase = x[:, a::sh, b::sw]
            i = [k for k in range(kh) if (a + top - k) % sh == 0][::-1]
            j = [k for k in range(kw) if (b + left - k) % sw == 0][::-1]
            if not i or not j or phase.size == 0 or y.size == 0:
                phase[...] = 0
                continue
            flipped = w[i][:, j].swapaxes(2, 3)
            correlate(y, flipped, (1, 1), (-((a + top - i[0]) // sh), -((b + left - j[0]) // sw)), phase)
    return x


def channels_last(x: Any) -> np.ndarray:
    """(N, C, H, W) as (N, H, W, C), contiguous; free where the memory is in that order already."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
