"""Linear models and factorizations: where gradient descent finds the global optimum of a non-convex problem.

A linear least-squares model has one minimum, and every method finds it. Two linear layers make the problem
non-convex, |Y - U V|^2, but its best value is known: what the singular value decomposition leaves out (Eckart &
Young). Matrices seen through random measurements, or in part, and orthogonal tensors are found as well: with enough
data, every local minimum is global.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim, viz

ROWS = ("N7", "N8", "N9", "T25", "T26")


def report(quick=False):
    out = Report()
    _linear_model(out)
    _two_layers(out)
    runs = _svd(out, quick)
    _sensing_and_completion(out, 3 if quick else 10)
    _tensor(out, 20 if quick else 100)
    out.figure = lambda: viz.plot_history(runs, ("fun", "optimality"))
    return out


def _linear_model(out):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 40)), rng.standard_normal((2, 40))
    loss = lambda W: 0.5 * ((W @ X - Y) ** 2).mean()
    closed = np.linalg.lstsq(X.T, Y.T, rcond=None)[0].T
    newton = optim.minimize(loss, np.zeros((2, 3)), "newton")
    gd = optim.minimize(loss, np.zeros((2, 3)), "gd", lr=0.5, maxiter=20_000, tol=1e-13)
    squares = optim.least_squares(lambda W: W @ X - Y, np.zeros((2, 3)), "gauss-newton")
    out.at_most("N7", "GD against the closed form", np.abs(gd.x - closed).max(), 1e-10)
    out.at_most("N7", "Newton against the closed form", np.abs(newton.x - closed).max(), 1e-10)
    out.at_most("N7", "Gauss-Newton against the closed form", np.abs(squares.x - closed).max(), 1e-10)
    out.at_most("N7", "Newton's steps", newton.nit, 2)


def _two_layers(out):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((4, 9)), rng.standard_normal((3, 9))
    W1, W2 = rng.standard_normal((5, 4)), rng.standard_normal((3, 5))
    g1, g2 = mg.grad(lambda W1, W2: ((Y - W2 @ W1 @ X) ** 2).sum(), (0, 1))(mg.Tensor(W1), mg.Tensor(W2))
    E = W2 @ W1 @ X - Y
    formulas = 2 * W2.T @ E @ X.T, 2 * E @ (W1 @ X).T
    error = max(np.abs(g.numpy() - f).max() / np.abs(f).max() for g, f in zip((g1, g2), formulas, strict=True))
    out.at_most("N8", "gradients of |Y - W2 W1 X|^2 against 2 W2'E X' and 2 E (W1 X)'", error, 1e-12)


def _svd(out, quick):
    Y = np.random.default_rng(0).standard_normal((8, 6))
    U, s, Vt = np.linalg.svd(Y, full_matrices=False)
    known = {1: 22.5207521626, 2: 11.0426528935, 3: 6.0058740938, 5: 0.269579312267, 6: 0.0}
    runs = {}
    for p in (1, 3) if quick else known:
        best = float(np.sum(s[p:] ** 2))
        at = np.sum((Y - (U[:, :p] * s[:p] ** 0.5) @ (s[:p, None] ** 0.5 * Vt[:p])) ** 2)
        out.near("N9", f"p={p}: the loss at the truncated SVD", at, known[p], tol=1e-9)
        rng = np.random.default_rng(p)
        start = {"U": 0.1 * rng.standard_normal((20, 8, p)), "V": 0.1 * rng.standard_normal((20, p, 6))}
        each = lambda z: ((Y - z["U"] @ z["V"]) ** 2).sum(axis=(1, 2))  # twenty starts at once: they do not meet
        run = optim.minimize(lambda z, each=each: each(z).sum(), start, "gd", lr=0.02, maxiter=20_000, tol=1e-10)
        excess = each({k: mg.Tensor(v) for k, v in run.x.items()}).numpy().max() - best
        out.at_most("N9", f"p={p}: GD's excess over it, worst of 20 starts", excess, 1e-12)
        runs[f"p = {p}"] = run
    return runs


def _sensing_and_completion(out, seeds):
    solved = completed = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        B = rng.standard_normal((10, 2))
        M, A = B @ B.T, rng.standard_normal((120, 10, 10))
        b = np.einsum("kij,ij->k", A, M)
        A = A.reshape(120, 100)
        sensing = lambda U, A=A, b=b: A @ (U @ U.T).reshape(100) - b
        solved += optim.least_squares(sensing, rng.standard_normal((10, 2)), maxiter=200).cost <= 1e-18
        L, R = rng.standard_normal((20, 2)), rng.standard_normal((2, 20))
        seen = rng.random((20, 20)) < 0.74
        missing = lambda z, L=L, R=R, seen=seen: (z["U"] @ z["V"] - L @ R) * seen
        start = {"U": 0.1 * rng.standard_normal((20, 2)), "V": 0.1 * rng.standard_normal((2, 20))}
        found = optim.least_squares(missing, start, maxiter=300).x
        completed += np.abs(found["U"] @ found["V"] - L @ R).max() < 1e-6
    out.near("T25", "matrix sensing (d=10, r=2, 120 measurements): share of runs that end at 0", solved / seeds, 1.0)
    out.near("T25", "completion (20x20, r=2, 74 % seen): share that recover the rest", completed / seeds, 1.0)


def _tensor(out, seeds):
    """max sum_i (a_i'u)^4 on the sphere, for orthonormal a_i: the maxima are the a_i."""
    rng = np.random.default_rng(0)
    A = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    found = 0
    for _ in range(seeds):
        u = rng.standard_normal(6)
        run = optim.minimize(
            lambda u: -((A @ u) ** 4).sum(), u / np.linalg.norm(u), "projected-gd",
            lr=0.3, constraint=optim.Ball(1.0), maxiter=500, tol=1e-8,
        )  # fmt: skip
        found += np.abs(A @ run.x).max() > 1 - 1e-6
    out.near("T26", "orthogonal tensor, d=6: share of runs that reach a component", found / seeds, 1.0)
