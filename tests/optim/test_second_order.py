"""Newton, trust regions, L-BFGS and line searches: against brute force, against NumPy, against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim import Status
from minigrad.optim.problems.minimization import Minimization
from minigrad.optim.problems.variables import Variables
from minigrad.optim.second_order.conjugate_gradients import conjugate_gradients
from minigrad.optim.second_order.newton import NewtonDirection
from minigrad.optim.second_order.trust_region import trust_region_step
from tests import host_only

pytestmark = host_only  # numbers in NumPy arrays; test_methods.py runs every method on the device
seeds = st.integers(0, 10_000)


def symmetric(seed, n, shift=0.0):
    B = np.random.default_rng(seed).standard_normal((n, n))
    return (B + B.T) / 2 + shift * np.eye(n)


# -------------------------------------------------------------------------------------------- modified Cholesky
@given(seeds, st.integers(1, 8))
def test_modified_cholesky_is_cholesky_where_that_exists(seed, n):
    A = symmetric(seed, n)
    A = A @ A.T + 0.1 * np.eye(n)
    L, Delta = optim.modified_cholesky(A)
    np.testing.assert_array_equal(Delta, 0)
    np.testing.assert_allclose(L, np.linalg.cholesky(A), rtol=1e-10, atol=1e-12)


@given(seeds, st.integers(1, 8), st.floats(1e-3, 2.0))
def test_modified_cholesky_makes_any_matrix_positive_definite(seed, n, delta):
    A = symmetric(seed, n)
    L, Delta = optim.modified_cholesky(A, delta)
    assert np.all(Delta >= 0)
    assert np.all(np.diag(L) ** 2 >= delta * (1 - 1e-9))
    np.testing.assert_allclose(L @ L.T, A + np.diag(Delta), atol=1e-8 * max(1.0, np.abs(L).max() ** 2))


def test_modified_cholesky_needs_a_positive_pivot():
    with pytest.raises(ValueError, match="delta must be positive"):
        optim.modified_cholesky(np.eye(2), -1.0)


# ------------------------------------------------------------------------------------------------ trust region
def brute_force(g, H, radius, n=100_000):
    """The least value of the model over many points of the disc."""
    angle, r = np.meshgrid(np.linspace(0, 2 * np.pi, n // 100), radius * np.linspace(0, 1, 100))
    d = np.stack([r * np.cos(angle), r * np.sin(angle)]).reshape(2, -1)
    return float((g @ d + 0.5 * np.sum(d * (H @ d), axis=0)).min())


@given(seeds, st.floats(0.05, 5.0), st.booleans())
def test_trust_region_step_is_the_minimizer(seed, radius, hard):
    rng = np.random.default_rng(seed)
    H = symmetric(seed, 2)
    g = rng.standard_normal(2)
    if hard:  # no part along the lowest eigenvector
        Q = np.linalg.eigh(H)[1]
        g = Q[:, 1] * g[0]
    d = trust_region_step(g, H, radius)
    assert np.linalg.norm(d) <= radius * (1 + 1e-8)
    value = float(g @ d + 0.5 * d @ H @ d)
    assert value <= brute_force(g, H, radius) + 1e-9
    assert value >= brute_force(g, H, radius) - 2e-2 * radius * (np.linalg.norm(g) + radius * np.abs(H).max())


@given(seeds, st.integers(1, 12), st.floats(1e-3, 1e3))
def test_trust_region_step_satisfies_its_optimality_conditions(seed, n, radius):
    """More & Sorensen: (H + mu I) d = -g, H + mu I >= 0, mu >= 0, mu (radius - abs(d)) = 0: a proof for any size."""
    rng = np.random.default_rng(seed)
    H, g = symmetric(seed, n), rng.standard_normal(n)
    d = trust_region_step(g, H, radius)
    length = np.linalg.norm(d)
    residual = -(g + H @ d)
    mu = max(0.0, float(residual @ d) / float(d @ d))
    scale = np.linalg.norm(g) + np.abs(H).max() * length
    np.testing.assert_allclose(residual, mu * d, atol=1e-6 * scale)
    assert np.linalg.eigvalsh(H)[0] + mu >= -1e-6 * np.abs(H).max()
    assert length <= radius * (1 + 1e-8)
    assert mu <= 1e-6 * np.abs(H).max() or length == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize(("radius", "value"), [(0.1, -0.095), (0.5, -0.375), (2.0, -2.25)])
def test_hard_case_of_the_notes(radius, value):
    """Row N167: H = diag(1, -1), g = (1, 0)."""
    g, H = np.array([1.0, 0.0]), np.diag([1.0, -1.0])
    d = trust_region_step(g, H, radius)
    if radius > 0.5:
        assert g @ d + 0.5 * d @ H @ d == pytest.approx(value)
    else:
        assert g @ d + 0.5 * d @ H @ d <= value + 1e-9


@given(seeds, st.integers(1, 10), st.floats(0.01, 100))
def test_steihaug_is_feasible_and_beats_the_cauchy_point(seed, n, radius):
    rng = np.random.default_rng(seed)
    H, g = symmetric(seed, n), rng.standard_normal(n)
    model = lambda d: g @ d + 0.5 * d @ H @ d
    d, r = conjugate_gradients(lambda v: H @ v, g, radius)
    np.testing.assert_allclose(r, g + H @ d, atol=1e-8 * (1 + np.abs(g + H @ d).max()))
    bend = g @ H @ g
    t = radius / np.linalg.norm(g)
    if bend > 0:
        t = min(t, g @ g / bend)
    assert np.linalg.norm(d) <= radius * (1 + 1e-9)
    assert model(d) <= model(-t * g) + 1e-9


def test_trust_region_leaves_a_saddle():
    """At (0, 0) the gradient of x^2 - y^2 + y^4 vanishes; just beside it, the Hessian shows the way down."""
    fun = lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4
    result = optim.minimize(fun, np.array([1.0, 1e-10]), "trust-region")
    assert result.fun == pytest.approx(-0.25)


# ---------------------------------------------------------------------------------------------------- Newton
def test_newton_on_indefinite_and_singular_hessians():
    saddle = lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4
    result = optim.minimize(saddle, np.array([1.0, 0.1]), "newton")
    assert result.status is Status.INDEFINITE
    assert "indefinite='modify'" in result.message
    np.testing.assert_array_equal(result.x, [1.0, 0.1])
    safe = optim.minimize(saddle, np.array([1.0, 0.1]), "newton", indefinite="modify", line_search="armijo")
    assert safe.fun == pytest.approx(-0.25)
    anything = optim.minimize(saddle, np.array([1.0, 0.1]), "newton", indefinite="accept")
    np.testing.assert_allclose(anything.x, 0, atol=1e-8)  # the saddle, as asked
    flat = optim.minimize(lambda x: (x[0] + x[1] - 1) ** 2, np.zeros(2), "newton")
    assert flat.status is Status.SINGULAR
    x = mg.Tensor(np.array([1.0, 0.1]), True)
    with pytest.raises(optim.OptimizationError, match=r"Newton\.step: failed: the Hessian is not positive definite"):
        optim.Newton([x]).step(lambda: saddle(x))
    np.testing.assert_array_equal(x.numpy(), [1.0, 0.1])


def test_a_direction_that_ascends():
    """On the concave side, Newton's direction climbs; a line search will not follow it."""
    fun = lambda x: mg.cos(x).sum()
    result = optim.minimize(fun, np.array([0.3]), "newton", indefinite="accept", line_search="armijo")
    assert result.status is Status.NOT_DESCENT
    wolfe = optim.minimize(fun, np.array([0.3]), "newton", indefinite="accept", line_search="wolfe")
    assert wolfe.status is Status.NOT_DESCENT
    x = mg.Tensor(np.array([0.3]), True)
    with pytest.raises(optim.OptimizationError, match="ascends"):
        optim.Newton([x], indefinite="accept", line_search="armijo").step(lambda: fun(x))


@given(seeds)
def test_newton_direction_solves_its_system(seed):
    H = symmetric(seed, 4)
    H = H @ H + 0.1 * np.eye(4)
    b = np.random.default_rng(seed).standard_normal(4)
    problem = Minimization(lambda x: 0.5 * x @ H @ x - x @ b, Variables(np.zeros(4)))
    for mode in ("stop", "modify", "accept"):
        d = NewtonDirection(mode)(problem.at(np.zeros(4)))
        np.testing.assert_allclose(d, np.linalg.solve(H, b), rtol=1e-8)


def test_newton_cg_never_forms_a_hessian_and_meets_negative_curvature(monkeypatch):
    """A double well in the first variable, entered from its hump; the rest is a bowl."""
    fun = lambda x: (x[0] ** 2 - 1) ** 2 + (x[1:] ** 2).sum() + 0.1 * x.sum()
    start = np.full(30, 0.1)
    well = np.roots([4, 0, -4, 0.1])
    bottom = min((w**2 - 1) ** 2 + 0.1 * w for w in well) - 29 * 0.05**2
    side = min((w**2 - 1) ** 2 + 0.1 * w for w in well if w > 0) - 29 * 0.05**2
    from minigrad.optim.problems.minimization import MinimizationPoint

    monkeypatch.setattr(MinimizationPoint, "hessian", property(lambda self: pytest.fail("a Hessian was formed")))
    result = optim.minimize(fun, start, "newton-cg")
    assert result.success
    assert min(abs(result.fun - bottom), abs(result.fun - side)) < 1e-10


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "newton", "trust-region"])
def test_scipys_rosen(method):
    """The extended Rosenbrock function of 10 variables, whose minimum is 0 at ones."""
    fun = lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    options = {"line_search": "armijo", "indefinite": "modify"} if method == "newton" else {}
    start = np.full(10, 0.9)
    result = optim.minimize(fun, start, method, **options)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, 1, atol=1e-6)


def test_rosenbrock_iteration_counts():
    """Row R17."""
    fun = lambda x: 0.5 * (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)
    residual = lambda x: mg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    start, stop = np.array([-1.2, 1.0]), {"tol": 0.0, "target": 1e-20}
    newton = optim.minimize(fun, start, "newton", **stop)
    assert abs(newton.nit - 7) <= 2
    armijo = optim.minimize(fun, start, "newton", line_search="armijo", indefinite="modify", **stop)
    assert abs(armijo.nit - 21) <= 4
    assert optim.least_squares(residual, start, "gauss-newton", **stop).nit == 2
    assert optim.least_squares(residual, start, "lm", **stop).nit <= 30
    assert optim.minimize(fun, start, "trust-region", **stop).nit <= 30


# ------------------------------------------------------------------------------------------------ line searches
def a_point(seed, n=4):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((6, n))
    fun = lambda x: mg.logaddexp(A @ x, -(A @ x)).sum() + 0.1 * (x**4).sum()
    return Minimization(fun, Variables(rng.standard_normal(n))), rng


@given(seeds)
def test_armijo_takes_the_first_step_of_its_ladder_that_descends_enough(seed):
    problem, _ = a_point(seed)
    point = problem.at(problem.variables.read())
    d = -point.field
    slope = float(point.field @ d)
    new, t, status = optim.Armijo(s=1.0, beta=0.5, gamma=1e-2)(point, d)
    assert status is None
    enough = lambda t: problem.at(point.theta + t * d).value <= point.value + 1e-2 * t * slope + 1e-14
    assert enough(t)
    assert t == 1.0 or not enough(2 * t)
    np.testing.assert_allclose(new.theta, point.theta + t * d)


@given(seeds)
def test_wolfe_conditions_hold(seed):
    problem, rng = a_point(seed)
    point = problem.at(problem.variables.read())
    d = -point.field * rng.random(4)
    slope = float(point.field @ d)
    new, t, _ = optim.Wolfe(c1=1e-4, c2=0.5)(point, d)
    assert new.value <= point.value + 1e-4 * t * slope + 1e-12
    assert abs(float(new.field @ d)) <= 0.5 * abs(slope) + 1e-10


@given(seeds)
def test_exact_search_ends_where_the_slope_vanishes(seed):
    problem, _ = a_point(seed)
    point = problem.at(problem.variables.read())
    d = -point.field
    new, t, _ = optim.Exact()(point, d)
    assert t > 0
    assert abs(float(new.field @ d)) <= 1e-5 * abs(float(point.field @ d))


@given(seeds)
def test_exact_search_needs_one_product_on_a_quadratic(seed):
    H = symmetric(seed, 5)
    H = H @ H + 0.1 * np.eye(5)
    problem = Minimization(lambda x: 0.5 * x @ H @ x, Variables(np.random.default_rng(seed).standard_normal(5)))
    point = problem.at(problem.variables.read())
    g = point.field
    _, t, _ = optim.Exact()(point, -g)
    assert t == pytest.approx(float(g @ g) / float(g @ H @ g))
    assert (problem.nfev, problem.nhev) == (2, 1)


def test_a_line_that_falls_for_ever():
    result = optim.minimize(lambda x: x.sum(), np.zeros(1), "gd", line_search="exact", maxiter=5)
    assert result.status in (Status.NO_PROGRESS, Status.NON_FINITE)
    assert not result.success


def test_line_searches_refuse_games():
    from minigrad.optim.method import Steepest
    from minigrad.optim.problems.minimax import Minimax

    problem = Minimax(lambda x, y: (x * y).sum(), Variables(np.ones(1), np.ones(1)))
    for search in (optim.Armijo(), optim.Wolfe(), optim.Exact()):
        point = problem.at(problem.variables.read())
        with pytest.raises(TypeError, match="a game has none"):
            search(point, Steepest()(point))
    with pytest.raises(TypeError, match="has no option line_search"):
        optim.minimax(lambda x, y: (x * y).sum(), [1.0], [1.0], "gda", line_search="armijo")


# ------------------------------------------------------------------------------------------------------ L-BFGS
def test_lbfgs_with_full_memory_finds_the_inverse_hessian():
    """With exact line searches on a quadratic of n variables, n steps suffice (and the pairs span everything)."""
    H = np.diag([1.0, 3.0, 10.0, 30.0])
    result = optim.minimize(lambda x: 0.5 * x @ H @ x, np.ones(4), "lbfgs", line_search="exact", maxiter=5, tol=1e-9)
    assert result.success
    assert result.nit <= 5


def test_lbfgs_forgets_the_oldest_pairs_and_skips_negative_curvature():
    x = mg.Tensor(np.array([2.0, 1.0]), True)
    method = optim.LBFGS([x], memory=3)
    for _ in range(6):
        method.step(lambda: (x**4).sum())
    assert method.direction.state.S.shape == (3, 2)
    concave = optim.LBFGS([x], lr=0.1, line_search=None)
    for _ in range(3):
        concave.step(lambda: -(x**2).sum())
    assert concave.direction.state.S is None


def test_preconditioned_descent_is_descent_in_other_variables():
    """Row N130: scaling the variables by S is D = S^-2."""
    H = np.array([[4.0, 1.0], [1.0, 9.0]])
    S = np.array([2.0, 3.0])
    scaled = lambda u: 0.5 * (u / S) @ H @ (u / S)
    in_u = optim.minimize(scaled, np.array([2.0, 3.0]), "gd", lr=0.3, maxiter=50, keep_x=True).history["x"]
    plain = optim.minimize(
        lambda x: 0.5 * x @ H @ x, np.ones(2), "gd", lr=0.3, preconditioner=S**-2, maxiter=50, keep_x=True
    ).history["x"]
    np.testing.assert_allclose(plain, in_u[: len(plain)] / S, atol=1e-14)
    full = optim.minimize(
        lambda x: 0.5 * x @ H @ x, np.ones(2), "gd", lr=0.3, preconditioner=np.diag(S**-2), maxiter=50, keep_x=True
    ).history["x"]
    np.testing.assert_allclose(plain, full, atol=1e-14)


def test_which_subproblem_is_solved():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert optim.TrustRegion([x]).exact
    assert not optim.TrustRegion([x], solver="steihaug").exact
    large = mg.zeros(501, requires_grad=True)
    assert not optim.TrustRegion([large]).exact
    assert optim.TrustRegion([large], solver="exact").exact
