"""Wide networks fit anything: gradient descent finds a global minimum even where there is nothing to learn.

Labels drawn at random have no rule behind them, so a network that fits them has memorized them. It can, if it is wide
enough: the training error goes to zero with the capacity (Zhang et al. 2017), and for a wide two-layer network plain
gradient descent's loss goes to zero at a linear rate (Du et al. 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import data, models, optim
from minigrad.nn import functional as F
from minigrad.train import fit

ROWS = ("T19", "T20")


def random_targets(width: int, steps: int, seed: int = 0) -> list[float]:
    """Losses of gradient descent on N(0, 1) targets for 100 unit vectors in R^20, with a_r = +-1 fixed."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((100, 20))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    X, y = mg.Tensor(x), mg.Tensor(rng.standard_normal(100))
    mg.manual_seed(seed)
    model = models.TwoLayer(20, width, dtype="float64")
    optimizer, losses = optim.SGD(model.parameters(), 0.1), []
    for _ in range(steps):
        loss = 0.5 * ((model(X) - y) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def random_labels(width: int, n: int, epochs: int, seed: int = 0) -> float:
    """Train error on the digits' pictures with labels drawn at random."""
    d = data.digits(797)
    x, y = d.x_train[:n].reshape(n, 64), np.random.default_rng(seed).integers(10, size=n)
    mg.manual_seed(seed)
    model = models.MLP((64, width, 10), init="kaiming_normal")
    loader = data.DataLoader((x, y), 100, shuffle=True, seed=seed)
    schedule = optim.schedules.cosine(epochs * len(loader), floor=0.01)
    fit(model, F.cross_entropy, loader, optim.Adam(model.parameters(), 3e-3), epochs, schedule=schedule)
    with mg.no_grad():
        return 1 - F.accuracy(model(mg.Tensor(x)), mg.Tensor(y))


def figure() -> Any:
    """The loss on random targets, by width."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(5, 3.2), layout="constrained")
    axes = drawing.subplots()
    for width in (20, 100, 1000):
        axes.semilogy(random_targets(width, 1500), label=f"{width} units")
    axes.set(xlabel="step", ylabel="loss on random targets")
    axes.legend()
    return drawing


def report(quick: bool = False) -> Report:
    out = Report(figure=figure)
    losses = random_targets(1000, 2000 if quick else 5000)
    out.between("T19", "loss on 100 random targets at the start, width 1000", losses[0], 20, 200)
    out.at_most("T19", f"after {len(losses):,} steps of gradient descent", losses[-1], 1e-4 if quick else 1e-9)
    reached = [int(np.argmax(np.array(losses) < level)) for level in (1e-1, 1e-3, 1e-5)]
    ratio = (reached[2] - reached[1]) / (reached[1] - reached[0])
    out.between("T19", "a linear rate: steps from 1e-3 to 1e-5 per steps from 1e-1 to 1e-3", ratio, 0.7, 2)
    n, epochs = (200, 250) if quick else (1000, 300)
    by_width = {width: random_labels(width, n, epochs) for width in (4, 16, 64, 512)}
    out.at_most("T19 T20", f"train error on {n} random labels, width 512", by_width[512], 0.0)
    out.at_least("T20", "width 4, which has no room for them", by_width[4], 0.3)
    falling = list(by_width.values())
    out.holds("T20", "the error falls with the width: " + ", ".join(f"{e:.2f}" for e in falling),
              all(a >= b for a, b in zip(falling, falling[1:], strict=False)))  # fmt: skip
    return out
