"""The multi-layer perceptron (rows N3, N4, S5, S7 of the course)."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.models import MLP
from minigrad.testing import check_grads


def test_forward_is_the_composition(rng):
    model = MLP((3, 5, 4, 2), "tanh", dtype=np.float64)
    h = x = rng.standard_normal((6, 3))
    layers = [m for m in model if isinstance(m, nn.Linear)]
    for layer in layers[:-1]:
        h = np.tanh(h @ layer.weight.numpy().T + layer.bias.numpy())
    np.testing.assert_allclose(
        model(mg.Tensor(x)).numpy(), h @ layers[-1].weight.numpy().T + layers[-1].bias.numpy(), atol=1e-12
    )


def test_parameter_count_is_the_sum_over_layers():
    sizes = (7, 5, 4, 3)
    assert MLP(sizes).parameter_count() == sum(m * (n + 1) for n, m in zip(sizes, sizes[1:], strict=False))
    assert MLP(sizes, bias=False).parameter_count() == 7 * 5 + 5 * 4 + 4 * 3


def test_linear_activation_collapses_to_one_affine_map(rng):
    model = MLP((3, 5, 2), nn.Identity, dtype=np.float64)
    W1, b1, W2, b2 = (p.numpy() for p in model.parameters())
    x = rng.standard_normal((4, 3))
    np.testing.assert_allclose(model(mg.Tensor(x)).numpy(), x @ (W2 @ W1).T + W2 @ b1 + b2, atol=1e-14)


def test_output_activation_and_initializations():
    assert MLP((2, 3, 1), output_activation="sigmoid")(mg.randn(5, 2)).numpy().min() > 0
    model = MLP((4, 4, 4), init="orthogonal")
    np.testing.assert_allclose(model[0].weight.numpy() @ model[0].weight.numpy().T, np.eye(4), atol=1e-6)
    assert model[0].bias.tolist() == [0] * 4
    assert MLP((2, 2), init=nn.init.ones_)[0].weight.tolist() == [[1, 1], [1, 1]]


def test_gradients_of_both_orders(rng):
    model = MLP((3, 4, 2), "softplus", dtype=np.float64)
    params = {k: p.detach().numpy() for k, p in model.named_parameters()}
    labels = mg.Tensor(np.array([0, 1, 1]))
    check_grads(
        lambda p, x: mg.cross_entropy(nn.functional_call(model, p, x), labels), params, rng.standard_normal((3, 3))
    )


def test_names_are_those_of_a_torch_sequential():
    assert list(MLP((2, 3, 1)).state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize(("kwargs", "message"), [
    ({"sizes": (3,)}, "at least an input and an output"), ({"sizes": (3, 2), "activation": "step"}, "unknown activation 'step'; choose one of relu"),
    ({"sizes": (3, 2), "init": "lucky"}, "unknown init 'lucky'"), ({"sizes": (3, 2), "output_activation": "argmax"}, "unknown output_activation"),
])  # fmt: skip
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MLP(**kwargs)
