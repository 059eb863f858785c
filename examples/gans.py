"""Generative adversarial networks on problems small enough to see: a bell curve, a ring of eight, handwritten digits.

    python -m examples.gans                     # the claims
    python -m examples.gans ring --out runs     # samples over time, for two losses
    python -m examples.gans digits --out runs   # a DCGAN on the digits

Sections 7.3 and 9.4 of the notes: the game that a generator and a discriminator play, what the Wasserstein distance
does for it, and how the method of play is a word to change.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

import minigrad as mg
from examples.claims import Report
from minigrad import data, models, optim
from minigrad.nn import functional as F
from minigrad.train import fit

ROWS = ("N101", "N107", "ring")


# ------------------------------------------------------------------------------------------------- a bell curve
def line(loss: str, seed: int, steps: int) -> tuple[float, float]:
    """A generator of numbers learns N(3, 0.5^2): (W1 to it, mean of D on real numbers)."""
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    real = rng.normal(3, 0.5, (5000, 1)).astype(np.float32)
    G, D = models.mlp_generator(4, 1, (32, 32)), models.mlp_discriminator(1, (32, 32))
    gan = models.GAN(G, D, latent=4, loss=loss, seed=seed)
    if loss == "wasserstein":  # with clipped weights, as it was first done
        method: Any = optim.BestResponse(
            *gan.players(), lr=(2e-4, 1e-3), inner=5, rule=optim.RMSProp, constraints=(None, optim.Box(-0.1, 0.1))
        )
        steps //= 3  # of six evaluations each
    else:
        method = optim.OptimisticAdam(*gan.players(), lr=(5e-4, 1e-3), betas=(0.5, 0.9), schedule=_cosine(steps))
    gan.play(method, real, steps, batch_size=128)
    made = gan.sample(5000).numpy()
    distance = float(np.abs(np.sort(made[:, 0]) - np.sort(real[:, 0])).mean())  # in one dimension, sorting transports
    with mg.no_grad():
        return distance, float(F.sigmoid(D(mg.Tensor(real))).mean().item())


def _cosine(steps: int) -> Callable[[int], float]:
    return optim.schedules.cosine(steps, floor=0.02)


# ---------------------------------------------------------------------------------------------------- the ring
CENTERS = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
SPREAD = 0.05


def ring(n: int, seed: int) -> np.ndarray:
    """Eight narrow Gaussians on the unit circle."""
    rng = np.random.default_rng(seed)
    return (CENTERS[rng.integers(8, size=n)] + SPREAD * rng.standard_normal((n, 2))).astype(np.float32)


def modes(made: np.ndarray) -> int:
    """How many of the eight have at least 2 % of the samples within three standard deviations."""
    apart = np.linalg.norm(made[:, None] - CENTERS, axis=2)
    return int(((apart < 3 * SPREAD).mean(axis=0) >= 0.02).sum())


def wasserstein_distance(a: np.ndarray, b: np.ndarray) -> float:
    """W1 between two samples of one size: the cheapest matching."""
    cost = np.linalg.norm(a[:, None] - b, axis=2)
    return float(cost[linear_sum_assignment(cost)].mean())


def ring_gan(
    loss: str, seed: int, steps: int, watch: Callable[[int, np.ndarray], Any] | None = None
) -> tuple[int, float]:
    """(modes covered, W1 to the data) after training."""
    mg.manual_seed(seed)
    real = ring(20_000, seed)
    G = models.mlp_generator(8, 2, (64, 64))
    D = models.mlp_discriminator(2, (64, 64))
    gan = models.GAN(G, D, latent=8, loss=loss, gradient_penalty=0.1, seed=seed)
    if loss == "wasserstein":
        method: Any = optim.BestResponse(
            *gan.players(), lr=1e-3, inner=3, rule=optim.Adam, betas=(0.5, 0.9), schedule=_cosine(steps)
        )
    else:
        method = optim.OptimisticAdam(*gan.players(), lr=(5e-4, 2e-3), betas=(0.5, 0.9), schedule=_cosine(steps))
    look = None if watch is None else lambda k, value: watch(k, gan.sample(1000).numpy())
    gan.play(method, real, steps, batch_size=256, callback=look)
    made = gan.sample(1000).numpy()
    return modes(made), wasserstein_distance(made, ring(1000, seed + 1000))


# -------------------------------------------------------------------------------------------------------- pictures
def draw_ring(steps: int = 3000) -> Any:
    """Samples over time, for two losses."""
    from matplotlib.figure import Figure

    looks = [0, steps // 20, steps // 5, steps // 2, steps - 1]
    drawing = Figure(figsize=(11, 4.6), layout="constrained")
    for row, loss in zip(drawing.subplots(2, len(looks)), ("wasserstein", "non_saturating"), strict=True):
        seen: dict[int, np.ndarray] = {}
        ring_gan(loss, 0, steps, lambda k, made, seen=seen: seen.update({k: made}) if k in looks else None)
        for axes, k in zip(row, looks, strict=True):
            axes.scatter(*CENTERS.T, marker="+", color="gray")
            axes.scatter(*seen[k].T, s=2)
            axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", title=f"{loss}, step {k}")
            axes.title.set_fontsize(8)
            axes.set_axis_off()
    return drawing


def digits_gan(steps: int = 1500) -> models.GAN:
    """A DCGAN that has learned the 8 x 8 digits, scaled to [-1, 1]."""
    mg.manual_seed(0)
    G, D = models.dcgan_generator(32, 1, 8, width=32), models.dcgan_discriminator(1, 8, width=32, norm="none")
    gan = models.GAN(G, D, latent=32, loss="hinge", gradient_penalty=1.0)
    method = optim.OptimisticAdam(*gan.players(), lr=(1e-3, 1e-3), betas=(0.5, 0.9), schedule=_cosine(steps))
    gan.play(method, 2 * data.digits().x_train - 1, steps, batch_size=64)
    return gan


def draw_digits() -> Any:
    """Real digits and made ones, in turn."""
    from matplotlib.figure import Figure

    real, made = 2 * data.digits().x_train - 1, digits_gan().sample(48).numpy()
    drawing = Figure(figsize=(8, 4.2), layout="constrained")
    for k, axes in enumerate(drawing.subplots(6, 16).flat):
        axes.imshow((real if k % 2 == 0 else made)[k // 2, 0], cmap="gray_r")
        axes.set_axis_off()
    drawing.suptitle("real and made, in turn")
    return drawing


def judged(made: mg.Tensor) -> tuple[float, int]:
    """What a classifier of real digits says: (share of which it is 90 % sure, digits that are 3 % of all or more)."""
    d = data.digits()
    mg.manual_seed(0)
    judge = models.CNN(10, 1, 8)
    loader = data.DataLoader((2 * d.x_train - 1, d.y_train), 64, shuffle=True, seed=0)
    fit(judge, F.cross_entropy, loader, optim.Adam(judge.parameters(), 3e-3), 10)
    judge.eval()
    with mg.no_grad():
        beliefs = F.softmax(judge(made), axis=1).numpy()
    counts = np.bincount(beliefs.argmax(axis=1), minlength=10) / len(beliefs)
    return float((beliefs.max(axis=1) > 0.9).mean()), int((counts >= 0.03).sum())


def report(quick: bool = False) -> Report:
    out = Report(figure=draw_ring)
    steps = 1500 if quick else 3000
    for loss, row in (("minimax", "N101"), ("wasserstein", "N107")):
        for seed in range(1 if quick else 2):
            distance, real = line(loss, seed, steps)
            out.at_most(
                row, f"{loss}, seed {seed}: W1 to N(3, .25) after {steps} steps", distance, 0.5 if quick else 0.15
            )
            if loss == "minimax":
                out.between(row, "D on real numbers, 1/2 at the equilibrium", real, 0.4, 0.6)
    for loss in ("wasserstein", "non_saturating"):
        for seed in range(1 if quick else 3):
            covered, distance = ring_gan(loss, seed, 1500 if quick else 3000)
            out.at_least("ring", f"{loss} with gradient penalty, seed {seed}: modes of 8", covered, 6 if quick else 7)
            out.at_most("ring", "W1 to the data, in radii", distance, 0.3 if quick else 0.15)
    if not quick:
        sure, seen = judged(digits_gan().sample(1000))
        out.at_least("digits", "DCGAN: share of its digits that a classifier is 90 % sure of", sure, 0.3)
        out.at_least("digits", "digits of 10 that it draws at least 3 times in 100", seen, 9)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("ring", "digits"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    args = parser.parse_args()
    if args.what is None:
        print(*report().claims, sep="\n")
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        {"ring": draw_ring, "digits": draw_digits}[args.what]().savefig(args.out / f"{args.what}_gan.png", dpi=120)
        print(f"wrote {args.out / args.what}_gan.png")
