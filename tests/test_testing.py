"""The tester tested: a wrong rule must be found."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.graph import Op
from minigrad.testing import GradientError, check_grads

X = np.array([[0.3, -1.2, 0.8], [1.1, 0.4, -0.7]])


def test_a_right_rule_passes():
    right = Op("right", lambda x: x * x, lambda g, y, x: g * 2 * x)
    check_grads(right, X, order=3)


@pytest.mark.parametrize("factor", [2.002, 1.998, 2.2, -2, 0])
def test_an_error_of_a_thousandth_is_found(factor):
    wrong = Op("wrong", lambda x: x * x, lambda g, y, x: g * factor * x)
    with pytest.raises(GradientError, match="order 1 by argument 0"):
        check_grads(wrong, X, order=1)


def test_an_error_in_one_entry_is_found():
    def rule(g, y, x):
        mask = np.ones(x.shape)
        mask[1, 2] = 1.001
        return g * 2 * x * (mask if isinstance(x, np.ndarray) else mg.Tensor(mask))

    with pytest.raises(GradientError):
        check_grads(Op("wrong", lambda x: x * x, rule), X, order=1)


def test_a_saved_array_taken_for_a_constant_is_found_at_order_2():
    """The mistake of fused backward passes: right first derivatives, wrong second ones."""
    from minigrad.arrays.backend import unwrapped
    from minigrad.core.graph import wrap

    def rule(g, y, x):
        frozen = unwrapped(x) if isinstance(x, mg.Tensor) else x
        return g * 3 * (wrap(frozen) if isinstance(x, mg.Tensor) else frozen) * x

    cube = Op("cube", lambda x: x**3, rule)
    check_grads(cube, X, order=1)
    with pytest.raises(GradientError, match="order 2"):
        check_grads(cube, X, order=2)


def test_the_second_argument_is_checked_too():
    wrong = Op("wrong", np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a * 1.001)
    with pytest.raises(GradientError, match="by argument 1"):
        check_grads(wrong, X, X + 1, order=1)


def test_trees_and_integer_arguments():
    check_grads(lambda p, i: (p["a"] * p["b"][0], mg.exp(p["a"])[i]), {"a": X, "b": [X]}, np.array([0, 0]))


def test_second_derivatives_of_batch_normalization():
    """A well-known teaching library's fused version is 18 % off here, silently."""

    def batch_norm(x, gamma, beta):
        mean, var = x.mean(axis=0), x.var(axis=0)
        return gamma * (x - mean) / mg.sqrt(var + 1e-5) + beta

    rng = np.random.default_rng(0)
    check_grads(
        batch_norm, rng.standard_normal((6, 3)), rng.standard_normal(3), rng.standard_normal(3), order=3, atol=1e-4
    )
