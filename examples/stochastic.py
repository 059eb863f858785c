"""Stochastic gradients: a floor that a constant step cannot pass, a price that does not depend on the number of data.

F(x) = mean over i of F_i(x) for a linear regression. With a constant step SGD falls to a floor proportional to the
step (E77: the step need not vanish for the proof, only for convergence); with 1/sqrt(T) the mean squared gradient
falls like 1/sqrt(T) (Theorem 9.1); and where gradient descent pays n gradients a step, SGD pays one.
"""

import numpy as np

from examples.claims import Report
from minigrad import optim, viz

ROWS = ("N135", "N136", "N137")


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5))
    return X, X @ np.arange(1.0, 6.0) + rng.standard_normal(n)


def loss(w, x, y):
    return 0.5 * ((x @ w - y) ** 2).mean()


def squared_gradients(X, y, path):
    """|grad F|^2 along a path."""
    H, b = X.T @ X / len(X), X.T @ y / len(X)
    return np.sum((path @ H - b) ** 2, axis=1)


def sgd(X, y, lr, steps, seed=0, **options):
    return optim.minimize(
        loss,
        np.zeros(5),
        "sgd",
        lr=lr,
        maxiter=steps,
        examples=(X, y),
        order="random",
        seed=seed,
        keep_x=True,
        **options,
    )


def report(quick=False):
    out = Report()
    X, y = data(200)
    n = 8_000 if quick else 30_000
    floors = {}
    for lr in (0.04, 0.02, 0.01):
        path = sgd(X, y, lr, n).history["x"][n // 4 :]
        floors[lr] = squared_gradients(X, y, path).mean() / lr
    for lr, floor in floors.items():
        out.between(
            "N135", f"SGD, step {lr}: E|grad F|^2 / step, the same for all steps", floor / floors[0.01], 0.6, 1.6
        )
    cyclic = optim.minimize(loss, np.zeros(5), "incremental", lr=0.02, maxiter=40 * 200, examples=(X, y), keep_x=True)
    ends = cyclic.history["x"][::200]
    out.at_most(
        "N135",
        "incremental gradient: it comes back to the same point every epoch",
        np.abs(ends[-1] - ends[-2]).max(),
        1e-8,
    )
    shrinking = sgd(X, y, 0.5, n, schedule=lambda k: 10 / (k + 30))
    late = squared_gradients(X, y, shrinking.history["x"][-200:]).mean()
    out.at_most(
        "N135", "SGD, steps 5/(k + 30): |grad F|^2 at the end, below the floor of .01", late, 0.3 * floors[0.01] * 0.01
    )

    scaled = []
    for T in (400, 1600, 6400) if quick else (400, 1600, 6400, 25_600):
        means = [squared_gradients(X, y, sgd(X, y, T**-0.5, T, seed).history["x"]).mean() for seed in range(3)]
        scaled.append(np.mean(means) * T**0.5)
    out.between(
        "N136",
        "step 1/sqrt(T): mean |grad F|^2 sqrt(T), largest / smallest over T",
        max(scaled) / min(scaled),
        1.0,
        1.6,
    )
    H = X.T @ X / len(X)
    L = np.linalg.eigvalsh(H)[-1]
    f0, best = 0.5 * np.mean(y**2), 0.5 * np.mean((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2)
    path = sgd(X, y, 400**-0.5, 400).history["x"]
    noise = np.mean(np.sum(((path @ X.T - y)[:, :, None] * X) ** 2, axis=2))  # E|g|^2 along the path
    out.at_most(
        "N136", "... T=400: against the theorem's (F0 - F*) + L E|g|^2 / 2", scaled[0], f0 - best + L * noise / 2
    )

    calls = {"GD": [], "SGD": []}
    for size in (100, 1000, 10_000):
        X, y = data(size)
        gd = optim.minimize(lambda w, X=X, y=y: loss(w, X, y), np.zeros(5), "gd", lr=0.2, tol=1e-3**0.5)
        calls["GD"].append(gd.nit * size)
        counts = []
        for seed in range(5 if quick else 9):
            path = sgd(X, y, 0.02, 3000, seed).history["x"]
            average = np.cumsum(path, axis=0) / np.arange(1, len(path) + 1)[:, None]
            reached = np.flatnonzero(
                np.minimum(squared_gradients(X, y, path), squared_gradients(X, y, average)) <= 1e-2
            )
            counts.append(reached[0] if len(reached) else np.inf)
        calls["SGD"].append(np.median(counts))
    out.near(
        "N137",
        "100 times the data: GD needs 100 times the gradients to |grad F|^2 <= 1e-3",
        calls["GD"][2] / calls["GD"][0],
        100,
        rel=0.3,
    )
    out.between("N137", "... and SGD about as many (to 1e-2)", calls["SGD"][2] / calls["SGD"][0], 0.2, 5)
    out.at_least("N137", "10,000 examples: GD's gradients / SGD's", calls["GD"][2] / calls["SGD"][2], 50)

    def figure():
        X, y = data(200)
        return viz.plot_history({f"step {lr}": sgd(X, y, lr, 3000) for lr in (0.04, 0.01)}, ("fun", "optimality"))

    out.figure = figure
    return out
