"""Weight and spectral normalization: what they compute, their state, what they refuse."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.testing import check_grads


@pytest.fixture(autouse=True)
def _seed():
    mg.manual_seed(0)


@pytest.mark.parametrize("dim", [0, 1, -1, None])
def test_weight_norm_changes_nothing_at_first(dim):
    """Row N61: w = g v / |v|."""
    layer = nn.Linear(4, 3)
    before = layer.weight.numpy().copy()
    assert nn.weight_norm(layer, dim=dim) is layer
    np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-6)
    g, v = (getattr(layer.parametrizations.weight, name) for name in ("original0", "original1"))
    assert g.shape == {0: (3, 1), 1: (1, 4), -1: (1, 4), None: ()}[dim]
    nn.init.normal_(g)
    nn.init.normal_(v)
    axis = {0: 1, 1: 0, -1: 0, None: None}[dim]
    expected = g.numpy() * v.numpy() / np.sqrt((v.numpy() ** 2).sum(axis=axis, keepdims=dim is not None))
    np.testing.assert_allclose(layer.weight.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("wrap", [nn.weight_norm, nn.spectral_norm])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: nn.Linear(4, 3), (2, 4)),
        (lambda: nn.Conv2d(2, 3, 3), (2, 2, 4, 4)),
        (lambda: nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 3)),
    ],
    ids=["linear", "conv", "transposed"],
)
def test_gradients_and_state(wrap, layer, shape):
    layer = wrap(layer())
    layer.to(dtype="float64")
    layer.eval()  # in training each reading moves the singular vectors
    x = mg.randn(*shape, dtype="float64")
    own = {k: v.detach() for k, v in layer.named_parameters()}
    assert not any(name == "weight" for name in own)
    check_grads(lambda values: (nn.functional_call(layer, values, x) ** 2).sum(), own, order=1)
    fresh = copy.deepcopy(layer)
    fresh.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(fresh(x).numpy(), layer(x).numpy())


def test_spectral_norm_finds_the_largest_singular_value():
    layer = nn.spectral_norm(nn.Linear(5, 7))
    for _ in range(50):
        y = layer.weight
    assert np.linalg.norm(y.numpy(), 2) == pytest.approx(1, abs=1e-5)
    before = {k: v.copy() for k, v in layer.state_dict().items()}
    layer.eval()
    _ = layer.weight
    for k, v in layer.state_dict().items():
        np.testing.assert_array_equal(v, before[k])
    convolution = nn.spectral_norm(nn.ConvTranspose2d(2, 5, 3), n_power_iterations=30)
    W = convolution.weight.numpy().transpose(1, 0, 2, 3).reshape(5, -1)
    assert np.linalg.norm(W, 2) == pytest.approx(1, abs=1e-4)


def test_two_readings_before_one_backward():
    """As a discriminator does with real and fake examples: the second reading must not spoil the first one's graph."""
    layer = nn.spectral_norm(nn.Linear(3, 1))
    (layer(mg.randn(4, 3)).mean() - layer(mg.randn(4, 3)).mean()).backward()
    assert layer.parametrizations.weight.original.grad is not None


def test_training_and_removal():
    x, t = mg.randn(20, 4), mg.randn(20, 3)
    for wrap in (nn.weight_norm, nn.spectral_norm):
        layer = wrap(nn.Linear(4, 3))
        optimizer = optim.SGD(layer.parameters(), 0.1)
        losses = []
        for _ in range(20):
            loss = F.mse_loss(layer(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]
        layer.eval()
        y = layer(x).numpy()
        nn.remove_parametrizations(layer)
        assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"]
        np.testing.assert_allclose(layer(x).numpy(), y, rtol=1e-6)


def test_removal_leaves_the_modes_of_other_parts():
    cell = nn.spectral_norm(nn.spectral_norm(nn.RNNCell(2, 3), "weight_ih"), "weight_hh")
    frozen = cell.parametrizations.weight_hh.eval()
    nn.remove_parametrizations(cell, "weight_ih")
    assert cell.training
    assert not frozen.training


def test_errors():
    layer = nn.weight_norm(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="reparametrized already, by WeightNorm"):
        nn.spectral_norm(layer)
    with pytest.raises(ValueError, match="no parameter 'wait'; it has weight, bias"):
        nn.weight_norm(nn.Linear(2, 2), "wait")
    with pytest.raises(ValueError, match="not reparametrized"):
        nn.remove_parametrizations(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="at least 2 axes"):
        nn.spectral_norm(nn.Linear(2, 2), "bias")
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    with pytest.raises(ValueError, match="no direction"):
        nn.weight_norm(layer)
    with pytest.raises(AttributeError, match="no attribute 'wait'"):
        _ = nn.Linear(2, 2).wait
