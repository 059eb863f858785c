"""Activations."""

from __future__ import annotations

import numpy as np
import scipy.special
from hypothesis import strategies as st

from tests.ops.table.case import case, distinct, ones, surplus, too_many, unary, unexpected

sigmoid = scipy.special.expit
case("relu", lambda x: np.maximum(x, 0), unary(-2, 2, distinct), errors=too_many("x"))
case(
    "leaky_relu",
    lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    unary(-2, 2, distinct, keywords=st.fixed_dictionaries({"negative_slope": st.sampled_from([0.01, 0.3])})),
    errors=(
        (lambda f: f(ones(2), slope=0.1), TypeError, r"takes \(x, negative_slope\), not slope$"),
        (lambda f: f(ones(2, 3), ones(2)), ValueError, r"of \(2, 3\) and \(2,\): operands could not be broadcast"),
    ),
)
case(
    "elu",
    lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    unary(-2, 2, distinct, keywords=st.fixed_dictionaries({"alpha": st.sampled_from([1.0, 0.7])})),
    errors=(
        *too_many("x, alpha"),
        (lambda f: f(ones(2, 3), ones(2)), ValueError, r"of \(2, 3\) and \(2,\): operands could not be broadcast"),
    ),
)
case(
    "selu",
    lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    unary(-2, 2, distinct),
    errors=(surplus("selu", 1), unexpected("selu", "alpha")),
)
case(
    "softplus",
    lambda x, beta=1.0: np.log1p(np.exp(beta * x)) / beta,
    unary(-3, 3, distinct, keywords=st.fixed_dictionaries({"beta": st.sampled_from([1.0, 2.0])})),
    errors=too_many("x, beta"),
)
case("sigmoid", sigmoid, unary(-3, 3, distinct), errors=too_many("x"))
case(
    "log_sigmoid",
    lambda x: np.log(sigmoid(x)),
    unary(-3, 3, distinct),
    errors=(surplus("log_sigmoid", 1), unexpected("log_sigmoid", "beta")),
)
case(
    "gelu",
    lambda x, approximate="none": (
        x * scipy.special.ndtr(x)
        if approximate == "none"
        else 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
    unary(-3, 3, keywords=st.fixed_dictionaries({"approximate": st.sampled_from(["none", "tanh"])})),
    errors=(
        (
            lambda f: f(ones(2), approximate="no"),
            ValueError,
            r"of \(2,\): approximate must be 'none' or 'tanh', not 'no'",
        ),
        (lambda f: f(ones(2), True), ValueError, r"must be 'none' or 'tanh', not True"),
    ),
)
case("silu", lambda x: x * sigmoid(x), unary(-3, 3, distinct), errors=too_many("x"))
case(
    "hard_tanh",
    lambda x: np.clip(x, -1, 1),
    unary(-3, 3, distinct),
    errors=(
        unexpected("hard_tanh", "min"),
        (
            lambda f: f(ones(2, 3), ones(2)),
            ValueError,
            r"^clip of \(2, 3\) and \(2,\): operands could not be broadcast",
        ),
    ),
)
case(
    "threshold",
    lambda x, t, v: np.where(x > t, x, v),
    unary(-2, 2, distinct, tail=st.just((0.5, 3.0))),
    errors=(
        (lambda f: f(ones(2), 1), TypeError, r"threshold\(\) missing 1 required positional argument: 'value'"),
        (lambda f: f(ones(2, 3), ones(2), 0), ValueError, r"^greater of \(2, 3\) and \(2,\): operands could not be"),
    ),
)
