"""Softmax and losses, from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from tests.ops.table.case import (
    AXIS,
    EMPTY,
    FULL_SHAPES,
    SHAPES,
    arguments,
    axis_of,
    case,
    distinct,
    ones,
    smooth,
    too_many,
)

sigmoid = scipy.special.expit
case(
    "softmax",
    scipy.special.softmax,
    FULL_SHAPES.flatmap(lambda s: arguments(smooth(s, -3, 3), keywords=st.fixed_dictionaries({"axis": axis_of(s)}))),
    errors=(AXIS, EMPTY, *too_many("x, axis")),
)
case(
    "log_softmax",
    scipy.special.log_softmax,
    FULL_SHAPES.flatmap(lambda s: arguments(smooth(s, -3, 3), keywords=st.fixed_dictionaries({"axis": axis_of(s)}))),
    errors=(AXIS, EMPTY, *too_many("x, axis")),
)


def cross_entropy(z: np.ndarray, t: np.ndarray, reduction: str = "mean", label_smoothing: float = 0.0) -> Any:
    """From the definition, with a loop over the examples."""
    axis = min(1, z.ndim - 1)
    z = np.moveaxis(z, axis, -1)
    K = z.shape[-1]
    t = np.moveaxis(t, axis, -1) if t.dtype.kind == "f" else np.eye(K)[t]
    t = (1 - label_smoothing) * t + label_smoothing / K
    losses = np.zeros(z.shape[:-1])
    for n in np.ndindex(*losses.shape):
        losses[n] = -np.sum(t[n] * np.log(np.exp(z[n]) / np.sum(np.exp(z[n]))))
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


case(
    "softmax_cross_entropy",
    lambda z, t, smoothing, total: cross_entropy(z, t, "sum" if total else "none", smoothing) / (total or 1),
    st.sampled_from([((2, 3), (2,)), ((4, 2), (4,)), ((1, 1), (1,))]).flatmap(
        lambda p: arguments(
            smooth(p[0], -3, 3),
            tail=hnp.arrays(np.int64, p[1], elements=st.integers(0, p[0][1] - 1)).map(lambda t: (t,)),
            keywords=st.fixed_dictionaries(
                {"smoothing": st.sampled_from([0.0, 0.2]), "total": st.sampled_from([0, 3])}
            ),
        )
    ),
    errors=(
        (
            lambda f: f(ones(2, 3), mg.tensor([0, 3])),
            ValueError,
            r"of \(2, 3\) and \(2,\): .*0..2 for 3 classes, but .*0..3",
        ),
        (
            lambda f: f(ones(2, 3), ones(2)),
            TypeError,
            r"of \(2, 3\) and \(2,\): class labels must be integers, not float",
        ),
    ),
)
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SMOOTHED = st.fixed_dictionaries({"reduction": REDUCTIONS, "label_smoothing": st.sampled_from([0.0, 0.2])})
case(
    "cross_entropy",
    cross_entropy,
    st.sampled_from([((3,), ()), ((2, 3), (2,)), ((4, 2), (4,)), ((2, 3, 2), (2, 2))]).flatmap(
        lambda p: st.one_of(
            arguments(
                smooth(p[0], -3, 3),
                tail=hnp.arrays(np.int64, p[1], elements=st.integers(0, p[0][min(1, len(p[0]) - 1)] - 1)).map(
                    lambda t: (t,)
                ),
                keywords=SMOOTHED,
            ),
            arguments(smooth(p[0], -3, 3), smooth(p[0], 0.1, 1), keywords=SMOOTHED),
        )
    ),
    errors=(
        (lambda f: f(ones(0, 3), np.zeros(0, int)), ValueError, "^cross_entropy: the mean over an empty batch"),
        (lambda f: f(ones(2, 3), [0, 3]), ValueError, r"must lie in 0..2 for 3 classes, but range over 0..3"),
        (lambda f: f(ones(2, 3), [0, -1]), ValueError, r"range over -1..0"),
        (lambda f: f(ones(2, 3), [0.0, 1.0]), TypeError, "class labels must be integers"),
        (
            lambda f: f(ones(2, 3), [0, 1, 2]),
            ValueError,
            r"^cross_entropy: .*class indices of shape \(2,\).*not \(3,\)",
        ),
        (lambda f: f(ones(2, 3), [0, 1], reduction="avg"), ValueError, "^cross_entropy: .*'sum' or 'none', not 'avg'"),
    ),
)


def bce(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return -t * np.log(sigmoid(z)) - (1 - t) * np.log(1 - sigmoid(z))


case(
    "sigmoid_cross_entropy",
    bce,
    SHAPES.flatmap(lambda s: arguments(distinct(s), smooth(s, 0, 1))),
    errors=(
        (lambda f: f(ones(2, 3), ones(4)), ValueError, r"of \(2, 3\) and \(4,\): operands could not be broadcast"),
        *too_many("z, t"),
    ),
)
case(
    "binary_cross_entropy_with_logits",
    lambda z, t, reduction: {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](bce(z, t)),
    FULL_SHAPES.flatmap(
        lambda s: arguments(distinct(s), smooth(s, 0, 1), keywords=st.fixed_dictionaries({"reduction": REDUCTIONS}))
    ),
    errors=(
        (
            lambda f: f(ones(2, 3), ones(3)),
            ValueError,
            r"^binary_cross_entropy_with_logits: .*shape \(2, 3\) and the target \(3,\); they must agree",
        ),
        (lambda f: f(ones(2), ones(2), "avg"), ValueError, "^binary_cross_entropy_with_logits: .*not 'avg'"),
    ),
)
