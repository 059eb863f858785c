"""Sweeps over long rows: against plain formulas, and with the digits that plain formulas lose."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.backward import sum_rows
from minigrad.kernels import long_rows
from minigrad.kernels import threads as team
from minigrad.nn import functional as F
from tests import host_only

pytestmark = host_only


@pytest.fixture(params=[1, 2, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(team, "THREADS", request.param)
    return request.param


@pytest.mark.parametrize("shape", [(6, 5), (2048, 3), (1, 7), (4096, 16), (513, 130)])
def test_sweeps_against_plain_formulas(shape, threads, monkeypatch):
    monkeypatch.setattr(long_rows, "WORTHWHILE", 1)
    rng = np.random.default_rng(1)
    x, g = 100 + rng.standard_normal(shape), rng.standard_normal(shape)
    a, b, c = rng.standard_normal((3, shape[1]))
    mean, var = long_rows.mean_and_variance(x)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(var, x.var(axis=0), rtol=1e-10, atol=1e-20)
    np.testing.assert_allclose(long_rows.affine(x, a, b), a * x + b, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(long_rows.combination(g, a, x, b, c), a * g + b * x + c, rtol=1e-10, atol=1e-10)
    *same, first, second = long_rows.mean_variance_and_products(x, g)
    np.testing.assert_array_equal(same, [mean, var])
    np.testing.assert_allclose(first, g.sum(axis=0), atol=1e-10)
    np.testing.assert_allclose(second, (g * (x - mean)).sum(axis=0), atol=1e-9)


def test_variance_keeps_its_digits_far_from_zero():
    """The textbook's E x^2 - (E x)^2 would give a negative number here."""
    x = (1e4 + np.random.default_rng(2).standard_normal((50_000, 4))).astype(np.float32)
    x[:40_000] -= 500  # and the parts' means differ
    np.testing.assert_allclose(long_rows.mean_and_variance(x)[1], x.astype(float).var(axis=0), rtol=1e-3)


@pytest.mark.parametrize("shape", [(40, 64, 8, 8), (30000,), (3, 17, 999), (1 << 17,), (1100, 1024)])
def test_large_relu_in_any_memory_order(shape, threads):
    rng = np.random.default_rng(3)
    x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    for view in (
        lambda a: a,
        np.transpose,
        lambda a: a[..., ::-1],
        lambda a: a[..., ::2],
        lambda a: np.moveaxis(a, 0, -1),
    ):
        a, b = view(x), view(g)
        t = mg.Tensor(a, requires_grad=True)
        y = F.relu(t)
        np.testing.assert_array_equal(y.numpy(), np.where(a > 0, a, 0))
        for slopes in (b, np.ascontiguousarray(b), np.asfortranarray(b)):
            t.grad = None
            F.relu(t).backward(mg.Tensor(slopes))
            np.testing.assert_array_equal(t.grad.numpy(), np.where(a > 0, b, 0))
    x.flat[5] = np.nan
    assert np.isnan(F.relu(mg.Tensor(x)).numpy().flat[5])


@pytest.mark.parametrize("shape", [(1_000_000, 3), (1_000_003, 1), (100_000, 40), (4097, 300)])
def test_a_bias_gradient_over_many_rows_keeps_its_digits(shape):
    """float32, and as accurate as NumPy's pairwise sum of each column; row after row it would lose two digits."""
    g = (1 + np.random.default_rng(4).standard_normal(shape)).astype(np.float32)
    exact = g.sum(axis=0, dtype=np.float64)
    error = lambda total: np.max(np.abs(total - exact) / exact)
    bias = mg.zeros(shape[1], requires_grad=True)
    mg.add(mg.Tensor(np.broadcast_to(np.float32(0), shape)), bias).backward(mg.Tensor(g))
    pairwise = np.array([np.ascontiguousarray(column).sum() for column in g.T])
    assert bias.grad.dtype == np.float32
    assert error(bias.grad.numpy()) < 4 * max(error(pairwise), np.finfo(np.float32).eps)


def test_so_it_does_for_every_example_of_a_vmap():
    g = (1 + np.random.default_rng(6).standard_normal((3, 200_000, 2))).astype(np.float32)
    f = lambda b, g: mg.vjp(lambda b: mg.add(mg.Tensor(np.zeros((200_000, 2), np.float32)), b), b)[1](g)[0]
    total = mg.vmap(f, (None, 0))(mg.zeros(2), g).numpy()
    np.testing.assert_allclose(total, g.sum(axis=1, dtype=np.float64), rtol=8e-7)


@pytest.mark.parametrize("rows", [0, 1, 31, 32, 33, 255, 256, 257, 512, 8193])
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_sums_over_rows_of_any_number(rows, columns):
    x = np.random.default_rng(5).standard_normal((rows, columns))
    for view in (x, np.asfortranarray(x), x[::-1], np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(sum_rows(view), view.sum(axis=0), rtol=1e-10, atol=1e-10)
