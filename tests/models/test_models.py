"""Models of the course: what they compute, and at what scale they start."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.nn import functional as F
from minigrad.testing import check_grads


@pytest.fixture(autouse=True)
def _seed():
    mg.manual_seed(0)


def parameters(model):
    return {k: v.detach() for k, v in model.named_parameters()}


MODELS = {
    "residual": (lambda d: models.ResidualMLP(3, 4, 2, 2, layers=2, activation="tanh", norm=True, dtype=d), (5, 3)),
    "pre": (lambda d: models.ResidualMLP(3, 4, 2, 2, 1, "tanh", 0.7, 0.5, pre=True, dtype=d), (5, 3)),
    "highway": (lambda d: models.Highway(3, 4, 2, 2, activation="tanh", dtype=d), (5, 3)),
    "deep linear": (lambda d: models.DeepLinear((3, 4, 2), dtype=d), (5, 3)),
    "two-layer": (lambda d: models.TwoLayer(3, 4, "tanh", train_outer=True, dtype=d), (5, 3)),
    "patches": (lambda d: models.PatchCNN(2, 3, "tanh", outer=True, dtype=d), (5, 6)),
    "autoencoder": (lambda d: models.Autoencoder((6, 4, 2), "tanh", "sigmoid", dtype=d), (5, 6)),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients(name):
    make, shape = MODELS[name]
    model = make("float64")
    x = mg.Tensor(np.random.default_rng(1).standard_normal(shape))
    check_grads(lambda values: (nn.functional_call(model, values, x) ** 2).sum(), parameters(model), order=1)


def test_a_residual_block_is_the_identity_where_its_weights_vanish():
    """Row N64; and its factors."""
    x = mg.randn(4, 6)
    for layers in (1, 2, 3):
        block = models.ResidualBlock(6, layers, alpha=0.5, beta=3.0)
        W = [nn.init.normal_(w) for w in block.weights()]
        z = x
        for i, w in enumerate(W):
            z = z @ w.T + block.residual[2 * i].bias
            z = F.relu(z) if i < len(W) - 1 or len(W) == 1 else z
        np.testing.assert_allclose(block(x).numpy(), (0.5 * (x + 3.0 * z)).numpy(), rtol=1e-5, atol=1e-5)
        for parameter in block.parameters():
            nn.init.zeros_(parameter)
        np.testing.assert_array_equal(models.ResidualBlock(6)(x).shape, x.shape)
        np.testing.assert_allclose(block(x).numpy(), 0.5 * x.numpy(), rtol=1e-6)


def test_plain_is_the_same_network_without_shortcuts():
    plain = models.ResidualMLP(3, 5, 2, 4, plain=True)
    assert plain.parameter_count() == models.ResidualMLP(3, 5, 2, 4).parameter_count()
    mlp = models.MLP((3, *[5] * 5, 2))
    affine = lambda model: [m for m in model.modules() if isinstance(m, nn.Linear)]
    for mine, theirs in zip(affine(plain), affine(mlp), strict=True):
        theirs.load_state_dict(mine.state_dict())
    x = mg.randn(7, 3)
    np.testing.assert_allclose(plain(x).numpy(), mlp(x).numpy(), rtol=1e-5, atol=1e-6)


def test_highway_gates():
    block = models.HighwayBlock(4)
    x = mg.randn(3, 4)
    nn.init.zeros_(block.gate.weight)
    nn.init.constant_(block.gate.bias, -100.0)  # closed
    np.testing.assert_allclose(block(x).numpy(), x.numpy(), rtol=1e-6)
    nn.init.constant_(block.gate.bias, 100.0)  # open
    np.testing.assert_allclose(block(x).numpy(), F.relu(block.transform(x)).numpy(), rtol=1e-5, atol=1e-6)


def test_fixup_starts_as_the_classifier_of_nothing():
    """Row N73: all logits equal, so the loss is log(10); and a branch's weight has its scale."""
    model = models.ResidualMLP(20, 200, 10, 25, layers=2, init="fixup")
    loss = F.cross_entropy(model(mg.randn(30, 20)), mg.Tensor(np.arange(30) % 10))
    assert loss.item() == pytest.approx(np.log(10), abs=1e-6)
    first, last = model.blocks[3].weights()
    assert first.numpy().std() == pytest.approx(np.sqrt(2 / 200) * 25**-0.5, rel=0.05)
    assert not last.numpy().any()


def test_convolutional_shapes_and_errors():
    assert models.LeNet()(mg.randn(2, 1, 28, 28)).shape == (2, 10)
    assert models.LeNet(size=32, channels=3, classes=4)(mg.randn(2, 3, 32, 32)).shape == (2, 4)
    assert models.LeNet().parameter_count() == 61_706
    assert models.CNN(widths=(8, 16, 32), dropout=0.5)(mg.randn(2, 1, 28, 28)).shape == (2, 10)
    assert models.CNN(size=8, norm=False)(mg.randn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(ValueError, match="below one pixel"):
        models.CNN(size=8, widths=(4,) * 5)
    with pytest.raises(ValueError, match=r"\(8 // 2 - 4\) // 2 = 0"):
        models.LeNet(size=8)


def test_deep_linear_is_its_product():
    model = models.DeepLinear((5, 7, 6, 3), init="orthogonal", dtype="float64")
    x = mg.randn(4, 5, dtype="float64")
    np.testing.assert_allclose(model(x).numpy(), (x @ model.product().T).numpy(), atol=1e-12)
    with pytest.raises(ValueError, match="unknown init"):
        models.DeepLinear((2, 2), init="orthogonol")


def test_two_layer_scalings():
    x = mg.randn(200, 30)
    for scaling, expected in (("ntk", 1.0), ("mean", 1 / np.sqrt(4000)), ("sum", np.sqrt(4000 / 30))):
        model = models.TwoLayer(30, 4000, scaling=scaling)
        assert [name for name, _ in model.named_parameters()] == ["weight"]
        y = model(x).numpy()
        assert y.shape == (200,)
        assert np.sqrt((y**2).mean()) == pytest.approx(expected * np.sqrt(30 / 2), rel=0.4)
    with pytest.raises(ValueError, match="scaling"):
        models.TwoLayer(3, 4, scaling="none")


def test_a_student_learns_its_teacher():
    """And a patch network has d parameters, not k d (row Q3)."""
    teacher, student = models.PatchCNN(4, 3, dtype="float64"), models.PatchCNN(4, 3, dtype="float64")
    x, y = models.teach(teacher, 200, 12)
    optim.least_squares(lambda s: s(x) - y, student)
    np.testing.assert_allclose(student.weight.numpy(), teacher.weight.numpy(), atol=1e-6)
    assert student.parameter_count() == 4
    with pytest.raises(ValueError, match="3 patches of 4 numbers make 12, not 11"):
        student(x[:, :11])


def test_a_linear_autoencoder_finds_the_principal_components():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 6)) * [3, 2, 1, 0.3, 0.2, 0.1]
    x = (x - x.mean(axis=0)) @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    model = models.Autoencoder((6, 2), "identity", dtype="float64")
    X = mg.Tensor(x)
    optim.least_squares(lambda m: m(X) - X, model, maxiter=200)
    best = (np.linalg.svd(x, compute_uv=False)[2:] ** 2).sum()
    assert ((model(X) - X) ** 2).sum().item() == pytest.approx(best, rel=1e-6)
