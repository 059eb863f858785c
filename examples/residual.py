"""Residual networks: why depth hurts a plain network, why a shortcut helps, and how to start one.

Sections 4.4 and 5.2 of the notes. A plain network of 30 layers trains worse than one of 4, which cannot be overfitting;
with shortcuts it trains. But a sum z + F(z) grows: by 2^L where F is initialized as usual, and the cures are
normalization, a factor, an initialization of 1/L, or branches that start at zero.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import data, models, nn, optim
from minigrad.nn import functional as F
from minigrad.testing import check_grads
from minigrad.train import fit

ROWS = tuple(f"N{i}" for i in range(62, 74))
EPOCHS = 15


# ------------------------------------------------------------------------------------------------ training, by depth
@cache
def digits() -> tuple[np.ndarray, ...]:
    d = data.digits(797)
    return d.x_train.reshape(-1, 64), d.y_train, d.x_test.reshape(-1, 64), d.y_test


def train_error(make: Any, lr: float, epochs: int = EPOCHS) -> float:
    """Of SGD with momentum 0.9 on 1,000 digits; chance, .9, where it diverges."""
    mg.manual_seed(0)
    model = make()
    x, y, *_ = digits()
    loader = data.DataLoader((x, y), 50, shuffle=True, seed=0)
    with np.errstate(all="ignore"):
        try:
            fit(model, F.cross_entropy, loader, optim.SGD(model.parameters(), lr, momentum=0.9), epochs)
        except mg.NonFiniteError:
            return 0.9
        model.eval()
        with mg.no_grad():
            return 1 - F.accuracy(model(mg.Tensor(x)), mg.Tensor(y))


def network(depth: int, width: int = 48, **options: Any) -> models.ResidualMLP:
    """``depth`` affine maps in all."""
    return models.ResidualMLP(64, width, 10, depth - 2, **options)


KINDS = {
    "plain, He": {"plain": True},
    "plain, Xavier": {"plain": True, "init": "xavier_normal"},
    "plain, batch norm": {"plain": True, "norm": True},
    "residual, He": {},
    "residual, 1/L": {"init": "residual"},
    "residual, batch norm": {"norm": True},
}


@cache
def by_depth(kind: str, depth: int, rates: tuple[float, ...]) -> float:
    return min(train_error(lambda: network(depth, **KINDS[kind]), lr) for lr in rates)


def depth(out: Report, quick: bool) -> None:
    """Rows N62, N65, N66, N67, N73."""
    rates = (0.01,) if quick else (0.1, 0.01, 0.002)
    shallow, deep = (by_depth("plain, He", L, rates) for L in (4, 30))
    out.at_most("N62", "train error of a plain network of 4 layers (digits, 15 epochs)", shallow, 0.1)
    out.at_least("N62", "of 30 layers: a larger class of functions, and a larger error in training", deep, 0.2)
    kinds = ["residual, 1/L", "residual, batch norm"] if quick else list(KINDS)[1:]
    errors = {kind: by_depth(kind, 30, rates) for kind in kinds}
    for kind in ("residual, 1/L", "residual, batch norm"):
        out.at_most("N62 N64", f"of 30 layers, {kind}", errors[kind], 0.25 if quick else 0.12)
    if not quick:
        out.at_least("N62", "plain with Xavier's scale, which relu halves in every layer", errors["plain, Xavier"], 0.5)
        better = errors["plain, Xavier"] - deep
        out.at_least("N62", "He's scale is better than that by", better, 0.05)
        out.at_least("N66", "residual with He's scale and nothing else", errors["residual, He"], 0.5)

    mg.manual_seed(0)
    x, y, *_ = digits()
    start = lambda model: F.cross_entropy(model(mg.Tensor(x)), mg.Tensor(y)).item()
    modules = {"layers": 2, "width": 48}
    out.at_least("N66", "loss at the start of 25 two-layer modules, He", start(network(27, **modules)), 1e3)
    fixup = lambda: network(27, init="fixup", **modules)
    out.near("N73", "with Fixup it is log(10)", start(fixup()), np.log(10), tol=1e-4)
    out.at_most("N73", "and the train error becomes", train_error(fixup, 0.02), 0.02)
    highway = lambda: models.Highway(64, 48, 10, 25)
    out.at_most("N67", "train error of 25 highway blocks", train_error(highway, 0.1), 0.35)


# -------------------------------------------------------------------------------------------------------- the blocks
def blocks(out: Report) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4))
    block = models.ResidualBlock(4, activation="tanh", dtype="float64")
    for p in block.parameters():
        nn.init.zeros_(p)
    out.at_most("N64", "z + phi(W z) with W = 0 is z", np.abs(block(mg.Tensor(x)).numpy() - x).max(), 0)
    images = rng.standard_normal((2, 4, 6, 6))
    for row, name, module, z in (
        ("N64", "z + phi(W z)", models.ResidualBlock(4, activation="tanh", dtype="float64"), x),
        ("N66", "z + W phi(W z)", models.ResidualBlock(4, 2, activation="tanh", dtype="float64"), x),
        ("N67", "the highway block", models.HighwayBlock(4, "tanh", dtype="float64"), x),
        *(
            ("N65", f"a block that changes the shape, {way}", _shape_changing(way), images)
            for way in ("projection", "identity", "pooling")
        ),
    ):
        own = {k: v.detach() for k, v in module.named_parameters()}
        call = lambda z, own, module=module: (nn.functional_call(module, own, z) ** 2).mean()
        check_grads(call, z, own, order=1, rtol=1e-5)
        out.holds(row, f"gradients of {name} agree with differences to 1e-5", True)


def _shape_changing(shortcut: str) -> nn.Module:
    from minigrad.models.resnet import NORMS, BasicBlock

    block = BasicBlock(4, 8, 2, NORMS["group"], shortcut)
    block.to(dtype="float64")
    return block


# ------------------------------------------------------------------------------------------------ errors, in three
def decomposition(train: float, test: float, best: float) -> dict[str, float]:
    """The test error as representation + optimization + generalization (row N63)."""
    return {"representation": best, "optimization": train - best, "generalization": test - train}


def three_errors(out: Report) -> None:
    """Lines fitted to a parabola: the best line's error is known, and gradient descent has not quite found it."""
    rng = np.random.default_rng(0)
    draw = lambda n: (A := np.c_[np.ones(n), rng.uniform(-1, 1, n)], A[:, 1] ** 2 + 0.1 * rng.standard_normal(n))
    (A, b), (A_test, b_test) = draw(30), draw(1000)
    error = lambda w, A, b: float(0.5 * ((A @ w - b) ** 2).mean())
    best = error(np.linalg.lstsq(A, b)[0], A, b)
    w = optim.minimize(
        lambda w: 0.5 * ((mg.Tensor(A) @ w - mg.Tensor(b)) ** 2).mean(), np.ones(2), "gd", lr=0.3, maxiter=5
    ).x
    parts = decomposition(error(w, A, b), error(w, A_test, b_test), best)
    out.at_most("N63", "representation + optimization + generalization - test error",
                abs(sum(parts.values()) - error(w, A_test, b_test)), 1e-16)  # fmt: skip
    out.at_least("N63", "representation error of lines for a parabola", parts["representation"], 0.02)
    out.at_least("N63", "optimization error after 5 steps", parts["optimization"], 1e-3)


# ------------------------------------------------------------------------------------------------- growth with depth
def growth(out: Report, quick: bool) -> None:
    """Linear residual networks x <- x + W x, of width d (rows N68 to N71)."""
    rng, d, seeds = np.random.default_rng(0), 100, 20 if quick else 100
    tens, first = [], []
    for _ in range(seeds):  # the notes' program never resets x: it prints the ratio after 10, 20, ... layers
        x = rng.standard_normal(d)
        y, printed = x, []
        for _ in range(10):
            for _ in range(10):
                y = y + rng.standard_normal((d, d)) @ y / np.sqrt(d)
            printed.append(np.linalg.norm(y) / np.linalg.norm(x))
        first.append(printed[0])
        tens.append(printed[-1])
    out.between("N68", "|y| / |x| after 10 layers with Xavier's scale: 2^5 = 32", np.median(first), 26, 38)
    out.between("N68", "after 100 (the notes say 10): 2^50 = 1.1e15", np.median(tens), 2.8e14, 2.6e15)

    x, z, state = rng.standard_normal(d), None, np.random.default_rng(3)
    W = [state.standard_normal((d, d)) / np.sqrt(d) for _ in range(20)]
    y = z = x
    for w in W:
        y, z = w @ y, z + (w - np.eye(d)) @ z
    gap = np.linalg.norm(y - z) / np.linalg.norm(y)
    out.at_most("N69", "with W = N(0, 1/d) - I it is the plain network", gap, 1e-10)

    draws, c, L = 400_000, 0.1, 10
    y = np.ones(draws)
    for _ in range(L):
        y = y + np.sqrt(c) * rng.standard_normal(draws) * y
    out.near("N70", "width 1: E y^2 = (1 + c)^L = 2.594", (y**2).mean(), (1 + c) ** L, rel=0.03)

    for L, runs in ((10, seeds * 3), (100, seeds // 2)):
        mg.manual_seed(L)
        ratios = []
        for _ in range(runs):
            x = rng.standard_normal(d)
            y = x
            for _ in range(L):
                y = y + nn.init.residual_(mg.zeros(d, d), L).numpy() @ y
            ratios.append((y @ y) / (x @ x))
        theory = (1 + 1 / L) ** L
        out.near("N71", f"1/L scaling, L = {L}: E|y|^2 / |x|^2 = (1 + 1/L)^L", np.mean(ratios), theory, rel=0.12)


def balanced(out: Report) -> None:
    """z <- alpha (z + beta W relu(z)), W ~ N(0, 2/d): second moments through 20 layers (row N72)."""
    d, n, L = 500, 200, 20

    def moments(alpha: float, beta: float, norm: bool = False) -> list[float]:
        mg.manual_seed(0)
        z, found = mg.randn(n, d), []
        for _ in range(L):
            block = models.ResidualBlock(d, 1, alpha=alpha, beta=beta, pre=True, norm=norm)
            block.residual[1].weight.assign_(np.sqrt(2 / d) * mg.randn(d, d).numpy())
            nn.init.zeros_(block.residual[1].bias)
            with mg.no_grad():
                z = block(z)
            found.append(float((z**2).mean().item()))
        return found

    doubling = moments(1, 1)
    out.near("N72", "alpha = beta = 1: doubles per layer, after 10", doubling[9], 2**10, rel=0.25)
    kept = moments(2**-0.5, 1)
    out.between("N72", "alpha = 1/sqrt(2): stays, largest of 20 layers", max(kept), 0.9, 1.2)
    bounded = moments(1, 1 / np.sqrt(L), norm=True)
    out.near("N72", "beta = 1/sqrt(L) with normalization: doubles over all L layers", bounded[-1], 2, rel=0.1)


def figure() -> Any:
    """Train error by kind, at two depths."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7, 3.5), layout="constrained")
    axes, rates = drawing.subplots(), (0.01,)
    for i, depth in enumerate((4, 30)):
        errors = [by_depth(kind, depth, rates) for kind in KINDS]
        axes.barh(np.arange(len(KINDS)) - 0.2 + 0.4 * i, errors, 0.35, label=f"{depth} layers")
    axes.set_yticks(range(len(KINDS)), list(KINDS))
    axes.set(xlabel="train error after 15 epochs (digits)")
    axes.legend()
    return drawing


def report(quick: bool = False) -> Report:
    out = Report(figure=figure)
    depth(out, quick)
    blocks(out)
    three_errors(out)
    growth(out, quick)
    balanced(out)
    return out
