"""Reductions over ``axis`` (None for all, an int, or a tuple), with NumPy's ``keepdims``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.arrays import as_operand
from minigrad.ops.elementwise import absolute, power, sqrt, square
from minigrad.ops.table import composite, op


def spread(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Undo a reduction's change of shape: give every entry of ``x`` its group's value."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, x.shape)


def _extremum_rule(g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Entries that tie for the extremum share the gradient."""
    ties = (x == spread(y, x, axis, keepdims)).astype(x.dtype)
    return spread(g, x, axis, keepdims) * ties / np.sum(ties, axis=axis, keepdims=True)


sum = op(
    "sum",
    lambda x, axis=None, keepdims=False: as_operand(x).sum(axis=axis, keepdims=keepdims),
    lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims),
    numpy=np.sum,
)
mean = op(
    "mean",
    lambda x, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    lambda g, y, x, axis=None, keepdims=False: spread(g / (x.size / y.size if y.size else 1), x, axis, keepdims),
    numpy=np.mean,
)
max = op(
    "max", lambda x, axis=None, keepdims=False: np.max(x, axis=axis, keepdims=keepdims), _extremum_rule, numpy=np.max
)
min = op(
    "min", lambda x, axis=None, keepdims=False: np.min(x, axis=axis, keepdims=keepdims), _extremum_rule, numpy=np.min
)


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    m = np.max(x, axis=axis, keepdims=True)
    m = np.where(np.isfinite(m), m, 0)  # all entries -inf: the sum is 0 and its log -inf, not NaN
    y = np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True)) + m
    return y if keepdims else np.sum(y, axis=axis)


logsumexp = op(
    "logsumexp",
    _logsumexp,
    lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * np.exp(x - spread(y, x, axis, keepdims)),
    doc="log(sum(exp(x))), without overflow.",
)
cumsum_ = op(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis),
    lambda g, y, x, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis),
)
argmax = op("argmax", lambda x, axis=None, keepdims=False: np.argmax(x, axis=axis, keepdims=keepdims), numpy=np.argmax)
argmin = op("argmin", lambda x, axis=None, keepdims=False: np.argmin(x, axis=axis, keepdims=keepdims), numpy=np.argmin)
all = op("all", lambda x, axis=None, keepdims=False: np.all(x, axis=axis, keepdims=keepdims), numpy=np.all)
any = op("any", lambda x, axis=None, keepdims=False: np.any(x, axis=axis, keepdims=keepdims), numpy=np.any)

norm2 = op(
    "norm2",
    lambda x, axis=None, keepdims=False: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
    # x / |x|, and 0 at the origin: the subgradient of least norm
    lambda g, y, x, axis=None, keepdims=False: spread(g / np.where(y == 0, 1, y), x, axis, keepdims) * x,
    doc="The Euclidean norm over ``axis``, with gradient 0 at the origin.",
)


@composite(np.cumsum)
def cumsum(x: Any, axis: int | None = None) -> Any:
    """The running sum along ``axis``, or of the flattened array."""
    return cumsum_(np.reshape(x, (-1,)), 0) if axis is None else cumsum_(x, axis)


@composite(np.var)
def var(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The mean square deviation from the mean, over n - ddof."""
    deviations = square(x - mean(x, axis=axis, keepdims=True))
    y = mean(deviations, axis=axis, keepdims=keepdims)
    if not ddof:
        return y
    n = deviations.size // (y.size or 1)
    if n <= ddof:
        raise ValueError(f"var: {n} values leave no degree of freedom with ddof={ddof}")
    return y * (n / (n - ddof))


@composite(np.std)
def std(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The square root of ``var``."""
    return sqrt(var(x, axis=axis, ddof=ddof, keepdims=keepdims))


@composite(np.prod)
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The product, as a balanced tree of multiplications: right at zeros, in every order of derivative."""
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    kept = tuple(x.shape[a] for a in rest)
    n = math.prod(x.shape[a] for a in axes)
    y = np.reshape(np.transpose(x, (*axes, *rest)), (n, *kept)) if n else np.ones_like(x, shape=(1, *kept))
    while y.shape[0] > 1:
        half = y.shape[0] // 2
        pairs = y[:half] * y[half : 2 * half]
        y = np.concatenate([pairs, y[2 * half :]]) if y.shape[0] % 2 else pairs
    return np.reshape(y, tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else kept)


@composite(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A vector norm over ``axis``: ``ord`` = 2 (the default, also "fro" over two axes), 1, any p > 0, or infinity.

    Raises:
        ValueError: a matrix norm that is not the Frobenius norm.
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
