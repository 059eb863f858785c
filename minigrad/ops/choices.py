"""Choices between values: the larger of two, the sign, whole numbers, comparisons. Entry by entry; arguments broadcast.

A choice passes the gradient to what was chosen, and the chosen moves with slope 1: the rules multiply ``g`` by a mask.
Where the choice changes there is a kink or a jump, and no derivative; each function says what its rule gives there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arrays.backend import TensorLike
from minigrad.core.table import op

__all__ = [
    "absolute", "ceil", "clip", "equal", "floor", "floor_divide", "greater", "greater_equal", "isfinite", "isinf",
    "isnan", "less", "less_equal", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "not_equal",
    "remainder", "round", "sign", "where",
]  # fmt: skip


# ------------------------------------------------------------------------------------- one value or the other
# At a tie both arguments move the output: they share the gradient, so that d max(x, x)/dx = 1.
@op(
    lambda g, y, a, b: g * (a > b) + 0.5 * g * (a == b),
    lambda g, y, a, b: g * (b > a) + 0.5 * g * (a == b),
    forward=np.maximum,
)
def maximum(a: TensorLike, b: TensorLike) -> Any:
    """The larger of a and b; the gradient goes to the larger, and at a tie half to each.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    >>> mg.gradients(mg.maximum(x, 0).sum(), x)
    Tensor([0. , 0.5, 1. ])
    """


@op(
    lambda g, y, a, b: g * (a < b) + 0.5 * g * (a == b),
    lambda g, y, a, b: g * (b < a) + 0.5 * g * (a == b),
    forward=np.minimum,
)
def minimum(a: TensorLike, b: TensorLike) -> Any:
    """The smaller of a and b; the gradient goes to the smaller, and at a tie half to each.

    >>> import minigrad as mg
    >>> mg.grad(mg.minimum, argnums=(0, 1))(2.0, 3.0)
    (Tensor(1.), Tensor(0.))
    >>> mg.grad(lambda x: mg.minimum(x, x))(2.0)  # the halves add up
    Tensor(1.)
    """


@op(None, lambda g, y, c, a, b: np.where(c, g, 0), lambda g, y, c, a, b: np.where(c, 0, g), forward=np.where)
def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Any:
    """a where the condition holds, b elsewhere; all three broadcast. The condition has no gradient.

    The choice not taken gets cotangent 0, but was computed: where that has slope infinity, 0 times it is NaN. So guard
    the argument as well:

    >>> import minigrad as mg
    >>> mg.grad(lambda x: mg.where(x > 0, mg.sqrt(mg.where(x > 0, x, 1)), 0))(0.0)
    Tensor(0.)
    """


def _inside(x: Any, min: Any, max: Any) -> Any:
    above = True if min is None else x >= min
    return above if max is None else (x <= max) & above


@op(
    lambda g, y, x, min=None, max=None: np.where(_inside(x, min, max), g, 0),
    lambda g, y, x, min=None, max=None: np.where((x < min) & _inside(min, None, max), g, 0),
    lambda g, y, x, min=None, max=None: np.where((x if min is None else np.maximum(x, min)) > max, g, 0),
    numpy=np.clip,
)
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """x limited to [min, max]; either bound may be None, and the three broadcast. Where min > max, it is max.

    The gradient goes to x where min <= x <= max, both ends included, and to the bound that replaced x elsewhere.

    >>> import minigrad as mg
    >>> x = mg.tensor([-2.0, 0.0, 1.0, 3.0], requires_grad=True)
    >>> y = mg.clip(x, 0, 2)
    >>> y.detach(), mg.gradients(y.sum(), x)
    (Tensor([0., 0., 1., 2.]), Tensor([0., 1., 1., 0.]))
    """
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


@op(lambda g, y, x: g * np.sign(x), forward=np.absolute)
def absolute(x: TensorLike) -> Any:
    """|x|, of slope sign(x): 0 at the kink.

    >>> import minigrad as mg
    >>> x = mg.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    >>> mg.gradients(mg.absolute(x).sum(), x)
    Tensor([-1.,  0.,  1.])
    """


# ------------------------------------------------------------------------------- flat almost everywhere: slope 0
@op(lambda g, y, x: np.zeros_like(g), forward=np.sign)
def sign(x: TensorLike) -> Any:
    """-1, 0 or 1 as x is negative, zero or positive; of slope 0, at the jump too.

    >>> import minigrad as mg
    >>> mg.sign(mg.tensor([-0.5, 0.0, 20.0]))
    Tensor([-1.,  0.,  1.])
    """


@op(lambda g, y, x: np.zeros_like(g), forward=np.floor)
def floor(x: TensorLike) -> Any:
    """The largest whole number <= x; of slope 0, at the jumps too.

    >>> import minigrad as mg
    >>> mg.floor(mg.tensor([-1.5, 1.5, 2.0]))
    Tensor([-2.,  1.,  2.])
    """


@op(lambda g, y, x: np.zeros_like(g), forward=np.ceil)
def ceil(x: TensorLike) -> Any:
    """The smallest whole number >= x; of slope 0, at the jumps too.

    >>> import minigrad as mg
    >>> mg.ceil(mg.tensor([-1.5, 1.5, 2.0]))
    Tensor([-1.,  2.,  2.])
    """


@op(lambda g, y, x, decimals=0: np.zeros_like(g), forward=np.round)
def round(x: TensorLike, decimals: int = 0) -> Any:
    """x to the given number of decimals, halves to the even neighbor; of slope 0, at the jumps too.

    A straight-through estimator rounds on the way forward, and lets the gradient pass as if it had not:

    >>> import minigrad as mg
    >>> mg.round(mg.tensor([0.5, 1.5, 2.5]))
    Tensor([0., 2., 2.])
    >>> mg.value_and_grad(lambda x: x + (mg.round(x) - x).detach())(1.25)
    (Tensor(1.), Tensor(1.))
    """


@op(lambda g, y, a, b: np.zeros_like(g), lambda g, y, a, b: np.zeros_like(g), forward=np.floor_divide)
def floor_divide(a: TensorLike, b: TensorLike) -> Any:
    """floor(a / b): how many times b fits into a; of slope 0 in both, at the jumps too.

    >>> import minigrad as mg
    >>> mg.floor_divide(mg.tensor([-1.0, 4.0, 7.0]), 3)
    Tensor([-1.,  1.,  2.])
    """


@op(lambda g, y, a, b: g, lambda g, y, a, b: g * -np.floor(a / b), forward=np.remainder)
def remainder(a: TensorLike, b: TensorLike) -> Any:
    """a - b floor(a/b), with the sign of b. The floor has slope 0, so the slopes are 1 and -floor(a/b).

    >>> import minigrad as mg
    >>> mg.remainder(mg.tensor([-1.0, 4.0, 7.0]), 3)
    Tensor([2., 1., 1.])
    """


# -------------------------------------------------------------------- true or false: nothing to differentiate
@op(forward=np.equal)
def equal(a: TensorLike, b: TensorLike) -> Any:
    """Whether a = b, entry by entry. NaN equals nothing, itself included.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, float("nan")])
    >>> mg.equal(x, x)
    Tensor([ True, False])
    """


@op(forward=np.not_equal)
def not_equal(a: TensorLike, b: TensorLike) -> Any:
    """Whether a and b differ, entry by entry.

    >>> import minigrad as mg
    >>> mg.not_equal(mg.tensor([1, 2]), mg.tensor([1, 3]))
    Tensor([False,  True])
    """


@op(forward=np.less)
def less(a: TensorLike, b: TensorLike) -> Any:
    """Whether a < b, entry by entry.

    >>> import minigrad as mg
    >>> mg.less(mg.arange(3).reshape(3, 1), mg.arange(3))  # a column against a row
    Tensor([[False,  True,  True],
            [False, False,  True],
            [False, False, False]])
    """


@op(forward=np.less_equal)
def less_equal(a: TensorLike, b: TensorLike) -> Any:
    """Whether a <= b, entry by entry.

    >>> import minigrad as mg
    >>> mg.less_equal(mg.tensor([1, 2, 3]), 2)
    Tensor([ True,  True, False])
    """


@op(forward=np.greater)
def greater(a: TensorLike, b: TensorLike) -> Any:
    """Whether a > b, entry by entry. A mask counts as 0 and 1 in arithmetic.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 2.0, 3.0])
    >>> x * mg.greater(x, 0)
    Tensor([-0.,  2.,  3.])
    """


@op(forward=np.greater_equal)
def greater_equal(a: TensorLike, b: TensorLike) -> Any:
    """Whether a >= b, entry by entry.

    >>> import minigrad as mg
    >>> mg.greater_equal(mg.tensor([1, 2, 3]), 2)
    Tensor([False,  True,  True])
    """


@op(forward=np.logical_and)
def logical_and(a: TensorLike, b: TensorLike) -> Any:
    """Whether a and b are both true (not 0), entry by entry.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.5, 2.0])
    >>> mg.logical_and(x > 0, x < 1)  # Python's `0 < x < 1` would ask for one bool
    Tensor([False,  True, False])
    """


@op(forward=np.logical_or)
def logical_or(a: TensorLike, b: TensorLike) -> Any:
    """Whether a or b is true (not 0), or both, entry by entry.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.5, 2.0])
    >>> mg.logical_or(x < 0, x > 1)
    Tensor([ True, False,  True])
    """


@op(forward=np.logical_not)
def logical_not(x: TensorLike) -> Any:
    """Whether x is false (0), entry by entry.

    >>> import minigrad as mg
    >>> mg.logical_not(mg.tensor([0, 1, 2]))
    Tensor([ True, False, False])
    """


@op(forward=np.isfinite)
def isfinite(x: TensorLike) -> Any:
    """Whether x is a number: neither infinite nor NaN.

    >>> import minigrad as mg
    >>> mg.isfinite(mg.tensor([1.0, float("inf"), float("nan")]))
    Tensor([ True, False, False])
    """


@op(forward=np.isnan)
def isnan(x: TensorLike) -> Any:
    """Whether x is NaN, "not a number": the result of 0/0 or inf - inf.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, float("nan")])
    >>> mg.where(mg.isnan(x), 0, x)
    Tensor([1., 0.])
    """


@op(forward=np.isinf)
def isinf(x: TensorLike) -> Any:
    """Whether x is infinity or minus infinity.

    >>> import minigrad as mg
    >>> mg.isinf(mg.tensor([1.0, -float("inf"), float("nan")]))
    Tensor([False,  True, False])
    """
