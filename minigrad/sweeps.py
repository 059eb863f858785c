"""Sweeps over large arrays in plain NumPy: the sums and maps of batch normalization, and relu.

NumPy's inner loops are fast on long contiguous rows and slow on short ones, and on a stretched scalar. So pixels
(P, C) with few channels are read as long rows of several pixels each, and a few threads take a share of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import parallel

WIDE = 2048  # numbers in a row
WORTHWHILE = 1_200_000  # numbers in all, times sweeps, from which a second thread is worth waking
PIECE = 1 << 20  # numbers in a piece at most: what a piece needs in between stays in cache


def _pieces(work: Callable[[slice], Any], sweeps: int, rows: int, width: int) -> list[Any]:
    """work(piece) for pieces of the rows, on several threads where there is enough to do."""
    return parallel.over(work, rows, PIECE // width, sweeps * rows * width >= WORTHWHILE)


def _pixels_in_a_row(pixels: np.ndarray) -> int:
    count, channels = pixels.shape
    return math.gcd(count, max(1, WIDE // channels))


def moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (biased) variance of each column of (P, C), from those of parts (Chan, Golub & LeVeque 1983)."""
    count, channels = pixels.shape
    rows = pixels.reshape(-1, channels * _pixels_in_a_row(pixels))

    def work(piece: slice) -> tuple[int, np.ndarray, np.ndarray]:
        part = rows[piece]
        mean = part.sum(axis=0) / part.dtype.type(len(part))
        centered = part - mean
        return len(part), mean, np.einsum("ij,ij->j", centered, centered)

    parts = _pieces(work, 3, *rows.shape)
    sizes = np.array([n for n, _, _ in parts], rows.dtype)[:, None, None]
    means, squares = (np.stack([part[i] for part in parts]).reshape(len(parts), -1, channels) for i in (1, 2))
    mean = (sizes * means).sum(axis=(0, 1)) / count
    return mean, (squares + sizes * (means - mean) ** 2).sum(axis=(0, 1)) / count


def affine(pixels: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """scale x + shift, channel by channel."""
    k = _pixels_in_a_row(pixels)
    rows = pixels.reshape(-1, k * pixels.shape[1])
    scale, shift, out = np.tile(scale, k), np.tile(shift, k), np.empty_like(rows)

    def work(piece: slice) -> None:
        part = out[piece]
        np.multiply(rows[piece], scale, out=part)
        part += shift

    _pieces(work, 2, *rows.shape)
    return out.reshape(pixels.shape)


def products(g: np.ndarray, pixels: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum of g, sum of g (x - mean)) for each channel."""
    k, channels = _pixels_in_a_row(pixels), pixels.shape[1]
    rows, g = pixels.reshape(-1, k * channels), g.reshape(-1, k * channels)
    mean = np.tile(mean, k)

    def work(piece: slice) -> tuple[np.ndarray, np.ndarray]:
        return g[piece].sum(axis=0), np.einsum("ij,ij->j", rows[piece] - mean, g[piece])

    parts = _pieces(work, 3, *rows.shape)
    first, second = (np.stack([part[i] for part in parts]).reshape(-1, channels).sum(axis=0) for i in (0, 1))
    return first, second


def combination(g: np.ndarray, a: np.ndarray, pixels: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a g + b x + c, channel by channel."""
    k = _pixels_in_a_row(pixels)
    rows, g = pixels.reshape(-1, k * pixels.shape[1]), g.reshape(-1, k * pixels.shape[1])
    a, b, c, out = np.tile(a, k), np.tile(b, k), np.tile(c, k), np.empty_like(rows)

    def work(piece: slice) -> None:
        part = out[piece]
        np.multiply(g[piece], a, out=part)
        more = rows[piece] * b
        more += c
        part += more

    _pieces(work, 4, *rows.shape)
    return out.reshape(pixels.shape)


def rectify(x: Any) -> Any:
    """max(x, 0); of a large array against a row of zeros, for NumPy's loop on a stretched scalar is half as fast."""
    rows = _rows(1 << 17, x)
    if not rows:
        return np.maximum(x, 0)
    (flat,), out = rows, np.empty_like(x)
    zeros, made = np.zeros(flat.shape[1], x.dtype), out.ravel(order="K").reshape(flat.shape)
    _pieces(lambda piece: np.maximum(flat[piece], zeros, out=made[piece]), 1, *flat.shape)
    return out


def gate(g: Any, x: Any) -> Any:
    """g where x > 0, zero elsewhere."""
    rows = _rows(1 << 20, x, g)
    if not rows:
        return g * (x > 0)
    (flat, slopes), out = rows, np.empty_like(g)
    made = out.ravel(order="K").reshape(flat.shape)
    _pieces(lambda piece: np.multiply(slopes[piece], flat[piece] > 0, out=made[piece]), 2, *flat.shape)
    return out


def _rows(least: int, *arrays: Any) -> list[np.ndarray]:
    """NumPy arrays of ``least`` numbers or more that lie alike in memory, without gaps, as long rows; or nothing."""
    first = arrays[0]
    k = math.gcd(first.size, WIDE)
    if first.size < least or k < 64 or any(type(a) is not np.ndarray for a in arrays):
        return []
    rows = [a.ravel(order="K").reshape(-1, k) for a in arrays]
    alike = all(a.strides == first.strides and a.dtype == first.dtype for a in arrays)
    return rows if alike and all(np.may_share_memory(a, row) for a, row in zip(arrays, rows, strict=True)) else []


def image_sums(images: np.ndarray, scale: float) -> np.ndarray:
    """(N, C): the sum over all pixels of (N, H, W, C), times ``scale``."""
    n, height, width, channels = images.shape
    k = math.gcd(height * width, max(1, WIDE // 4 // channels))
    rows = images.reshape(n, -1, k * channels).sum(axis=1)
    return (np.full((1, k), scale, rows.dtype) @ rows.reshape(n, k, channels)).reshape(n, channels)


def image_spread(y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, H, W, C) whose pixels are all y (N, C)."""
    n, channels = y.shape
    k = math.gcd(math.prod(size), max(1, WIDE // 4 // channels))
    out = np.empty((n, math.prod(size) // k, k * channels), y.dtype)
    out[...] = np.tile(y, k)[:, None]
    return out.reshape(n, *size, channels)
