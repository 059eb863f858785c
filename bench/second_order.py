"""Second-order steps: Levenberg-Marquardt against torch.func + torch.linalg and JAX; Newton-CG against SciPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load
from minigrad import data, optim
from minigrad.nn import functional as F
from minigrad.optim.problems.variables import Variables
from minigrad.optim.second_order.levenberg_marquardt import DampedLeastSquares

SHAPES = [(20, 2), (20,), (20, 20), (20,), (1, 20), (1,)]  # a 2-20-20-1 network: 501 parameters
DAMPING = 1e-3


def rows() -> Iterator[Row]:
    yield from _levenberg_marquardt()
    yield from _newton_cg()


def network(lib: Any, p: Any, x: Any) -> Any:
    h = lib.tanh(p[0] @ x + p[1])
    h = lib.tanh(p[2] @ h + p[3])
    return (p[4] @ h + p[5])[0]


def _levenberg_marquardt() -> Iterator[Row]:
    """The Jacobian of 1,000 residuals by 501 parameters, and d = argmin |J d + r|^2 + lambda |D d|^2."""
    torch, jax = load("torch"), load("jax")
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1000, 2))
    Y = np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])
    params = [0.5 * rng.standard_normal(s) for s in SHAPES]
    p = sum(x.size for x in params)
    variables = Variables([mg.Tensor(x) for x in params])
    theta = variables.read()
    fun = lambda params, x, y: network(mg, params, x) - y

    def ours(solver: str) -> Callable[[], np.ndarray]:
        problem = optim.LevenbergMarquardt(variables, solver=solver).problem(fun, examples=(X, Y))

        def step() -> np.ndarray:
            R, z = problem.at(theta).linear_model
            D = np.linalg.norm(R, axis=0)
            return DampedLeastSquares(R / D, z, triangular=solver == "qr", gram=solver == "cholesky")(DAMPING)[0] / D

        return step

    qr, cholesky = ours("qr"), ours("cholesky")
    peers: dict[str, Callable[[], Any]] = {}
    if torch:
        tp, tx, ty = [torch.from_numpy(x) for x in params], torch.from_numpy(X), torch.from_numpy(Y)
        one = lambda p, x, y: network(torch, p, x) - y
        jacobian = torch.func.vmap(torch.func.jacrev(one), (None, 0, 0))
        residual = torch.func.vmap(one, (None, 0, 0))

        def stacked() -> tuple[Any, Any]:
            J = torch.cat([a.reshape(1000, -1) for a in jacobian(tp, tx, ty)], 1)
            D = J.norm(dim=0)
            r = residual(tp, tx, ty)
            return torch.cat([J, torch.diag(DAMPING**0.5 * D)]), torch.cat([-r, torch.zeros(p, dtype=r.dtype)])[:, None]

        def torch_qr() -> Any:
            S, b = stacked()
            Q, R = torch.linalg.qr(S)
            return torch.linalg.solve_triangular(R, Q.T @ b, upper=True)

        def torch_gels() -> Any:
            return torch.linalg.lstsq(*stacked(), driver="gels").solution

        def torch_default() -> Any:
            return torch.linalg.lstsq(*stacked()).solution

        peers |= {"torch qr": torch_qr, "torch gels": torch_gels, "torch lstsq": torch_default}
        np.testing.assert_allclose(qr(), torch_qr().numpy()[:, 0], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(cholesky(), torch_qr().numpy()[:, 0], rtol=1e-6, atol=1e-8)
    if jax:
        jax.config.update("jax_enable_x64", True)
        jp, jx, jy = [jax.numpy.asarray(x) for x in params], jax.numpy.asarray(X), jax.numpy.asarray(Y)
        jax_one = lambda p, x, y: network(jax.numpy, p, x) - y

        @jax.jit
        def jax_step(p_: Any, x: Any, y: Any) -> Any:
            blocks = jax.vmap(jax.jacrev(jax_one), (None, 0, 0))(p_, x, y)
            J = jax.numpy.concatenate([a.reshape(1000, -1) for a in blocks], 1)
            r = jax.vmap(jax_one, (None, 0, 0))(p_, x, y)
            D = jax.numpy.linalg.norm(J, axis=0)
            S = jax.numpy.concatenate([J, jax.numpy.diag(DAMPING**0.5 * D)])
            Q, R = jax.numpy.linalg.qr(S)
            return jax.scipy.linalg.solve_triangular(R, Q.T @ jax.numpy.concatenate([-r, jax.numpy.zeros(p)]))

        peers["jax.jit qr"] = lambda: jax.block_until_ready(jax_step(jp, jx, jy))
    bars = dict.fromkeys(("torch qr", "torch gels", "torch lstsq"), 1.0)
    name = "LM step, 1,000 x 501, solver="
    yield from compare("second", name + "'qr'", qr, peers, bars, rounds=5, duration=0.3)
    yield from compare("second", name + "'cholesky'", cholesky, peers, bars, rounds=5, duration=0.3)


def _newton_cg() -> Iterator[Row]:
    """Logistic regression on the 1,797 digits with a ridge, p = 650, both from zeros to the minimizer.

    The sum over examples, not the mean: SciPy gives up where a curvature is below 3 eps in absolute terms.
    """
    from scipy.optimize import minimize

    try:
        digits = data.digits()
    except ImportError:
        print("# scikit-learn is not installed: the digits rows are skipped")
        return
    X = np.concatenate([digits.x_train, digits.x_test]).reshape(-1, 64) / 16.0
    labels = np.concatenate([digits.y_train, digits.y_test])
    inputs, targets = mg.Tensor(X), mg.Tensor(labels)

    def loss(w: Any) -> Any:
        W = w.reshape(10, 65)
        return F.cross_entropy(inputs @ W[:, :64].T + W[:, 64], targets, reduction="sum") + 0.5 * (w * w).sum()

    start = np.zeros(650)
    both = mg.value_and_grad(loss)
    product = lambda w, v: mg.hvp(loss, mg.Tensor(w), mg.Tensor(v)).numpy()

    def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, g = both(mg.Tensor(w))
        return value.item(), g.numpy()

    one_hot, n = np.eye(10)[labels], len(X)
    with_ones = np.concatenate([X, np.ones((n, 1))], axis=1)

    def by_hand(w: np.ndarray) -> tuple[float, np.ndarray]:
        W = w.reshape(10, 65)
        scores = with_ones @ W.T
        scores -= scores.max(axis=1, keepdims=True)
        e = np.exp(scores)
        total = e.sum(axis=1, keepdims=True)
        value = np.sum(np.log(total[:, 0]) - scores[np.arange(n), labels]) + 0.5 * w @ w
        return value, ((e / total - one_hot).T @ with_ones).reshape(-1) + w

    def product_by_hand(w: np.ndarray, v: np.ndarray) -> np.ndarray:
        scores = with_ones @ w.reshape(10, 65).T
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        P = e / e.sum(axis=1, keepdims=True)
        Z = with_ones @ v.reshape(10, 65).T
        S = P * (Z - (P * Z).sum(axis=1, keepdims=True))
        return (S.T @ with_ones).reshape(-1) + v

    def scipys(fun: Any, hessp: Any) -> Callable[[], Any]:
        return lambda: minimize(fun, start, jac=True, hessp=hessp, method="Newton-CG", options={"xtol": 1e-13})

    ours = lambda: optim.minimize(loss, start, "newton-cg", tol=1e-8)
    peers = {"SciPy": scipys(value_and_gradient, product), "SciPy by hand": scipys(by_hand, product_by_hand)}
    mine, theirs, hand = ours(), peers["SciPy"](), peers["SciPy by hand"]()
    apart = [np.abs(mine.x - other.x).max() for other in (theirs, hand)]
    print(
        f"# minimizers apart by {apart[0]:.1e}, {apart[1]:.1e}; ours {mine.nit} steps, {mine.nhev} products;", end=" "
    )
    print(f"SciPy's {theirs.nit} steps, {theirs.nhev} products; gradients {mine.optimality:.1e}", end=", ")
    print(f"{np.linalg.norm(theirs.jac):.1e}")
    yield from compare(
        "second", "Newton-CG, digits, p = 650, whole run", ours, peers, {"SciPy": 1.0}, rounds=5, duration=0.5
    )
