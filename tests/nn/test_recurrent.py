"""Recurrent cells and the embedding: against their formulas, derivatives, learning, errors."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional_call
from minigrad.testing import check_grads

sigmoid = lambda z: 1 / (1 + np.exp(-z))


def cell_and_inputs(make, seed=0):
    mg.manual_seed(seed)
    cell = make(3, 4)
    cell.to(dtype="float64")
    rng = np.random.default_rng(seed)
    return cell, rng.standard_normal((5, 3)), rng.standard_normal((5, 4)), rng.standard_normal((5, 4))


def sums(cell, x, h):
    p = {name: value.numpy() for name, value in cell.named_parameters()}
    return x @ p["weight_ih"].T + p["bias_ih"], h @ p["weight_hh"].T + p["bias_hh"]


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn(nonlinearity):
    cell, x, h, _ = cell_and_inputs(lambda i, o: nn.RNNCell(i, o, nonlinearity=nonlinearity))
    a, b = sums(cell, x, h)
    phi = np.tanh if nonlinearity == "tanh" else lambda z: np.maximum(z, 0)
    np.testing.assert_allclose(cell(mg.Tensor(x), mg.Tensor(h)).numpy(), phi(a + b), atol=1e-12)


def test_lstm():
    cell, x, h, c = cell_and_inputs(nn.LSTMCell)
    a, b = sums(cell, x, h)
    i, f, g, o = np.split(a + b, 4, axis=1)
    expected_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    new_h, new_c = cell(mg.Tensor(x), (mg.Tensor(h), mg.Tensor(c)))
    np.testing.assert_allclose(new_c.numpy(), expected_c, atol=1e-12)
    np.testing.assert_allclose(new_h.numpy(), sigmoid(o) * np.tanh(expected_c), atol=1e-12)


def test_gru():
    cell, x, h, _ = cell_and_inputs(nn.GRUCell)
    a, b = sums(cell, x, h)
    (ar, az, an), (br, bz, bn) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
    r, z = sigmoid(ar + br), sigmoid(az + bz)
    expected = (1 - z) * np.tanh(an + r * bn) + z * h
    np.testing.assert_allclose(cell(mg.Tensor(x), mg.Tensor(h)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_derivatives_through_time_and_vmap(make):
    """Row N5: three steps, all weights."""
    cell, x, _, _ = cell_and_inputs(make)
    params = {name: value.numpy() for name, value in cell.named_parameters()}

    def unrolled(params, x):
        state = None
        for _ in range(3):
            state = functional_call(cell, params, x, state)
        return state

    check_grads(unrolled, params, x, order=1)
    each = mg.vmap(lambda x: unrolled(dict(cell.named_parameters()), x))(mg.Tensor(x))
    whole = unrolled(dict(cell.named_parameters()), mg.Tensor(x))
    pairs = zip(each, whole, strict=True) if isinstance(whole, tuple) else [(each, whole)]
    for a, b in pairs:
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_cell_learns_to_remember(make):
    """The sign of the first of six numbers, the others being noise."""
    mg.manual_seed(0)
    cell, readout = make(1, 12), nn.Linear(12, 1)
    sequences = mg.randn(64, 6, 1)
    targets = (sequences[:, 0] > 0).astype("float32")
    optimizer = optim.Adam([*cell.parameters(), *readout.parameters()], lr=0.02)

    def loss():
        state = None
        for t in range(6):
            state = cell(sequences[:, t], state)
        h = state[0] if isinstance(state, tuple) else state
        return nn.functional.binary_cross_entropy_with_logits(readout(h), targets)

    for _ in range(150):
        optimizer.step(loss)
    assert loss().item() < 0.1


def test_embedding():
    layer = nn.Embedding(5, 3)
    indices = mg.Tensor(np.array([[0, 4], [4, 1]]))
    y = layer(indices)
    np.testing.assert_array_equal(y.numpy(), layer.weight.numpy()[indices.numpy()])
    y.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), np.array([1, 1, 0, 0, 2])[:, None] * np.ones(3))
    np.testing.assert_array_equal(layer(mg.Tensor(np.array(3))).numpy(), layer.weight.numpy()[3])
    assert "5, 3" in repr(layer)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: nn.LSTMCell(3, 4)(mg.randn(2, 5)), ValueError, r"LSTMCell\(3, 4\) was given an input of shape \(2, 5\) and a state"),
    (lambda: nn.GRUCell(3, 4)(mg.randn(2, 3), mg.randn(2, 3)), ValueError, "the last axes must be 3 and 4"),
    (lambda: nn.RNNCell(3, 4, nonlinearity="sigmoid"), ValueError, "'tanh' or 'relu', not 'sigmoid'"), (lambda: nn.RNNCell(0, 4), ValueError, "positive sizes"),
    (lambda: nn.Embedding(5, 3)(mg.Tensor(np.array([1, 5]))), IndexError, r"run from 1 to 5, but there are vectors for 0 \.\. 4"),
    (lambda: nn.Embedding(5, 3)(mg.randn(2)), TypeError, "needs integers, not float32"), (lambda: nn.Embedding(0, 3), ValueError, "positive sizes"),
])  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
