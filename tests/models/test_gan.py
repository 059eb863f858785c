"""Adversarial networks: losses against their formulas, the penalty, every method of optim plays, errors."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.models.gan import LOSSES
from minigrad.testing import check_grads


@pytest.fixture(autouse=True)
def _seed():
    mg.manual_seed(0)


def small(loss="non_saturating", penalty=0.0):
    G = models.mlp_generator(2, 1, (8,), activation="tanh")
    D = models.mlp_discriminator(1, (8,), activation="tanh")
    return models.GAN(G, D, latent=2, loss=loss, gradient_penalty=penalty, seed=1)


REAL = np.random.default_rng(0).normal(3, 0.5, (500, 1)).astype(np.float32)


def test_losses_against_their_formulas():
    r, f = np.array([0.3, -2.0, 1.0]), np.array([1.5, -0.2, 0.7])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    expected = {
        "minimax": np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean(),
        "non_saturating": (-np.log(sigmoid(f)).mean(), -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean()),
        "wasserstein": r.mean() - f.mean(),
        "least_squares": (((f - 1) ** 2).mean() / 2, ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2),
        "hinge": (-f.mean(), np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()),
    }
    assert expected.keys() == LOSSES.keys()
    for name, value in expected.items():
        out = LOSSES[name](mg.Tensor(r), mg.Tensor(f))
        for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (out, value)), strict=True):
            assert a.item() == pytest.approx(b, rel=1e-12), name


def test_gradient_penalty_of_a_linear_critic():
    """f(x) = 3 x_1 - 4 x_2 has slope 5 everywhere."""
    w = mg.Tensor([3.0, -4.0], requires_grad=True)
    rng = np.random.default_rng(0)
    real, fake = mg.randn(6, 2), mg.randn(6, 2)
    penalty = models.gradient_penalty(lambda x: x @ w, real, fake, rng)
    assert penalty.item() == pytest.approx(16, rel=1e-5)
    penalty.backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * 4 * np.array([3, -4]) / 5, rtol=1e-5)


def test_the_penalty_is_differentiated_in_the_weights():
    critic = models.mlp_discriminator(2, (5,), activation="tanh", dtype="float64")
    own = {k: v.detach() for k, v in critic.named_parameters()}
    real, fake = mg.randn(4, 2, dtype="float64"), mg.randn(4, 2, dtype="float64")

    def penalty(values):
        call = lambda x: nn.functional_call(critic, values, x)
        return models.gradient_penalty(call, real, fake, np.random.default_rng(3))

    check_grads(penalty, own, order=1)


METHODS = {
    "gda": lambda players: optim.GDA(*players, lr=0.05),
    "alternating": lambda players: optim.GDA(*players, lr=0.05, order="alternating"),
    "adam": lambda players: optim.GDA(*players, lr=1e-3, rule=optim.Adam, betas=(0.5, 0.9)),
    "ogda": lambda players: optim.OptimisticGDA(*players, lr=0.05),
    "optimistic adam": lambda players: optim.OptimisticAdam(*players, lr=1e-3),
    "extragradient": lambda players: optim.ExtraGradient(*players, lr=0.05),
    "consensus": lambda players: optim.ConsensusGD(*players, lr=0.05, gamma=0.1),
    "best response": lambda players: optim.BestResponse(*players, lr=0.05, inner=3),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_plays_every_loss(method, loss):
    """A few steps move both players, to the same place again for the same seeds."""
    ends = []
    for _ in range(2):
        mg.manual_seed(0)
        gan = small(loss, penalty=0.1 if loss == "wasserstein" else 0.0)
        before = [x.numpy().copy() for player in gan.players() for x in player]
        values = gan.play(METHODS[method](gan.players()), REAL, steps=3, batch_size=16)
        after = [x.numpy().copy() for player in gan.players() for x in player]
        assert len(values) == 3
        assert np.isfinite(values).all()
        assert all((a != b).any() for a, b in zip(before[::2], after[::2], strict=True))
        ends.append(after)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_clipping_is_a_constraint_of_the_method():
    gan = small("wasserstein")
    method = optim.BestResponse(*gan.players(), lr=0.5, inner=2, constraints=(None, optim.Box(-0.1, 0.1)))
    gan.play(method, REAL, steps=3, batch_size=16)
    assert all(abs(x.numpy()).max() <= 0.1 for x in gan.players()[1])
    assert any(abs(x.numpy()).max() > 0.1 for x in gan.players()[0])


def test_callback_stops_and_samples_are_in_evaluation_mode():
    G = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    gan = models.GAN(G, models.mlp_discriminator(1, (4,)), latent=2)
    seen = []
    values = gan.play(optim.GDA(*gan.players(), lr=0.01), REAL, 10, 8, lambda k, value: seen.append(k) or k == 3)
    assert seen == [0, 1, 2, 3]
    assert len(values) == 4
    running = G[1].running_mean.numpy().copy()
    G[1].eval()
    assert gan.sample(5).shape == (5, 1)
    assert [part.training for part in G.modules()] == [True, True, False, True], "each part is in its own mode again"
    np.testing.assert_array_equal(G[1].running_mean.numpy(), running)
    G[1].train()
    assert not gan.sample(5).requires_grad
    np.testing.assert_array_equal(G[1].running_mean.numpy(), running)


def test_dcgan_shapes_names_and_errors():
    G, D = models.dcgan_generator(10, 3, 16, width=8), models.dcgan_discriminator(3, 16, width=8)
    x = G(mg.randn(2, 10))
    assert x.shape == (2, 3, 16, 16)
    assert abs(x.numpy()).max() <= 1
    assert D(x).shape == (2, 1)
    for norm in ("none", "spectral"):
        assert models.dcgan_discriminator(3, 16, width=8, norm=norm)(x).shape == (2, 1)
    with pytest.raises(ValueError, match="4 times a power of two"):
        models.dcgan_generator(10, 1, 28)
    with pytest.raises(ValueError, match="norm must be"):
        models.dcgan_discriminator(norm="bach")
    with pytest.raises(ValueError, match="loss must be a function or one of minimax"):
        small(loss="wassserstein")
