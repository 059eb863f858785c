"""Games: why gradient descent-ascent cycles, and what mends it.

min over x, max over y of x'Ay, A 5 x 5 with singular values from 1 down to .118. Simultaneous gradient steps spiral
outward by sqrt(1 + eta^2 s^2) in every step; taking turns circles for ever, though the average converges (E85: the
notes say it "cannot even solve" the problem). Extragradient and optimistic steps contract, up to eta s < 1 and eta s
< 1/sqrt(3), at the rates of the slowest mode.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz

ROWS = ("N149", "N150", "N151", "N152", "N153")


def game():
    A = np.random.default_rng(0).standard_normal((5, 5))
    return A / np.linalg.svd(A)[1][0]


def play(method, A, eta, steps, **options):
    x0, y0 = np.random.default_rng(1).standard_normal((2, len(A)))
    return optim.minimax(lambda x, y: x @ A @ y, x0, y0, method, lr=eta, maxiter=steps, tol=0.0, **options)


def factor(run, last):
    """The growth per step over the last steps, of the distance to the solution 0."""
    size = np.linalg.norm(run.history["x"], axis=1)
    return (size[-1] / size[-1 - last]) ** (1 / last)


def rates_of(s, eta):
    """Per step, on a mode of singular value s: GDA, extragradient, OGDA."""
    a = eta * s
    return np.hypot(1, a), np.hypot(1 - a * a, a), np.abs(np.roots([1, -(1 - 2j * a), -1j * a])).max()


def report(quick=False):
    out = Report()
    _envelope(out)
    A = game()
    s = np.linalg.svd(A)[1]
    for value, expected in zip(s, (1, 0.905, 0.646, 0.173, 0.118), strict=True):
        out.near("N150", "a singular value of A", value, expected, tol=1e-3)
    steps, last = (3000, 500) if quick else (5000, 1000)
    gda = play("gda", A, 0.1, steps, keep_x=True)
    out.near(
        "N150",
        "GDA, eta=.1: growth per step, against sqrt(1 + eta^2)",
        factor(gda, last),
        rates_of(1.0, 0.1)[0],
        tol=1e-4,
    )
    turns = play("gda", A, 0.1, steps, order="alternating", keep_x=True)
    size = np.linalg.norm(turns.history["x"], axis=1)
    out.between("N150", "alternating GDA: largest norm / first, bounded", size.max() / size[0], 1.0, 1.5)
    out.between("N150", "... smallest norm / first, but not contracting", size.min() / size[0], 0.6, 1.0)
    mean = np.linalg.norm(turns.history["x"].mean(axis=0)) / size[0]
    out.at_most("N150", "... and its average converges: norm / first", mean, 0.05)
    for row, method, index, expected in (("N151", "ogda", 2, 0.99825908), ("N152", "extragradient", 1, 0.99827116)):
        run = play(method, A, 0.5, 6000, keep_x=True)
        slowest = max(rates_of(value, 0.5)[index] for value in s)
        out.near(
            row,
            f"{method}, eta=.5: contraction, against theory for the slowest mode",
            factor(run, 2000),
            slowest,
            tol=1e-4,
        )
        out.near(row, f"{method}, eta=.5: ... the noted value", factor(run, 2000), expected, tol=1e-4)
    one = np.eye(1)
    size = np.linalg.norm(play("ogda", one, 0.5, 80, keep_x=True).history["x"], axis=1)
    radius = (size[80] / size[40] / 2) ** (1 / 40)  # a double root r: the distance goes like k r^k
    out.near("N151", "OGDA, one mode, eta s = .5: spectral radius 1/sqrt(2)", radius, 0.7071, tol=1e-3)
    for row, method, index, limit in (("N151", "ogda", 2, 3**-0.5), ("N152", "extragradient", 1, 1.0)):
        for side in (0.99, 1.01):
            measured = factor(play(method, one, side * limit, 1500, keep_x=True), 500)
            out.near(
                row,
                f"{method}, eta s = {side} x {limit:.4f}: factor per step",
                measured,
                rates_of(1.0, side * limit)[index],
                tol=1e-4,
            )
        out.holds(
            row,
            f"... so {method} is stable up to {limit:.4f}",
            rates_of(1, 0.99 * limit)[index] < 1 < rates_of(1, 1.01 * limit)[index],
        )
    _best_response(out, A, quick)
    damped = lambda x, y: x @ A @ y + 0.05 * x @ x - 0.05 * y @ y
    run = optim.minimax(
        damped, *np.random.default_rng(1).standard_normal((2, 5)), "gda", lr=0.05, maxiter=2000, tol=0.0, keep_x=True
    )
    out.at_most("N150", "with mu = .1 of strong convexity GDA converges: last norm / first", np.linalg.norm(
        run.history["x"][-1]) / np.linalg.norm(run.history["x"][0]), 3e-3)  # fmt: skip

    def figure():
        runs = {
            name: play(method, one, 0.3, 60, keep_x=True, **options)
            for name, method, options in (
                ("GDA", "gda", {"order": "simultaneous"}), ("alternating", "gda", {"order": "alternating"}),
                ("optimistic", "ogda", {}), ("extragradient", "extragradient", {}),
            )
        }  # fmt: skip
        return viz.plot_path(lambda x, y: (x * y).sum(), runs, ((-4, 4), (-4, 4)))

    out.figure = figure
    return out


def _envelope(out):
    """d/dx max_y f(x, y) is the partial derivative at the maximizer (f = -|y - Bx|^2/2 + c'y + |x|^2/2)."""
    rng = np.random.default_rng(0)
    B, c, x = rng.standard_normal((3, 2)), rng.standard_normal(3), mg.Tensor(rng.standard_normal(2))
    f = lambda x, y: -0.5 * ((y - B @ x) ** 2).sum() + c @ y + 0.5 * (x * x).sum()
    best = lambda x: B @ x + c
    total = mg.grad(lambda x: f(x, best(x)))(x).numpy()
    partial = mg.grad(f)(x, best(x).detach()).numpy()
    out.at_most(
        "N149",
        "gradient of max_y f(x, y) against the partial one at the maximizer",
        np.abs(total - partial).max(),
        1e-8,
    )


def _best_response(out, A, quick):
    """10 ascents in the box per descent with .1/sqrt(t): max_y x'Ay = |A'x|_1 falls."""
    x0, y0 = np.random.default_rng(1).standard_normal((2, 5))
    ends = ((100, 0.286), (1000, 0.039)) if quick else ((100, 0.286), (1000, 0.039), (10_000, 0.031))
    value = lambda x: np.abs(A.T @ x).sum()
    run = optim.minimax(
        lambda x, y: x @ A @ y, x0, y0, "best-response", lr=(0.1, 1.0), inner=10, constraints=(None, optim.Box(-1, 1)),
        schedule=lambda k: (k + 1) ** -0.5, maxiter=ends[-1][0], tol=0.0, keep_x=True,
    )  # fmt: skip
    path = run.history["x"][:, :5]
    out.near("N153", "best response: max_y at the start", value(path[0]), 2.47, rel=0.6)
    for T, expected in ends:
        out.between("N153", f"best response: max_y after {T} steps", value(path[T]), 0.0, 4 * expected)
    out.at_most(
        "N153", "... of the average of the last three quarters", value(path[len(path) // 4 :].mean(axis=0)), 0.1
    )
