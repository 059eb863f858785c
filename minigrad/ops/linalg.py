"""Linear algebra, over the last two axes and broadcasting over the leading ones.

The rules are those of Giles, "Collected matrix derivative results" (2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.arrays.backend import TensorLike
from minigrad.core.backward import sum_rows
from minigrad.core.graph import Tensor
from minigrad.core.table import composite, op
from minigrad.ops.shapes import diagonal, reshape, transpose

__all__ = [
    "SlogdetResult", "T", "as_matrix", "cholesky", "col", "contract", "det", "detsign", "dot", "einsum", "inv",
    "linear", "logabsdet", "matmul", "outer", "slogdet", "solve", "tensordot",
]  # fmt: skip


def T(x: Any) -> Any:
    """The transpose of each matrix."""
    return x.swapaxes(-1, -2)


def as_matrix(x: Any) -> Any:
    """All leading axes as one: a stack of matrices as one tall matrix."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def col(x: Any) -> Any:
    """Each vector as a matrix of one column."""
    return x[..., None]


# ------------------------------------------------------------------------------------------------------ products
def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    """g b^T, since y_ij = sum_k a_ik b_kj."""
    if b.ndim == 1:
        return g * b if a.ndim == 1 else col(g) * b
    return np.matmul(b, col(g))[..., 0] if a.ndim == 1 else matmul(g, T(b))


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    """a^T g."""
    if a.ndim == 1:
        return a * g if b.ndim == 1 else col(a) * g[..., None, :]
    if b.ndim == 1:
        return np.matmul(T(a), col(g))[..., 0]
    if b.ndim == 2:
        return T(as_matrix(a)) @ as_matrix(g)  # sums over the leading axes of a in the product itself
    return np.matmul(T(a), g)


@op(_matmul_a, _matmul_b, forward=np.matmul)
def matmul(a: TensorLike, b: TensorLike) -> Any:
    """The matrix product ``a @ b``: sum_k a_ik b_kj, of shapes (..., n, k) and (..., k, m) to (..., n, m).

    A first argument of one axis is a row, a second one a column; their axis is gone from the result.

    Raises:
        ValueError: the inner lengths differ, or the leading axes do not broadcast.

    >>> import minigrad as mg
    >>> A, x = mg.tensor([[1.0, 2.0], [3.0, 4.0]]), mg.tensor([1.0, 1.0])
    >>> mg.matmul(A, x), mg.matmul(x, A), x @ x
    (Tensor([3., 7.]), Tensor([4., 6.]), Tensor(2.))
    """


@op(
    lambda g, y, x, W, b=None: matmul(g, W),
    lambda g, y, x, W, b=None: T(as_matrix(g)) @ as_matrix(x),
    lambda g, y, x, W, b=None: sum_rows(as_matrix(g)),
)
def linear(x: Any, W: Any, b: Any = None) -> Any:
    """x @ W.T + b for x of shape (..., in), W of shape (out, in) and b of shape (out,) or None.

    Raises:
        ValueError: the last axes of x and W differ.

    >>> import minigrad as mg
    >>> x, W, b = mg.tensor([[1.0, 2.0]]), mg.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), mg.tensor([0.0, 0.0, 10.0])
    >>> mg.linear(x, W, b)
    Tensor([[ 1.,  2., 13.]])
    """
    y = x @ T(W)
    return y if b is None else y + b


@composite(np.dot)
def dot(a: Any, b: Any) -> Tensor:
    """sum_k a_..k b_..k.: the last axis of ``a`` against the last but one of ``b``, in every combination of the others.

    Raises:
        ValueError: those two axes differ in length.

    >>> import minigrad as mg
    >>> mg.dot(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0])), mg.dot(mg.ones((2, 3)), mg.ones((5, 3, 4))).shape
    (Tensor(11.), (2, 5, 4))
    """
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, axes=((-1,), (-2,)))


@composite(np.outer)
def outer(a: Any, b: Any) -> Tensor:
    """a_i b_j of the flattened arguments.

    >>> import minigrad as mg
    >>> mg.outer(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    Tensor([[3., 4.],
            [6., 8.]])
    """
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@composite(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: the last ``axes`` of a with the first of b, or the given pairs.

    The result has the axes of a that are left, then those of b.

    Raises:
        ValueError: the axes of a pair differ in length.

    >>> import minigrad as mg
    >>> a, b = mg.ones((2, 3, 4)), mg.ones((4, 3))
    >>> mg.tensordot(a, b, axes=((1, 2), (1, 0)))
    Tensor([12., 12.])
    """
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


# --------------------------------------------------------------------------------------- solving and factorizing
@op(lambda g, y, A: -T(y) @ g @ T(y), forward=np.linalg.inv)
def inv(A: TensorLike) -> Any:
    """The inverse of each square matrix on the last two axes: A of shape (..., n, n), the result too.

    Raises:
        LinAlgError: a matrix is singular, or not square.

    >>> import minigrad as mg
    >>> mg.inv(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """


def _solve_b(g: Any, A: Any, b: Any) -> Any:
    """A^-T g, as another system."""
    return solve(T(A), col(g))[..., 0] if b.ndim == 1 else solve(T(A), g)


def _solve_A(g: Any, y: Any, A: Any, b: Any) -> Any:
    """-A^-T g y^T, since A dy = -dA y."""
    w = _solve_b(g, A, b)
    return -col(w) * y[..., None, :] if b.ndim == 1 else -np.matmul(w, T(y))


@op(_solve_A, lambda g, y, A, b: _solve_b(g, A, b), numpy=np.linalg.solve)
def solve(A: Any, b: Any) -> Any:
    """The x with A x = b, for A of shape (..., n, n) and b of shape (n,) or (..., n, k); more accurate than inv(A) @ b.

    Raises:
        LinAlgError: a matrix is singular, or not square.
        ValueError: A and b differ in n, or their leading axes do not broadcast.

    >>> import minigrad as mg
    >>> mg.solve(mg.tensor([[2.0, 0.0], [0.0, 4.0]]), mg.tensor([2.0, 2.0]))
    Tensor([1. , 0.5])
    """
    B = col(b) if b.ndim == 1 else b
    if A.shape[:-2] != B.shape[:-2]:  # CuPy's solve does not broadcast
        stack = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        A, B = np.broadcast_to(A, stack + A.shape[-2:]), np.broadcast_to(B, stack + B.shape[-2:])
    x = np.linalg.solve(A, B)
    return x[..., 0] if b.ndim == 1 else x


@op(lambda g, y, A: col(col(g * y)) * T(inv(A)), forward=np.linalg.det)
def det(A: TensorLike) -> Any:
    """The determinant of each square matrix on the last two axes: A of shape (..., n, n), the result (...).

    Its gradient is det(A) A^-T, so a singular matrix has a determinant, but raises LinAlgError on the way back.

    Raises:
        LinAlgError: a matrix is not square.

    >>> import minigrad as mg
    >>> mg.det(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(-2.)
    """


@op(lambda g, y, A: col(col(g)) * T(inv(A)))
def logabsdet(A: Any) -> Any:
    """log|det A| of each square matrix; its gradient is A^-T.

    >>> import minigrad as mg
    >>> from minigrad.ops.linalg import logabsdet
    >>> mg.grad(logabsdet)(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return np.linalg.slogdet(A)[1]


@op()
def detsign(A: Any) -> Any:
    """The sign of det A of each square matrix: 1, -1, or 0 for a singular one.

    >>> import minigrad as mg
    >>> from minigrad.ops.linalg import detsign
    >>> detsign(mg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    Tensor(-1.)
    """
    return np.linalg.slogdet(A)[0]


class SlogdetResult(NamedTuple):
    """The sign and the logarithm of the absolute value of a determinant."""

    sign: Tensor
    logabsdet: Tensor


@composite(np.linalg.slogdet)
def slogdet(A: Any) -> SlogdetResult:
    """(sign, log|det A|), safe where the determinant itself would over- or underflow.

    Raises:
        LinAlgError: a matrix is not square; or singular, on the way back.

    >>> import minigrad as mg
    >>> mg.slogdet(mg.eye(2) * 1e-30)  # the determinant is 1e-60, which float32 rounds to 0
    SlogdetResult(sign=Tensor(1.), logabsdet=Tensor(-138.1551))
    """
    return SlogdetResult(detsign(A), logabsdet(A))


def _cholesky_rule(g: Any, L: Any, A: Any) -> Any:
    """Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10: symmetric, as A is."""
    P = np.tril(np.matmul(T(L), g))
    P = P - 0.5 * P * np.eye(P.shape[-1], dtype=P.dtype, like=P)
    S = solve(T(L), T(solve(T(L), T(P + T(P)))))
    return 0.5 * S


@op(_cholesky_rule, forward=np.linalg.cholesky)
def cholesky(A: TensorLike) -> Any:
    """The lower triangular L with L L^T = A, for each symmetric positive definite A of shape (..., n, n).

    Only the lower triangle of A is read. The gradient is symmetric: it is that of a change of A that keeps it so.

    Raises:
        LinAlgError: a matrix is not positive definite, or not square.

    >>> import minigrad as mg
    >>> mg.cholesky(mg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    Tensor([[2., 0.],
            [1., 2.]])
    """


# -------------------------------------------------------------------------------------------------------- einsum
def _contract_rule(i: int, g: Any, y: Any, *xs: Any, subscripts: str) -> Any:
    """The cotangent of an operand is the contraction of g with the other operands, onto that operand's letters."""
    inputs, output = subscripts.split("->")
    names = inputs.split(",")
    others = [(name, x) for k, (name, x) in enumerate(zip(names, xs, strict=True)) if k != i]
    known = set(output).union(*(name for name, _ in others))
    lost = [k for k, letter in enumerate(names[i]) if letter not in known]  # summed away: every entry gets the same
    if lost:
        shape = tuple(xs[i].shape[k] for k in lost)
        others.append(("".join(names[i][k] for k in lost), np.ones_like(xs[i], shape=shape)))
    spec = ",".join([output, *(name for name, _ in others)]) + "->" + names[i]
    return contract(g, *(x for _, x in others), subscripts=spec)


@op(each=_contract_rule)
def contract(*operands: Any, subscripts: str) -> Any:
    """The einsum whose subscripts are in full: an explicit output, no dots, and no letter twice in one operand.

    The sum of products over the letters that are not in the output; every einsum is one of these, of diagonals.

    >>> import minigrad as mg
    >>> from minigrad.ops.linalg import contract
    >>> contract(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]), subscripts="i,i->")
    Tensor(11.)
    """
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)


@composite(np.einsum)
def einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Tensor:
    """Einstein summation, as ``numpy.einsum``: with ``...``, repeated letters and an implicit output.

    ``optimize`` is NumPy's, and ignored: the order of three or more operands is always optimized.

    Raises:
        ValueError: the subscripts do not fit the operands.

    >>> import minigrad as mg
    >>> A, x = mg.tensor([[1.0, 2.0], [3.0, 4.0]]), mg.tensor([1.0, 10.0])
    >>> mg.einsum("ij,j->i", A, x), mg.einsum("ij->j", A), mg.einsum("ii", A)
    (Tensor([21., 43.]), Tensor([4., 6.]), Tensor(5.))
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
    return contract(*xs, subscripts=",".join(names) + "->" + output)


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
