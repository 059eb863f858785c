"""Momentum: sqrt(kappa) instead of kappa, and where it fails.

The notes' moving average m = beta m + (1 - beta) g is Polyak's heavy ball with the step lr (1 - beta). On quadratics
heavy ball and Nesterov's method both take O(sqrt(kappa)) steps; but on a strongly convex function that is not
quadratic heavy ball may cycle for ever (Lessard, Recht & Packard 2016), so the notes' "accelerates on convex
functions" holds of Nesterov's alone.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz

ROWS = ("N138", "N139")


def heavy_ball(kappa):
    """Polyak's optimal (lr, momentum) for eigenvalues in [1, kappa]."""
    root = kappa**0.5
    return {"lr": 4 / (root + 1) ** 2, "momentum": ((root - 1) / (root + 1)) ** 2}


def nesterov(kappa):
    root = kappa**0.5
    return {"lr": 1 / kappa, "momentum": (root - 1) / (root + 1)}


def run(method, kappa, **options):
    H = np.array([1.0, kappa])
    return optim.minimize(
        lambda x: 0.5 * (H * x**2).sum(), np.ones(2), method, target=1e-6, tol=0.0, maxiter=10**6, **options
    )


def lessard(x):
    """Slopes 25, 1, 25: f' = 25 x, x + 24, 25 x - 24 for x < 1, 1 <= x <= 2, x > 2."""
    x = x.sum()
    return mg.where(x < 1, 12.5 * x**2, mg.where(x <= 2, 0.5 * x**2 + 24 * x - 12, 12.5 * x**2 - 24 * x + 36))


def report(quick=False):
    out = Report()
    H = np.array([1.0, 30.0])
    fun = lambda x: 0.5 * (H * x**2).sum()
    keep = {"maxiter": 100, "tol": 0.0, "keep_x": True}
    ema = optim.minimize(fun, np.ones(2), "heavy-ball", lr=0.1, beta=0.8, **keep).history["x"]
    polyak = optim.minimize(fun, np.ones(2), "sgd", lr=0.1 * 0.2, momentum=0.8, **keep).history["x"]
    out.at_most(
        "N138",
        "moving-average form against Polyak's with lr (1 - beta), 100 iterates",
        np.abs(ema - polyak).max(),
        1e-14,
    )
    steps = {"GD": {}, "heavy ball": {}, "Nesterov": {}}
    kappas = (10, 100, 1000) if quick else (10, 100, 1000, 10_000)
    noted = {"GD": (62, 612, 6107, 61039), "heavy ball": (24, 85, 288, 972), "Nesterov": (39, 139, 455, 1455)}
    for i, kappa in enumerate(kappas):
        runs = {
            "GD": run("gd", kappa, lr=1 / kappa),
            "heavy ball": run("sgd", kappa, **heavy_ball(kappa)),
            "Nesterov": run("nesterov", kappa, **nesterov(kappa)),
        }
        for name, result in runs.items():
            steps[name][kappa] = result.nit
            # the noted counts are from another start: the same up to a constant
            out.between(
                "N139",
                f"kappa={kappa}: steps of {name} to f < 1e-6",
                result.nit,
                0.5 * noted[name][i],
                1.2 * noted[name][i],
            )
    a, b = kappas[-2:]
    out.between("N139", "ten times kappa: GD takes ten times the steps", steps["GD"][b] / steps["GD"][a], 9, 11)
    for name in ("heavy ball", "Nesterov"):
        out.between(
            "N139", f"ten times kappa: {name} takes about sqrt(10) times", steps[name][b] / steps[name][a], 2.6, 4.0
        )
    cycle = optim.minimize(
        lessard, np.array([3.3]), "sgd", lr=1 / 9, momentum=4 / 9, maxiter=1000, tol=0.0, keep_x=True
    )
    ends = np.sort(cycle.history["x"][-3:, 0])
    out.at_most("N139", "heavy ball on Lessard's function cycles through -1.8024, .6465, 2.1159", np.abs(
        ends - [-1.8024, 0.6465, 2.1159]).max(), 1e-4)  # fmt: skip
    gd = optim.minimize(lessard, np.array([3.3]), "gd", lr=2 / 26, maxiter=200, tol=0.0)
    out.at_most("N139", "GD with 2/(m + M), 200 steps: distance to the minimizer", abs(gd.x[0]), 1e-6)
    nag = optim.minimize(lessard, np.array([3.3]), "nesterov", lr=1 / 25, momentum=4 / 6, maxiter=200, tol=0.0)
    out.at_most("N139", "Nesterov's method, 200 steps: distance to the minimizer", abs(nag.x[0]), 1e-6)

    def figure():
        runs = {
            "GD": run("gd", 100, lr=0.01),
            "heavy ball": run("sgd", 100, **heavy_ball(100)),
            "Nesterov": run("nesterov", 100, **nesterov(100)),
        }
        return viz.plot_history(runs)

    out.figure = figure
    return out
