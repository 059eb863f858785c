"""Products, inverses and factorizations of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad as mg
from tests.ops.table.case import Wrong, arguments, case, ones, smooth, surplus, too_many, unexpected

MATMUL = st.sampled_from(
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((1, 3), (3, 2)),
        ((4, 1), (1, 3)),
        ((2, 2, 3), (3, 2)),
        ((2, 3), (4, 3, 2)),
        ((2, 1, 2, 3), (4, 3, 1)),
        ((2, 2, 3), (3,)),
        ((3,), (2, 3, 4)),
        ((2, 0), (0, 3)),
        ((0, 2), (2, 3)),
    ]
)
products = MATMUL.flatmap(lambda p: arguments(smooth(p[0], -2, 2), smooth(p[1], -2, 2)))
case(
    "matmul",
    np.matmul,
    products,
    errors=(
        (
            lambda f: f(ones(2, 3), ones(2, 3)),
            ValueError,
            r"of \(2, 3\) and \(2, 3\): .*did you mean a @ b.swapaxes\(-1, -2\)\?",
        ),
        (lambda f: f(ones(2, 3), ones(2)), ValueError, r"of \(2, 3\) and \(2,\): .*size 2 is different from 3"),
        (lambda f: f(ones(2, 3), mg.tensor(2.0)), ValueError, r"of \(2, 3\) and \(\): .*not have enough dimensions"),
    ),
)
case(
    "dot",
    np.dot,
    st.one_of(
        products.filter(lambda a: a[0][0].ndim < 3 and a[0][1].ndim < 4),
        arguments(smooth((2, 3), -2, 2), smooth((4, 3, 2), -2, 2)),
    ),
    errors=(
        (lambda f: f(ones(2), ones(3)), ValueError, r"^matmul of \(2,\) and \(3,\): .*size 3 is different from 2"),
        (
            lambda f: f(ones(2, 3), ones(4, 4, 2)),
            ValueError,
            r"^tensordot of \(2, 3\) and \(4, 4, 2\): .*differ in length",
        ),
    ),
)
case("outer", np.outer, arguments(smooth((3,), -2, 2), smooth((2, 2), -2, 2)), errors=(surplus("outer", 2),))
case(
    "tensordot",
    np.tensordot,
    st.sampled_from(
        [((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2, 3, 4), (4, 3), ((1, 2), (1, 0))), ((2,), (3,), 0)]
    ).flatmap(lambda p: arguments(smooth(p[0], -2, 2), smooth(p[1], -2, 2), keywords=st.just({"axes": p[2]}))),
    errors=(
        (
            lambda f: f(ones(2, 3), ones(2, 3), 1),
            ValueError,
            r"^tensordot of \(2, 3\) and \(2, 3\): the paired axes \(1,\) and \(0,\) differ in length",
        ),
        (lambda f: f(ones(2, 3), ones(3, 2), ((0, 1), (0,))), ValueError, r"\(0, 1\) and \(0,\) differ in length"),
    ),
)
case(
    "linear",
    lambda x, W, b=None: x @ W.T + (0 if b is None else b),
    st.sampled_from([(4,), (1, 4), (3, 4), (2, 3, 4), (0, 4)]).flatmap(
        lambda s: st.one_of(
            arguments(smooth(s, -2, 2), smooth((5, 4), -2, 2), smooth((5,), -2, 2)),
            arguments(smooth(s, -2, 2), smooth((5, 4), -2, 2)),
        )
    ),
    errors=(
        (
            lambda f: f(ones(2, 3), ones(3, 4)),
            ValueError,
            r"of \(2, 3\) and \(3, 4\): .*linear computes x @ W.T, so W is \(out, in\) = \(4, 3\) here, not \(3, 4\)",
        ),
        (lambda f: f(ones(2, 3), ones(4, 5)), ValueError, r"of \(2, 3\) and \(4, 5\): .*size 3 is different from 5"),
        (
            lambda f: f(ones(2, 3), ones(4, 3), ones(3)),
            ValueError,
            r"of \(2, 3\) and \(4, 3\) and \(3,\): operands could",
        ),
    ),
)
EINSUMS = [("ij,jk->ik", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("i,j", (2,), (3,)), ("ij,ij->i", (2, 3), (2, 3)),
           ("...i,...i->...", (2, 3), (3,)), ("bij,bjk", (2, 2, 3), (2, 3, 2)), ("ij,k->i", (2, 3), (4,)), ("iij,j->ij", (2, 2, 3), (3,)), ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
           ("...ij->...ji", (2, 3, 2))]  # fmt: skip


def einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


case(
    "einsum",
    einsum,
    st.sampled_from(EINSUMS).flatmap(
        lambda e: arguments(*[smooth(s, -2, 2) for s in e[1:]], keywords=st.just({"subscripts": e[0]}))
    ),
    errors=(
        (lambda f: f("ij,jk->ik", ones(2, 3)), ValueError, "^einsum: 'ij,jk->ik' names 2 operands, but 1 were given"),
        (
            lambda f: f("i->i", ones(2, 3)),
            ValueError,
            r"^einsum: 'i' does not name every axis of operands with \[2\] axes",
        ),
        (lambda f: f("ij,jk->ik", ones(2, 3), ones(2, 3)), ValueError, r"^contract of \(2, 3\) and \(2, 3\): operands"),
        (lambda f: f("ij->k", ones(2, 3)), ValueError, r"^contract of \(2, 3\): .*output subscript 'k' which never"),
    ),
)
case(
    "contract",
    einsum,
    st.sampled_from(
        [
            e
            for e in EINSUMS
            if "->" in e[0] and "." not in e[0] and all(len(set(n)) == len(n) for n in e[0].split("->")[0].split(","))
        ]
    ).flatmap(lambda e: arguments(*[smooth(s, -2, 2) for s in e[1:]], keywords=st.just({"subscripts": e[0]}))),
    errors=(
        (lambda f: f(ones(2), ones(3), subscripts="i,i->"), ValueError, r"of \(2,\) and \(3,\): operands could not"),
        (lambda f: f(ones(2), subscripts="i->j"), ValueError, r"of \(2,\): .*'j' which never appeared in an input"),
    ),
)


def regular(shape: tuple[int, ...]) -> Any:
    """Well-conditioned square matrices."""
    return smooth(shape, -1, 1).map(lambda A: A + 4 * np.eye(shape[-1]))


SQUARE = st.sampled_from([(1, 1), (3, 3), (2, 2, 2), (2, 1, 3, 3)])
REGULAR = SQUARE.flatmap(lambda s: arguments(regular(s)))
NOT_SQUARE: Wrong = (lambda f: f(ones(2, 3)), np.linalg.LinAlgError, "must be square")
SINGULAR: Wrong = (lambda f: f(ones(2, 2)), np.linalg.LinAlgError, "Singular matrix")
case("inv", np.linalg.inv, REGULAR, errors=(*too_many("A"), NOT_SQUARE, SINGULAR))
case("det", np.linalg.det, REGULAR, errors=(*too_many("A"), NOT_SQUARE))
case(
    "slogdet",
    lambda A: tuple(np.linalg.slogdet(A)),
    REGULAR,
    errors=(surplus("slogdet", 1), unexpected("slogdet", "axis")),
)
case("logabsdet", lambda A: np.linalg.slogdet(A)[1], REGULAR, errors=(*too_many("A"), NOT_SQUARE))
case("detsign", lambda A: np.linalg.slogdet(A)[0], REGULAR, order=0, errors=(*too_many("A"), NOT_SQUARE))
case(
    "solve",
    np.linalg.solve,
    st.sampled_from(
        [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)), ((2, 3, 3), (3,)), ((3, 3), (2, 3, 1))]
    ).flatmap(lambda p: arguments(regular(p[0]), smooth(p[1], -2, 2))),
    errors=(
        (lambda f: f(mg.eye(3), ones(2)), ValueError, r"of \(3, 3\) and \(2,\): .*size 2 is different from 3"),
        (lambda f: f(ones(2, 3, 3), ones(4, 3, 1)), ValueError, r"of \(2, 3, 3\) and \(4, 3, 1\): shape mismatch"),
        (lambda f: f(ones(2, 3), ones(2)), np.linalg.LinAlgError, "must be square"),
        (lambda f: f(ones(2, 2), ones(2)), np.linalg.LinAlgError, "Singular matrix"),
    ),
)
case(
    "cholesky",
    np.linalg.cholesky,
    SQUARE.flatmap(lambda s: arguments(regular(s).map(lambda A: A @ A.swapaxes(-1, -2)))),
    errors=(
        *too_many("A"),
        NOT_SQUARE,
        (lambda f: f(-mg.eye(2)), np.linalg.LinAlgError, "not positive definite"),
    ),
)
