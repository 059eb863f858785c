"""Errors that teach: each row of the op table lists mistakes, and what the operation says of them."""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops import TABLE
from tests import host_only, strict  # noqa: F401 - strict registers the strict backend
from tests.ops.table import CASES


def test_every_case_has_an_error():
    assert [name for name, case in CASES.items() if not case.errors] == []


@host_only  # elsewhere the array library has words of its own
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_mistake_is_explained(name):
    for wrong, error, message in CASES[name].errors:
        with pytest.raises(error, match=message) as raised:
            wrong(TABLE[name])
        text = str(raised.value)
        if hasattr(TABLE[name], "op") and not isinstance(raised.value, np.linalg.LinAlgError):
            assert re.match(rf"{name} (of|takes) ", text), text  # a primitive's error begins with its name


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda a, b: a @ b, ValueError, r"^matmul of \(2, 3\) and \(2, 3\).*did you mean a @ b.swapaxes"),
        (lambda a, b: np.matmul(a, b), ValueError, r"^matmul of \(2, 3\) and \(2, 3\).*did you mean a @ b.swapaxes"),
        (lambda a, b: a + a.sum(axis=1), ValueError, r"^add of \(2, 3\) and \(2,\).*add a trailing axis"),
        (lambda a, b: np.multiply(mg.ones(4), a), ValueError, r"^multiply of \(4,\) and \(2, 3\)"),
        (lambda a, b: a.reshape(4), ValueError, r"^reshape of \(2, 3\)"),
        (lambda a, b: a.sum(axis=2), ValueError, r"^sum of \(2, 3\): "),
        (lambda a, b: np.sum(a, axis=2), ValueError, r"^sum of \(2, 3\): "),
        (lambda a, b: a[5], IndexError, r"^getitem of \(2, 3\): "),
        (lambda a, b: np.pad(a, 1, mode="edge"), ValueError, r"^pad of \(2, 3\): .*only 'constant'"),
    ],
)
def test_operators_methods_and_numpy_say_the_same(function, error, message):
    with pytest.raises(error, match=message):
        function(mg.ones(2, 3), mg.ones(2, 3))


def test_an_array_given_by_name_is_an_argument():
    """So its shape stands in the error, too."""
    with pytest.raises(ValueError, match=r"^linear of \(2, 3\) and \(3, 4\): .*W is \(out, in\) = \(4, 3\)"):
        mg.linear(mg.ones(2, 3), W=mg.ones(3, 4))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: np.sort(x), "numpy.sort has no derivative here"),
        (lambda x: np.fft.fft(x), "numpy.fft.fft has no derivative here"),
        (lambda x: np.hypot(x, x), "numpy.hypot has no derivative here"),
        (lambda x: np.add.reduce(x), "numpy.add.reduce is not supported"),
        (lambda x: np.exp(x, where=x > 0), r"numpy.exp with \['where'\]"),
        (lambda x: np.asarray(x), "say .numpy()"),
        (lambda x: np.sum(x, dtype=float), "dtype"),
    ],
)
def test_what_has_no_rule_is_named(function, message):
    with pytest.raises(TypeError, match=message):
        function(mg.Tensor([1.0, 2.0]))
