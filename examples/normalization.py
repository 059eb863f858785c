"""What normalization does: to a condition number, to a gradient, to a network.

Section 4.3 of the notes: normalizing the rows of the data makes linear regression easy; normalizing inside the network
is the same idea, as part of the function (its third method), so that its gradient has three paths. Then three
experiments on what batch normalization is good for: noise after it, training nothing else, growing step sizes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import minimize

import minigrad as mg
from examples.claims import Report
from minigrad import data, nn, optim
from minigrad.nn import functional as F
from minigrad.train import fit

ROWS = (*(f"N{i}" for i in range(51, 62)), *(f"T{i}" for i in range(12, 19)))


# ------------------------------------------------------------------------------------------------ linear regression
def regression(out: Report) -> None:
    """Columns with an offset and different scales: the matrix of second moments is badly conditioned (row N51)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3)) * [1, 3, 0.5] + [2, -2, 3]
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    y = scaled @ [1, -2, 0.5]
    out.at_most("N51", "variance of the normalized features, less one", np.abs(scaled.var(axis=0) - 1).max(), 1e-12)
    before, after = (np.linalg.cond(A) for A in (np.c_[X, np.ones(200)], np.c_[scaled, np.ones(200)]))
    out.at_least("N51 N52", "condition number sigma_max / sigma_min of the data as they are", before, 20)
    out.at_most("N51 N52", "and of the normalized data", after, 1.5)
    steps = {}
    for name, A in (("raw", np.c_[X, np.ones(200)]), ("normalized", np.c_[scaled, np.ones(200)])):
        lipschitz = np.linalg.eigvalsh(A.T @ A / 200)[-1]
        T, t = mg.Tensor(A), mg.Tensor(y)
        best = np.linalg.lstsq(A, y)[1].sum() / 400
        f = lambda w, T=T, t=t: 0.5 * ((T @ w - t) ** 2).mean()
        steps[name] = optim.minimize(
            f, np.zeros(4), "gd", lr=1 / lipschitz, target=best + 1e-6, tol=0.0, maxiter=10**6
        ).nit
    out.at_most("N51", "steps of gradient descent with 1/L on the normalized data", steps["normalized"], 30)
    out.at_least("N51", "times as many on the data as they are", steps["raw"] / steps["normalized"], 100)


# --------------------------------------------------------------------------------------------- normalizing as a method
def normalized(h: Any) -> Any:
    """eta(h): mean 0 and sum of squares 1, as the toy problem wants it; of arrays and tensors."""
    c = h - h.mean()
    return c / (c * c).sum() ** 0.5


def toy(out: Report) -> None:
    """min sum (h_i - 0.3)^4 over sum h = 0, sum h^2 = 1: with n = 6 the value is 0.41224391 (rows N53 to N56)."""
    value, n = 0.41224391, 6
    f = lambda h: ((h - 0.3) ** 4).sum()
    rng = np.random.default_rng(0)
    starts = rng.standard_normal((20, n))
    third = [optim.minimize(lambda h: f(normalized(h)), h, "gd", lr=0.05, tol=1e-9, maxiter=20_000).fun for h in starts]
    first = []
    for h in starts:  # descend, then normalize; and again
        h = normalized(h)
        for _ in range(3000):
            h = normalized(h - 0.05 * 4 * (h - 0.3) ** 3)
        first.append(f(h))
    sets = [
        {"type": "eq", "fun": lambda h: h.sum(), "jac": np.ones_like},
        {"type": "eq", "fun": lambda h: (h * h).sum() - 1, "jac": lambda h: 2 * h},
    ]
    settings: Any = {"method": "SLSQP", "tol": 1e-12, "options": {"maxiter": 500}}
    solve = lambda h: minimize(f, h, jac=lambda h: 4 * (h - 0.3) ** 3, constraints=sets, **settings)
    second = [solve(normalized(h)).fun for h in starts]
    for row, name, values in (
        ("N53 N54", "method 1, normalize after every step", first),
        ("N53 N55", "method 2, a constrained solver (SQP)", second),
        ("N53 N56", "method 3, through the normalization", third),
    ):
        reached = sum(abs(v - value) < 1e-6 for v in values)
        out.at_least(row, f"{name}: starts of 20 that reach {value}", reached, 20)
    g = mg.grad(lambda h: f(normalized(h)))(mg.Tensor(starts[0])).numpy()
    flat = max(abs(g.sum()), abs(g @ starts[0])) / np.linalg.norm(g)
    out.at_most("N56", "the gradient through eta is orthogonal to 1 and to h", flat, 1e-12)


# ---------------------------------------------------------------------------------------------------- the operation
def operation(out: Report) -> None:
    rng = np.random.default_rng(1)
    z = 3 + 2 * rng.standard_normal((8, 4))
    u = F.batch_norm(mg.Tensor(z), training=True).numpy()
    out.at_most("N57 T12", "means of the features after batch normalization", np.abs(u.mean(axis=0)).max(), 1e-12)
    out.at_most("N57 T12", "their variances, less one (eps = 1e-5)", np.abs(u.var(axis=0) - 1).max(), 1e-5)

    h = rng.standard_normal(7)
    eta = lambda h: F.batch_norm(h[:, None], training=True, eps=0.0)[:, 0]
    J, y = mg.jacobian(eta)(mg.Tensor(h)).numpy(), eta(mg.Tensor(h)).numpy()
    three_paths = (np.eye(7) - np.ones((7, 7)) / 7 - np.outer(y, y) / 7) / h.std()
    out.at_most("N58", "Jacobian against (I - 11'/n - yy'/n) / sigma", np.abs(J - three_paths).max(), 1e-14)
    out.between("N58", "its rank, n - 2 of n = 7", np.linalg.matrix_rank(J, tol=1e-10), 5, 5)

    gamma, beta = (mg.Tensor(v) for v in (z.std(axis=0), z.mean(axis=0)))
    back = F.batch_norm(mg.Tensor(z), weight=gamma, bias=beta, training=True, eps=0.0).numpy()
    out.at_most("N59", "gamma = std and beta = mean give the input back", np.abs(back - z).max(), 1e-12)

    # the backward pass by hand, as the tutorial prints it and as it should be (E121)
    g, eps, m = rng.standard_normal((8, 4)), 1e-5, 8
    mu, var = z.mean(axis=0), z.var(axis=0)
    dz = mg.vjp(lambda z: F.batch_norm(z, training=True, eps=eps), mg.Tensor(z))[1](mg.Tensor(g))[0].numpy()

    def by_hand(dvar: np.ndarray) -> np.ndarray:
        dmu = -(g / np.sqrt(var + eps)).sum(axis=0)  # the term through the variance is 0: the deviations sum to 0
        return g / np.sqrt(var + eps) + dvar * 2 * (z - mu) / m + dmu / m

    factor = -0.5 * (var + eps) ** -1.5
    right, printed = by_hand(factor * (g * (z - mu)).sum(axis=0)), by_hand(factor * g.sum(axis=0))
    out.at_most(
        "T13 N58", "backward formulas with the corrected d/d var, largest error", np.abs(right - dz).max(), 1e-13
    )
    off = np.linalg.norm(printed - dz) / np.linalg.norm(dz)
    out.at_least("T13", "relative error of the formula as printed", off, 0.05)

    layer = nn.BatchNorm1d(4, dtype="float64")
    for _ in range(50):
        layer(mg.Tensor(3 + 2 * rng.standard_normal((64, 4))))
    layer.eval()
    together, alone = layer(mg.Tensor(z)).numpy(), layer(mg.Tensor(z[:1])).numpy()
    out.at_most(
        "N60 T14", "in evaluation an example's output depends on no other", np.abs(together[:1] - alone).max(), 0
    )
    drift = np.abs(layer.running_mean.numpy() - 3).max()
    out.at_most("N60 T14", "the running mean is near the data's, 3", drift, 0.3)
    one = mg.vjp(lambda z: F.group_norm(z, 4), mg.Tensor(z))
    out.holds(
        "N60",
        "one value per group: the output and its gradient vanish",
        not one[0].numpy().any() and not one[1](mg.Tensor(g))[0].numpy().any(),
    )


def family(out: Report) -> None:
    """The relatives, against their formulas in NumPy (rows N61, T18)."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 6, 5, 4)).astype(np.float32)
    t = mg.Tensor(x)

    def formula(axes: tuple[int, ...], a: np.ndarray = x) -> np.ndarray:
        a = a.astype(float)
        return (a - a.mean(axis=axes, keepdims=True)) / np.sqrt(a.var(axis=axes, keepdims=True) + 1e-5)

    grouped = formula((2, 3, 4), x.reshape(3, 2, 3, 5, 4)).reshape(x.shape)
    for name, ours, expected in (
        ("batch", F.batch_norm(t, training=True), formula((0, 2, 3))),
        ("layer", F.layer_norm(t, (6, 5, 4)), formula((1, 2, 3))),
        ("instance", F.instance_norm(t), formula((2, 3))),
        ("group", F.group_norm(t, 2), grouped),
    ):
        out.at_most("N61 T18", f"{name} normalization against its formula", np.abs(ours.numpy() - expected).max(), 1e-6)
    layer = nn.weight_norm(nn.Linear(5, 3))
    part = layer.parametrizations.weight
    g, v = part.original0.numpy(), part.original1.numpy()
    expected = g * v / np.linalg.norm(v, axis=1, keepdims=True)
    out.at_most("N61 T18", "weight normalization, w = g v / |v|", np.abs(layer.weight.numpy() - expected).max(), 1e-6)


# --------------------------------------------------------------------------------------------------------- experiments
@cache
def digits() -> tuple[np.ndarray, ...]:
    d = data.digits()
    return d.x_train.reshape(-1, 64), d.y_train, d.x_test.reshape(-1, 64), d.y_test


class Noise(nn.Module):
    """Multiplies and shifts by random numbers in training: the distribution of the next layer's inputs never rests."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        if not self.training:
            return x
        scale, shift = (mg.randn(1, x.shape[1]) for _ in range(2))
        return x * (1 + 0.5 * scale) + 0.5 * shift


def network(norm: bool = True, noise: bool = False, width: int = 64) -> nn.Sequential:
    mg.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in in (64, width):
        layers += [nn.Linear(n_in, width, bias=not norm)]
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [Noise()] if noise else []
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def digits_error(model: nn.Module, optimizer: Any, epochs: int, batch: int = 64, **options: Any) -> float:
    x, y, x_test, y_test = digits()
    loader = data.DataLoader((x, y), batch, shuffle=True, drop_last=True, seed=0)
    history = fit(
        model, F.cross_entropy, loader, optimizer, epochs,
        validation=(x_test, y_test), metrics={"accuracy": F.accuracy}, **options,
    )  # fmt: skip
    return 1 - history["val_accuracy"][-1]


def experiments(out: Report, quick: bool) -> None:
    epochs = 15 if quick else 40
    errors = {}
    for name, noise in (("batch normalization", False), ("and noise after it", True)):
        model = network(noise=noise)
        errors[name] = digits_error(model, optim.SGD(model.parameters(), 0.05, momentum=0.9), epochs)
        out.at_most("T15", f"test error with {name} (digits)", errors[name], 0.05)
    gap = errors["and noise after it"] - errors["batch normalization"]
    out.between("T15", "the noise, which undoes the statistics, costs little", gap, -0.02, 0.02)

    model = network()
    model.requires_grad_(False)
    learned = [p for m in model.modules() if isinstance(m, nn.BatchNorm1d) for p in (m.weight, m.bias)]
    for p in learned:
        p.requires_grad = True
    count, whole = sum(p.size for p in learned), model.parameter_count()
    out.between("T16", "numbers in gamma and beta", count, 256, 256)
    out.between("T16", "of so many in all", whole, 9098, 9098)
    error = digits_error(model, optim.Adam(learned, 0.02), 30 if quick else 60)
    out.at_most("T16", "test error when nothing else is trained (chance: .9)", error, 0.35)

    model = network()
    hidden = [model[0].weight, model[3].weight]
    rest = [p for p in model.parameters() if all(p is not w for w in hidden)]
    optimizer = optim.SGD([{"params": hidden, "lr": 0.1}, {"params": rest, "lr": 0.05}])
    steps = 400
    largest = 0.1 * 1.02**steps
    x, y, x_test, y_test = digits()
    loader, taken = data.DataLoader((x, y), 64, shuffle=True, drop_last=True, seed=0), 0
    while taken < steps:
        for images, labels in loader:
            if taken == steps:
                break
            optimizer.groups[0]["lr"] = 0.1 * 1.02**taken
            taken += 1
            optimizer.step(lambda a=images, b=labels: F.cross_entropy(model(a), b))
    model.eval()
    error = 1 - F.accuracy(model(mg.Tensor(x_test)), mg.Tensor(y_test))
    out.at_least("T17", "step size of the normalized layers, after growing by 2 % a step", largest, 275)
    out.at_most("T17", "and still the test error is", error, 0.05)
    model.train()
    before = model(mg.Tensor(x[:200])).numpy()
    for w in hidden:
        w.assign_(7 * w.array)
    change = np.abs(model(mg.Tensor(x[:200])).numpy() - before).max() / np.abs(before).max()
    out.at_most("T17", "because W -> 7 W changes nothing (but for eps)", change, 3e-3)


def figure() -> Any:
    """How the loss falls with and without normalization, at three step sizes."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, norm in zip(drawing.subplots(1, 2, sharey=True), (False, True), strict=True):
        for lr in (0.003, 0.03, 0.3):
            model = network(norm)
            x, y, *_ = digits()
            loader = data.DataLoader((x, y), 64, shuffle=True, seed=0)
            history = fit(model, F.cross_entropy, loader, optim.SGD(model.parameters(), lr), 15)
            axes.semilogy(history["loss"], label=f"lr {lr}")
        axes.set(xlabel="epoch", ylabel="training loss", title="batch normalization" if norm else "none")
        axes.legend()
    return drawing


def report(quick: bool = False) -> Report:
    out = Report(figure=figure)
    regression(out)
    toy(out)
    operation(out)
    family(out)
    experiments(out, quick)
    return out
