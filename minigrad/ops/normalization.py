"""Normalization: subtract the mean, divide by the standard deviation. Batch, layer and group norm all do this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import sweeps
from minigrad.batched import levels_of
from minigrad.engine import Op, bare
from minigrad.ops.table import composite

LARGE = 1 << 16  # numbers from which sweeps.py is faster than a few NumPy calls

Moments = tuple[Any, Any]  # mean and variance, with the shape of x but 1 along the axes they are over


def moments(x: Any, axes: tuple[int, ...]) -> Moments:
    """Mean and (biased) variance over ``axes``."""
    if _by_channel(x, axes):
        mean, var = sweeps.moments(_pixels(x))
        return _aligned(mean, x), _aligned(var, x)
    mean = np.mean(x, axis=axes, keepdims=True)
    centered = x - mean
    return mean, np.mean(centered * centered, axis=axes, keepdims=True)


def _forward(x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, known: Moments) -> Any:
    mean, var = known
    scale = 1 / np.sqrt(var + eps)
    if _by_channel(x, axes) and not any(map(levels_of, (weight, bias))):
        scale = scale if weight is None else scale * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        y = sweeps.affine(_pixels(x), scale.reshape(-1), shift.reshape(-1))
        return _images(y, x.shape)
    y = (x - mean) * scale
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _rules(
    asked: Sequence[int],
    g: Any,
    y: Any,
    x: Any,
    weight: Any,
    bias: Any,
    axes: tuple[int, ...],
    eps: float,
    known: Moments,
) -> tuple[Any, Any, Any]:
    """Three paths lead from x to y: directly, through the mean, and through the variance (notes, section 4.3).

    dx = (g - mean(g) - u mean(g u)) / sqrt(var + eps) for u = the normalized x: what g has in common with 1 and with u
    is projected out. With n entries and eps = 0 the Jacobian is (I - 1 1'/n - u u'/n) / sigma, of rank n - 2.
    """
    if _by_channel(x, axes) and type(g) is np.ndarray and not levels_of(weight):
        mean, var = (known[i].reshape(-1) for i in (0, 1))
        pixels, g = _pixels(x), _pixels(g)
        inverse = 1 / np.sqrt(var + eps)
        sum_g, sum_gu = sweeps.products(g, pixels, mean)
        sum_gu *= inverse
        gx = None
        if 0 in asked:
            a = inverse if weight is None else inverse * weight.reshape(-1)
            b = -a * inverse * sum_gu / len(pixels)
            gx = _images(sweeps.combination(g, a, pixels, b, -a * sum_g / len(pixels) - b * mean), x.shape)
        return gx, _aligned(sum_gu, x), _aligned(sum_g, x)
    if x is not bare(x):  # to be differentiated again: the moments are functions of x
        known = moments(x, axes)
    inverse = 1 / np.sqrt(known[1] + eps)
    u = (x - known[0]) * inverse
    gu = g if weight is None else g * weight
    means = [np.mean(v, axis=axes, keepdims=True) for v in (gu, gu * u)]
    return (gu - means[0] - u * means[1]) * inverse, g * u, g


_normalize = Op("normalize", _forward, jointly=_rules)


@composite()
def normalize(
    x: Any, weight: Any = None, bias: Any = None, *, axes: tuple[int, ...], eps: float, known: Moments | None = None
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and (biased) variance over ``axes``.

    Args:
        weight, bias: broadcast against x.
        known: the :func:`moments` of x, where they have been computed already.
    """
    return _normalize(x, weight, bias, axes=axes, eps=eps, known=known or moments(bare(x), axes))


# --------------------------------------------------- NumPy arrays (N, C, ...), normalized by channel, in long rows
def _by_channel(x: Any, axes: tuple[int, ...]) -> bool:
    return type(x) is np.ndarray and x.size >= LARGE and axes == (0, *range(2, x.ndim))


def _pixels(x: np.ndarray) -> np.ndarray:
    """(positions, C), with the channels last in memory."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def _images(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(pixels.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _aligned(v: np.ndarray, x: np.ndarray) -> np.ndarray:
    return v.reshape(1, -1, *[1] * (x.ndim - 2))
