"""Entries by their indices, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.ops.table.case import FULL_SHAPES, arguments, case, ones, shaped, smooth


def indices(shape: tuple[int, ...]) -> Any:
    """Slices, integers, new axes, dots, integer arrays with duplicates, and masks."""
    n = shape[0]
    integers = hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3), elements=st.integers(-n, n - 1)
    )
    mask = hnp.arrays(np.bool_, (n,))
    last = hnp.arrays(np.int64, (2,), elements=st.integers(0, shape[-1] - 1))
    choices = [
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
        integers,
        mask,
        integers.map(lambda i: (i, Ellipsis)),
        integers.map(lambda i: (i, None)),
        last.map(lambda i: (Ellipsis, i)),
    ]
    if len(shape) == 3:
        choices += [last.map(lambda i: (0, slice(None), i)), last.map(lambda i: (slice(None), i % shape[1], i))]
    return st.one_of(choices)


def getitem(x: np.ndarray, index: Any) -> np.ndarray:
    return x[index]


case(
    "getitem",
    getitem,
    FULL_SHAPES.flatmap(
        lambda s: arguments(
            smooth(s, -2, 2),
            keywords=st.fixed_dictionaries({"index": indices(s).map(lambda i: i if isinstance(i, tuple) else (i,))}),
        )
    ),
    errors=(
        (lambda f: f(ones(2, 3), 5), IndexError, r"of \(2, 3\): index 5 is out of bounds for axis 0 with size 2"),
        (lambda f: f(ones(2, 3), np.array([5])), IndexError, r"of \(2, 3\) and \(1,\): index 5 is out of bounds"),
        (lambda f: f(ones(2, 3), 0, 0, 0), IndexError, r"of \(2, 3\): too many indices .* 3 were indexed"),
        (lambda f: f(ones(2, 3), 1.0), IndexError, r"of \(2, 3\): only integers, slices"),
        (lambda f: f(ones(2, 3), np.ones(3, bool)), IndexError, r"of \(2, 3\) and \(3,\): boolean index did not match"),
    ),
)


def add_at(g: np.ndarray, index: Any, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


def scattered(shape: tuple[int, ...]) -> Any:
    return (
        indices(shape)
        .map(lambda i: i if isinstance(i, tuple) else (i,))
        .flatmap(
            lambda index: arguments(
                smooth(np.zeros(shape)[index].shape, -2, 2), keywords=st.just({"index": index, "shape": shape})
            )
        )
    )


case(
    "add_at",
    add_at,
    FULL_SHAPES.flatmap(scattered),
    errors=(
        (lambda f: f(ones(3), slice(0, 2), shape=(4,)), ValueError, r"of \(3,\): .* shape \(3,\) into shape \(2,\)"),
        (lambda f: f(ones(2), np.array([0, 9]), shape=(4,)), IndexError, "index 9 is out of bounds .* with size 4"),
    ),
)
case(
    "take",
    np.take,
    shaped(lambda s: hnp.arrays(np.int64, (2, 2), elements=st.integers(0, s[0] - 1)).map(lambda i: (i, 0))),
    errors=(
        (lambda f: f(ones(2, 3), [5], 0), IndexError, r"^getitem of \(2, 3\) and \(1,\): index 5 is out of bounds"),
        (lambda f: f(ones(2, 3), [0.5], 0), IndexError, r"^getitem of \(2, 3\) and \(1,\): .* of integer"),
    ),
)
case(
    "take_along_axis",
    np.take_along_axis,
    shaped(lambda s: hnp.arrays(np.int64, (*s[:-1], 2), elements=st.integers(0, s[-1] - 1)).map(lambda i: (i, -1))),
    errors=(
        (
            lambda f: f(ones(2, 3), np.array([0]), 1),
            ValueError,
            "^take_along_axis: x has 2 axes and indices 1; they must",
        ),
        (
            lambda f: f(ones(2, 3), np.array([[7], [0]]), 1),
            IndexError,
            "index 7 is out of bounds for axis 1 with size 3",
        ),
    ),
)
