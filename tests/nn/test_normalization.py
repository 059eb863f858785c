"""Normalization layers: statistics, modes, running buffers, the notes' facts, errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.kernels import normalization
from minigrad.nn import functional as F
from minigrad.testing import check_grads
from tests import host_only


def draw(*shape, seed=0):
    return 3 + 2 * np.random.default_rng(seed).standard_normal(shape)


@given(st.sampled_from([(5, 3), (4, 3, 6), (2, 3, 4, 5)]), st.integers(0, 100))
def test_batch_norm_normalizes_each_channel(shape, seed):
    """Row N57."""
    x = draw(*shape, seed=seed)
    axes = (0, *range(2, len(shape)))
    y = F.batch_norm(mg.Tensor(x), training=True, eps=0.0).numpy()
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, atol=1e-12)


def test_gamma_and_beta_undo_it():
    """Row N59: gamma = the standard deviation and beta = the mean give the input back."""
    x = draw(6, 3)
    y = F.batch_norm(
        mg.Tensor(x), weight=mg.Tensor(x.std(axis=0)), bias=mg.Tensor(x.mean(axis=0)), training=True, eps=0.0
    )
    np.testing.assert_allclose(y.numpy(), x, atol=1e-12)


def test_the_jacobian_of_the_notes():
    """Row N58: (I - 1 1'/n - y y'/n) / sigma, of rank n - 2."""
    h = draw(7)
    f = lambda h: F.batch_norm(h[:, None], training=True, eps=0.0)[:, 0]
    y, J = f(mg.Tensor(h)).numpy(), mg.jacobian(f)(mg.Tensor(h)).numpy()
    expected = (np.eye(7) - np.ones((7, 7)) / 7 - np.outer(y, y) / 7) / h.std()
    np.testing.assert_allclose(J, expected, atol=1e-12)
    assert np.linalg.matrix_rank(J, tol=1e-10) == 5


def test_running_statistics_and_modes():
    """Row N60."""
    layer = nn.BatchNorm2d(3, momentum=0.2)
    layer.to(dtype="float64")
    batches = [draw(4, 3, 2, 2, seed=s) for s in range(3)]
    mean, var = np.zeros(3), np.ones(3)
    for x in batches:
        layer(mg.Tensor(x))
        mean = 0.8 * mean + 0.2 * x.mean(axis=(0, 2, 3))
        var = 0.8 * var + 0.2 * x.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean)
    np.testing.assert_allclose(layer.running_var.numpy(), var)
    assert layer.num_batches_tracked.item() == 3
    layer.eval()
    x = draw(1, 3, 2, 2, seed=9)  # a single image is fine in evaluation
    expected = (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(layer(mg.Tensor(x)).numpy(), expected)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean)


def test_plain_average_and_no_tracking():
    layer = nn.BatchNorm1d(2, momentum=None)
    layer.to(dtype="float64")
    batches = [draw(5, 2, seed=s) for s in range(4)]
    for x in batches:
        layer(mg.Tensor(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), np.mean([x.mean(axis=0) for x in batches], axis=0))
    untracked = nn.BatchNorm1d(2, track_running_stats=False).eval()
    assert untracked.running_mean is None
    assert set(untracked.state_dict()) == {"weight", "bias"}
    y = untracked(mg.Tensor(batches[0].astype(np.float32))).numpy()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    assert set(layer.state_dict()) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


def test_the_others_against_the_definition():
    x = draw(2, 6, 3, 4)
    t = mg.Tensor(x)
    norm = lambda z, axes: (z - z.mean(axis=axes, keepdims=True)) / np.sqrt(z.var(axis=axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(F.layer_norm(t, (3, 4)).numpy(), norm(x, (2, 3)), atol=1e-12)
    np.testing.assert_allclose(F.layer_norm(t, 4).numpy(), norm(x, (3,)), atol=1e-12)
    np.testing.assert_allclose(F.instance_norm(t).numpy(), norm(x, (2, 3)), atol=1e-12)
    grouped = norm(x.reshape(2, 3, 2, 3, 4), (2, 3, 4)).reshape(x.shape)
    np.testing.assert_allclose(F.group_norm(t, 3).numpy(), grouped, atol=1e-12)
    w, b = draw(6, seed=1), draw(6, seed=2)
    y = F.group_norm(t, 3, mg.Tensor(w), mg.Tensor(b)).numpy()
    np.testing.assert_allclose(y, grouped * w[:, None, None] + b[:, None, None], atol=1e-12)


@pytest.mark.parametrize("f", [
    lambda x, w, b: F.batch_norm(x, weight=w, bias=b, training=True), lambda x, w, b: F.group_norm(x, 2, w, b), lambda x, w, b: F.instance_norm(x, w, b),
    lambda x, w, b: F.layer_norm(x, (4, 3, 2)) * w.reshape((-1, 1, 1)) + b.reshape((-1, 1, 1)),
])  # fmt: skip
def test_derivatives(f):
    check_grads(lambda x, w, b: mg.tanh(f(x, w, b)), draw(2, 4, 3, 2), draw(4, seed=1), draw(4, seed=2), order=2)


def test_layers_have_pytorchs_names_and_defaults():
    for layer, shapes in (
        (nn.BatchNorm1d(3), {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()}),
        (nn.LayerNorm((2, 3)), {"weight": (2, 3), "bias": (2, 3)}),
        (nn.GroupNorm(2, 4), {"weight": (4,), "bias": (4,)}),
        (nn.InstanceNorm2d(4), {}),
        (nn.InstanceNorm2d(4, affine=True), {"weight": (4,), "bias": (4,)}),
    ):  # fmt: skip
        assert {name: value.shape for name, value in layer.state_dict().items()} == shapes
        assert "eps=1e-05" in repr(layer)
    assert nn.LayerNorm(5)(mg.randn(2, 5)).shape == (2, 5)
    assert nn.GroupNorm(2, 4)(mg.randn(2, 4, 3)).shape == (2, 4, 3)
    assert nn.InstanceNorm2d(4, affine=True)(mg.randn(2, 4, 3, 3)).shape == (2, 4, 3, 3)
    assert nn.BatchNorm1d(3, affine=False)(mg.randn(4, 3, 2)).shape == (4, 3, 2)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nn.BatchNorm1d(3)(mg.randn(1, 3)), r"more than one value, and shape \(1, 3\) has 1"), (lambda: nn.BatchNorm2d(3)(mg.randn(1, 3, 1, 1)), "Use a larger batch, or module.eval"),
    (lambda: nn.BatchNorm2d(3)(mg.randn(2, 3)), r"BatchNorm2d needs \(N, C, H, W\) with C = 3, but was given \(2, 3\)"), (lambda: nn.BatchNorm1d(3)(mg.randn(2, 4)), r"needs \(N, C\) or \(N, C, L\) with C = 3"),
    (lambda: F.batch_norm(mg.randn(2, 3)), "evaluation needs running_mean"), (lambda: F.batch_norm(mg.randn(3), training=True), r"needs \(N, C\)"),
    (lambda: F.layer_norm(mg.randn(2, 3), 4), r"the last axes of \(2, 3\) are not \(4,\)"), (lambda: nn.GroupNorm(2, 3), "num_groups=2 must divide num_channels=3"),
    (lambda: F.group_norm(mg.randn(2, 3), 2), "must divide the 3 channels"), (lambda: F.instance_norm(mg.randn(2, 3, 1, 1)), "more than one position"),
    (lambda: nn.InstanceNorm2d(3)(mg.randn(2, 4, 2, 2)), r"needs \(N, 3, H, W\)"),
])  # fmt: skip
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@host_only
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_large_arrays_take_another_way_to_the_same_place(monkeypatch, shape, affine):
    """Values, and derivatives of both orders, of the sweeps over long rows; whatever the order in memory."""
    x = draw(*shape)
    w, b = (mg.Tensor(draw(3, seed=s)) if affine else None for s in (1, 2))
    f = lambda x, *wb: F.batch_norm(x, weight=wb[0] if wb else None, bias=wb[1] if wb else None, training=True)
    arguments = [x, *(v for v in (w, b) if v is not None)]
    slopes = mg.grad(lambda *a: (f(*a) ** 3).sum(), argnums=tuple(range(len(arguments))))
    small = [f(*map(mg.Tensor, arguments)), *slopes(*map(mg.Tensor, arguments))]
    monkeypatch.setattr(normalization, "LARGE", 1)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    for array in (x, last):
        large = [f(mg.Tensor(array), *arguments[1:]), *slopes(mg.Tensor(array), *map(mg.Tensor, arguments[1:]))]
        for a, b in zip(small, large, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-10)
    check_grads(f, *arguments, order=2)
