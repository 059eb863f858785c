"""Particular values: huge arguments, zeros, ties, and outputs that nobody uses."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops import TABLE
from minigrad.testing import check_grads


@pytest.mark.parametrize(
    "name",
    [
        "sigmoid",
        "log_sigmoid",
        "softplus",
        "gelu",
        "silu",
        "elu",
        "selu",
        "tanh",
        "erf",
        "leaky_relu",
        "relu",
        "hard_tanh",
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stable_for_large_arguments(name, dtype):
    x = mg.Tensor(np.array([-1e4, -100, -1.0, 0.0, 1.0, 100, 1e4], dtype), requires_grad=True)
    y = TABLE[name](x)
    g = mg.gradients(y.sum(), x, create_graph=True)
    h = mg.gradients(g.sum(), x) if g.requires_grad else g
    for z in (y, g, h):
        assert np.isfinite(z.numpy()).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_stable_softmax(name):
    x = mg.Tensor(np.array([[1000.0, 0, -1000], [-1e4, 1e4, 1e4]]), requires_grad=True)
    y = TABLE[name](x, axis=1)
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(mg.gradients(y.sum(), x).numpy()).all()


def test_logsumexp_of_nothing_is_minus_infinity():
    with np.errstate(divide="ignore"):
        assert mg.logsumexp(mg.Tensor([-np.inf, -np.inf])).item() == -np.inf


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0, 0.0]])
def test_prod_is_right_at_zeros(x):
    check_grads(lambda x: x.prod(), np.array(x), order=3, atol=1e-5)


def test_ties_share_the_gradient():
    x = mg.Tensor([1.0, 3.0, 3.0, 2.0], requires_grad=True)
    assert mg.gradients(x.max(), x).tolist() == [0, 0.5, 0.5, 0]
    assert mg.gradients(mg.maximum(x, x).sum(), x).tolist() == [1, 1, 1, 1]
    y = mg.Tensor([3.0, 3.0, 0.0, 2.0], requires_grad=True)
    assert mg.gradients(mg.minimum(x, y).sum(), [x, y])[0].tolist() == [1, 0.5, 0, 0.5]


def test_power_at_zero():
    x = mg.Tensor([0.0, 2.0], requires_grad=True)
    assert mg.gradients((x**0).sum(), x).tolist() == [0, 0]
    assert mg.gradients((x**1).sum(), x).tolist() == [1, 1]
    assert mg.gradients((x**2).sum(), x).tolist() == [0, 4]
    exponent = mg.Tensor([0.0, 1.0], requires_grad=True)
    assert mg.gradients((x**exponent).sum(), x).tolist() == [0, 1]
    assert mg.gradients((mg.Tensor([0.0, np.e]) ** mg.Tensor([2.0, 0.0], requires_grad=True)).sum(), x).tolist() == [
        0,
        0,
    ]


def test_second_derivatives_of_a_power_at_exponent_zero():
    check_grads(mg.power, np.array([0.3, 2.0]), np.array([0.0, 0.0]))


def test_norm_at_the_origin_has_gradient_zero():
    x = mg.zeros(3, requires_grad=True)
    assert mg.gradients(mg.norm(x), x).tolist() == [0, 0, 0]


def test_an_output_that_nobody_uses_is_no_harm():
    A = mg.Tensor(np.diag([2.0, 4.0]), requires_grad=True)
    _, logabsdet = mg.slogdet(A)
    np.testing.assert_allclose(mg.gradients(logabsdet, A).numpy(), np.diag([0.5, 0.25]))
    first, _ = mg.split(A, 2)
    assert mg.gradients(first.sum(), A).tolist() == [[1, 1], [0, 0]]


def test_getitem_adds_duplicates():
    x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert mg.gradients(x[np.array([0, 0, 2])].sum(), x).tolist() == [2, 0, 1]


def test_the_bounds_of_clip_cross():
    """As in NumPy the result is the upper bound, and so is what the gradient goes to."""
    x, low, high = (mg.tensor(v, requires_grad=True) for v in ([0.0, 4.0, 9.0], 5.0, 3.0))
    y = mg.clip(x, low, high)
    assert y.tolist() == np.clip([0.0, 4.0, 9.0], 5.0, 3.0).tolist()
    assert [g.tolist() for g in mg.gradients(y.sum(), [x, low, high])] == [[0, 0, 0], 0, 3]


@pytest.mark.parametrize("values", [[True, False], [1, 2], [1.5, 2.0]])
def test_a_copy_has_the_same_dtype(values):
    x = mg.tensor(values)
    for y in (x.copy(), mg.copy(x), np.copy(x)):
        assert y.dtype == x.dtype
        assert y.tolist() == values
        assert not np.shares_memory(y.data, x.data)


def test_one_hot_rows_have_the_dtype_asked_for():
    assert mg.one_hot(mg.tensor([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert mg.one_hot(mg.tensor([1]), 3).dtype == np.float32
    for dtype in (np.float64, np.int64, np.bool_):
        assert mg.one_hot(mg.tensor([1]), 3, dtype).dtype == dtype


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (2, 3, 4, 5)])
def test_cross_entropy_of_a_class_for_every_position(shape):
    rng = np.random.default_rng(0)
    z, t = rng.standard_normal(shape), rng.integers(0, 3, (shape[0], *shape[2:]))
    expected = np.empty(t.shape)
    for n in np.ndindex(*t.shape):
        row = z[(n[0], slice(None), *n[1:])]
        expected[n] = np.log(np.exp(row).sum()) - row[t[n]]
    loss = mg.cross_entropy(mg.tensor(z, dtype="float64"), mg.tensor(t), reduction="none")
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)
