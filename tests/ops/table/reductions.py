"""Sums, means, extrema and norms."""

from __future__ import annotations

import numpy as np
import scipy.special
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.ops.table.case import (
    AXIS,
    DIM,
    EMPTY,
    FULL_SHAPES,
    SHAPES,
    TWICE,
    Wrong,
    arguments,
    axes_of,
    case,
    distinct,
    ones,
    reduced,
    smooth,
    surplus,
    too_many,
    unary,
    unexpected,
)

case("sum", np.sum, reduced(), errors=(AXIS, TWICE, DIM))
case(
    "sum_rows",
    lambda x: x.sum(axis=0),
    unary(-2, 2, shapes=st.sampled_from([(0, 2), (3, 2), (70, 3), (200, 1)])),
    errors=((lambda f: f(ones(2, 3), axis=0), TypeError, r"takes \(x\), not axis$"),),
)
case("mean", np.mean, reduced(shapes=FULL_SHAPES), errors=(AXIS, TWICE, DIM))
case("max", np.max, reduced(distinct, FULL_SHAPES), errors=(AXIS, TWICE, DIM, EMPTY))
case("min", np.min, reduced(distinct, FULL_SHAPES), errors=(AXIS, TWICE, DIM, EMPTY))
case("prod", np.prod, reduced(), errors=(unexpected("prod", "dim"), surplus("prod", 3)))
NO_FREEDOM: Wrong = (
    lambda f: f(ones(2, 3), ddof=6),
    ValueError,
    r"^var: 6 values leave no degree of freedom with ddof=6",
)
MEAN_AXIS: Wrong = (lambda f: f(ones(2, 3), axis=5), ValueError, r"^mean of \(2, 3\): axis 5 is out of bounds")
case("var", np.var, reduced(shapes=FULL_SHAPES), errors=(NO_FREEDOM, MEAN_AXIS, unexpected("var", "correction")))
case(
    "std",
    np.std,
    reduced(distinct, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=3)),
    errors=(NO_FREEDOM, MEAN_AXIS, unexpected("std", "correction")),
)
case("logsumexp", scipy.special.logsumexp, reduced(shapes=FULL_SHAPES), errors=(AXIS, TWICE, DIM, EMPTY))
case(
    "norm2",
    np.linalg.norm,
    reduced(distinct, hnp.array_shapes(min_dims=1, max_dims=2, min_side=1)),
    errors=(AXIS, TWICE, DIM),
)
case(
    "norm",
    np.linalg.norm,
    FULL_SHAPES.flatmap(
        lambda s: arguments(
            distinct(s),
            keywords=st.fixed_dictionaries(
                {"ord": st.sampled_from([None, 1, 2, 3, np.inf]), "axis": axes_of(len(s), False)}
            ),
        )
    ),
    errors=(
        (lambda f: f(ones(2, 3), ord="nuc", axis=(0, 1)), ValueError, "^norm: ord='nuc' over 2 axes is not supported"),
        (lambda f: f(ones(2, 3), ord=1), ValueError, "^norm: ord=1 over 2 axes is not supported; flatten x"),
        (lambda f: f(ones(3), ord=0), ValueError, "^norm: ord=0 over 1 axes is not supported"),
        (lambda f: f(ones(2, 3), axis=5), ValueError, r"^norm2 of \(2, 3\): axis 5 is out of bounds"),
    ),
)
case(
    "cumsum",
    np.cumsum,
    SHAPES.flatmap(
        lambda s: arguments(
            smooth(s, -2, 2), keywords=st.fixed_dictionaries({"axis": st.one_of(st.none(), axes_of(len(s), False))})
        )
    ),
    errors=(
        AXIS,
        (
            lambda f: f(ones(2, 3), (0, 1)),
            TypeError,
            r"of \(2, 3\): 'tuple' object cannot be interpreted as an integer",
        ),
        *too_many("x, axis"),
    ),
)
for name in ("argmax", "argmin"):
    case(
        name,
        getattr(np, name),
        reduced(distinct, FULL_SHAPES, several=False),
        order=0,
        errors=(
            AXIS,
            DIM,
            (lambda f: f(ones(0, 3), axis=0), ValueError, r"of \(0, 3\): attempt to get arg... of an empty sequence"),
        ),
    )
for name in ("all", "any"):
    case(
        name,
        getattr(np, name),
        reduced(lambda s, low, high: hnp.arrays(np.bool_, s)),
        order=0,
        errors=(AXIS, TWICE, DIM),
    )
