"""Sweeps over large arrays in plain NumPy: sums over rows, the sums and maps of batch normalization, and relu.

NumPy's inner loops are fast on long contiguous rows and slow on short ones, and on a stretched scalar. So pixels
(P, C) with few channels are read as long rows of several pixels each, and a few threads take a share of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.core.backward import sum_rows
from minigrad.core.table import variant
from minigrad.kernels import threads
from minigrad.ops.activations import relu

__all__ = [
    "affine", "column_sums", "combination", "image_sums", "mean_and_variance", "mean_variance_and_products",
    "spread_image_values",
]  # fmt: skip

WIDE = 2048  # numbers in a row
WORTHWHILE = 1_200_000  # numbers in all, times passes, from which a second thread is worth waking
BLOCK = 32  # rows in a block of a sum over rows
MANY = 256  # rows from which their sum is taken in blocks
PIECE = 1 << 20  # numbers in a piece at most: what a piece needs in between stays in cache


def _over_rows(work: Callable[[slice], Any], passes: int, rows: int, width: int) -> list[Any]:
    """work(piece) for pieces of the rows, on several threads where there is enough to do."""
    return threads.over(work, rows, PIECE // width, passes * rows * width >= WORTHWHILE)


def _pixels_in_a_row(pixels: np.ndarray) -> int:
    count, channels = pixels.shape
    return math.gcd(count, max(1, WIDE // channels))


def mean_and_variance(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (biased) variance of each column of (P, C), from those of parts (Chan, Golub & LeVeque 1983)."""
    rows = pixels.reshape(-1, pixels.shape[1] * _pixels_in_a_row(pixels))
    parts = _over_rows(lambda piece: _part_statistics(rows[piece])[:3], 3, *rows.shape)
    mean, var, _ = _together(parts, pixels)
    return mean, var


def affine(pixels: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """scale x + shift, channel by channel."""
    k = _pixels_in_a_row(pixels)
    rows = pixels.reshape(-1, k * pixels.shape[1])
    scale, shift, out = np.tile(scale, k), np.tile(shift, k), np.empty_like(rows)

    def work(piece: slice) -> None:
        part = out[piece]
        np.multiply(rows[piece], scale, out=part)
        part += shift

    _over_rows(work, 2, *rows.shape)
    return out.reshape(pixels.shape)


def mean_variance_and_products(
    pixels: np.ndarray, g: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance of each channel of x = ``pixels``, the sum of g, and the sum of g (x - mean), in one sweep.

    Sums over parts are moved from the parts' means to the common one: sum of g (x - mean) = sum over the parts of
    [sum of g (x - part's mean) + (part's mean - mean) sum of g].
    """
    k, channels = _pixels_in_a_row(pixels), pixels.shape[1]
    rows, g = pixels.reshape(-1, k * channels), g.reshape(-1, k * channels)

    def work(piece: slice) -> tuple[Any, ...]:
        *statistics, centered = _part_statistics(rows[piece])
        return *statistics, g[piece].sum(axis=0), np.einsum("ij,ij->j", centered, g[piece])

    mean, var, means, sums, products = _together(_over_rows(work, 5, *rows.shape), pixels)
    return mean, var, sums.sum(axis=(0, 1)), (products + sums * (means - mean)).sum(axis=(0, 1))


def _part_statistics(part: np.ndarray) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Of some rows: how many, their mean, the sums of squared deviations from it, and these deviations."""
    mean = part.sum(axis=0) / part.dtype.type(len(part))
    centered = part - mean
    return len(part), mean, np.einsum("ij,ij->j", centered, centered), centered


def _together(parts: list[tuple[Any, ...]], pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    """(mean, variance) of all ``pixels`` from those of parts; and the parts' means and what else they brought."""
    count, channels = pixels.shape
    sizes = np.array([part[0] for part in parts], pixels.dtype)[:, None, None]
    means, squares, *more = (np.stack(v).reshape(len(parts), -1, channels) for v in list(zip(*parts, strict=True))[1:])
    mean = (sizes * means).sum(axis=(0, 1)) / count
    return mean, (squares + sizes * (means - mean) ** 2).sum(axis=(0, 1)) / count, means, *more


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

    _over_rows(work, 4, *rows.shape)
    return out.reshape(pixels.shape)


@variant(relu, np.ndarray, min_size=1 << 17)
def _relu(x: np.ndarray) -> Any:
    """max(x, 0) against a row of zeros, for NumPy's loop on a stretched scalar is half as fast."""
    rows = _rows(x) if x.dtype.kind == "f" else []
    if not rows:
        return NotImplemented
    (flat,), out = rows, np.empty_like(x)
    zeros, made = np.zeros(flat.shape[1], x.dtype), out.ravel(order="K").reshape(flat.shape)
    _over_rows(lambda piece: np.maximum(flat[piece], zeros, out=made[piece]), 1, *flat.shape)
    return out


@variant(relu, np.ndarray, of=0, min_size=1 << 20)
def _relu_rule(g: np.ndarray, y: np.ndarray, x: np.ndarray) -> Any:
    """g where x > 0, zero elsewhere."""
    rows = _rows(x, g)
    if not rows:
        return NotImplemented
    (flat, slopes), out = rows, np.empty_like(g)
    made = out.ravel(order="K").reshape(flat.shape)
    _over_rows(lambda piece: np.multiply(slopes[piece], flat[piece] > 0, out=made[piece]), 2, *flat.shape)
    return out


def _rows(*arrays: np.ndarray) -> list[np.ndarray]:
    """Arrays that lie alike in memory, without gaps, as long rows; or nothing."""
    first = arrays[0]
    k = math.gcd(first.size, WIDE)
    if k < 64:
        return []
    rows = [a.ravel(order="K").reshape(-1, k) for a in arrays]
    alike = all(a.strides == first.strides and a.dtype == first.dtype for a in arrays)
    return rows if alike and all(np.may_share_memory(a, row) for a, row in zip(arrays, rows, strict=True)) else []


@variant(sum_rows, np.ndarray)
def column_sums(x: np.ndarray) -> np.ndarray:
    """(N, C) -> (C,), as products with ones, which BLAS does faster than NumPy adds rows; of many rows in blocks.

    Adding row after row loses a digit for every hundredfold of rows. The sums of blocks, added up in the same way, keep
    the accuracy of NumPy's pairwise summation, which it has along contiguous memory only.
    """
    if len(x) < BLOCK or x.flags.f_contiguous:
        return x.sum(axis=0)
    while len(x) > MANY:
        whole = len(x) // BLOCK * BLOCK
        sums = np.matmul(np.ones((1, BLOCK), x.dtype), x[:whole].reshape(-1, BLOCK, x.shape[1]))
        x = np.concatenate([sums[:, 0], x[whole:]])
    return np.ones(len(x), x.dtype) @ x


def image_sums(images: np.ndarray, scale: float) -> np.ndarray:
    """(N, C): the sum over all pixels of (N, H, W, C), times ``scale``."""
    n, height, width, channels = images.shape
    k = math.gcd(height * width, max(1, WIDE // 4 // channels))
    rows = images.reshape(n, -1, k * channels).sum(axis=1)
    return (np.full((1, k), scale, rows.dtype) @ rows.reshape(n, k, channels)).reshape(n, channels)


def spread_image_values(y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, H, W, C) whose pixels are all y (N, C)."""
    n, channels = y.shape
    k = math.gcd(math.prod(size), max(1, WIDE // 4 // channels))
    out = np.empty((n, math.prod(size) // k, k * channels), y.dtype)
    out[...] = np.tile(y, k)[:, None]
    return out.reshape(n, *size, channels)
