"""Generative adversarial networks: a generator and a discriminator play a game, through any method of ``optim``.

    gan = GAN(generator, critic, loss="wasserstein", gradient_penalty=0.1)
    method = optim.BestResponse(*gan.players(), lr=1e-3, inner=5, rule=optim.Adam, betas=(0.5, 0.9))
    gan.play(method, real, steps=3000, batch_size=256)

``optim.GDA``, ``optim.OptimisticAdam``, ``optim.ExtraGradient`` instead of ``optim.BestResponse`` are a word to change
(notes, sections 7.3 and 9.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from minigrad import nn
from minigrad.core.graph import array_of
from minigrad.core.modes import no_grad
from minigrad.models.mlp import MLP
from minigrad.nn import functional as F
from minigrad.nn.module import Module, evaluating
from minigrad.tensor import Tensor
from minigrad.transforms import grad

__all__ = [
    "GAN", "LOSSES", "Unflatten", "dcgan_discriminator", "dcgan_generator", "gradient_penalty", "hinge",
    "least_squares", "minimax", "mlp_discriminator", "mlp_generator", "non_saturating", "wasserstein",
]  # fmt: skip

Payoff = Tensor | tuple[Tensor, Tensor]  # a scalar, or (generator's cost, discriminator's cost)


# ----------------------------------------------------- losses, of the discriminator's logits on real and on fake
def minimax(real: Tensor, fake: Tensor) -> Payoff:
    """E log D(x) + E log(1 - D(G(z))), which the generator minimizes and the discriminator maximizes.

    -log 4 + 2 JSD(p, q) for the best discriminator (Goodfellow et al. 2014; row N101).
    """
    return -F.softplus(-real).mean() - F.softplus(fake).mean()


def non_saturating(real: Tensor, fake: Tensor) -> Payoff:
    """The generator minimizes -E log D(G(z)) instead, whose gradient does not vanish while it is losing."""
    return F.softplus(-fake).mean(), F.softplus(-real).mean() + F.softplus(fake).mean()


def wasserstein(real: Tensor, fake: Tensor) -> Payoff:
    """E f(x) - E f(G(z)): over 1-Lipschitz f its maximum is W1 (Arjovsky et al. 2017; row N107).

    The critic has to be kept Lipschitz: by clipping its weights (a constraint of the method), by a gradient penalty, or
    by ``nn.spectral_norm``.
    """
    return real.mean() - fake.mean()


def least_squares(real: Tensor, fake: Tensor) -> Payoff:
    """The discriminator's targets are 1 and 0, the generator's is 1, all in squares (Mao et al. 2017)."""
    return 0.5 * ((fake - 1) ** 2).mean(), 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()


def hinge(real: Tensor, fake: Tensor) -> Payoff:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))) against -E D(G(z)) (Lim & Ye 2017)."""
    return -fake.mean(), F.relu(1 - real).mean() + F.relu(1 + fake).mean()


LossName = Literal["minimax", "non_saturating", "wasserstein", "least_squares", "hinge"]
LOSSES: dict[str, Callable[[Tensor, Tensor], Payoff]] = {
    f.__name__: f for f in (minimax, non_saturating, wasserstein, least_squares, hinge)
}


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: np.random.Generator
) -> Tensor:
    """E (|grad f(u)| - 1)^2 at points u on the lines between real and fake examples (Gulrajani et al. 2017)."""
    share = Tensor(rng.uniform(size=(len(real), *[1] * (real.ndim - 1))), dtype=real.dtype)
    u = share * real + (1 - share) * fake
    slope = grad(lambda u: critic(u).sum())(u)
    squares = (slope * slope).reshape((len(real), -1)).sum(axis=1)
    return (((squares + 1e-12) ** 0.5 - 1) ** 2).mean()


# ---------------------------------------------------------------------------------------------------------- the game
class GAN:
    """A generator G of latent vectors z ~ N(0, I), and a discriminator (or critic) of examples, which returns logits.

    Args:
        latent: how many numbers z has.
        loss: "minimax", "non_saturating", "wasserstein", "least_squares", "hinge", or a function of (logits of real,
            logits of fake) that returns a payoff or (generator's cost, discriminator's cost).
        gradient_penalty: the weight of :func:`gradient_penalty` in the discriminator's cost.
        seed: of latent vectors, batches, and points of the penalty.

    Raises:
        ValueError: an unknown loss.
    """

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        latent: int,
        loss: LossName | Callable[[Tensor, Tensor], Payoff] = "non_saturating",
        gradient_penalty: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not callable(loss) and loss not in LOSSES:
            raise ValueError(f"GAN: loss must be a function or one of {', '.join(LOSSES)}, not {loss!r}")
        self.generator, self.discriminator, self.latent = generator, discriminator, latent
        self.loss = loss if callable(loss) else LOSSES[loss]
        self.gradient_penalty = gradient_penalty
        self.rng = np.random.default_rng(seed)

    def players(self) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters of the generator, who minimizes, and of the discriminator, who maximizes."""
        return list(self.generator.parameters()), list(self.discriminator.parameters())

    def noise(self, n: int) -> Tensor:
        """n latent vectors."""
        dtype = next(self.generator.parameters()).dtype
        return Tensor(self.rng.standard_normal((n, self.latent)), dtype=dtype)

    def sample(self, n: int) -> Tensor:
        """n examples of the generator's, in evaluation mode."""
        with no_grad(), evaluating(self.generator):
            return self.generator(self.noise(n))

    def payoff(self, real: Tensor) -> Payoff:
        """The game on a batch of real examples and as many fakes."""
        fake = self.generator(self.noise(len(real)))
        out = self.loss(self.discriminator(real), self.discriminator(fake))
        if not self.gradient_penalty:
            return out
        penalty = self.gradient_penalty * gradient_penalty(self.discriminator, real, fake.detach(), self.rng)
        return (out[0], out[1] + penalty) if isinstance(out, tuple) else out - penalty

    def play(
        self,
        method: Any,
        real: Any,
        steps: int,
        batch_size: int = 64,
        callback: Callable[[int, float], Any] | None = None,
    ) -> list[float]:
        """Take ``steps`` steps of a minimax method on ``players()``; every evaluation draws a new batch.

        Args:
            method: of ``optim``: GDA, OptimisticAdam, ExtraGradient, BestResponse, ...
            real: the examples, (N, ...).
            callback: called with the step's number and the payoff before it; return True to stop.

        Returns:
            the payoffs (the generator's costs where the game is not zero-sum).

        Raises:
            OptimizationError: the payoff is not finite: the game has diverged.
        """
        history = []
        for k in range(steps):
            value = method.step(lambda: self.payoff(self._batch(real, batch_size))).item()
            history.append(value)
            if callback is not None and callback(k, value):
                break
        return history

    def _batch(self, real: Any, size: int) -> Tensor:
        chosen = self.rng.integers(len(real), size=size)
        return Tensor(array_of(real)[chosen])


# ---------------------------------------------------------------------------------------------------------- networks
def mlp_generator(
    latent: int, shape: int | Sequence[int], widths: Sequence[int] = (128, 128), **options: Any
) -> Module:
    """An MLP from z to examples of ``shape``, a number or several; options are :class:`MLP`'s."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return nn.Sequential(MLP((latent, *widths, int(np.prod(shape))), **options), Unflatten(shape))


def mlp_discriminator(shape: Any, widths: Sequence[int] = (128, 128), **options: Any) -> Module:
    """An MLP from examples of ``shape`` to one logit each."""
    options = {"activation": "leaky_relu", **options}
    return nn.Sequential(nn.Flatten(), MLP((int(np.prod(shape)), *widths, 1), **options))


class Unflatten(Module):
    """(N, ...) to (N, *shape)."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape((len(x), *self.shape))

    def extra_repr(self) -> str:
        return f"shape={self.shape}"


def dcgan_generator(latent: int, channels: int = 1, size: int = 32, width: int = 64) -> Module:
    """Transposed convolutions 4x4 that double the resolution from 4 x 4 to ``size``, with batch normalization and relu,
    and tanh at the end (Radford et al. 2016).

    Args:
        width: channels before the last layer; twice as many at each lower resolution.

    Raises:
        ValueError: a size that is not 4 times a power of two.
    """
    doublings = _doublings("dcgan_generator", size)
    widths = [width * 2**i for i in reversed(range(doublings))]
    layers: list[Module] = [Unflatten((latent, 1, 1)), nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
    for n_in, n_out in zip(widths, [*widths[1:], channels], strict=True):
        layers += [nn.BatchNorm2d(n_in), nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=n_out == channels)]
    return _dcgan_init(nn.Sequential(*layers, nn.Tanh()))


def dcgan_discriminator(
    channels: int = 1, size: int = 32, width: int = 64, norm: Literal["batch", "none", "spectral"] = "batch"
) -> Module:
    """The mirror image: convolutions 4x4 that halve the resolution, leaky relu with slope 0.2, one logit.

    Args:
        norm: "batch" (not in the first layer, nor with a gradient penalty, which is an example's own), "none", or
            "spectral" for ``nn.spectral_norm`` of every convolution.

    Raises:
        ValueError: a size that is not 4 times a power of two, or another norm.
    """
    if norm not in ("batch", "none", "spectral"):
        raise ValueError(f"dcgan_discriminator: norm must be 'batch', 'none' or 'spectral', not {norm!r}")
    n_in, layers = channels, list[Module]()
    for i in range(_doublings("dcgan_discriminator", size)):
        n_out = width * 2**i
        with_norm = norm == "batch" and i > 0
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=not with_norm)]
        layers += [nn.BatchNorm2d(n_out)] if with_norm else []
        layers += [nn.LeakyReLU(0.2)]
        n_in = n_out
    network = _dcgan_init(nn.Sequential(*layers, nn.Conv2d(n_in, 1, 4), nn.Flatten()))
    if norm == "spectral":
        for layer in network:
            if isinstance(layer, nn.Conv2d):
                nn.spectral_norm(layer)
    return network


def _doublings(name: str, size: int) -> int:
    doublings = (size // 4).bit_length() - 1
    if size != 4 * 2**doublings or doublings < 1:
        raise ValueError(f"{name}: the size must be 4 times a power of two (8, 16, 32, ...), not {size}")
    return doublings


def _dcgan_init(network: Any) -> Any:
    """N(0, 0.02^2) for the weights of convolutions, N(1, 0.02^2) for those of normalizations."""
    for layer in network:
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.weight is not None:
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return network
