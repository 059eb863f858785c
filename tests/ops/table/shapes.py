"""The same numbers in other shapes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from tests.ops.table.case import (
    AXIS,
    FULL_SHAPES,
    MATRICES,
    SHAPES,
    arguments,
    axes_of,
    axis_of,
    case,
    ones,
    shaped,
    smooth,
    surplus,
    too_many,
    unary,
    unexpected,
)

case(
    "reshape",
    np.reshape,
    shaped(
        lambda s: st.sampled_from([((-1,),), ((math.prod(s), 1),), (s[::-1],), ((1, *s),)]),
        SHAPES.filter(lambda s: 0 not in s),
    ),
    errors=(
        (lambda f: f(ones(2, 3), 4), ValueError, r"of \(2, 3\): cannot reshape array of size 6 into shape \(4,\)"),
        (lambda f: f(ones(2, 3), (-1, -1)), ValueError, r"of \(2, 3\): can only specify one unknown dimension"),
        (lambda f: f(ones(2, 3), 3, 2), TypeError, r"takes \(x, shape\), not 3 arguments$"),
    ),
)
case("ravel", np.ravel, unary(-2, 2), errors=(surplus("ravel", 1), unexpected("ravel", "order")))
case(
    "transpose",
    np.transpose,
    shaped(lambda s: st.one_of(st.just(()), st.permutations(range(len(s))).map(lambda p: (tuple(p),)))),
    errors=(
        (lambda f: f(ones(2, 3), (0, 0)), ValueError, r"of \(2, 3\): repeated axis"),
        (lambda f: f(ones(2, 3, 4), (1, 0)), ValueError, r"of \(2, 3, 4\): axes don't match array"),
        (lambda f: f(ones(2, 3), 0, 1), TypeError, r"takes \(x, axes\), not 3 arguments$"),
    ),
)
case(
    "swapaxes",
    np.swapaxes,
    shaped(lambda s: st.tuples(axis_of(s), axis_of(s))),
    errors=((lambda f: f(ones(2, 3), 0, 5), ValueError, r"of \(2, 3\): axis2: axis 5 is out of bounds"),),
)
case(
    "moveaxis",
    np.moveaxis,
    shaped(lambda s: st.tuples(axis_of(s), axis_of(s))),
    errors=((lambda f: f(ones(2, 3), (0, 1), 0), ValueError, "^moveaxis: 2 axes cannot go to 1 places"),),
)
case(
    "expand_dims",
    np.expand_dims,
    shaped(lambda s: st.one_of(st.integers(-len(s) - 1, len(s)), st.just((0, -1))).map(lambda a: (a,))),
    errors=(
        (lambda f: f(ones(2, 3), 5), ValueError, r"of \(2, 3\): axis 5 is out of bounds"),
        (lambda f: f(ones(2, 3), (0, 0)), ValueError, r"of \(2, 3\): repeated axis"),
    ),
)
case(
    "squeeze",
    np.squeeze,
    shaped(lambda s: st.sampled_from([(), *[(k,) for k, n in enumerate(s) if n == 1]])),
    errors=(
        AXIS,
        (lambda f: f(ones(2, 1), 0), ValueError, r"of \(2, 1\): cannot select an axis .* size not equal to one"),
    ),
)
case(
    "broadcast_to",
    np.broadcast_to,
    shaped(lambda s: st.sampled_from([((2, *s),), (tuple(3 if n == 1 else n for n in s),)])),
    errors=(
        (lambda f: f(ones(2), (3,)), ValueError, r"of \(2,\): .* requested shape \(3,\)"),
        (lambda f: f(ones(2, 3), (3,)), ValueError, r"of \(2, 3\): input operand has more dimensions"),
    ),
)
case("flip", np.flip, shaped(lambda s: axes_of(len(s)).map(lambda a: (a,))), errors=(AXIS, *too_many("x, axis")))
case(
    "roll",
    np.roll,
    shaped(lambda s: st.tuples(st.integers(-4, 4), axes_of(len(s)))),
    errors=(
        (lambda f: f(ones(2, 3), 1, axis=5), ValueError, r"of \(2, 3\): axis 5 is out of bounds"),
        (lambda f: f(ones(2, 3), (1, 2, 3), (0, 1)), ValueError, r"of \(2, 3\): .*shape \(3,\) and .*shape \(2,\)"),
    ),
)
for name in ("tril", "triu"):
    band = shaped(lambda s: st.tuples(st.integers(-2, 2)), MATRICES)
    case(name, getattr(np, name), band, errors=too_many("x, k"))
case(
    "pad",
    np.pad,
    FULL_SHAPES.flatmap(
        lambda s: arguments(
            smooth(s, -2, 2),
            tail=st.sampled_from([(1,), (((0, 2),) * len(s),)]),
            keywords=st.fixed_dictionaries({"constant_values": st.sampled_from([0, 1.5])}),
        )
    ),
    errors=(
        (lambda f: f(ones(2, 3), 1, mode="edge"), ValueError, r"of \(2, 3\): mode 'edge' .* only 'constant'"),
        (lambda f: f(ones(2, 3), -1), ValueError, r"of \(2, 3\): index can't contain negative values"),
        (lambda f: f(ones(2, 3), ((1, 1),) * 3), ValueError, r"of \(2, 3\): .*\(3,2\)  and requested shape \(2,2\)"),
    ),
)
case(
    "tile",
    np.tile,
    shaped(lambda s: st.sampled_from([(2,), ((1, 2),), ((2, 1, 2, 1),)])),
    errors=(
        unexpected("tile", "axis"),
        (lambda f: f(ones(2), -1), ValueError, r"^broadcast_to of \(1, 2\): .* must be non-negative"),
    ),
)
case(
    "repeat",
    np.repeat,
    shaped(lambda s: st.sampled_from([(2,), (2, 0), (3, -1), (np.arange(s[0]), 0)])),
    errors=((lambda f: f(ones(2, 3), -1), ValueError, r"^broadcast_to of \(6, 1\): .* must be non-negative"),),
)
for name in ("diagonal", "trace"):
    offsets = shaped(lambda s: st.tuples(st.integers(-2, 2), st.just(-2), st.just(-1)), MATRICES)
    case(name, getattr(np, name), offsets, errors=(surplus(name, 4), unexpected(name, "k")))
case(
    "split",
    lambda x, cuts, axis: tuple(np.split(x, cuts, axis)),
    shaped(lambda s: st.sampled_from([(s[0], 0), ([1], 0), (s[-1], -1), ([0, 1], -1)])),
    errors=(
        (lambda f: f(ones(2, 3), 2, axis=1), ValueError, "^split: an axis of length 3 does not divide into 2 equal"),
    ),
)
same = FULL_SHAPES.flatmap(
    lambda s: st.integers(1, 3).flatmap(
        lambda n: arguments(*[smooth(s, -2, 2)] * n, keywords=st.fixed_dictionaries({"axis": axis_of(s)}))
    )
)
case(
    "concatenate",
    np.concatenate,
    same,
    sequence=True,
    errors=(
        (lambda f: f([ones(2, 3), ones(2)]), ValueError, r"of \(2, 3\) and \(2,\): .*same number of dimensions"),
        (lambda f: f([ones(2, 3), ones(2, 4)]), ValueError, r"of \(2, 3\) and \(2, 4\): .*along dimension 1, .*size 3"),
        (lambda f: f([ones(2), ones(2)], axis=1), ValueError, r"of \(2,\) and \(2,\): axis 1 is out of bounds"),
        (lambda f: f([]), ValueError, "of no arrays: need at least one"),
        (lambda f: f([ones(2), ones(2)], dim=0), TypeError, r"takes \(arrays, axis\), not dim$"),
    ),
)
case(
    "stack",
    np.stack,
    same,
    sequence=True,
    errors=(
        (lambda f: f([ones(2), ones(3)]), ValueError, r"^concatenate of \(1, 2\) and \(1, 3\): .*size 2 .*size 3"),
        (lambda f: f([]), ValueError, "^concatenate of no arrays: need at least one"),
        (lambda f: f([ones(2), ones(2)], axis=5), ValueError, r"^expand_dims of \(2,\): axis 5 is out of bounds"),
    ),
)
