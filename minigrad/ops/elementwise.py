"""Element-wise operations. ``g`` is the cotangent of ``y``; the walk undoes broadcasting, so no rule mentions it.

Each rule is g times the slope, and the slope stands in parentheses: where ``g`` is a batch of cotangents (a Jacobian, a
Hessian), the slope is then computed once for all of them.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from minigrad.backend import home_of, innermost
from minigrad.batched import elementwise
from minigrad.ops.table import composite, op

LN2 = math.log(2.0)
LN10 = math.log(10.0)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

# ------------------------------------------------------------------------------------------------ arithmetic
add = op("add", np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
subtract = op("subtract", np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
multiply = op("multiply", np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
divide = op("divide", np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: g * (-y / b))
remainder = op("remainder", np.remainder, lambda g, y, a, b: g, lambda g, y, a, b: g * -np.floor(a / b))
negative = op("negative", np.negative, lambda g, y, x: -g)
reciprocal = op("reciprocal", np.reciprocal, lambda g, y, x: g * -(y * y))
square = op("square", np.square, lambda g, y, x: g * (2 * x))
sqrt = op("sqrt", np.sqrt, lambda g, y, x: g * (0.5 / y))
absolute = op("absolute", np.absolute, lambda g, y, x: g * np.sign(x))
sign = op("sign", np.sign, lambda g, y, x: np.zeros_like(g))


def _power_base(g: Any, y: Any, a: Any, b: Any) -> Any:
    """b a^(b-1), which is 0 and not 0 * inf where a = b = 0."""
    if isinstance(b, (int, float)):
        return g * (b * a ** (b - 1)) if b else np.zeros_like(g)
    return g * (b * a ** np.where(np.logical_and(a == 0, b == 0), 1, b - 1))


power = op(
    "power",
    lambda a, b: a**b,  # the operator, because it squares by multiplying
    _power_base,
    lambda g, y, a, b: g * (y * np.log(np.where(a == 0, 1, a))),  # 0^b = 0 for every b > 0, so the slope there is 0
    numpy=np.power,
)

# ---------------------------------------------------------------------------------- exponentials and logarithms
exp = op("exp", np.exp, lambda g, y, x: g * y)
expm1 = op("expm1", np.expm1, lambda g, y, x: g * (y + 1))
log = op("log", np.log, lambda g, y, x: g / x)
log1p = op("log1p", np.log1p, lambda g, y, x: g / (1 + x))
log2 = op("log2", np.log2, lambda g, y, x: g / (x * LN2))
log10 = op("log10", np.log10, lambda g, y, x: g / (x * LN10))
logaddexp = op("logaddexp", np.logaddexp, lambda g, y, a, b: g * np.exp(a - y), lambda g, y, a, b: g * np.exp(b - y))

# ---------------------------------------------------------------------------------- circular and hyperbolic
sin = op("sin", np.sin, lambda g, y, x: g * np.cos(x))
cos = op("cos", np.cos, lambda g, y, x: g * -np.sin(x))
tan = op("tan", np.tan, lambda g, y, x: g * (1 + np.square(y)))
arcsin = op("arcsin", np.arcsin, lambda g, y, x: g / np.sqrt(1 - x * x))
arccos = op("arccos", np.arccos, lambda g, y, x: g / -np.sqrt(1 - x * x))
arctan = op("arctan", np.arctan, lambda g, y, x: g / (1 + x * x))
arctan2 = op(
    "arctan2",
    np.arctan2,
    lambda g, y, a, b: g * (b / (a * a + b * b)),
    lambda g, y, a, b: g * (-a / (a * a + b * b)),
)
sinh = op("sinh", np.sinh, lambda g, y, x: g * np.cosh(x))
cosh = op("cosh", np.cosh, lambda g, y, x: g * np.sinh(x))
tanh = op("tanh", np.tanh, lambda g, y, x: g * (1 - np.square(y)))
arcsinh = op("arcsinh", np.arcsinh, lambda g, y, x: g / np.sqrt(1 + x * x))
arccosh = op("arccosh", np.arccosh, lambda g, y, x: g / np.sqrt(x * x - 1))
arctanh = op("arctanh", np.arctanh, lambda g, y, x: g / (1 - x * x))


def _erf(x: Any) -> Any:
    special = importlib.import_module(home_of(innermost(x)).special)  # late, because it takes long to import
    return elementwise(special.erf, x)


erf = op(
    "erf",
    _erf,
    lambda g, y, x: g * (TWO_OVER_SQRT_PI * np.exp(-x * x)),
    doc="The error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to x.",
)

# ------------------------------------------------------------------------------------- choices between values
# At a tie both arguments move the output: they share the gradient, so that d max(x, x)/dx = 1.
maximum = op(
    "maximum",
    np.maximum,
    lambda g, y, a, b: g * (a > b) + 0.5 * g * (a == b),
    lambda g, y, a, b: g * (b > a) + 0.5 * g * (a == b),
)
minimum = op(
    "minimum",
    np.minimum,
    lambda g, y, a, b: g * (a < b) + 0.5 * g * (a == b),
    lambda g, y, a, b: g * (b < a) + 0.5 * g * (a == b),
)
where = op("where", np.where, None, lambda g, y, c, a, b: np.where(c, g, 0), lambda g, y, c, a, b: np.where(c, 0, g))


def _clip(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def _inside(x: Any, min: Any, max: Any) -> Any:
    above = True if min is None else x >= min
    return above if max is None else (x <= max) & above


clip = op(
    "clip",
    _clip,
    lambda g, y, x, min=None, max=None: np.where(_inside(x, min, max), g, 0),
    lambda g, y, x, min=None, max=None: np.where(x < min, g, 0),
    lambda g, y, x, min=None, max=None: np.where(x > max, g, 0),
    numpy=np.clip,
    doc="Limit ``x`` to [min, max]; either bound may be None. The gradient passes where min <= x <= max.",
)

# ------------------------------------------------------------------------------- flat almost everywhere: slope 0
floor_divide = op(
    "floor_divide", np.floor_divide, lambda g, y, a, b: np.zeros_like(g), lambda g, y, a, b: np.zeros_like(g)
)
floor = op("floor", np.floor, lambda g, y, x: np.zeros_like(g))
ceil = op("ceil", np.ceil, lambda g, y, x: np.zeros_like(g))
round = op(
    "round",
    lambda x, decimals=0: np.round(x, decimals),
    lambda g, y, x, decimals=0: np.zeros_like(g),
    numpy=np.round,
)

# -------------------------------------------------------------------- true or false: nothing to differentiate
equal = op("equal", np.equal)
not_equal = op("not_equal", np.not_equal)
less = op("less", np.less)
less_equal = op("less_equal", np.less_equal)
greater = op("greater", np.greater)
greater_equal = op("greater_equal", np.greater_equal)
logical_and = op("logical_and", np.logical_and)
logical_or = op("logical_or", np.logical_or)
logical_not = op("logical_not", np.logical_not)
isfinite = op("isfinite", np.isfinite)
isnan = op("isnan", np.isnan)
isinf = op("isinf", np.isinf)


# The walk casts every cotangent to its argument's dtype, so changing the dtype needs no rule but "pass it on".
astype = op(
    "astype",
    lambda x, dtype: x.astype(dtype),
    lambda g, y, x, dtype: g,
    numpy=getattr(np, "astype", None),  # NumPy 2.1
    doc="``x`` with the given dtype; the gradient is cast back.",
)


@composite(np.copy)
def copy(x: Any) -> Any:
    """``x`` in memory of its own."""
    return multiply(x, 1)
