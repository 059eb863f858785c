"""Choices between entries, comparisons and steps."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.ops.table.case import PAIR, SHAPES, TEXT, arguments, binary, case, distinct, ones, smooth, too_many, unary

for name in ("absolute", "sign", "floor", "ceil"):
    case(name, getattr(np, name), unary(-3, 3, distinct), errors=too_many("x"))
case(
    "round",
    np.round,
    unary(-3, 3, distinct, keywords=st.fixed_dictionaries({"decimals": st.just(0)})),
    errors=(*too_many("x, decimals"), (lambda f: f(ones(2), 0.5), TypeError, r"of \(2,\): 'float' object cannot be")),
)
for name in ("remainder", "floor_divide"):
    case(name, getattr(np, name), SHAPES.flatmap(lambda s: arguments(distinct(s), smooth(s, 2.5, 3))), errors=PAIR)
for name in ("maximum", "minimum"):
    pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=1, max_side=3)
    case(
        name,
        getattr(np, name),
        pairs.flatmap(
            lambda p: arguments(
                distinct(p.input_shapes[0]), distinct(p.input_shapes[1]).map(lambda x: np.asarray(x + 1e-3))
            )
        ),
        errors=PAIR,
    )
for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    case(name, getattr(np, name), binary(-2, 2), order=0, errors=PAIR)
bools = SHAPES.flatmap(lambda s: arguments(hnp.arrays(np.bool_, s), hnp.arrays(np.bool_, s)))
case("logical_and", np.logical_and, bools, order=0, errors=PAIR)
case("logical_or", np.logical_or, bools, order=0, errors=PAIR)
case(
    "logical_not",
    np.logical_not,
    SHAPES.flatmap(lambda s: arguments(hnp.arrays(np.bool_, s))),
    order=0,
    errors=(*too_many("x"), TEXT),
)
with_specials = SHAPES.flatmap(
    lambda s: arguments(hnp.arrays(np.float64, s, elements=st.sampled_from([0.0, 1.5, np.nan, np.inf, -np.inf])))
)
for name in ("isfinite", "isnan", "isinf"):
    case(name, getattr(np, name), with_specials, order=0, errors=(*too_many("x"), TEXT))
case(
    "where",
    np.where,
    SHAPES.flatmap(lambda s: arguments(hnp.arrays(np.bool_, s), smooth(s, -2, 2), smooth(s, -2, 2))),
    errors=(
        (
            lambda f: f(ones(2) > 0, ones(2), ones(3)),
            ValueError,
            r"of \(2,\) and \(2,\) and \(3,\): operands could not",
        ),
        (lambda f: f(ones(2) > 0, 1.0), ValueError, r"of \(2,\): either both or neither of x and y"),
        *too_many("condition, a, b"),
    ),
)
case(
    "clip",
    np.clip,
    unary(-2, 2, distinct, tail=st.sampled_from([(-0.5, 1.0), (None, 0.5), (-1.0, None)])),
    errors=(
        (lambda f: f(ones(2), a_min=0), TypeError, r"takes \(x, min, max\), not a_min$"),
        (lambda f: f(ones(2, 3), ones(2)), ValueError, r"of \(2, 3\) and \(2,\): operands could not be broadcast"),
    ),
)
