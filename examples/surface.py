"""A network fitted by Levenberg-Marquardt and by Adam, in the same time.

The 2-20-20-1 network (501 parameters) is fitted to a surface known at 1,000 points. Least squares with few enough
parameters to factorize is where second-order methods shine: each step of LM costs some twenty of Adam's, and is worth
hundreds.
"""

import time

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz
from minigrad.models import MLP

ROWS = ("N168", "surface")


def data(n=1000):
    X = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1]) + 0.5 * X[:, 0] * X[:, 1]


def network(seed=0):
    mg.manual_seed(seed)
    model = MLP((2, 20, 20, 1), "tanh")
    model.to(dtype="float64")
    return model


def report(quick=False):
    out = Report()
    X, Y = data()
    steps = 100
    lm = optim.least_squares(lambda m, x, y: m(x)[0] - y, network(), examples=(X, Y), maxiter=steps, tol=0.0)
    seconds = lm.history["time"][-1]
    error = 2 * lm.cost / len(X)
    inputs, targets = mg.Tensor(X), mg.Tensor(Y)
    runs, best = {"LM": lm}, np.inf
    for lr in (1e-2, 1e-3) if quick else (1e-1, 1e-2, 1e-3, 1e-4):
        start = time.perf_counter()
        adam = optim.minimize(
            lambda m: ((m(inputs)[:, 0] - targets) ** 2).mean(),
            network(),
            "adam",
            lr=lr,
            maxtime=seconds,
            maxiter=10**7,
            tol=0.0,
        )
        runs[f"Adam, lr {lr:g}"] = adam
        best = min(best, adam.history["fun"].min())
        out.between("surface", f"Adam, lr {lr:g}: its time / LM's", (time.perf_counter() - start) / seconds, 0.9, 1.3)
    out.at_least(
        "surface",
        f"{seconds:.1f} s each, {steps} steps of LM: best mean squared error of Adam / LM's",
        best / error,
        100,
    )
    out.at_most("surface", "LM's mean squared error", error, 1e-5)
    out.holds("N168", "no step of LM raises the cost", np.all(np.diff(lm.history["fun"]) <= 0))

    def figure():
        lm.history["fun"] = 2 * lm.history["fun"] / len(X)
        return viz.plot_history(runs, ("fun",), x="time")

    out.figure = figure
    return out
