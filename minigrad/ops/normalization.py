"""Normalization: subtract the mean, divide by the standard deviation. Batch, layer and group norm all do this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.core.kernel import Kernel
from minigrad.core.table import op

__all__ = ["MeanVariance", "mean_and_variance", "normalize"]

MeanVariance = tuple[Any, Any]  # mean and variance, with the shape of x but 1 along the axes they are over


@Kernel
def mean_and_variance(x: Any, axes: tuple[int, ...]) -> MeanVariance:
    """Mean and (biased) variance over ``axes``, kept as axes of length 1."""
    mean = np.mean(x, axis=axes, keepdims=True)
    centered = x - mean
    return mean, np.mean(centered * centered, axis=axes, keepdims=True)


def _cotangents(
    asked: Sequence[int],
    g: Any,
    y: Any,
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    axes: tuple[int, ...],
    eps: float,
    known: MeanVariance | None = None,
) -> tuple[Any, Any, Any]:
    """Three paths lead from x to y: directly, through the mean, and through the variance (notes, section 4.3).

    dx = (g - mean(g) - u mean(g u)) / sqrt(var + eps) for u = the normalized x: what g has in common with 1 and with u
    is projected out. With n entries and eps = 0 the Jacobian is (I - 1 1'/n - u u'/n) / sigma, of rank n - 2.
    """
    mean, var = mean_and_variance(x, axes)  # once more, not as the forward found them: they are functions of x
    inverse = 1 / np.sqrt(var + eps)
    u = (x - mean) * inverse
    gu = g if weight is None else g * weight
    means = [np.mean(v, axis=axes, keepdims=True) for v in (gu, gu * u)]
    return (gu - means[0] - u * means[1]) * inverse, g * u, g


@op(vjp=_cotangents)
def normalize(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    axes: tuple[int, ...],
    eps: float,
    known: MeanVariance | None = None,
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and (biased) variance of x over ``axes``.

    Args:
        weight, bias: broadcast against x.
        eps: keeps the division finite where x is constant.
        known: the :func:`mean_and_variance` of x, where they have been computed already.

    >>> import minigrad as mg
    >>> from minigrad.ops.normalization import normalize
    >>> normalize(mg.tensor([[1.0, 3.0], [10.0, 30.0]]), axes=(1,), eps=0)
    Tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    mean, var = known or mean_and_variance(x, axes)
    y = (x - mean) * (1 / np.sqrt(var + eps))
    y = y if weight is None else y * weight
    return y if bias is None else y + bias
