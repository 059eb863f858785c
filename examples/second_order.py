"""Newton, Gauss-Newton, Levenberg-Marquardt, trust regions: quadratic convergence, and how to survive far from it.

The notes' appendix .2 and .3. Newton's method squares the error near a minimizer and may do anything elsewhere;
Armijo's rule, a modified Cholesky factorization, a trust region or damping make it safe. Gauss-Newton leaves out the
second derivatives of the residual: its error shrinks by the spectral radius of what it leaves out, so it works where
the f_i are not too *non*linear (E94).
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz
from minigrad.optim import rates
from minigrad.optim.second_order.trust_region import trust_region_step

ROWS = ("N130", "N131", "N132", "N133", "N162", "N163", "N164", "N165", "N166", "N167", "N168", "N169")
START = np.array([-1.2, 1.0])


def rosenbrock(x):
    return 0.5 * (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def residual(x):
    return mg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def report(quick=False):
    out = Report()
    _scaled(out)
    runs = _rosenbrock(out, quick)
    _gauss_newton_rate(out)
    _attraction(out, 101 if quick else 601)
    _newton(out)
    _factorizations(out)
    _trust_region(out)
    out.figure = lambda: viz.plot_path(rosenbrock, runs, ((-2, 2), (-1, 3)), logarithmic=True)
    return out


def _scaled(out):
    """Scaling the data by S is gradient descent preconditioned by S^-2 (E74: with the factor 1/2)."""
    rng = np.random.default_rng(0)
    A, b, S = rng.standard_normal((8, 3)), rng.standard_normal(8), np.array([1.0, 2.0, 0.5])
    keep = {"lr": 0.05, "maxiter": 50, "tol": 0.0, "keep_x": True}
    in_w = optim.minimize(lambda w: 0.5 * ((A @ (w / S) - b) ** 2).sum(), np.zeros(3), "gd", **keep).history["x"]
    in_x = optim.minimize(
        lambda x: 0.5 * ((A @ x - b) ** 2).sum(), np.zeros(3), "gd", preconditioner=S**-2, **keep
    ).history["x"]
    out.at_most("N130", "50 iterates: scaled data against preconditioner S^-2", np.abs(in_w / S - in_x).max(), 1e-13)
    newton = optim.minimize(lambda x: 0.5 * ((A @ x - b) ** 2).sum(), np.zeros(3), "newton", maxiter=1)
    out.at_most("N131", "linear least squares: error of one Newton step", np.abs(
        newton.x - np.linalg.lstsq(A, b, rcond=None)[0]).max(), 1e-14)  # fmt: skip


def _rosenbrock(out, quick):
    stop = {"tol": 0.0, "target": 1e-20, "keep_x": True}
    runs = {
        "Newton": optim.minimize(rosenbrock, START, "newton", **stop),
        "Newton + Armijo": optim.minimize(
            rosenbrock, START, "newton", line_search="armijo", indefinite="modify", **stop
        ),
        "Gauss-Newton": optim.least_squares(residual, START, "gauss-newton", **stop),
        "GN + Armijo": optim.least_squares(residual, START, "gauss-newton", line_search="armijo", **stop),
        "LM": optim.least_squares(residual, START, "lm", **stop),
        "trust region": optim.minimize(rosenbrock, START, "trust-region", **stop),
    }
    for row, name, expected, slack in (
        ("N131", "Newton", 7, 2),
        ("N164", "Newton + Armijo", 21, 4),
        ("N132", "Gauss-Newton", 2, 0),
        ("N132", "GN + Armijo", 10, 3),
    ):
        out.near(row, f"Rosenbrock from (-1.2, 1): steps of {name} to F < 1e-20", runs[name].nit, expected, tol=slack)
    for row, name in (("N168", "LM"), ("N167", "trust region")):
        run = runs[name]
        steps = run.nit if run.history["fun"][-1] < 1e-20 else np.inf
        out.at_most(row, f"Rosenbrock from (-1.2, 1): steps of {name} to F < 1e-20", steps, 30)
    if not quick:
        gd = optim.minimize(rosenbrock, START, "gd", line_search="armijo", tol=0.0, target=1e-20, maxiter=40_000)
        out.between("N164", "Rosenbrock: steps of GD + Armijo", gd.nit, 10_000, 40_000)
    square = optim.least_squares(residual, START, "gauss-newton", maxiter=1, keep_x=True).history["x"]
    J = mg.jacobian(residual)(mg.Tensor(START)).numpy()
    r = residual(mg.Tensor(START)).numpy()
    out.at_most("N169", "a square system: Gauss-Newton's step is Newton's for r = 0", np.abs(
        square[1] - square[0] + np.linalg.solve(J, r)).max(), 1e-12)  # fmt: skip
    return runs


def _gauss_newton_rate(out):
    t = np.linspace(0, 1, 20)
    for noise in (0.3, 3.0):
        y = 5 * np.exp(-t) + noise * np.random.default_rng(0).standard_normal(20)
        fun = lambda b, y=y: b[0] * mg.exp(-b[1] * t) - y
        best = optim.least_squares(fun, np.array([5.0, 1.0])).x
        J = mg.jacobian(fun)(mg.Tensor(best)).numpy()
        H = mg.hessian(lambda b, f=fun: 0.5 * (f(b) ** 2).sum())(mg.Tensor(best)).numpy()
        radius = np.abs(np.linalg.eigvals(np.linalg.solve(J.T @ J, H - J.T @ J))).max()
        run = optim.least_squares(fun, best * [1.01, 1.02], "gauss-newton", keep_x=True, tol=0.0, maxiter=60)
        errors = np.linalg.norm(run.history["x"] - best, axis=1)
        errors = errors[errors > 1e-9]
        out.near(
            "N132",
            f"exponential fit, noise {noise}: GN's error ratio against the spectral radius",
            errors[-1] / errors[-2],
            radius,
            rel=0.05,
        )
    for lam, expected in ((0.5, True), (-0.5, True), (-1.5, False), (-2.0, False)):
        fun = lambda x, lam=lam: mg.concatenate([x + 1, lam * x**2 + x - 1])
        end = optim.least_squares(fun, np.array([0.1]), "gauss-newton", maxiter=200, tol=0.0).x[0]
        out.holds("N132", f"r = (x + 1, {lam} x^2 + x - 1): GN reaches 0 is {expected}", (abs(end) < 1e-8) == expected)


def _attraction(out, n):
    """r = (x^3 - 3x + 1, .2 (x - 1)): Newton is drawn to maxima as much as to minima, Gauss-Newton is not."""
    fun = lambda x: mg.concatenate([x**3 - 3 * x + 1, 0.2 * (x - 1)])
    value = lambda x: 0.5 * (fun(x) ** 2).sum()
    counts = {"GN": 0, "Newton": 0}
    for start in np.linspace(-3, 3, n):
        x0 = np.array([start])
        ends = {
            "GN": optim.least_squares(fun, x0, "gauss-newton", maxiter=100),
            "Newton": optim.minimize(value, x0, "newton", indefinite="accept", maxiter=100),
        }
        for name, run in ends.items():
            x = mg.Tensor(run.x)
            stationary = abs(mg.grad(value)(x).item()) < 1e-6
            counts[name] += stationary and mg.hessian(value)(x).item() < 0
    out.at_most("N133", f"{n} starts: GN ends at a maximum (noted: 2 of 601)", counts["GN"] / n, 0.02)
    out.near(
        "N133", f"{n} starts: Newton ends at a maximum (noted: 149 of 601)", counts["Newton"] / n, 149 / 601, tol=0.03
    )


def _newton(out):
    x, errors = 1.0, []
    for _ in range(5):  # f = e^x - x: f' / f'' = 1 - e^-x
        errors.append(abs(x))
        x = optim.minimize(lambda x: (mg.exp(x) - x).sum(), np.array([x]), "newton", maxiter=1, tol=0.0).x[0]
    ratios = [b / a**2 for a, b in zip(errors, errors[1:], strict=False)]
    for k, expected in enumerate((0.368, 0.444, 0.490, 0.4997)):
        out.near("N162", f"e^x - x from 1: e_{k + 1} / e_{k}^2, towards f'''/2f'' = 1/2", ratios[k], expected, tol=1e-3)
    out.near("N163", "... so the order of convergence is", rates.order(errors)[0], 2.0, tol=0.1)
    wild = lambda x: (mg.sqrt(1 + x**2) + 0.005 * x**2).sum()
    run = optim.minimize(wild, np.array([1.2]), "newton", maxiter=60, tol=0.0, keep_x=True)
    out.near(
        "N163",
        "sqrt(1 + x^2) + .005 x^2 from 1.2: the first step raises f by",
        run.history["fun"][1] - run.history["fun"][0],
        0.386,
        tol=5e-3,
    )
    late = np.abs(run.history["x"][-20:, 0])
    out.between("N163", "... and Newton's method swings between +- 100: smallest late abs(x)", late.min(), 50, 150)
    safe = optim.minimize(wild, np.array([1.2]), "newton", line_search="armijo")
    out.at_most("N164", "... with Armijo's rule it converges: abs(x)", abs(safe.x[0]), 1e-8)
    inside = optim.minimize(wild, np.array([0.4]), "newton", keep_x=True)
    out.at_most("N163", "... as it does by itself from .4", abs(inside.x[0]), 1e-8)


def _factorizations(out):
    B = np.random.default_rng(0).standard_normal((6, 6))
    A = B @ B.T + np.eye(6)
    L, Delta = optim.modified_cholesky(A)
    out.at_most("N165", "Cholesky of a positive definite matrix: |L L' - A|", np.abs(L @ L.T - A).max(), 1e-12)
    out.holds("N165", "... nothing was added", np.all(Delta == 0))
    A = np.array([[1.0, 2, 3], [2, 1, 4], [3, 4, -2]])
    L, Delta = optim.modified_cholesky(A, delta=0.5)
    out.at_most(
        "N166",
        "indefinite 3 x 3, delta = .5: Delta against (0, 3.5, 19.5)",
        np.abs(Delta - [0, 3.5, 19.5]).max(),
        1e-12,
    )
    out.between("N166", "... least eigenvalue of A + Delta", np.linalg.eigvalsh(A + np.diag(Delta))[0], 1e-4, 0.01)


def _trust_region(out):
    g, H = np.array([1.0, 0.0]), np.diag([1.0, -1.0])
    for radius, expected in ((0.1, -0.095), (0.5, -0.375), (2.0, -2.25)):
        d = trust_region_step(g, H, radius)
        out.near("N167", f"hard case, radius {radius}: model value", g @ d + 0.5 * d @ H @ d, expected, tol=1e-8)
    worst = 0.0
    angle = np.linspace(0, 2 * np.pi, 100_001)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        B, g, radius = rng.standard_normal((2, 2)), rng.standard_normal(2), rng.uniform(0.1, 3)
        H = (B + B.T) / 2
        model = lambda d, g=g, H=H: g @ d + 0.5 * np.sum(d * (H @ d), axis=0)
        candidates = [model(radius * np.stack([np.cos(angle), np.sin(angle)])).min()]
        free = -np.linalg.solve(H, g)
        if np.linalg.eigvalsh(H)[0] > 0 and np.linalg.norm(free) < radius:
            candidates.append(model(free))
        worst = max(worst, abs(model(trust_region_step(g, H, radius)) - min(candidates)))
    out.at_most("N167", "50 random models of 2 variables: against brute force on the circle", worst, 1e-8)
