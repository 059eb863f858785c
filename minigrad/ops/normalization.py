"""Normalization: subtract the mean, divide by the standard deviation. Batch, layer and group norm all do this."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend import Array
from minigrad.ops.table import op

WIDE = 2048  # numbers in a row: NumPy adds long rows at the speed of memory, and short ones at a fraction of it


def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    if type(x) is np.ndarray and axes == (0, 2, 3) and x.size:
        channels = x.shape[1]
        pixels = x.transpose(0, 2, 3, 1).reshape(-1, channels)  # free where the channels are last in memory
        k = max(1, WIDE // channels)
        if len(pixels) % k == 0:
            total = pixels.reshape(-1, k * channels).sum(axis=0).reshape(k, channels).sum(axis=0)
            return (total / len(pixels)).reshape(1, channels, 1, 1)
    return np.mean(x, axis=axes, keepdims=True)


def _forward(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    centered = x - _mean(x, axes)
    return centered / np.sqrt(_mean(centered * centered, axes) + eps)


def _rule(g: Any, y: Any, x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Three paths lead from x to y: directly, through the mean, and through the variance (notes, section 4.3).

    dx = (g - mean(g) - y mean(g y)) / sqrt(var + eps): what g has in common with 1 and with y is projected out. With n
    entries and eps = 0 the Jacobian is (I - 1 1'/n - y y'/n) / sigma, of rank n - 2.
    """
    centered = x - _mean(x, axes)
    sigma = np.sqrt(_mean(centered * centered, axes) + eps)
    return (g - _mean(g, axes) - y * _mean(g * y, axes)) / sigma


normalize = op(
    "normalize",
    _forward,
    _rule,
    doc="(x - mean) / sqrt(var + eps), mean and (biased) variance over ``axes``.",
)
