"""Pre-training: what a network has learned on one task helps on another, with few labels.

    python -m examples.fine_tuning

The second task is the handwritten digits under heavy noise, with 40 labels. From scratch that is too few. A network
trained on clean digits gives features: kept as they are, with a new last layer (a fixed representation), or as a start
(fine-tuning). The order is that of a textbook for this shift alone: where the pictures are moved or inverted instead,
features of clean digits are no better than none.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import data, models, nn, optim
from minigrad.nn import functional as F
from minigrad.train import fit

ROWS = ("T10",)
LABELS, NOISE = 40, 0.25


@cache
def tasks() -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """(clean digits), (noisy ones): x, y for training and x, y for testing."""
    d = data.digits()
    flat = lambda x: x.reshape(-1, 64)
    rng = np.random.default_rng(0)
    noisy = lambda x: (x + NOISE * rng.standard_normal(x.shape)).astype(np.float32)
    clean, rest = slice(0, 800), slice(800, 800 + LABELS)
    return (
        (flat(d.x_train[clean]), d.y_train[clean]),
        (noisy(flat(d.x_train[rest])), d.y_train[rest], noisy(flat(d.x_test)), d.y_test),
    )


def network(seed: int) -> models.MLP:
    mg.manual_seed(seed)
    return models.MLP((64, 64, 64, 10), init="kaiming_normal")


def learn(model: nn.Module, x: np.ndarray, y: np.ndarray, epochs: int, lr: float, seed: int) -> nn.Module:
    learned = [p for p in model.parameters() if p.requires_grad]
    fit(model, F.cross_entropy, data.DataLoader((x, y), 20, shuffle=True, seed=seed), optim.Adam(learned, lr), epochs)
    return model


def error(model: nn.Module) -> float:
    *_, x, y = tasks()[1]
    with mg.no_grad():
        return 1 - F.accuracy(model(mg.Tensor(x)), mg.Tensor(y))


def errors(seed: int) -> dict[str, float]:
    """Test error on the noisy digits, by method."""
    (x, y), (x_few, y_few, *_) = tasks()
    pretrained = learn(network(seed), x, y, 30, 1e-3, seed).state_dict()
    found = {"from scratch": error(learn(network(seed + 100), x_few, y_few, 60, 1e-3, seed))}
    model = network(seed)
    model.load_state_dict(pretrained)
    found["no adaptation"] = error(model)
    model.requires_grad_(False)  # a new last layer on fixed features
    head: Any = model[-1]
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    head.requires_grad_(True)
    found["fixed representation"] = error(learn(model, x_few, y_few, 60, 3e-3, seed))
    model = network(seed)
    model.load_state_dict(pretrained)
    found["fine-tuned"] = error(learn(model, x_few, y_few, 20, 3e-4, seed))
    return found


def averages(seeds: int) -> dict[str, float]:
    runs = [errors(seed) for seed in range(seeds)]
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def figure() -> Any:
    """Errors by method."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(5.5, 2.5), layout="constrained")
    axes = drawing.subplots()
    found = averages(3)
    axes.barh(list(found), list(found.values()))
    axes.set(xlabel=f"test error on noisy digits, {LABELS} labels")
    return drawing


def report(quick: bool = False) -> Report:
    out = Report(figure=figure)
    found = averages(2 if quick else 5)
    out.between("T10", f"test error from scratch, {LABELS} labels", found["from scratch"], 0.3, 0.55)
    out.at_most("T10", "with the pre-trained features fixed", found["fixed representation"], 0.28)
    out.at_most("T10", "fine-tuned", found["fine-tuned"], 0.2)
    out.at_least("T10", "fixed less fine-tuned", found["fixed representation"] - found["fine-tuned"], 0)
    return out
