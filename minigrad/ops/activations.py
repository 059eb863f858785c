"""Activation functions, entry by entry, with PyTorch's names and arguments; finite for every finite input.

Each forward is written so that no exponential overflows: exp is only taken of numbers <= 0.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from minigrad.core.graph import Tensor
from minigrad.core.table import composite, op
from minigrad.ops.choices import clip, where
from minigrad.ops.elementwise import erf, negative

__all__ = [
    "elu", "gelu", "hard_tanh", "leaky_relu", "log_sigmoid", "relu", "selu", "sigmoid", "silu", "softplus", "threshold",
]  # fmt: skip

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, eq. 14
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBIC = 0.044715  # Hendrycks & Gimpel 2016


@op(lambda g, y, x: g * (y * (1 - y)))
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)): a smooth step from 0 to 1, of slope y (1 - y).

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.sigmoid)(0.0)
    (Tensor(0.5), Tensor(0.25))
    >>> mg.sigmoid(mg.tensor([-1000.0, 1000.0]))
    Tensor([0., 1.])
    """
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))  # both tails keep their digits


@op(lambda g, y, x: g * (x > 0))
def relu(x: Any) -> Any:
    """max(x, 0), of slope 1 where x > 0 and 0 elsewhere, at the kink too.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> y = mg.relu(x)
    >>> y.detach(), mg.gradients(y.sum(), x)
    (Tensor([0., 0., 2.]), Tensor([0., 0., 1.]))
    """
    return np.maximum(x, 0)


@op(lambda g, y, x, negative_slope=0.01: np.where(x > 0, g, negative_slope * g))
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, negative_slope * x elsewhere; at the kink it has the negative slope.

    >>> import minigrad as mg
    >>> mg.leaky_relu(mg.tensor([-1.0, 2.0]), negative_slope=0.1)
    Tensor([-0.1,  2. ])
    """
    return np.where(x > 0, x, negative_slope * x)


@op(lambda g, y, x, alpha=1.0: np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0)))))
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, alpha * (exp(x) - 1) elsewhere, of slope 1 and alpha * exp(x): no kink for alpha = 1.

    >>> import minigrad as mg
    >>> mg.elu(mg.tensor([-1000.0, -1.0, 2.0]))
    Tensor([-1.    , -0.6321,  2.    ])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@composite()
def selu(x: Any) -> Tensor:
    """SELU_SCALE * elu(x, SELU_ALPHA), the self-normalizing elu.

    Its two constants make mean 0 and variance 1 a fixed point: normal numbers come out as they went in.

    >>> import minigrad as mg, numpy as np
    >>> y = mg.selu(mg.tensor(np.random.default_rng(3).standard_normal(100_000)))
    >>> print(f"{y.mean():.2f} {y.var():.2f}")
    0.00 1.00
    """
    return SELU_SCALE * elu(x, alpha=SELU_ALPHA)


@op(lambda g, y, x: g * (sigmoid(x) + y * (1 - sigmoid(x))))
def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish; of slope s + y (1 - s) with s = sigmoid(x).

    >>> import minigrad as mg
    >>> mg.silu(mg.tensor([-1000.0, -1.0, 2.0]))
    Tensor([-0.    , -0.2689,  1.7616])
    """
    return x * sigmoid(x)


def _scaled(x: Any, beta: float) -> Any:
    return x if beta == 1 else beta * x


@op(lambda g, y, x, beta=1.0: g * sigmoid(_scaled(x, beta)))
def softplus(x: Any, beta: float = 1.0) -> Any:
    """log(1 + exp(beta x)) / beta, a relu without the kink, of slope sigmoid(beta x).

    >>> import minigrad as mg
    >>> mg.softplus(mg.tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    >>> mg.softplus(mg.tensor(0.0), beta=10)  # log(2) / 10: the larger beta, the closer to relu
    Tensor(0.0693)
    """
    x = _scaled(x, beta)
    y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return y if beta == 1 else y / beta


@composite()
def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x), without the underflow.

    >>> import minigrad as mg
    >>> mg.log_sigmoid(mg.tensor([-200.0, 0.0]))
    Tensor([-200.    ,   -0.6931])
    """
    return negative(softplus(negative(x)))


def _gelu_slope(x: Any, approximate: str) -> Any:
    if approximate == "none":
        return 0.5 * (1 + erf(SQRT_HALF * x)) + x * (INV_SQRT_2PI * np.exp(-0.5 * x * x))
    t = np.tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - np.square(t)) * (SQRT_2_OVER_PI * (1 + 3 * CUBIC * x * x))


@op(lambda g, y, x, approximate="none": g * _gelu_slope(x, approximate))
def gelu(x: Any, approximate: Literal["none", "tanh"] = "none") -> Any:
    """x Phi(x), with Phi the standard normal distribution function; of slope Phi(x) + x phi(x), phi its density.

    ``approximate="tanh"`` takes (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 for Phi(x), as Hendrycks & Gimpel do.

    Raises:
        ValueError: ``approximate`` is neither "none" nor "tanh".

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.0, 2.0])
    >>> mg.gelu(x), mg.gelu(x, approximate="tanh")
    (Tensor([-0.1587,  0.    ,  1.9545]), Tensor([-0.1588,  0.    ,  1.9546]))
    """
    if approximate == "none":
        return x * (0.5 * (1 + erf(SQRT_HALF * x)))
    if approximate != "tanh":
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + np.tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x)))


@composite()
def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x limited to [min_val, max_val], of slope 1 inside, both ends included, and 0 outside.

    >>> import minigrad as mg
    >>> mg.hard_tanh(mg.tensor([-2.0, 0.5, 3.0]))
    Tensor([-1. ,  0.5,  1. ])
    """
    return clip(x, min_val, max_val)


@composite()
def threshold(x: Any, threshold: float, value: float) -> Tensor:
    """x where x > threshold, ``value`` elsewhere; of slope 1 and 0.

    >>> import minigrad as mg
    >>> mg.threshold(mg.tensor([-1.0, 0.5, 2.0]), 0.5, -3.0)
    Tensor([-3., -3.,  2.])
    """
    return where(x > threshold, x, value)
