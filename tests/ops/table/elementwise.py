"""Arithmetic, powers, exponentials, trigonometry, entry by entry."""

from __future__ import annotations

import numpy as np
import scipy.special
from hypothesis import strategies as st

from tests.ops.table.case import PAIR, ROWS, TEXT, binary, case, ones, too_many, unary

for name, low, high in [
    ("negative", -3, 3), ("square", -3, 3), ("sqrt", 0.1, 4), ("reciprocal", 0.3, 3), ("exp", -3, 3), ("expm1", -3, 3),
    ("log", 0.1, 5), ("log1p", -0.8, 5), ("log2", 0.1, 5), ("log10", 0.1, 5), ("sin", -4, 4), ("cos", -4, 4), ("tan", -1.2, 1.2),
    ("arcsin", -0.9, 0.9), ("arccos", -0.9, 0.9), ("arctan", -3, 3), ("sinh", -3, 3), ("cosh", -3, 3), ("tanh", -3, 3),
    ("arcsinh", -3, 3), ("arccosh", 1.2, 4), ("arctanh", -0.9, 0.9),
]:  # fmt: skip
    errors = too_many("x") if name == "negative" else (*too_many("x"), TEXT)
    case(name, getattr(np, name), unary(low, high), errors=errors)
case("erf", scipy.special.erf, unary(-3, 3), errors=(*too_many("x"), TEXT))
for name in ("add", "subtract", "multiply"):
    case(name, getattr(np, name), binary(-3, 3), errors=(*PAIR, ROWS))
case("logaddexp", np.logaddexp, binary(-3, 3), errors=PAIR)
case("divide", np.divide, binary(-3, 3, 0.4, 3), errors=(*PAIR, ROWS))
case(
    "power",
    np.power,
    binary(0.3, 2, -2, 3),
    errors=(*PAIR, (lambda f: f(ones(2), None), TypeError, r"of \(2,\): unsupported operand .* 'NoneType'")),
)
case("arctan2", np.arctan2, binary(0.3, 2, 0.3, 2), errors=PAIR)
case("copy", np.copy, unary(-2, 2), errors=too_many("x"))
case("identity", np.array, unary(-2, 2), errors=too_many("x"))
case(
    "astype",
    lambda x, dtype: x.astype(dtype),
    unary(-2, 2, tail=st.just((np.float64,))),
    errors=(
        (lambda f: f(ones(2), "flaot32"), TypeError, r"of \(2,\): data type 'flaot32' not understood"),
        (lambda f: f(ones(2), copy=False), TypeError, r"takes \(x, dtype\), not copy$"),
    ),
)
