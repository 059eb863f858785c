"""Element-wise operations: arithmetic, powers, and the functions of a calculator.

Their arguments broadcast as NumPy's do, and the result has the common shape; the walk back sums what was stretched, so
no rule mentions it. ``g`` is the cotangent of the output ``y``.

Each rule is g times the slope, and the slope stands in parentheses: where ``g`` is a batch of cotangents (a Jacobian, a
Hessian), the slope is then computed once for all of them. Where the slope is simple in ``y``, the rule uses ``y``.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from minigrad.arrays.backend import TensorLike
from minigrad.arrays.dtypes import as_operand
from minigrad.core.table import op

__all__ = [
    "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "astype", "copy", "cos", "cosh",
    "divide", "erf", "exp", "expm1", "log", "log1p", "log2", "log10", "logaddexp", "multiply", "negative", "power",
    "reciprocal", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh",
]  # fmt: skip

LN2 = math.log(2.0)
LN10 = math.log(10.0)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


# ------------------------------------------------------------------------------------------------ arithmetic
@op(lambda g, y, a, b: g, lambda g, y, a, b: g, forward=np.add)
def add(a: TensorLike, b: TensorLike) -> Any:
    """a + b. A stretched argument gets the sum of the cotangents of all its copies.

    >>> import minigrad as mg
    >>> bias = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> mg.add(mg.ones(3, 2), bias).sum().backward()
    >>> bias.grad
    Tensor([3., 3.])
    """


@op(lambda g, y, a, b: g, lambda g, y, a, b: -g, forward=np.subtract)
def subtract(a: TensorLike, b: TensorLike) -> Any:
    """a - b; a and b broadcast.

    >>> import minigrad as mg
    >>> mg.subtract(mg.tensor([[1.0], [2.0]]), mg.tensor([1.0, 2.0]))
    Tensor([[ 0., -1.],
            [ 1.,  0.]])
    """


@op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, forward=np.multiply)
def multiply(a: TensorLike, b: TensorLike) -> Any:
    """a b, entry by entry; a and b broadcast. The slope in each factor is the other one.

    >>> import minigrad as mg
    >>> mg.grad(mg.multiply, argnums=(0, 1))(2.0, 5.0)
    (Tensor(5.), Tensor(2.))
    """


@op(lambda g, y, a, b: g / b, lambda g, y, a, b: g * (-y / b), forward=np.divide)
def divide(a: TensorLike, b: TensorLike) -> Any:
    """a / b; a and b broadcast. The slopes are 1/b and -a/b^2, which is -y/b.

    >>> import minigrad as mg
    >>> mg.grad(mg.divide, argnums=(0, 1))(3.0, 2.0)
    (Tensor(0.5), Tensor(-0.75))
    """


@op(lambda g, y, x: -g, forward=np.negative)
def negative(x: TensorLike) -> Any:
    """-x, of the shape of x.

    >>> import minigrad as mg
    >>> mg.negative(mg.tensor([1.0, -2.0]))
    Tensor([-1.,  2.])
    """


@op(lambda g, y, x: g * -(y * y), forward=np.reciprocal)
def reciprocal(x: TensorLike) -> Any:
    """1 / x, of slope -1/x^2, which is -y^2.

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.reciprocal)(2.0)
    (Tensor(0.5), Tensor(-0.25))
    """


@op(lambda g, y, x: g * (2 * x), forward=np.square)
def square(x: TensorLike) -> Any:
    """x^2, of slope 2x.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> mg.gradients(mg.square(x).sum(), x)
    Tensor([2., 4., 6.])
    """


@op(lambda g, y, x: g * (0.5 / y), forward=np.sqrt)
def sqrt(x: TensorLike) -> Any:
    """The root of x, of slope 1/(2y): infinite at 0.

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.sqrt)(4.0)
    (Tensor(2.), Tensor(0.25))
    """


def _power_base(g: Any, y: Any, a: Any, b: Any) -> Any:
    """b a^(b-1), which is 0 and not 0 * inf where a = b = 0."""
    if isinstance(b, (int, float)):
        return g * (b * a ** (b - 1)) if b else np.zeros_like(g)
    return g * (b * a ** np.where(np.logical_and(a == 0, b == 0), 1, b - 1))


@op(
    _power_base,
    lambda g, y, a, b: g * (y * np.log(np.where(a == 0, 1, a))),  # 0^b = 0 for every b > 0, so the slope there is 0
    numpy=np.power,
)
def power(a: Any, b: Any) -> Any:
    """a^b; a and b broadcast. The slopes are b a^(b-1) and a^b log(a); both are 0 at a = b = 0, where 0^0 = 1.

    >>> import minigrad as mg
    >>> mg.grad(mg.power, argnums=(0, 1))(2.0, 3.0)  # 3 * 2^2 and 2^3 * log(2)
    (Tensor(12.), Tensor(5.5452))
    """
    return a**b  # the operator, because it squares by multiplying


# ---------------------------------------------------------------------------------- exponentials and logarithms
@op(lambda g, y, x: g * y, forward=np.exp)
def exp(x: TensorLike) -> Any:
    """e^x, entry by entry: its own slope.

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.exp)(1.0)
    (Tensor(2.7183), Tensor(2.7183))
    """


@op(lambda g, y, x: g * (y + 1), forward=np.expm1)
def expm1(x: TensorLike) -> Any:
    """e^x - 1, of slope e^x; exact for small x, where the subtraction would cancel.

    >>> import minigrad as mg
    >>> x = mg.tensor(1e-10)
    >>> mg.expm1(x), mg.exp(x) - 1
    (Tensor(1.e-10), Tensor(0.))
    """


@op(lambda g, y, x: g / x, forward=np.log)
def log(x: TensorLike) -> Any:
    """The natural logarithm, of slope 1/x.

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.log)(2.0)
    (Tensor(0.6931), Tensor(0.5))
    """


@op(lambda g, y, x: g / (1 + x), forward=np.log1p)
def log1p(x: TensorLike) -> Any:
    """log(1 + x), of slope 1/(1 + x); exact for small x, where the sum would round to 1.

    >>> import minigrad as mg
    >>> x = mg.tensor(1e-10)
    >>> mg.log1p(x), mg.log(1 + x)
    (Tensor(1.e-10), Tensor(0.))
    """


@op(lambda g, y, x: g / (x * LN2), forward=np.log2)
def log2(x: TensorLike) -> Any:
    """The logarithm to base 2, of slope 1/(x log 2).

    >>> import minigrad as mg
    >>> mg.log2(mg.tensor([0.5, 1.0, 1024.0]))
    Tensor([-1.,  0., 10.])
    """


@op(lambda g, y, x: g / (x * LN10), forward=np.log10)
def log10(x: TensorLike) -> Any:
    """The logarithm to base 10, of slope 1/(x log 10).

    >>> import minigrad as mg
    >>> mg.log10(mg.tensor([0.01, 1.0, 1000.0]))
    Tensor([-2.,  0.,  3.])
    """


@op(lambda g, y, a, b: g * np.exp(a - y), lambda g, y, a, b: g * np.exp(b - y), forward=np.logaddexp)
def logaddexp(a: TensorLike, b: TensorLike) -> Any:
    """log(e^a + e^b) without overflow; a and b broadcast. The slopes are the softmax of (a, b), and sum to 1.

    >>> import minigrad as mg
    >>> mg.logaddexp(1000.0, mg.tensor(1000.0))  # 1000 + log(2)
    Tensor(1000.6932)
    >>> mg.grad(mg.logaddexp, argnums=(0, 1))(0.0, 1.0)
    (Tensor(0.2689), Tensor(0.7311))
    """


# ---------------------------------------------------------------------------------- circular and hyperbolic
@op(lambda g, y, x: g * np.cos(x), forward=np.sin)
def sin(x: TensorLike) -> Any:
    """The sine of x radians, of slope cos(x).

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.sin)(0.0)
    (Tensor(0.), Tensor(1.))
    """


@op(lambda g, y, x: g * -np.sin(x), forward=np.cos)
def cos(x: TensorLike) -> Any:
    """The cosine of x radians, of slope -sin(x).

    >>> import minigrad as mg
    >>> mg.grad(mg.grad(mg.cos))(0.0)  # cos'' = -cos
    Tensor(-1.)
    """


@op(lambda g, y, x: g * (1 + np.square(y)), forward=np.tan)
def tan(x: TensorLike) -> Any:
    """sin(x) / cos(x), of slope 1 + y^2.

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.tan)(1.0)
    (Tensor(1.5574), Tensor(3.4255))
    """


@op(lambda g, y, x: g / np.sqrt(1 - x * x), forward=np.arcsin)
def arcsin(x: TensorLike) -> Any:
    """The angle in [-pi/2, pi/2] whose sine is x, of slope 1/sqrt(1 - x^2): infinite at -1 and 1.

    >>> import minigrad as mg
    >>> mg.arcsin(mg.tensor([-1.0, 0.0, 1.0]))
    Tensor([-1.5708,  0.    ,  1.5708])
    """


@op(lambda g, y, x: g / -np.sqrt(1 - x * x), forward=np.arccos)
def arccos(x: TensorLike) -> Any:
    """The angle in [0, pi] whose cosine is x, of slope -1/sqrt(1 - x^2): infinite at -1 and 1.

    >>> import minigrad as mg
    >>> mg.arccos(mg.tensor([-1.0, 0.0, 1.0]))
    Tensor([3.1416, 1.5708, 0.    ])
    """


@op(lambda g, y, x: g / (1 + x * x), forward=np.arctan)
def arctan(x: TensorLike) -> Any:
    """The angle in (-pi/2, pi/2) whose tangent is x, of slope 1/(1 + x^2).

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.arctan)(1.0)  # pi/4
    (Tensor(0.7854), Tensor(0.5))
    """


@op(
    lambda g, y, a, b: g * (b / (a * a + b * b)),
    lambda g, y, a, b: g * (-a / (a * a + b * b)),
    forward=np.arctan2,
)
def arctan2(a: TensorLike, b: TensorLike) -> Any:
    """The angle in (-pi, pi] of the point with x = b and y = a; a and b broadcast. Its slopes are b/r^2 and -a/r^2.

    >>> import minigrad as mg
    >>> mg.arctan2(mg.tensor([0.0, 1.0, 0.0]), mg.tensor([1.0, 0.0, -1.0]))
    Tensor([0.    , 1.5708, 3.1416])
    """


@op(lambda g, y, x: g * np.cosh(x), forward=np.sinh)
def sinh(x: TensorLike) -> Any:
    """(e^x - e^-x) / 2, of slope cosh(x).

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.sinh)(1.0)
    (Tensor(1.1752), Tensor(1.5431))
    """


@op(lambda g, y, x: g * np.sinh(x), forward=np.cosh)
def cosh(x: TensorLike) -> Any:
    """(e^x + e^-x) / 2, of slope sinh(x).

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.cosh)(1.0)
    (Tensor(1.5431), Tensor(1.1752))
    """


@op(lambda g, y, x: g * (1 - np.square(y)), forward=np.tanh)
def tanh(x: TensorLike) -> Any:
    """(e^x - e^-x) / (e^x + e^-x): a smooth step from -1 to 1, of slope 1 - y^2.

    >>> import minigrad as mg
    >>> mg.tanh(mg.tensor([0.0, 1.0, 1000.0]))
    Tensor([0.    , 0.7616, 1.    ])
    """


@op(lambda g, y, x: g / np.sqrt(1 + x * x), forward=np.arcsinh)
def arcsinh(x: TensorLike) -> Any:
    """log(x + sqrt(x^2 + 1)), the inverse of sinh, of slope 1/sqrt(1 + x^2).

    >>> import minigrad as mg
    >>> mg.arcsinh(mg.sinh(mg.tensor([-2.0, 3.0])))
    Tensor([-2.,  3.])
    """


@op(lambda g, y, x: g / np.sqrt(x * x - 1), forward=np.arccosh)
def arccosh(x: TensorLike) -> Any:
    """log(x + sqrt(x^2 - 1)) for x >= 1, the inverse of cosh, of slope 1/sqrt(x^2 - 1).

    >>> import minigrad as mg
    >>> mg.arccosh(mg.cosh(mg.tensor([-2.0, 3.0])))  # cosh is even: the sign is lost
    Tensor([2., 3.])
    """


@op(lambda g, y, x: g / (1 - x * x), forward=np.arctanh)
def arctanh(x: TensorLike) -> Any:
    """log((1 + x) / (1 - x)) / 2 for -1 < x < 1, the inverse of tanh, of slope 1/(1 - x^2).

    >>> import minigrad as mg
    >>> mg.value_and_grad(mg.arctanh)(0.5)
    (Tensor(0.5493), Tensor(1.3333))
    """


@cache  # and not at import, which it would make 7 ms longer for a way that only array types without an erf need
def _quadrature() -> list[tuple[float, float]]:
    """(node, weight) of Gauss and Legendre's rule for the integral over [0, 1].

    With 24 nodes erf is right to 3e-15, and to 1e-15 of its value for |x| < 1 (measured against SciPy's). More nodes
    add nothing: the rest is the rounding of the weights.
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)  # on [-1, 1]
    return list(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


@op(lambda g, y, x: g * (TWO_OVER_SQRT_PI * np.exp(-x * x)))
def erf(x: Any) -> Any:
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x: the error function, of slope 2/sqrt(pi) exp(-x^2).

    The probability that a normal variable lies within z standard deviations of its mean is erf(z / sqrt(2)):

    >>> import minigrad as mg
    >>> mg.erf(mg.tensor([1.0, 2.0, 3.0]) / 2**0.5)
    Tensor([0.6827, 0.9545, 0.9973])
    """
    x = np.minimum(np.maximum(x, -6.0), 6.0)  # from there on erf is 1 in double precision
    mean = sum(weight * np.exp(-np.square(x * node)) for node, weight in _quadrature())
    return np.minimum(np.maximum(TWO_OVER_SQRT_PI * x * mean, -1.0), 1.0)


# ------------------------------------------------------------------------------------------ the same numbers
@op(lambda g, y, x, dtype: g, numpy=getattr(np, "astype", None))  # NumPy 2.1
def astype(x: Any, dtype: Any) -> Any:
    """x with the given dtype. The walk casts every cotangent to its argument's dtype, so the rule only passes it on.

    >>> import minigrad as mg
    >>> mg.astype(mg.tensor([0.0, 1.5, -2.5]), int)  # towards zero
    Tensor([ 0,  1, -2])
    """
    return x.astype(dtype)


@op(lambda g, y, x: g, numpy=np.copy)
def copy(x: Any) -> Any:
    """x in memory of its own.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0])
    >>> y = mg.copy(x)
    >>> x[0] = 5.0
    >>> y
    Tensor([1., 2.])
    """
    return as_operand(x).copy()
