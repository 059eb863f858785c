"""Strict saddles: gradient descent leaves them, but not from everywhere, and not always in reasonable time.

On (x^2 - y^2)/2 the step is diag(1 - lr, 1 + lr): from (1, 1e-10) it takes ln(1e10)/ln(1 + lr) steps to leave, from
(1, 0) for ever. Noise near stationary points is the remedy. In an "octopus", a chain of saddles each behind the last
(Du et al. 2017), the time of gradient descent grows exponentially with the number of saddles, and the time with noise
linearly. This is the piecewise-quadratic tube without their smoothing splines.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz
from minigrad.optim import Status

ROWS = ("N127", "N128", "T22", "T23", "T24")


def saddle(z):
    return 0.5 * (z[0] ** 2 - z[1] ** 2)


def octopus(gamma=0.25, tau=1.0):
    """In each region: coordinates already past tau are pulled to 4 tau, the next one falls away, the rest contract."""

    def f(x):
        passed = np.cumprod(np.abs(x.numpy()) >= tau)
        i = int(passed.sum())
        now = 4 * tau * passed * np.sign(x.numpy())
        weight = np.ones(len(passed))
        if i < len(passed):
            weight[i] = -gamma
        return (weight * (x - now) ** 2).sum() - i * 10.0

    return f


def escape(fun, start, method, reached, **options):
    run = optim.minimize(fun, start, method, tol=0.0, callback=lambda r: reached(r.x), **options)
    return run.nit if run.status is Status.CALLBACK else np.inf


def report(quick=False):
    out = Report()
    away = lambda z: abs(z[1]) >= 1
    H = mg.hessian(saddle)(mg.zeros(2)).numpy()
    out.near(
        "T22 N127",
        "least eigenvalue of the Hessian at the saddle: it is strict",
        np.linalg.eigvalsh(H)[0],
        -1.0,
        tol=1e-6,
    )
    for lr, expected in ((0.01, 2315), (0.1, 242), (0.5, 57)):
        n = escape(saddle, np.array([1.0, 1e-10]), "gd", away, lr=lr, maxiter=3000)
        out.near("N127", f"GD, lr {lr}, from (1, 1e-10): steps to abs(y) >= 1", n, expected, tol=1)
    out.near("N127", "GD, lr .1, from (1, 1e-5)", escape(saddle, np.array([1.0, 1e-5]), "gd", away, lr=0.1), 121, tol=1)
    n = 1000 if quick else 5000
    stuck = optim.minimize(saddle, np.array([1.0, 0.0]), "gd", lr=0.1, maxiter=n, tol=0.0)
    out.near("N127", f"GD from (1, 0): abs(y) after {n} steps", abs(stuck.x[1]), 0.0)
    starts = np.random.default_rng(0).standard_normal((100 if quick else 1000, 2))
    steps = np.array([escape(saddle, z, "gd", away, lr=0.1) for z in starts])
    out.near("N127", "GD from random starts: median steps", np.median(steps), 5, tol=2)
    for lr, median in ((0.01, 1084), (0.1, 118), (0.5, 26)):
        shaken = [
            escape(saddle, np.array([1.0, 1e-10]), "perturbed-gd", away,
                   lr=lr, radius=1e-3, threshold=1e-2, patience=5000, seed=s, maxiter=4000)
            for s in range(5 if quick else 20)
        ]  # fmt: skip
        out.near("N128", f"perturbed GD, lr {lr}, same start: median steps", np.median(shaken), median, rel=0.25)
    bounded = lambda z: 0.5 * z[0] ** 2 + 0.25 * z[1] ** 4 - 0.5 * z[1] ** 2
    ends = [
        optim.minimize(bounded, np.array([1.0, 0.0]), "perturbed-gd", lr=0.1, seed=s, maxiter=3000).fun
        for s in range(3 if quick else 10)
    ]
    out.near("N128 T23", "x^2/2 + y^4/4 - y^2/2 from (1, 0): worst value of perturbed GD", max(ends), -0.25, tol=1e-3)
    plain = optim.minimize(bounded, np.array([1.0, 0.0]), "gd", lr=0.1)
    out.near("N128 T23", "... and of GD", plain.fun, 0.0, tol=1e-9)

    known, noisy = (7, 56, 390, 2687), (7, 59, 134, 194, 262)
    counts = {"GD": [], "with noise": []}
    for d in range(1, 4 if quick else 6):
        through = lambda x: bool(np.all(np.abs(x) >= 1))
        start = np.full(d, 0.44)
        if d <= len(known):
            n = escape(octopus(), start, "gd", through, lr=0.25, maxiter=4000)
            counts["GD"].append(n)
            out.near("T24", f"octopus of {d} saddles: steps of GD (exponential)", n, known[d - 1], rel=0.05)
        runs = [
            escape(octopus(), start, "perturbed-gd", through,
                   lr=0.25, radius=1e-3, threshold=1e-2, patience=40, seed=s, maxiter=3000)
            for s in range(5)
        ]  # fmt: skip
        counts["with noise"].append(np.median(runs))
        out.at_most(
            "T23 T24",
            f"octopus of {d} saddles: median steps with noise (linear)",
            np.median(runs),
            1.5 * noisy[d - 1] + 20,
        )
    if not quick:
        n = escape(octopus(), np.full(5, 0.44), "gd", lambda x: bool(np.all(np.abs(x) >= 1)), lr=0.25, maxiter=20_000)
        out.holds("T24", "octopus of 5 saddles: GD never passes (the coordinate underflows to 0)", n == np.inf)

    def figure():
        paths = {
            name: optim.minimize(bounded, np.array([1.0, 1e-3]), name, lr=0.1, maxiter=120, keep_x=True)
            for name in ("gd", "perturbed-gd")
        }
        return viz.plot_path(bounded, paths, ((-0.5, 1.2), (-1.3, 1.3)))

    out.figure = figure
    return out
