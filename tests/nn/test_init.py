"""Initializations: the moments they promise, and what they do to depth (rows N26-N31, S22-S23 of the course)."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init


def weight(*shape):
    return mg.zeros(*shape)


@pytest.mark.parametrize(("fill", "variance"), [
    (init.xavier_normal_, 2 / 500), (init.xavier_uniform_, 2 / 500), (lambda w: init.kaiming_normal_(w, nonlinearity="relu"), 2 / 200),
    (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), 2 / 200), (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="linear"), 1 / 300),
    (lambda w: init.kaiming_normal_(w, mode="fan_avg", nonlinearity="linear"), 2 / 500), (lambda w: init.kaiming_normal_(w, a=1.0), 1 / 200),
    (lambda w: init.xavier_normal_(w, gain=2), 8 / 500), (lambda w: init.normal_(w, 0, 0.3), 0.09), (lambda w: init.uniform_(w, -1, 1), 1 / 3),
])  # fmt: skip
def test_moments(fill, variance):
    w = fill(weight(300, 200)).numpy()
    assert w.var() == pytest.approx(variance, rel=0.03)
    assert abs(w.mean()) < 4 * math.sqrt(variance / w.size)


def test_fans_of_convolutions():
    assert init.fans(weight(8, 4, 3, 3)) == (36, 72)
    with pytest.raises(ValueError, match="at least 2 axes"):
        init.xavier_normal_(weight(3))
    with pytest.raises(ValueError, match="mode must be one of fan_in, fan_out, fan_avg"):
        init.kaiming_normal_(weight(3, 3), mode="fan")


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape):
    w = init.orthogonal_(weight(*shape), gain=2.0).numpy().reshape(shape[0], -1).astype(float)
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_gains():
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 1.0) == 1
    with pytest.raises(ValueError, match="no gain is known for 'swish'"):
        init.calculate_gain("swish")


def test_constants_and_repeatability():
    assert init.constant_(weight(2, 2), 3.0).tolist() == [[3, 3], [3, 3]]
    assert init.ones_(weight(1, 1)).item() == 1
    mg.manual_seed(5)
    a = init.normal_(weight(3, 3)).tolist()
    mg.manual_seed(5)
    assert init.normal_(weight(3, 3)).tolist() == a


@pytest.mark.parametrize(("nonlinearity", "low", "high"), [("relu", 0.5, 2.0), ("linear", 1e-9, 1e-6)])
def test_depth_needs_the_gain(nonlinearity, low, high):
    """50 relu layers of width 500: He's gain keeps the norm, without it the signal vanishes (row N30)."""
    x = mg.randn(1, 500)
    start = np.linalg.norm(x.numpy())
    for _ in range(50):
        x = nn.functional.relu(x @ init.kaiming_normal_(weight(500, 500), nonlinearity=nonlinearity).T)
    assert low < np.linalg.norm(x.numpy()) / start < high


def test_delta_orthogonal_convolutions_keep_norms():
    """Row N45: a hundred layers."""
    mg.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    x = mg.randn(2, 8, 6, 6)
    z = x
    for _ in range(100):
        nn.init.delta_orthogonal_(layer.weight)
        z = layer(z)
    assert float((z**2).sum() / (x**2).sum()) == pytest.approx(1, abs=1e-5)
    wide = nn.Conv1d(3, 5, 5, padding=2, bias=False)
    nn.init.delta_orthogonal_(wide.weight, gain=2.0)
    x = mg.randn(4, 3, 7)
    assert float((wide(x) ** 2).sum() / (x**2).sum()) == pytest.approx(4, abs=1e-5)
    for shape in ((3, 5, 3, 3), (4, 4, 2, 2), (4, 4)):
        with pytest.raises(ValueError, match="delta_orthogonal_ needs"):
            nn.init.delta_orthogonal_(mg.zeros(*shape))


def test_residual_scaling_bounds_the_growth():
    """Row N71: E|y|^2 = (1 + 1/L)^L |x|^2, against 2^L without it."""
    rng, d, depth = np.random.default_rng(0), 100, 10
    mg.manual_seed(0)
    ratios = []
    for _ in range(200):
        x = rng.standard_normal(d)
        y = x
        for _ in range(depth):
            y = y + init.residual_(mg.zeros(d, d, dtype="float64"), depth).numpy() @ y
        ratios.append((y @ y) / (x @ x))
    assert np.mean(ratios) == pytest.approx((1 + 1 / depth) ** depth, rel=0.08)
    with pytest.raises(ValueError, match="at least 1"):
        init.residual_(mg.zeros(2, 2), 0)


def test_fixup_scales_and_errors():
    mg.manual_seed(0)
    branches = [[mg.zeros(200, 200) for _ in range(3)] for _ in range(16)]
    head = mg.ones(10, 200)
    init.fixup_(branches, head)
    for a, b, c in branches:
        for w in (a, b):
            assert w.numpy().std() == pytest.approx(np.sqrt(2 / 200) * 16 ** (-1 / 4), rel=0.05)
        assert not c.numpy().any()
    assert not head.numpy().any()
    with pytest.raises(ValueError, match="at least two"):
        init.fixup_([[mg.zeros(2, 2)]])


def test_lsuv_gives_every_layer_unit_variance():
    mg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(128, 30), nn.Linear(30, 5)
    )
    x = 7 * mg.randn(50, 2, 8, 8) + 3
    assert init.lsuv_(model, x) is model
    seen = []
    for layer in model:
        x = layer(x)
        if vars(layer).get("weight") is not None:
            seen.append(x.std().item())
            assert "forward" not in vars(layer)
    assert len(seen) == 4
    np.testing.assert_allclose(seen, 1, atol=0.011)
    with pytest.raises(ValueError, match="standard deviation 0"):
        init.lsuv_(model, mg.zeros(3, 2, 8, 8))
    assert not any("forward" in vars(layer) for layer in model)
    with pytest.raises(ValueError, match="no layer with a weight matrix"):
        init.lsuv_(nn.ReLU(), mg.zeros(2))
