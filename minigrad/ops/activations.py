"""Activation functions, with PyTorch's names and arguments; finite for every finite input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import sweeps
from minigrad.ops.elementwise import clip, erf, multiply, negative, tanh, where
from minigrad.ops.table import composite, op

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, eq. 14
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


def _sigmoid(x: Any) -> Any:
    """exp(min(x, 0)) / (1 + exp(-|x|)): neither exponential can overflow, and both tails keep their digits."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


sigmoid = op("sigmoid", _sigmoid, lambda g, y, x: g * (y * (1 - y)), doc="1 / (1 + exp(-x)).")
relu = op("relu", sweeps.rectify, lambda g, y, x: sweeps.gate(g, x), doc="max(x, 0), with slope 0 at 0.")
softplus_ = op(
    "softplus",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    lambda g, y, x: g * sigmoid(x),
)
leaky_relu = op(
    "leaky_relu",
    lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    lambda g, y, x, negative_slope=0.01: np.where(x > 0, g, negative_slope * g),
    doc="x where x > 0, negative_slope * x elsewhere.",
)
elu = op(
    "elu",
    lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    lambda g, y, x, alpha=1.0: np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0)))),
    doc="x where x > 0, alpha * (exp(x) - 1) elsewhere.",
)
silu = op(
    "silu",
    lambda x: x * _sigmoid(x),
    lambda g, y, x: g * (sigmoid(x) + y * (1 - sigmoid(x))),
    doc="x * sigmoid(x), also called swish.",
)
gelu_ = op(
    "gelu",
    lambda x: x * (0.5 * (1 + erf(SQRT_HALF * x))),
    lambda g, y, x: g * (0.5 * (1 + erf(SQRT_HALF * x)) + x * (INV_SQRT_2PI * np.exp(-0.5 * x * x))),
)


@composite()
def softplus(x: Any, beta: float = 1.0) -> Any:
    """log(1 + exp(beta x)) / beta, a smooth relu."""
    return softplus_(x) if beta == 1 else softplus_(x * beta) / beta


@composite()
def gelu(x: Any, approximate: str = "none") -> Any:
    """x Phi(x), with Phi the standard normal distribution function; ``approximate="tanh"`` as in Hendrycks & Gimpel.

    Raises:
        ValueError: ``approximate`` is neither "none" nor "tanh".
    """
    if approximate == "none":
        return gelu_(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@composite()
def selu(x: Any) -> Any:
    """The self-normalizing elu: scale * elu(x, alpha), whose fixed point has mean 0 and variance 1."""
    return multiply(SELU_SCALE, elu(x, alpha=SELU_ALPHA))


@composite()
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)), without the underflow."""
    return negative(softplus_(negative(x)))


@composite()
def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """``x`` limited to [min_val, max_val]."""
    return clip(x, min_val, max_val)


@composite()
def threshold(x: Any, threshold: float, value: float) -> Any:
    """``x`` where x > threshold, ``value`` elsewhere."""
    return where(x > threshold, x, value)
