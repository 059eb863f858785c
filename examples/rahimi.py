"""Gradient descent against Levenberg-Marquardt on a two-layer linear network (Rahimi's figure).

min over W1, W2 of sum_i |W2 W1 x_i - A x_i|^2 with 6 inputs, 6 hidden units, 10 outputs and 1,000 points; A is the
notebook's, linspace(1, 1e-5, 10) times uniform rows. The talk calls it ill-conditioned (1e20); in fact its condition
number is about 20, for the rows are scaled and not the singular values. Gradient descent is slow, not stuck: its
gradient does not vanish. And the sample is not to blame: the expected loss |W2 W1 - A|^2 behaves the same.
"""

import numpy as np

from examples.claims import Report
from minigrad import optim, viz

ROWS = ("N1", "N2")


def problem(seed, n=1000):
    rng = np.random.default_rng(seed)
    A = np.linspace(1, 1e-5, 10)[:, None] * rng.random((10, 6))
    X = rng.standard_normal((6, n))
    start = {"W1": rng.standard_normal((6, 6)), "W2": rng.standard_normal((10, 6))}
    return A, X, start


def report(quick=False):
    out = Report()
    runs = {}
    steps = 3000
    for seed in range(1 if quick else 3):
        A, X, start = problem(seed)
        Y = A @ X
        residual = lambda p, X=X, Y=Y: p["W2"] @ (p["W1"] @ X) - Y
        loss = lambda p, r=residual: (r(p) ** 2).sum()
        out.between("N1", f"seed {seed}: sigma_max / sigma_min of A", np.linalg.cond(A), 5, 80)
        best = np.inf
        for lr in (1e-6, 1e-5, 1e-4, 1e-3):
            gd = optim.minimize(loss, start, "gd", lr=lr, maxiter=steps)
            if lr < 1e-4:
                best = min(best, gd.fun)
                runs[f"GD, lr {lr:g}"] = gd if seed == 0 else runs[f"GD, lr {lr:g}"]
                out.at_least(
                    "N1", f"seed {seed}: norm of GD's gradient after {steps} steps, lr {lr:g}", gd.optimality, 10
                )
            else:
                best = min(best, gd.fun if gd.success else np.inf)
                out.at_most("N1", f"seed {seed}: steps until GD with lr {lr:g} diverges", _diverged(gd), 12)
        out.at_least("N1", f"seed {seed}: best loss of GD, any of four step sizes, {steps} steps", best, 10)
    for seed in range(5):
        A, X, start = problem(seed)
        residual = lambda p, X=X, Y=A @ X: p["W2"] @ (p["W1"] @ X) - Y
        lm = optim.least_squares(residual, start, "lm", tol=0.0, target=0.5e-20, maxiter=100)
        if seed == 0:
            runs["LM"] = lm
        out.at_most(
            "N1 N168", f"seed {seed}: LM's steps to a loss of 1e-20", lm.nit if 2 * lm.cost <= 1e-20 else np.inf, 30
        )
    A, X, start = problem(0)
    expected = lambda p: ((p["W2"] @ p["W1"] - A) ** 2).sum()
    population = optim.minimize(expected, start, "gd", lr=1e-2, maxiter=steps)
    sample = runs["GD, lr 1e-05"].fun / 1000
    out.between("N2", "GD on the expected loss / GD on the sample", population.fun / sample, 0.3, 3)
    lm = optim.least_squares(lambda p: p["W2"] @ p["W1"] - A, start, "lm", tol=0.0, target=0.5e-23)
    out.at_most("N2", "LM's steps to an expected loss of 1e-23", lm.nit if 2 * lm.cost <= 1e-23 else np.inf, 30)

    def figure():
        runs["LM"].history["fun"] = 2 * runs["LM"].history["fun"]  # costs carry a 1/2
        return viz.plot_history(runs, ("fun",), x="time")

    out.figure = figure
    return out


def _diverged(result):
    """The first step whose loss is beyond the first loss, or not finite."""
    grown = np.flatnonzero(result.history["fun"] > 10 * result.history["fun"][0])
    return int(grown[0]) if len(grown) else (result.nit + 1 if not result.success else np.inf)
