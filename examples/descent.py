"""Gradient descent: how fast, with which steps, and what the theorems promise.

The rates of the notes' section 8.4 and appendix .1, each against its bound: to a stationary point of a non-convex
function, on strongly convex, convex and non-smooth ones; with exact, diminishing and Armijo steps; under constraints.
Where a bound is printed wrongly (E87, E89), the corrected one is used, and the printed one shown to fail.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz
from minigrad.optim import rates, schedules

ROWS = ("N14", "N125", "N126", "N129", "N134", "N154", "N155", "N156", "N157", "N158", "N159", "N160", "N161")


def quadratic(*eigenvalues):
    H = np.array(eigenvalues)
    return lambda x: 0.5 * (H * x**2).sum()


def report(quick=False):
    out = Report()
    _update(out)
    _stationary(out)
    _projected(out)
    _rates(out)
    _subgradient(out, quick)
    _lower_bound(out)
    _exact(out)
    _diminishing(out, quick)
    _armijo(out)
    _sublinear(out, quick)
    _kinked(out)
    out.figure = _figure
    return out


def _update(out):
    rng = np.random.default_rng(0)
    B, b, x = rng.standard_normal((6, 4)), rng.standard_normal(6), rng.standard_normal(4)
    fun = lambda x: 0.5 * ((B @ x - b) ** 2).sum()
    run = lambda: optim.minimize(fun, x, "gd", lr=0.05, maxiter=50, keep_x=True).history["x"]
    by_hand = [x]
    for _ in range(50):
        by_hand.append(by_hand[-1] - 0.05 * B.T @ (B @ by_hand[-1] - b))
    out.at_most("N14 N125", "50 iterates against x - lr grad f by hand", np.abs(run() - by_hand).max(), 1e-14)
    out.holds("N14", "a run repeats to the bit", np.array_equal(run(), run()))
    g = B.T @ (B @ x - b)
    model = lambda z: g @ (z - x) + ((z - x) ** 2).sum() / (2 * 0.05)
    out.at_most("N129", "the minimizer of the proximal model is the GD step", np.abs(
        optim.minimize(model, np.zeros(4), "newton").x - (x - 0.05 * g)).max(), 1e-12)  # fmt: skip


def _stationary(out):
    """f = sum x^2 / (1 + x^2), L = 2: |grad|^2 <= eps within 2 L (f0 - f*) / eps steps (Theorem 8.1)."""
    fun, L = (lambda x: (x**2 / (1 + x**2)).sum()), 2.0
    worst, decrease, medians = 0.0, np.inf, []
    starts = 3 * np.random.default_rng(0).standard_normal((50, 5))
    for eps in (1e-2, 1e-3, 1e-4):
        counts = []
        for x0 in starts:
            run = optim.minimize(fun, x0, "gd", lr=1 / L, tol=eps**0.5, maxiter=100_000)
            f, g = run.history["fun"], run.history["optimality"]
            counts.append(run.nit)
            worst = max(worst, run.nit / (2 * L * f[0] / eps))
            decrease = min(decrease, np.min(f[:-1] - f[1:] - g[:-1] ** 2 / (2 * L), initial=np.inf))
        medians.append(np.median(counts))
    out.at_most("N126", "50 starts, three eps: steps to |grad|^2 <= eps / the bound 2 L (f0 - f*) / eps", worst, 1.0)
    out.at_least("N126", "every step lowers f by |grad|^2 / 2L or more: least surplus", decrease, -1e-12)
    out.holds("N126", "smaller eps takes more steps", medians[0] < medians[1] < medians[2])


def _projected(out):
    rng = np.random.default_rng(1)
    B, b = rng.standard_normal((10, 5)), 3 * rng.standard_normal(10)
    fun, box = (lambda x: 0.5 * ((B @ x - b) ** 2).sum()), optim.Box(-0.3, 0.3)
    L = np.linalg.eigvalsh(B.T @ B)[-1]
    x = optim.minimize(fun, np.zeros(5), "projected-gd", lr=1 / L, constraint=box, tol=1e-11, maxiter=10_000).x
    g = B.T @ (B @ x - b)
    violation = np.where(x <= -0.3, np.maximum(-g, 0), np.where(x >= 0.3, np.maximum(g, 0), np.abs(g)))
    out.at_most("N134", "projected GD on a box: violation of the KKT conditions", violation.max(), 1e-8)
    out.holds("N134", "... with some bounds active and some not", 0 < np.sum(np.abs(x) > 0.2999) < 5)
    for lr, converges in ((0.99 * 2 / L, True), (1.01 * 2 / L, False)):
        run = optim.minimize(fun, np.ones(5), "gd", lr=lr, maxiter=20_000, tol=1e-8)
        out.holds("N134", f"constant step {lr * L / 2:.2f} * 2/L: converges is {converges}", run.success == converges)


def _rates(out):
    k = np.arange(1, 60)
    linear, sub, quad = rates.estimate(0.7**k), rates.estimate(1 / k**2), rates.estimate(0.5 ** (2.0 ** np.arange(7)))
    out.near("N154", "0.7^k: linear, with factor", linear.factor if linear.kind == "linear" else np.nan, 0.7, tol=1e-9)
    out.near("N154", "1/k^2: sublinear, of power", sub.power if sub.kind == "sublinear" else np.nan, 2.0, tol=0.02)
    out.near(
        "N154", "0.5^(2^k): quadratic, of order", quad.order if quad.kind == "quadratic" else np.nan, 2.0, tol=1e-6
    )
    up_and_down = 0.8**k * (1 + 0.9 * (-1.0) ** k)
    out.near(
        "N154", "up and down under 0.8^k: R-linear factor", rates.linear_factor(up_and_down[1::2]) ** 0.5, 0.8, tol=1e-6
    )


def _subgradient(out, quick):
    fun = lambda x: mg.absolute(x).max()
    start = np.random.default_rng(0).standard_normal(50)
    for n, expected in ((200, 0.254), (2000, 0.0112)) if quick else ((200, 0.254), (2000, 0.0112), (20_000, 0.0035)):
        run = optim.minimize(fun, start, "subgradient", lr=1.0, maxiter=n, tol=0.0)
        out.near("N155", f"max abs(x_i), n=50, t = 1/sqrt(k): best value after {n} steps", run.fun, expected, rel=0.3)
    run = optim.minimize(fun, start, "gd", lr=0.1, maxiter=2000, tol=0.0)
    out.at_least("N155", "... a constant step stalls at its own length: value", run.history["fun"][-100:].min(), 1e-3)


def _lower_bound(out):
    """Nesterov's chain: no method that moves along gradients gets below 3 L |x0 - x*|^2 / 32 (k + 1)^2 in k steps."""
    for k, expected in ((25, 7.1e-3), (50, 3.8e-3), (100, 2.0e-3)):
        n, L = 2 * k + 1, 1.0
        fun = lambda x, L=L: L / 4 * (0.5 * (x[0] ** 2 + ((x[1:] - x[:-1]) ** 2).sum() + x[-1] ** 2) - x[0])
        solution = 1 - np.arange(1, n + 1) / (n + 1)
        best = L / 8 * (1 / (n + 1) - 1)
        bound = 3 * L * np.sum(solution**2) / (32 * (k + 1) ** 2)
        run = optim.minimize(fun, np.zeros(n), "nesterov", lr=1 / L, momentum=None, maxiter=k, tol=0.0)
        out.at_least(
            "N156", f"chain of {n}: NAG's error after {k} steps / the lower bound", (run.fun - best) / bound, 1.0
        )
        out.near("N156", f"chain of {n}: NAG's error", run.fun - best, expected, rel=0.5)


def _exact(out):
    for kappa, expected in ((2, 0.1111), (10, 0.6694), (100, 0.9608), (1000, 0.9960)):
        run = optim.minimize(
            quadratic(1.0, kappa), np.array([float(kappa), 1.0]), "gd", line_search="exact", maxiter=20, tol=0.0
        )
        f = run.history["fun"]
        worst = np.max(f[1:] / f[:-1])
        out.near(
            "N157", f"exact search, kappa={kappa}: worst ratio, the tight ((M-m)/(M+m))^2", worst, expected, tol=2e-4
        )
        out.at_most("N157", f"exact search, kappa={kappa}: ... within the bound 1 - m/M", worst, 1 - 1 / kappa)


def _diminishing(out, quick):
    fun, start = quadratic(1.0, 10.0), np.array([4.0, 1.0])
    ends = (100, 1000, 10_000) if quick else (100, 1000, 10_000, 100_000)
    f = optim.minimize(fun, start, "gd", lr=1.0, schedule=lambda k: 1 / (k + 11), maxiter=ends[-1], tol=0.0).history[
        "fun"
    ]
    for a, b in zip(ends, ends[1:], strict=False):
        out.between("N158", f"steps 1/(k + 11): f({a}) / f({b}), falling like k^-2", f[a] / f[b], 50, 150)
    summable = optim.minimize(fun, start, "gd", lr=0.1, schedule=lambda k: 1 / (k + 1) ** 2, maxiter=5000, tol=0.0)
    out.at_least("N158", "steps .1/k^2, whose sum is finite: f stalls at", summable.fun, 1.0)
    try:
        schedules.diminishing(power=2.0)
        refused = False
    except ValueError:
        refused = True
    out.holds("N158", "schedules.diminishing refuses a power above 1", refused)


def _armijo(out):
    kappa, beta, gamma = 50.0, 0.5, 0.1
    fun, start = quadratic(1.0, kappa), np.array([kappa, 1.0])
    corrected = lambda s: 1 - 2 * gamma * min(s, 2 * beta * (1 - gamma) / kappa)
    printed = 1 - 4 * beta * gamma * (1 - gamma) / kappa
    for s in (1.0, 1e-4):
        run = optim.minimize(
            fun, start, "gd", line_search=optim.Armijo(s=s, beta=beta, gamma=gamma), maxiter=200, tol=0.0
        )
        f, t = run.history["fun"], run.history["size"][1:]
        least = min(s, 2 * beta * (1 - gamma) / kappa)
        out.at_least(
            "N159", f"Armijo, s={s:g}: least step / min(s, 2 beta (1 - gamma) / M)", t.min() / least, 1 - 1e-12
        )
        worst = np.max(f[1:] / f[:-1])
        out.at_most(
            "N159", f"Armijo, s={s:g}: worst ratio against the corrected bound {corrected(s):.6f}", worst, corrected(s)
        )
        if s == 1e-4:
            out.at_least("N159", f"... which the printed bound {printed:.6f} (without the min) misses", worst, printed)


def _sublinear(out, quick):
    """Convex, not strongly: f = x^4 / 4 has e_{k+1} <= e_k - c e_k^2, so e_k <= e_1 / (1 + k c e_1)."""
    n = 10_000 if quick else 100_000
    fun, L = (lambda x: 0.25 * (x**4).sum()), 3.0  # on [-1, 1]
    e = optim.minimize(fun, np.array([1.0]), "gd", lr=1 / L, maxiter=n, tol=0.0).history["fun"]
    c = 1 / (2 * L)  # |x - x*| <= 1
    k = np.arange(len(e) - 1)
    out.at_most(
        "N160",
        f"x^4/4: e_k / (e_1 / (1 + k c e_1)) for all k <= {n}",
        np.max(e[1:] * (1 + k * c * e[1]) / e[1]),
        1 + 1e-9,
    )
    fit = rates.power(e[len(e) // 100 :: max(1, len(e) // 2000)])
    out.at_least("N160", "... and it is sublinear, of power", fit, 1.0)


def _kinked(out):
    """f' piecewise linear with slopes 1 and 9: no second derivative, the same factor 1 - sigma / L."""
    fun = lambda x: mg.where(x > 0, 0.5 * x**2, 4.5 * x**2).sum()
    f = optim.minimize(fun, np.array([3.0, -2.0, 1.0]), "gd", lr=1 / 9, maxiter=60, tol=0.0).history["fun"]
    out.at_most("N161", "piecewise quadratic: worst ratio, against 1 - 1/9", np.max(f[1:] / f[:-1]), 1 - 1 / 9)


def _figure():
    fun, start = quadratic(1.0, 10.0), np.array([10.0, 1.0])
    runs = {
        "exact": optim.minimize(fun, start, "gd", line_search="exact", maxiter=60, tol=1e-12),
        "1/M": optim.minimize(fun, start, "gd", lr=0.1, maxiter=60, tol=1e-12),
        "2/(m + M)": optim.minimize(fun, start, "gd", lr=2 / 11, maxiter=60, tol=1e-12),
        "1/(k + 11)": optim.minimize(fun, start, "gd", lr=1.0, schedule=lambda k: 1 / (k + 11), maxiter=60, tol=1e-12),
    }
    return viz.plot_history(runs)
