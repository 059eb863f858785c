"""Layers, activations and losses as modules, against formulas."""

import math

import numpy as np
import pytest
import scipy.special

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.testing import check_grads


def test_linear_is_affine(rng):
    layer = nn.Linear(3, 2)
    x = rng.standard_normal((5, 4, 3)).astype("f")
    np.testing.assert_allclose(
        layer(mg.Tensor(x)).numpy(), x @ layer.weight.numpy().T + layer.bias.numpy(), rtol=1e-5, atol=1e-6
    )
    assert nn.Linear(3, 2, bias=False).bias is None
    assert abs(nn.Linear(400, 300).weight.numpy()).max() <= 1 / math.sqrt(400)
    with pytest.raises(ValueError, match="at least one input"):
        nn.Linear(0, 2)
    with pytest.raises(ValueError, match=r"linear of \(1, 5\) and \(2, 3\)"):
        layer(mg.ones(1, 5))


def test_dropout():
    x = mg.ones(200, 200)
    layer = nn.Dropout(0.25)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {0, np.float32(4 / 3)}
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.01)
    assert layer.eval()(x) is x
    assert nn.Dropout(1.0)(x).numpy().sum() == 0
    assert nn.Dropout(0.0)(x) is x
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(1.5)
    assert y.dtype == np.float32


def test_dropout_gradient_uses_the_same_mask():
    x = mg.ones(50, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_flatten_and_identity():
    x = mg.ones(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Identity()(x) is x


ACTIVATIONS = [
    (nn.ReLU(), lambda x: np.maximum(x, 0)), (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    (nn.ELU(alpha=0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))), (nn.GELU(), lambda x: x * scipy.special.ndtr(x)),
    (nn.SiLU(), lambda x: x * scipy.special.expit(x)), (nn.Softplus(), lambda x: np.log1p(np.exp(x))), (nn.Sigmoid(), scipy.special.expit),
    (nn.LogSigmoid(), lambda x: np.log(scipy.special.expit(x))), (nn.Tanh(), np.tanh), (nn.Hardtanh(), lambda x: np.clip(x, -1, 1)),
    (nn.Threshold(0.1, 20.0), lambda x: np.where(x > 0.1, x, 20)), (nn.Softmax(), lambda x: scipy.special.softmax(x, -1)),
    (nn.LogSoftmax(axis=0), lambda x: scipy.special.log_softmax(x, 0)),
    (nn.SELU(), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
]  # fmt: skip


@pytest.mark.parametrize(("module", "formula"), ACTIVATIONS, ids=lambda m: type(m).__name__)
def test_activations(module, formula, rng):
    x = rng.standard_normal((4, 5))
    np.testing.assert_allclose(module(mg.Tensor(x)).numpy(), formula(x), atol=1e-12)


def test_activation_settings():
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.Tanh()) == "Tanh()"
    with pytest.raises(TypeError, match="takes no arguments"):
        nn.Tanh(3)
    with pytest.raises(TypeError, match="takes alpha, not"):
        nn.ELU(beta=3)
    with pytest.raises(TypeError, match="Threshold needs threshold, value"):
        nn.Threshold()


def test_losses_against_their_formulas(rng):
    p, t = rng.uniform(0.1, 0.9, (4, 3)), rng.uniform(0.1, 0.9, (4, 3))
    e = p - t
    P, T = mg.Tensor(p), mg.Tensor(t)
    for module, terms in [
        (nn.MSELoss, e**2), (nn.L1Loss, abs(e)), (nn.BCELoss, -t * np.log(p) - (1 - t) * np.log(1 - p)), (nn.KLDivLoss, t * (np.log(t) - p)),
        (nn.BCEWithLogitsLoss, np.log1p(np.exp(p)) - t * p),
    ]:  # fmt: skip
        for reduction, reduce in (("mean", np.mean), ("sum", np.sum), ("none", np.asarray)):
            np.testing.assert_allclose(module(reduction)(P, T).numpy(), reduce(terms), atol=1e-12)
    huber = np.where(abs(e) <= 0.3, e**2 / 2, 0.3 * (abs(e) - 0.15))
    np.testing.assert_allclose(nn.HuberLoss(delta=0.3)(P, T).numpy(), huber.mean(), atol=1e-12)
    np.testing.assert_allclose(F.kl_div(P, T, "batchmean").numpy(), (t * (np.log(t) - p)).sum() / 4)
    rows = np.array([0, 2, 1, 1])
    labels = mg.Tensor(rows)
    np.testing.assert_allclose(nn.NLLLoss()(P, labels).numpy(), -p[np.arange(4), rows].mean())
    np.testing.assert_allclose(nn.CrossEntropyLoss()(P, labels).numpy(), nn.NLLLoss()(F.log_softmax(P), labels).numpy())
    assert "label_smoothing=0.1" in repr(nn.CrossEntropyLoss(label_smoothing=0.1))


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy, F.kl_div])
def test_losses_refuse_to_broadcast(loss):
    """(N, 1) against (N,) would be an N x N table of wrong differences."""
    with pytest.raises(ValueError, match=r"\(4, 1\) and the target \(4,\); they must agree"):
        loss(mg.ones(4, 1), mg.ones(4))
    with pytest.raises(ValueError, match="reduction must be"):
        loss(mg.ones(4), mg.ones(4), reduction="batch")


def test_gradients_of_composite_losses(rng):
    p, t = rng.uniform(0.2, 0.8, (3, 2)), rng.uniform(0.2, 0.8, (3, 2))
    for loss in (F.mse_loss, F.binary_cross_entropy, F.kl_div, lambda a, b: F.huber_loss(a, b, delta=0.17)):
        check_grads(loss, p, t, atol=1e-6)


def test_binary_cross_entropy_is_finite_at_the_ends():
    with np.errstate(divide="ignore"):
        assert F.binary_cross_entropy(mg.tensor([0.0, 1.0]), mg.tensor([1.0, 0.0])).item() == 100


def test_huber_needs_a_positive_delta():
    with pytest.raises(ValueError, match="delta must be positive"):
        F.huber_loss(mg.ones(1), mg.ones(1), delta=0)


def test_one_hot_and_accuracy():
    assert F.one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(ValueError, match=r"must lie in 0..2"):
        F.one_hot(np.array([3]), 3)
    assert F.accuracy(mg.tensor([[1.0, 2.0], [3.0, 0.0]]), mg.tensor([1, 1])) == 0.5
    with pytest.raises(ValueError, match="need labels of shape"):
        F.nll_loss(mg.zeros(2, 3), np.array([0]))
