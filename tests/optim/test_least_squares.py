"""Gauss-Newton and Levenberg-Marquardt: Jacobians, solvers, scaling, and problems with certified answers."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import MLP
from minigrad.nn import functional_call
from minigrad.optim import Status
from minigrad.optim.problems.least_squares import LeastSquares
from minigrad.optim.problems.variables import Variables
from minigrad.optim.second_order.gauss_newton import GaussNewtonDirection
from minigrad.optim.second_order.levenberg_marquardt import DampedLeastSquares
from tests import host_only

pytestmark = host_only  # numbers in NumPy arrays; test_methods.py runs every method on the device
seeds = st.integers(0, 10_000)


# ---------------------------------------------------------------------------------------------------- Jacobians
def curve(b):
    t = np.linspace(0, 1, 5)
    return b["a"] * mg.exp(-b["c"][0] * t) + b["c"][1] * t


def a_point(fun, x0, **options):
    problem = LeastSquares(fun, Variables(x0), **options)
    return problem.at(problem.variables.read())


@pytest.mark.parametrize("chunk", [None, 1, 2, 100])
def test_jacobian_by_rows_and_by_columns_and_products(chunk, rng):
    x0 = {"a": np.array(1.5), "c": np.array([0.7, -0.2])}
    point = a_point(curve, x0, chunk=chunk)  # 5 residuals of 3 variables: rows
    many = a_point(lambda b: mg.concatenate([curve(b), curve(b) * 2, curve(b) ** 2]), x0, chunk=chunk)  # 15: columns
    eps = 1e-6
    for p in (point, many):
        numeric = np.stack([
            (p.problem.at(p.theta + eps * e).residual - p.problem.at(p.theta - eps * e).residual) / (2 * eps) for e in np.eye(3)
        ], axis=1)  # fmt: skip
        u, v = rng.standard_normal(len(p.residual)), rng.standard_normal(3)
        free = p.problem.at(p.theta)
        np.testing.assert_allclose(free.jvp(v), numeric @ v, atol=1e-8)
        np.testing.assert_allclose(free.vjp(u), u @ numeric, atol=1e-8)
        np.testing.assert_allclose(p.jacobian, numeric, atol=1e-8)
        np.testing.assert_allclose(p.jvp(v), numeric @ v, atol=1e-8)
        np.testing.assert_allclose(p.field, p.jacobian.T @ p.residual)
        R, z = p.linear_model
        np.testing.assert_allclose(R.T @ R, p.jacobian.T @ p.jacobian, atol=1e-12)
        np.testing.assert_allclose(R.T @ z, p.field, atol=1e-12)


@pytest.mark.parametrize("chunk", [None, 1, 3, 7])
@pytest.mark.parametrize("outputs", [1, 2])
def test_examples_give_the_same_jacobian_as_the_whole_batch(chunk, outputs, rng):
    model = MLP((3, 4, outputs), "tanh")
    model.to(dtype="float64")
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((7, outputs))
    whole = a_point(lambda m: m(mg.Tensor(X)) - Y, model)
    each = a_point(lambda m, x, y: m(x) - y, model, examples=(X, Y), chunk=chunk)
    np.testing.assert_allclose(each.residual, whole.residual)
    np.testing.assert_allclose(each.jacobian, whole.jacobian, atol=1e-12)
    np.testing.assert_allclose(each.field, whole.field, atol=1e-12)
    u, v = rng.standard_normal(7 * outputs), rng.standard_normal(model.parameter_count())
    free = each.problem.at(each.theta)
    np.testing.assert_allclose(free.vjp(u), u @ whole.jacobian, atol=1e-12)
    np.testing.assert_allclose(free.jvp(v), whole.jacobian @ v, atol=1e-12)


def test_the_jacobian_is_folded_into_its_triangle_chunk_by_chunk(rng):
    model = MLP((3, 4, 1), "tanh")
    model.to(dtype="float64")
    X, Y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    fun = lambda m, x, y: m(x)[0] - y
    whole, folded = a_point(fun, model, examples=(X, Y)), a_point(fun, model, examples=(X, Y), chunk=8)
    R, z = folded.linear_model
    np.testing.assert_allclose(folded.field, whole.field, atol=1e-12)
    assert folded.optimality == pytest.approx(whole.optimality)
    assert "jacobian" not in folded.__dict__
    assert R.shape == (21, 21)
    np.testing.assert_allclose(R.T @ R, whole.jacobian.T @ whole.jacobian, atol=1e-12)
    np.testing.assert_allclose(R.T @ z, whole.jacobian.T @ whole.residual, atol=1e-12)
    runs = [optim.least_squares(fun, mlp, examples=(X, Y), jacobian_chunk=chunk, maxiter=5) for mlp, chunk in (
        (twin(model), None), (twin(model), 8))]  # fmt: skip
    np.testing.assert_allclose(runs[0].cost, runs[1].cost, rtol=1e-8)


def twin(model):
    other = MLP((3, 4, 1), "tanh")
    other.to(dtype="float64")
    other.load_state_dict(model.state_dict())
    return other


def test_a_jacobian_that_is_known(rng):
    J, b = rng.standard_normal((6, 2)), rng.standard_normal(6)
    calls = []

    def jac(x):
        calls.append(1)
        return J

    result = optim.least_squares(lambda x: J @ x - b, np.zeros(2), jac=jac)
    np.testing.assert_allclose(result.x, np.linalg.lstsq(J, b, rcond=None)[0])
    assert len(calls) == result.njev
    with pytest.raises(ValueError, match=r"jac returned shape \(2, 2\) for 6 residuals"):
        optim.least_squares(lambda x: J @ x - b, np.zeros(2), jac=lambda x: np.eye(2))


def test_a_closure_reads_its_own_parameters(rng):
    model = MLP((2, 3, 1), "tanh")
    model.to(dtype="float64")
    X, Y = mg.Tensor(rng.standard_normal((20, 2))), rng.standard_normal((20, 1))
    lm = optim.LevenbergMarquardt(model.named_parameters())
    losses = [lm.step(lambda: (model(X) - Y).reshape(-1)).item() for _ in range(10)]
    assert losses[-1] < losses[0]
    assert np.all(np.diff(losses) <= 0)
    model2 = MLP((2, 3, 1), "tanh")
    model2.to(dtype="float64")
    lm2 = optim.LevenbergMarquardt(model2.parameters())
    step = lambda: lm2.step(lambda x, y: model2(x) - y, examples=(X, Y), chunk=8)
    assert step().item() > step().item()


# ------------------------------------------------------------------------------------------------------- solvers
@given(seeds, st.floats(0, 10), st.sampled_from(["qr", "cholesky", "cg", "lsmr"]), st.booleans())
def test_every_solver_solves_the_damped_system(seed, damping, solver, scaling):
    rng = np.random.default_rng(seed)
    J, r = rng.standard_normal((9, 4)), rng.standard_normal(9)
    if scaling and solver in ("cg", "lsmr"):
        return
    point = a_point(lambda x: J @ x + r, np.zeros(4))
    d = GaussNewtonDirection(damping, scaling, solver)(point)
    D = np.linalg.norm(J, axis=0) if scaling else np.ones(4)
    stacked = np.concatenate([J, np.sqrt(damping) * np.diag(D)])
    expected = -np.linalg.lstsq(stacked, np.concatenate([r, np.zeros(4)]), rcond=None)[0]
    np.testing.assert_allclose(d, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("solver", ["qr", "cholesky"])
def test_digits_that_the_normal_equations_lose_are_kept(solver, rng):
    """cond(J) = 1e9: J^T J is singular to double precision, J is not. The corrections notice, and QR takes over."""
    U, V = np.linalg.qr(rng.standard_normal((20, 3)))[0], np.linalg.qr(rng.standard_normal((3, 3)))[0]
    J = U @ np.diag([1, 1e-4, 1e-9]) @ V.T
    truth = rng.standard_normal(3)
    fun = lambda x: J @ x - J @ truth
    found = optim.least_squares(fun, np.zeros(3), "gauss-newton", solver=solver, maxiter=1).x
    assert np.linalg.norm(found - truth) < 1e-5
    by_normal_equations = np.linalg.lstsq(J.T @ J, J.T @ (J @ truth), rcond=1e-16)[0]
    assert np.linalg.norm(by_normal_equations - truth) > 1e-3


def test_singular_and_underdetermined():
    rank_one = lambda x: (x[0] + x[1]) * np.array([1.0, 2.0, 3.0]) - 1.0
    for solver in ("qr", "cholesky"):
        result = optim.least_squares(rank_one, np.zeros(2), "gauss-newton", solver=solver)
        assert result.status is Status.SINGULAR
    assert optim.least_squares(rank_one, np.zeros(2)).success  # damping makes it regular
    fewer = lambda x: mg.stack([x.sum() - 1.0])
    with pytest.raises(ValueError, match="1 residuals and 3 parameters. Use damping"):
        optim.least_squares(fewer, np.zeros(3), "gauss-newton")
    assert optim.least_squares(fewer, np.zeros(3)).cost < 1e-20
    damped = optim.least_squares(fewer, np.zeros(3), "gauss-newton", damping=1e-3)
    assert damped.cost < 1e-6
    np.testing.assert_allclose(damped.x, damped.x[0])  # the shortest solution


def test_a_class_that_cannot_go_on_says_so_by_its_status():
    """At the solution LSMR's step is rounding: the class keeps the parameters, as the function does."""
    x = mg.Tensor(np.array([1.0, 2.0]), True)
    lm = optim.LevenbergMarquardt([x], solver="lsmr")
    lm.step(lambda: x - np.array([1.0, 2.0]))
    assert lm.status is Status.ROUNDING
    np.testing.assert_array_equal(x.numpy(), [1, 2])


def test_nothing_depends_on_a_parameter():
    result = optim.least_squares(lambda x: x[:2] - 1.0 + 0 * x[2], np.zeros(3))
    assert result.success
    np.testing.assert_allclose(result.x, [1, 1, 0])


@pytest.mark.parametrize("gram", [False, True])
@given(seed=seeds, mu=st.floats(0.1, 1e4), rows=st.integers(3, 9))
def test_damped_is_the_minimizer(gram, seed, mu, rows):
    rng = np.random.default_rng(seed)
    A, z = rng.standard_normal((rows, 3)), rng.standard_normal(rows)
    q, F = DampedLeastSquares(A, z, gram=gram)(mu)
    np.testing.assert_allclose(A.T @ (A @ q + z) + mu * q, 0, atol=1e-8 * (1 + mu))
    np.testing.assert_allclose(F.T @ F, A.T @ A + mu * np.eye(3), rtol=1e-8, atol=1e-10)
    length = lambda mu: np.linalg.norm(DampedLeastSquares(A, z)(mu)[0])
    step = 1e-5 * mu
    slope = (length(mu + step) - length(mu - step)) / (2 * step)
    assert DampedLeastSquares(A, z).inverse_slope(F, q) == pytest.approx(-length(mu) / slope, rel=1e-3)


@given(seeds, st.floats(-14, 0))
def test_corrected_cholesky_has_the_digits_of_qr(seed, exponent):
    """For any conditioning, 100 parameters: where the corrections do not converge, it is QR."""
    rng = np.random.default_rng(seed)
    U, V = np.linalg.qr(rng.standard_normal((120, 100)))[0], np.linalg.qr(rng.standard_normal((100, 100)))[0]
    A, z = U @ np.diag(np.logspace(0, exponent, 100)) @ V.T, rng.standard_normal(120)
    by_cholesky, by_qr = DampedLeastSquares(A, z)(1e-12)[0], DampedLeastSquares(A, z)._by_qr(1e-12)[0]
    np.testing.assert_allclose(by_cholesky, by_qr, atol=1e-6 * np.linalg.norm(by_qr))


# ------------------------------------------------------------------------------------------ Levenberg-Marquardt
@given(seeds, st.floats(-6, 6))
def test_lm_does_not_see_units(seed, exponent):
    """Measuring a parameter in other units changes the iterates' units and nothing else."""
    rng = np.random.default_rng(seed)
    t, y = np.linspace(0, 1, 15), rng.random(15)
    fun = lambda b: b[0] * mg.exp(-b[1] * t) - y
    unit = 2.0 ** round(exponent)
    run = lambda f, x0: optim.least_squares(f, x0, maxiter=6, keep_x=True, tol=0.0).history["x"]
    plain = run(fun, np.array([1.0, 2.0]))
    scaled = run(lambda b: fun(b * np.array([1.0, unit])), np.array([1.0, 2.0 / unit]))
    n = min(len(plain), len(scaled))
    np.testing.assert_allclose(scaled[:n] * [1, unit], plain[:n], rtol=1e-6)


def test_lm_costs_never_rise():
    powell = lambda x: mg.stack([
        x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2
    ])  # fmt: skip
    result = optim.least_squares(powell, np.array([3.0, -1.0, 0.0, 1.0]))
    assert np.all(np.diff(result.history["fun"]) <= 0)
    assert result.cost < 1e-20


def test_lm_and_gauss_newton_agree_with_scipy(rng):
    from scipy.optimize import least_squares

    t = np.linspace(0, 2, 30)
    y = 3 * np.exp(-1.3 * t) + 0.5 + 0.05 * rng.standard_normal(30)
    ours = lambda b: b[0] * mg.exp(-b[1] * t) + b[2] - y
    scipys = lambda b: b[0] * np.exp(-b[1] * t) + b[2] - y
    expected = least_squares(scipys, [1, 1, 0], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    for method in ("lm", "gauss-newton"):
        result = optim.least_squares(ours, np.array([1.0, 1.0, 0.0]), method)
        np.testing.assert_allclose(result.x, expected.x, rtol=1e-7)
        assert result.cost == pytest.approx(expected.cost)


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_gauss_newton_rate_is_the_spectral_radius(noise):
    """Row N132: the error shrinks by the largest eigenvalue of (J^T J)^-1 sum r_i Hess r_i."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 20)
    y = 5 * np.exp(-1.0 * t) + noise * rng.standard_normal(20)
    fun = lambda b: b[0] * mg.exp(-b[1] * t) - y
    best = optim.least_squares(fun, np.array([5.0, 1.0]), maxiter=3000).x
    J = mg.jacobian(fun)(mg.Tensor(best)).numpy()
    H = mg.hessian(lambda b: 0.5 * (fun(b) ** 2).sum())(mg.Tensor(best)).numpy()
    radius = np.abs(np.linalg.eigvals(np.linalg.solve(J.T @ J, H - J.T @ J))).max()
    run = optim.least_squares(fun, best * [1.01, 1.02], "gauss-newton", keep_x=True, tol=0.0, maxiter=60)
    errors = np.linalg.norm(run.history["x"] - best, axis=1)
    errors = errors[errors > 1e-9]
    assert (errors[-1] / errors[-2]) == pytest.approx(radius, rel=0.05)


def test_a_network_is_trained(rng):
    X = rng.uniform(-1, 1, (100, 2))
    Y = np.sin(2 * X[:, 0]) * X[:, 1]
    mg.manual_seed(1)
    model = MLP((2, 8, 1), "tanh")
    model.to(dtype="float64")
    result = optim.least_squares(lambda m, x, y: m(x)[0] - y, model, examples=(X, Y), jacobian_chunk=30, maxiter=60)
    assert 2 * result.cost / 100 < 1e-4
    assert result.x is model
    params = dict(model.named_parameters())
    by_hand = functional_call(model, params, mg.Tensor(X))[:, 0].numpy() - Y
    np.testing.assert_allclose(result.fun, by_hand)
    assert isinstance(model, nn.Module)


# -------------------------------------------------------------------- NIST's certified problems, where they are at hand
ROOT = Path(os.environ.get("MINIGRAD_DATA", Path(__file__).parents[3] / "shared" / "data")) / "nist_strd"


def meyer(b):
    x = np.arange(50.0, 126, 5)
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    return b[0] * mg.exp(b[1] / (x + b[2])) - np.array(y, float)


def kowalik(b):
    x = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    y = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]) - y


@pytest.mark.parametrize(("fun", "start", "certified"), [
    (meyer, (2, 400000, 25000), (5.6096364710e-3, 6.1813463463e3, 3.4522363462e2)),
    (meyer, (0.02, 4000, 250), (5.6096364710e-3, 6.1813463463e3, 3.4522363462e2)),
    (kowalik, (25, 39, 41.5, 39), (1.9280693458e-1, 1.9128232873e-1, 1.2305650693e-1, 1.3606233068e-1)),
    (kowalik, (0.25, 0.39, 0.415, 0.39), (1.9280693458e-1, 1.9128232873e-1, 1.2305650693e-1, 1.3606233068e-1)),
], ids=["MGH10-1", "MGH10-2", "MGH09-1", "MGH09-2"])  # fmt: skip
def test_certified_problems_from_the_literature(fun, start, certified):
    """Meyer's and Kowalik & Osborne's functions (More, Garbow & Hillstrom 1981), certified by NIST to 11 digits."""
    result = optim.least_squares(fun, np.array(start, float))
    assert result.success, result.message
    np.testing.assert_allclose(result.x, certified, rtol=1e-6)


def nist(path):
    """(residual, starts, certified parameters) of a file of the Statistical Reference Datasets."""
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if re.match(r"\s*(y|log\[y\])\s*=", line))
    last = next(i for i in range(first, len(lines)) if re.search(r"\+\s*e\s*$", lines[i]))
    left, right = " ".join(lines[first : last + 1]).split("=", 1)
    formula = re.sub(r"\+\s*e\s*$", "", right).replace("[", "(").replace("]", ")").strip()
    table = [m.groups() for line in lines if (m := re.match(r"\s*b\d+\s*=\s*(\S+)\s+(\S+)\s+(\S+)\s+\S+", line))]
    first_start, second_start, certified = np.array(table, float).T
    header = max(i for i, line in enumerate(lines) if line.startswith("Data:"))
    names = lines[header].split()[1:]
    columns = dict(
        zip(names, np.array([line.split() for line in lines[header + 1 :] if line.strip()], float).T, strict=True)
    )
    y = columns.pop("y")
    y = np.log(y) if "log" in left else y
    known = {"exp": mg.exp, "cos": mg.cos, "sin": mg.sin, "arctan": mg.arctan, "pi": np.pi, **columns}
    code = compile(formula, path.name, "eval")

    def residual(b):
        return eval(code, {"__builtins__": {}}, {**known, **{f"b{i + 1}": b[i] for i in range(len(certified))}}) - y

    return residual, (first_start, second_start), certified


@pytest.mark.skipif(not ROOT.exists(), reason=f"no NIST data in {ROOT} (set MINIGRAD_DATA)")
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", sorted(p.stem for p in ROOT.glob("*.dat")))
def test_nist(name, start):
    """Every certified parameter to 6 digits, from both starts, with no setting changed."""
    residual, starts, certified = nist(ROOT / f"{name}.dat")
    result = optim.least_squares(residual, starts[start])
    assert result.success, result.message
    np.testing.assert_allclose(result.x, certified, rtol=1e-6)
