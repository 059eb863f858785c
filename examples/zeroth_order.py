"""Optimizing without derivatives: random directions, their mean, their variance, and the price of a dimension.

g = (f(x + mu u) - f(x)) / mu u with Gaussian u is the gradient of a smoothed f on average; for a linear f, E|g|^2 is
(d + 2) times |grad f|^2, so a step must be about 1/d as long and takes d times as many.
"""

import numpy as np

from examples.claims import Report
from minigrad import optim, viz
from minigrad.optim.problems.gradient_estimates import CoordinateEstimate, Estimated, GaussianEstimate
from minigrad.optim.problems.minimization import Minimization
from minigrad.optim.problems.variables import Variables

ROWS = ("N118", "N119")


def estimates(estimate, fun, x, n):
    """n estimates of the gradient at x."""
    problem = Estimated(fun, Variables(x), estimate)
    return np.stack([problem.at(problem.variables.read()).field for _ in range(n)])


def report(quick=False):
    out = Report()
    n = 2000 if quick else 20_000
    for d, noted in ((2, 4.09), (10, 12.07), (50, 51.7), (200, 200.0)):
        a = np.random.default_rng(d).standard_normal(d)
        g = estimates(GaussianEstimate(mu=1e-3), lambda x, a=a: a @ x, np.zeros(d), n)
        ratio = np.mean(np.sum(g**2, axis=1)) / (a @ a)
        out.near("N118", f"linear f, d={d}: E|g|^2 / |grad f|^2, theory d + 2", ratio, noted, rel=0.15)
        error = np.linalg.norm(g.mean(axis=0) - a) / np.linalg.norm(a)
        out.at_most(
            "N118", f"linear f, d={d}: |mean of g - grad f| / its standard error", error / ((d + 1) / n) ** 0.5, 2.0
        )
    _smoothed(out, n)
    _random_gradient_free(out, quick)

    def figure():
        runs = {
            "gradient descent": optim.minimize(half_square, np.ones(10), "gd", lr=0.05, target=1e-6, tol=0.0),
            "random directions": optim.minimize(
                half_square, np.ones(10), "random-gradient-free", lr=1 / 12, target=1e-6
            ),
            "ZOO": optim.minimize(half_square, np.ones(10), "zoo", lr=0.05, coordinates=4, target=1e-6),
        }
        return viz.plot_history(runs, ("fun",), x="nfev")

    out.figure = figure
    return out


def half_square(x):
    return 0.5 * (x**2).sum()


def _smoothed(out, n):
    H = np.diag(np.arange(1.0, 11.0))
    fun, x = (lambda x: 0.5 * x @ H @ x), np.linspace(-1, 1, 10)
    exact = Minimization(fun, Variables(x)).at(x).field
    squared = 12 * float(exact @ exact)
    for mu in (0.1, 0.01):
        central = estimates(GaussianEstimate(mu, central=True), fun, x, n)
        ratio = np.mean(np.sum(central**2, axis=1)) / squared
        out.near(
            "N118", f"quadratic, d=10, mu={mu}: central E|g|^2 / (d + 2)|grad f|^2, whatever mu", ratio, 1.0, rel=0.15
        )
    forward = [np.mean(np.sum(estimates(GaussianEstimate(mu), fun, x, n) ** 2, axis=1)) / squared for mu in (3.0, 0.01)]
    out.at_least("N118", "... forward differences with mu=3: inflated by the curvature", forward[0] / forward[1], 1.5)
    out.near("N118", "... forward differences with mu=.01", forward[1], 1.0, rel=0.15)
    for mu, noted in ((0.4, 0.479), (0.2, 0.123), (0.1, 0.026)):
        g = estimates(
            GaussianEstimate(mu, samples=100, central=True), lambda x: 0.25 * (x**4).sum(), np.array([1.0]), n // 10
        )
        bias = g.mean() - 1.0  # E g = grad of f smoothed = x^3 + 3 mu^2 x
        error = 4 * g.std() / len(g) ** 0.5
        out.near("N118", f"quartic, mu={mu}: bias of the central estimate, theory 3 mu^2 x", bias, 3 * mu**2, tol=error)
        out.near("N118", f"quartic, mu={mu}: ... the noted value", bias, noted, tol=error + 0.01)
    g = estimates(CoordinateEstimate(1e-2), fun, x, 1)[0]
    out.at_most("N118", "coordinate-wise central differences, on a quadratic: error", np.abs(g - exact).max(), 1e-10)


def _random_gradient_free(out, quick):
    d = 40
    for text, lr, noted in (("1/(d + 2)", 1 / (d + 2), 6.3), ("1/(4 (d + 4))", 1 / (4 * (d + 4)), 14.3)):
        counts = [
            optim.minimize(
                half_square,
                np.full(d, d**-0.5),
                "random-gradient-free",
                lr=lr,
                mu=1e-6,
                target=1e-3,
                maxiter=10**5,
                seed=seed,
            ).nit
            for seed in range(4 if quick else 8)
        ]
        out.near("N119", f"|x|^2/2 to 1e-3, d={d}, lr = {text}: steps / d", np.mean(counts) / d, noted, rel=0.25)
