"""Normalization by channel of large NumPy arrays (N, C, ...), in long rows with the channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.core.table import variant
from minigrad.kernels import long_rows
from minigrad.ops.normalization import MeanVariance, mean_and_variance, normalize

__all__: list[str] = []  # what is here is entered in the table

LARGE = 1 << 16  # numbers from which long rows are faster than a few NumPy calls


def _by_channel(x: np.ndarray, axes: tuple[int, ...]) -> bool:
    return x.dtype.kind == "f" and axes == (0, *range(2, x.ndim))


@mean_and_variance.variant(np.ndarray, min_size=LARGE)
def _moments(x: np.ndarray, axes: tuple[int, ...]) -> Any:
    if not _by_channel(x, axes):
        return NotImplemented
    mean, var = long_rows.mean_and_variance(_pixels(x))
    return _aligned(mean, x), _aligned(var, x)


@variant(normalize, np.ndarray, min_size=LARGE)
def _normalize(
    x: np.ndarray,
    weight: Any = None,
    bias: Any = None,
    *,
    axes: tuple[int, ...],
    eps: float,
    known: MeanVariance | None = None,
) -> Any:
    if not _by_channel(x, axes):
        return NotImplemented
    mean, var = known or mean_and_variance(x, axes)
    scale = 1 / np.sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return _images(long_rows.affine(_pixels(x), scale.reshape(-1), shift.reshape(-1)), x.shape)


@variant(normalize, np.ndarray, of="vjp", min_size=LARGE)
def _cotangents(
    asked: Sequence[int],
    g: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    weight: Any = None,
    bias: Any = None,
    *,
    axes: tuple[int, ...],
    eps: float,
    known: MeanVariance | None = None,
) -> Any:
    """dx = a g + b x + c, channel by channel; the sums it needs, and mean and variance, in one pass."""
    if not _by_channel(x, axes):
        return NotImplemented
    pixels, g = _pixels(x), _pixels(g)
    mean, var, sum_g, sum_gu = long_rows.mean_variance_and_products(pixels, g)
    inverse = 1 / np.sqrt(var + eps)
    sum_gu *= inverse
    gx = None
    if 0 in asked:
        a = inverse if weight is None else inverse * weight.reshape(-1)
        b = -a * inverse * sum_gu / len(pixels)
        gx = _images(long_rows.combination(g, a, pixels, b, -a * sum_g / len(pixels) - b * mean), x.shape)
    return gx, _aligned(sum_gu, x), _aligned(sum_g, x)


def _pixels(x: np.ndarray) -> np.ndarray:
    """(positions, C), with the channels last in memory."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def _images(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(pixels.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _aligned(v: np.ndarray, x: np.ndarray) -> np.ndarray:
    return v.reshape(1, -1, *[1] * (x.ndim - 2))
