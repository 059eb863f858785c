"""Normalization, group by group."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.ops.table.case import arguments, case, distinct, ones, smooth


def loop_normalize(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, axes: tuple[int, ...], eps: float
) -> np.ndarray:
    """Group by group."""
    y, kept = np.empty_like(x), [a for a in range(x.ndim) if a not in axes]
    for index in np.ndindex(*(x.shape[a] for a in kept)):
        where: list[Any] = [slice(None)] * x.ndim
        for a, i in zip(kept, index, strict=True):
            where[a] = i
        group = x[tuple(where)]
        y[tuple(where)] = (group - group.sum() / group.size) / math.sqrt(
            ((group - group.mean()) ** 2).sum() / group.size + eps
        )
    return y * weight + bias


case(
    "normalize",
    loop_normalize,
    st.sampled_from(
        [
            ((4, 3), (0,), (1, 3)),
            ((2, 3, 4), (0, 2), (1, 3, 1)),
            ((3, 2, 2, 3), (0, 2, 3), (1, 2, 1, 1)),
            ((2, 5), (1,), (5,)),
            ((3, 1), (0, 1), (1,)),
        ]
    ).flatmap(
        lambda p: arguments(
            distinct(p[0]), smooth(p[2], -2, 2), smooth(p[2], -2, 2), keywords=st.just({"axes": p[1], "eps": 0.1})
        )
    ),
    errors=(
        (lambda f: f(ones(2, 3), axes=(5,), eps=0.1), ValueError, r"of \(2, 3\): axis 5 is out of bounds"),
        (
            lambda f: f(ones(2, 3), ones(2), axes=(0,), eps=0.1),
            ValueError,
            r"of \(2, 3\) and \(2,\): operands could not",
        ),
        (lambda f: f(ones(2, 3), None, ones(2), axes=(0,), eps=0.1), ValueError, r"of \(2, 3\) and \(2,\): operands"),
        (
            lambda f: f(ones(4, 3, 80, 80), ones(1, 4, 1, 1), axes=(0, 2, 3), eps=0.1),
            ValueError,
            r"of \(4, 3, 80, 80\) and \(1, 4, 1, 1\): operands could not be broadcast",
        ),
    ),
)
