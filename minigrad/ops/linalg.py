"""Linear algebra, over the last two axes and broadcasting over the leading ones.

The rules are those of Giles, "Collected matrix derivative results" (2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad import batched
from minigrad.engine import sum_rows
from minigrad.ops.shapes import diagonal, reshape, transpose
from minigrad.ops.table import composite, op


def T(x: Any) -> Any:
    """The transpose of each matrix."""
    return x.swapaxes(-1, -2)


def rows(x: Any) -> Any:
    """All leading axes as one: a stack of matrices as one tall matrix."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def col(x: Any) -> Any:
    return x[..., None]


def outer_sum(a: Any, g: Any) -> Any:
    """sum_n a_n g_n^T over the rows. One row is an outer product, which NumPy's matmul does ten times too slowly."""
    if a.shape[0] != 1:
        return T(a) @ g
    return np.dot(T(a), g) if a.size * g.size < 1 << 17 else np.einsum("ni,nj->ij", a, g)


def _product(a: Any, b: Any) -> Any:
    """``a @ b``. Where a matrix is wider than it is tall, BLAS is up to 1.6 times faster on the transposed product."""
    if a.ndim == b.ndim == 2 and 1 < a.shape[0] < b.shape[1] and b.shape[0] > 1:
        return np.matmul(b.T, a.T).T
    return np.matmul(a, b)


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g * b if a.ndim == 1 else col(g) * b
    return np.matmul(b, col(g))[..., 0] if a.ndim == 1 else matmul(g, T(b))


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1:
        return a * g if b.ndim == 1 else col(a) * g[..., None, :]
    if b.ndim == 1:
        return np.matmul(T(a), col(g))[..., 0]
    if b.ndim == 2:
        return outer_sum(rows(a), rows(g))  # sums over the leading axes of a in the product itself
    return np.matmul(T(a), g)


matmul = op("matmul", _product, _matmul_a, _matmul_b, numpy=np.matmul)


def _linear(x: Any, W: Any, b: Any = None) -> Any:
    y = _product(x, T(W))
    if b is None:
        return y
    if b.dtype != y.dtype:
        return y + b
    y += b  # in place: y is ours
    return y


linear = op(
    "linear",
    _linear,
    lambda g, y, x, W, b=None: matmul(g, W),
    lambda g, y, x, W, b=None: outer_sum(rows(g), rows(x)),
    lambda g, y, x, W, b=None: sum_rows(rows(g)),
    doc="x @ W.T + b for x of shape (..., in), W of shape (out, in) and b of shape (out,) or None.",
)

# ----------------------------------------------------------------------------------- solving and factorising
inv = op("inv", np.linalg.inv, lambda g, y, A: -T(y) @ g @ T(y))
det = op("det", np.linalg.det, lambda g, y, A: col(col(g * y)) * T(inv(A)))


def _solve_b(g: Any, A: Any, b: Any) -> Any:
    return solve(T(A), col(g))[..., 0] if b.ndim == 1 else solve(T(A), g)


def _solve_A(g: Any, y: Any, A: Any, b: Any) -> Any:
    w = _solve_b(g, A, b)
    return -col(w) * y[..., None, :] if b.ndim == 1 else -np.matmul(w, T(y))


def _solve(A: Any, b: Any) -> Any:
    return batched.solve(A, col(b))[..., 0] if b.ndim == 1 else batched.solve(A, b)


solve = op("solve", _solve, _solve_A, lambda g, y, A, b: _solve_b(g, A, b), numpy=np.linalg.solve)
logabsdet_ = op("logabsdet", lambda A: np.linalg.slogdet(A)[1], lambda g, y, A: col(col(g)) * T(inv(A)))
detsign_ = op("detsign", lambda A: np.linalg.slogdet(A)[0])


class SlogdetResult(NamedTuple):
    """The sign and the logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


@composite(np.linalg.slogdet)
def slogdet(A: Any) -> SlogdetResult:
    """(sign, log|det A|), safe where the determinant itself would over- or underflow."""
    return SlogdetResult(detsign_(A), logabsdet_(A))


def _cholesky_rule(g: Any, L: Any, A: Any) -> Any:
    """Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10: symmetric, as A is."""
    P = np.tril(np.matmul(T(L), g))
    P = P - 0.5 * P * np.eye(P.shape[-1], dtype=P.dtype, like=P)
    S = solve(T(L), T(solve(T(L), T(P + T(P)))))
    return 0.5 * S


cholesky = op("cholesky", np.linalg.cholesky, _cholesky_rule)


@composite(np.dot)
def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: the last axis of ``a`` against the last but one of ``b``."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, axes=((-1,), (-2,)))


@composite(np.outer)
def outer(a: Any, b: Any) -> Any:
    """a_i b_j of the flattened arguments."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@composite(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes: the last ``axes`` of a with the first of b, or the given pairs."""
    if isinstance(axes, int):
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    over_a, over_b = normalize_axis_tuple(axes[0], a.ndim), normalize_axis_tuple(axes[1], b.ndim)
    if tuple(a.shape[i] for i in over_a) != tuple(b.shape[i] for i in over_b):
        raise ValueError(
            f"tensordot of {a.shape} and {b.shape}: the paired axes {over_a} and {over_b} differ in length"
        )
    free_a = [i for i in range(a.ndim) if i not in over_a]
    free_b = [i for i in range(b.ndim) if i not in over_b]
    n = math.prod(a.shape[i] for i in over_a)
    shape_a, shape_b = tuple(a.shape[i] for i in free_a), tuple(b.shape[i] for i in free_b)
    A = reshape(transpose(a, (*free_a, *over_a)), (math.prod(shape_a), n))
    B = reshape(transpose(b, (*over_b, *free_b)), (n, math.prod(shape_b)))
    return reshape(matmul(A, B), shape_a + shape_b)


# --------------------------------------------------------------------------------------------------- einsum
def _einsum_rule(i: int, g: Any, y: Any, *xs: Any, subscripts: str) -> Any:
    """The cotangent of an operand is the einsum of g with the other operands, onto that operand's letters."""
    inputs, output = subscripts.split("->")
    names = inputs.split(",")
    others = [(name, x) for k, (name, x) in enumerate(zip(names, xs, strict=True)) if k != i]
    known = set(output).union(*(name for name, _ in others))
    lost = [k for k, letter in enumerate(names[i]) if letter not in known]  # summed away: every entry gets the same
    if lost:
        shape = tuple(xs[i].shape[k] for k in lost)
        others.append(("".join(names[i][k] for k in lost), np.ones_like(xs[i], shape=shape)))
    spec = ",".join([output, *(name for name, _ in others)]) + "->" + names[i]
    return einsum_(g, *(x for _, x in others), subscripts=spec)


einsum_ = op(
    "einsum",
    lambda *xs, subscripts: np.einsum(subscripts, *xs, optimize=len(xs) > 2),
    each=_einsum_rule,
)


@composite(np.einsum)
def einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    """Einstein summation, as ``numpy.einsum``: with ``...``, repeated letters and an implicit output.

    Raises:
        ValueError: the subscripts do not fit the operands.
    """
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    names = inputs.split(",")
    if len(names) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} names {len(names)} operands, but {len(operands)} were given")
    spare = [c for c in "abcdefghijklmnopqrstuvwxyz" if c not in subscripts]
    names, dots = _expand_dots(names, operands, spare)
    if not arrow:
        letters = "".join(names)
        output = "..." * bool(dots) + "".join(sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1))
    output = output.replace("...", dots)
    xs = []
    for k, x in enumerate(operands):
        for c in sorted(set(names[k])):
            while names[k].count(c) > 1:  # a repeated letter is a diagonal
                first = names[k].index(c)
                second = names[k].index(c, first + 1)
                x = diagonal(x, 0, first, second)
                names[k] = names[k][:first] + names[k][first + 1 : second] + names[k][second + 1 :] + c
        xs.append(x)
    return einsum_(*xs, subscripts=",".join(names) + "->" + output)


def _expand_dots(names: list[str], operands: Sequence[Any], spare: list[str]) -> tuple[list[str], str]:
    """Letters for ``...``, counted from the right so that shorter operands broadcast."""
    ranks = [x.ndim - len(name.replace("...", "")) for name, x in zip(names, operands, strict=True)]
    if any(rank < 0 or (rank > 0 and "..." not in name) for rank, name in zip(ranks, names, strict=True)):
        raise ValueError(
            f"einsum: {','.join(names)!r} does not name every axis of operands with {[x.ndim for x in operands]} axes"
        )
    widest = max(ranks, default=0)
    dots = "".join(spare[:widest])
    return [name.replace("...", dots[widest - rank :]) for name, rank in zip(names, ranks, strict=True)], dots
