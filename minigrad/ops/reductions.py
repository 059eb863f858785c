"""Reductions over ``axis`` (None for all, an int, or a tuple), with NumPy's ``keepdims``.

The rules give every entry of x its share of its group's cotangent: g itself for a sum, g/n for a mean, g times the
entry's weight for logsumexp.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.arrays.backend import TensorLike
from minigrad.arrays.dtypes import as_operand
from minigrad.core.graph import Tensor
from minigrad.core.table import composite, op
from minigrad.ops.choices import absolute
from minigrad.ops.elementwise import power, sqrt, square

__all__ = [
    "Axes", "all", "any", "argmax", "argmin", "broadcast_back", "cumsum", "logsumexp", "max", "mean", "min", "norm",
    "norm2", "prod", "std", "sum", "var",
]  # fmt: skip

Axes = int | tuple[int, ...] | None


def broadcast_back(g: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """Undo a reduction's change of shape: give every entry of ``x`` its group's value."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, x.shape)


# ----------------------------------------------------------------------------------------------- sums and means
@op(lambda g, y, x, axis=None, keepdims=False: broadcast_back(g, x, axis, keepdims), numpy=np.sum)
def sum(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """sum_i x_i over ``axis``; 0 where there is nothing to add.

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> mg.sum(x), mg.sum(x, axis=0), mg.sum(x, axis=1, keepdims=True).shape
    (Tensor(10.), Tensor([4., 6.]), (2, 1))
    """
    return as_operand(x).sum(axis=axis, keepdims=keepdims)


@op(
    lambda g, y, x, axis=None, keepdims=False: broadcast_back(
        g / (x.size / y.size if y.size else 1), x, axis, keepdims
    ),
    numpy=np.mean,
)
def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """(1/n) sum_i x_i over the n entries along ``axis``, so each has slope 1/n.

    >>> import minigrad as mg
    >>> mg.grad(mg.mean)(mg.tensor([1.0, 2.0, 3.0, 6.0]))
    Tensor([0.25, 0.25, 0.25, 0.25])
    """
    return np.mean(x, axis=axis, keepdims=keepdims)


def _cumsum_rule(g: Any, y: Any, x: Any, axis: int | None = None) -> Any:
    """An entry is part of every sum from its own on: the running sum of g, begun at the other end."""
    along = 0 if axis is None else axis
    return np.flip(np.cumsum(np.flip(g, along), axis=along), along).reshape(x.shape)


@op(_cumsum_rule, forward=np.cumsum)
def cumsum(x: TensorLike, axis: int | None = None) -> Any:
    """The running sum y_i = x_0 + ... + x_i along ``axis``, or of the flattened array.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0])
    >>> mg.cumsum(x), mg.grad(lambda x: mg.cumsum(x).sum())(x)
    (Tensor([1., 3., 6.]), Tensor([3., 2., 1.]))
    """


@composite(np.var)
def var(x: Any, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """The mean square deviation from the mean: sum_i (x_i - mean(x))^2 / (n - ddof), with ddof = 1 for a sample's.

    Raises:
        ValueError: n <= ddof, so that no degree of freedom is left.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0])
    >>> mg.var(x), mg.var(x, ddof=1)
    (Tensor(0.6667), Tensor(1.))
    """
    deviations = square(x - mean(x, axis=axis, keepdims=True))
    y = mean(deviations, axis=axis, keepdims=keepdims)
    if not ddof:
        return y
    n = deviations.size // (y.size or 1)
    if n <= ddof:
        raise ValueError(f"var: {n} values leave no degree of freedom with ddof={ddof}")
    return y * (n / (n - ddof))


@composite(np.std)
def std(x: Any, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """sqrt(var(x)); like the root, without a finite slope where all entries are equal.

    Raises:
        ValueError: n <= ddof, so that no degree of freedom is left.

    >>> import minigrad as mg
    >>> mg.std(mg.tensor([1.0, 5.0]))
    Tensor(2.)
    """
    return sqrt(var(x, axis=axis, ddof=ddof, keepdims=keepdims))


def _logsumexp_rule(g: Any, y: Any, x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The slopes are the softmax of x."""
    return broadcast_back(g, x, axis, keepdims) * np.exp(x - broadcast_back(y, x, axis, keepdims))


@op(_logsumexp_rule)
def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """log(sum_i exp(x_i)) over ``axis``, as m + log(sum_i exp(x_i - m)) with m = max(x): without overflow.

    A smooth maximum: between max(x) and max(x) + log(n), and its gradient is softmax(x).

    Raises:
        ValueError: nothing along ``axis``.

    >>> import minigrad as mg
    >>> mg.logsumexp(mg.tensor([1000.0, 0.0]))  # exp(1000) is infinite
    Tensor(1000.)
    """
    m = np.max(x, axis=axis, keepdims=True)
    m = np.where(np.isfinite(m), m, 0)  # all entries -inf: the sum is 0 and its log -inf, not NaN
    y = np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True)) + m
    return y if keepdims else np.sum(y, axis=axis)


# -------------------------------------------------------------------------------------------------- extrema
def _extremum_rule(g: Any, y: Any, x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Entries that tie for the extremum share the gradient."""
    ties = (x == broadcast_back(y, x, axis, keepdims)).astype(x.dtype)
    return broadcast_back(g, x, axis, keepdims) * ties / np.sum(ties, axis=axis, keepdims=True)


@op(_extremum_rule, numpy=np.max)
def max(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest entry along ``axis``. Entries that tie for it share the gradient.

    Raises:
        ValueError: nothing along ``axis``.

    >>> import minigrad as mg
    >>> mg.grad(mg.max)(mg.tensor([1.0, 3.0, 3.0]))
    Tensor([0. , 0.5, 0.5])
    """
    return np.max(x, axis=axis, keepdims=keepdims)


@op(_extremum_rule, numpy=np.min)
def min(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest entry along ``axis``. Entries that tie for it share the gradient.

    Raises:
        ValueError: nothing along ``axis``.

    >>> import minigrad as mg
    >>> mg.min(mg.tensor([[1.0, 2.0], [4.0, 3.0]]), axis=1)
    Tensor([1., 3.])
    """
    return np.min(x, axis=axis, keepdims=keepdims)


@op(numpy=np.argmax)
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest entry along ``axis`` (None: in the flattened array), the first of those that tie.

    Raises:
        ValueError: nothing along ``axis``.

    >>> import minigrad as mg
    >>> logits = mg.tensor([[0.1, 2.0], [3.0, -1.0]])
    >>> mg.argmax(logits, axis=1)  # the predicted classes
    Tensor([1, 0])
    """
    return np.argmax(x, axis=axis, keepdims=keepdims)


@op(numpy=np.argmin)
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest entry along ``axis`` (None: in the flattened array), the first of those that tie.

    Raises:
        ValueError: nothing along ``axis``.

    >>> import minigrad as mg
    >>> mg.argmin(mg.tensor([3.0, 1.0, 2.0]))
    Tensor(1)
    """
    return np.argmin(x, axis=axis, keepdims=keepdims)


@op(numpy=np.all)
def all(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Whether every entry along ``axis`` is true (not 0); true where there are none.

    >>> import minigrad as mg
    >>> mg.all(mg.tensor([[1.0, 2.0], [0.0, 3.0]]) > 0, axis=1)
    Tensor([ True, False])
    """
    return np.all(x, axis=axis, keepdims=keepdims)


@op(numpy=np.any)
def any(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Whether some entry along ``axis`` is true (not 0); false where there are none.

    >>> import minigrad as mg
    >>> mg.any(mg.isnan(mg.tensor([1.0, float("nan")])))
    Tensor(True)
    """
    return np.any(x, axis=axis, keepdims=keepdims)


# ------------------------------------------------------------------------------------------- products and norms
@composite(np.prod)
def prod(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The product of the entries along ``axis``; 1 where there are none.

    Computed as a balanced tree of multiplications. The textbook slope, the product divided by x_i, is 0/0 at x_i = 0;
    the tree's is right there too, in every order of derivative.

    >>> import minigrad as mg
    >>> mg.grad(mg.prod)(mg.tensor([2.0, 0.0, 5.0]))
    Tensor([ 0., 10.,  0.])
    """
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    kept = tuple(x.shape[a] for a in rest)
    n = math.prod(x.shape[a] for a in axes)
    y: Any = np.reshape(np.transpose(x, (*axes, *rest)), (n, *kept)) if n else np.ones_like(x, shape=(1, *kept))
    while y.shape[0] > 1:
        half = y.shape[0] // 2
        pairs = y[:half] * y[half : 2 * half]
        y = np.concatenate([pairs, y[2 * half :]]) if y.shape[0] % 2 else pairs
    return y.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else kept)


# x / |x|, and 0 at the origin: the subgradient of least norm
@op(lambda g, y, x, axis=None, keepdims=False: broadcast_back(g / np.where(y == 0, 1, y), x, axis, keepdims) * x)
def norm2(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The Euclidean norm |x| = sqrt(sum_i x_i^2) over ``axis``. Its gradient is x / |x|, and 0 at the origin.

    >>> import minigrad as mg
    >>> from minigrad.ops.reductions import norm2
    >>> norm2(mg.tensor([3.0, 4.0])), mg.grad(norm2)(mg.tensor([3.0, 4.0])), mg.grad(norm2)(mg.tensor([0.0, 0.0]))
    (Tensor(5.), Tensor([0.6, 0.8]), Tensor([0., 0.]))
    """
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


@composite(np.linalg.norm)
def norm(x: Any, ord: float | Literal["fro"] | None = None, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """(sum_i |x_i|^p)^(1/p) over ``axis``, with p = ``ord``: 2 by default, 1, any other p > 0, or infinity (max |x_i|).

    Over two axes (and over all, where no ``ord`` is given) it is the Frobenius norm, also called "fro".

    Raises:
        ValueError: a matrix norm that is not the Frobenius norm.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, -4.0])
    >>> mg.norm(x), mg.norm(x, ord=1), mg.norm(x, ord=float("inf"))
    (Tensor(5.), Tensor(7.), Tensor(4.))
    """
    axes = x.ndim if axis is None else 1 if isinstance(axis, int) else len(axis)
    if ord is None or (ord == 2 and axes == 1) or (ord == "fro" and axes == 2):
        return norm2(x, axis=axis, keepdims=keepdims)
    if axes != 1 or isinstance(ord, str) or not ord > 0:
        raise ValueError(f"norm: ord={ord!r} over {axes} axes is not supported; flatten x for a vector norm")
    if ord == np.inf:
        return max(absolute(x), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(absolute(x), axis=axis, keepdims=keepdims)
    return power(sum(power(absolute(x), ord), axis=axis, keepdims=keepdims), 1 / ord)
