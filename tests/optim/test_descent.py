"""Projected, perturbed, noisy and derivative-free descent; Nesterov's method; rates of convergence; pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim, viz
from minigrad.optim import Status, rates
from minigrad.optim.problems.gradient_estimates import CoordinateEstimate, Estimated, GaussianEstimate
from tests import host_only

pytestmark = host_only  # numbers in NumPy arrays; test_methods.py runs every method on the device
seeds = st.integers(0, 10_000)


# ------------------------------------------------------------------------------------------------- projections
SETS = {
    "box": (optim.Box(-0.5, [0.3, 0.4, 2.0]), lambda x: np.all(x >= -0.5) and np.all(x <= [0.3, 0.4, 2.0])),
    "half space": (optim.Box(0.0), lambda x: np.all(x >= 0)),
    "ball": (optim.Ball(0.7, [0.1, 0.0, -0.2]), lambda x: np.linalg.norm(x - [0.1, 0, -0.2]) <= 0.7 * (1 + 1e-12)),
    "simplex": (optim.Simplex(2.0), lambda x: np.all(x >= 0) and abs(x.sum() - 2) < 1e-12),
}


@pytest.mark.parametrize("name", SETS)
@given(seed=seeds)
def test_projection_is_the_nearest_point(name, seed):
    """P(x) is inside, and (x - P(x))'(z - P(x)) <= 0 for every z inside: that characterizes it for convex sets."""
    constraint, inside = SETS[name]
    rng = np.random.default_rng(seed)
    x = 2 * rng.standard_normal(3)
    p = constraint.project(x)
    assert inside(p)
    np.testing.assert_allclose(constraint.project(p), p, atol=1e-12)
    for _ in range(5):
        z = constraint.project(3 * rng.standard_normal(3))
        assert (x - p) @ (z - p) <= 1e-10


def test_projected_gd_satisfies_the_kkt_conditions():
    """Row N134."""
    rng = np.random.default_rng(0)
    B = rng.standard_normal((8, 4))
    b = rng.standard_normal(8)
    fun = lambda x: 0.5 * ((B @ x - b) ** 2).sum()
    lr = 1 / np.linalg.eigvalsh(B.T @ B)[-1]
    box = optim.Box(-0.1, 0.2)
    result = optim.minimize(fun, np.zeros(4), "projected-gd", lr=lr, constraint=box, maxiter=5000, tol=1e-10)
    assert result.success
    g = B.T @ (B @ result.x - b)
    low, high = np.isclose(result.x, -0.1), np.isclose(result.x, 0.2)
    assert np.all(g[low] >= -1e-8)
    assert np.all(g[high] <= 1e-8)
    assert np.all(np.abs(g[~low & ~high]) <= 1e-8)
    assert low.any() or high.any()
    with pytest.raises(ValueError, match="a bound of 2 entries does not fit 4 variables"):
        optim.minimize(fun, np.zeros(4), "projected-gd", constraint=optim.Box([0.0, 0.0]))


# ---------------------------------------------------------------------------------------------------- saddles
def saddle(x):
    return 0.5 * x[0] ** 2 + 0.25 * x[1] ** 4 - 0.5 * x[1] ** 2


def test_perturbed_gd_leaves_the_saddle_where_gd_sits():
    start = np.array([1.0, 0.0])
    stuck = optim.minimize(saddle, start, "gd", lr=0.1)
    assert stuck.status is Status.GRADIENT
    assert stuck.fun == pytest.approx(0, abs=1e-12)
    for seed in range(3):
        free = optim.minimize(saddle, start, "perturbed-gd", lr=0.1, seed=seed)
        assert free.status is Status.SECOND_ORDER
        assert free.fun == pytest.approx(-0.25, abs=1e-3)
    noisy = optim.minimize(saddle, start, "noisy-gd", lr=0.1, maxiter=500)
    assert noisy.fun < -0.2


def test_subgradient_returns_the_best_iterate_and_the_average():
    fun = lambda x: mg.absolute(x).max()
    result = optim.minimize(fun, np.linspace(-1, 1, 5), "subgradient", lr=0.5, maxiter=400, keep_x=True)
    assert result.fun == result.history["fun"].min()
    assert result.fun < 0.1
    weights = np.diff(result.history["fun"])  # the average is over all but the last iterate, weighted by the steps
    weights = 0.5 / np.sqrt(np.arange(1, len(weights) + 1))
    np.testing.assert_allclose(
        result.average, np.average(result.history["x"][:-1], axis=0, weights=weights), atol=1e-12
    )


# ------------------------------------------------------------------------------------------- Nesterov, AdaGrad
def test_nesterov_by_hand():
    H = np.diag([1.0, 10.0])
    for momentum in (0.7, None):
        result = optim.minimize(
            lambda x: 0.5 * x @ H @ x, np.ones(2), "nesterov", lr=0.1, momentum=momentum, maxiter=20, keep_x=True
        )
        x, y = np.ones(2), np.ones(2)
        for k in range(1, 21):
            x_new = y - 0.1 * H @ y
            beta = momentum if momentum is not None else (k - 1) / (k + 2)
            y, x = x_new + beta * (x_new - x), x_new
            np.testing.assert_allclose(result.history["x"][k], y, atol=1e-14)
    with pytest.raises(ValueError, match="momentum must lie in"):
        optim.Nesterov([mg.ones(1, requires_grad=True)], momentum=1.0)


def test_full_matrix_adagrad_by_eigendecomposition():
    """Row N140."""
    H = np.array([[3.0, 1.0], [1.0, 2.0]])
    result = optim.minimize(
        lambda x: 0.5 * x @ H @ x, np.array([1.0, -0.5]), "full-adagrad", lr=0.3, maxiter=8, keep_x=True
    )
    x, G = np.array([1.0, -0.5]), np.zeros((2, 2))
    for k in range(1, 9):
        g = H @ x
        G += np.outer(g, g)
        if k == 1:  # of rank one: G^{1/2} g = |g| g
            x = x - 0.3 * g / np.linalg.norm(g)
        else:
            s, Q = np.linalg.eigh(G)
            x = x - 0.3 * Q @ np.diag(s**-0.5) @ Q.T @ g
        np.testing.assert_allclose(result.history["x"][k], x, rtol=1e-7)


def test_incremental_gradient_goes_round():
    x = mg.Tensor(np.array([1.0]), True)
    method, seen = optim.IncrementalGradient([x], components=3, lr=0.1), []

    def closure(j):
        seen.append(j)
        return (x * (j + 1)).sum()

    for _ in range(7):
        method.step(closure)
    assert seen == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(ValueError, match="components must be at least 1"):
        optim.IncrementalGradient([x], components=0)


# ------------------------------------------------------------------------------------------------ zeroth order
def estimates(estimate, fun, x, n):
    problem = Estimated(fun, optim.solvers.Variables(x), estimate)
    return np.stack([problem.at(problem.variables.read()).field for _ in range(n)])


@given(seeds)
def test_coordinate_estimate_is_the_gradient_of_a_quadratic(seed):
    rng = np.random.default_rng(seed)
    H, x = rng.standard_normal((4, 4)), rng.standard_normal(4)
    g = estimates(CoordinateEstimate(mu=1e-2), lambda x: x @ H @ x, x, 1)[0]
    np.testing.assert_allclose(g, (H + H.T) @ x, rtol=1e-8, atol=1e-8)
    some = estimates(CoordinateEstimate(mu=1e-2, coordinates=2), lambda x: x @ H @ x, x, 1)[0]
    assert np.sum(some != 0) == 2
    np.testing.assert_allclose(some[some != 0], ((H + H.T) @ x)[some != 0], rtol=1e-8)


@pytest.mark.parametrize("central", [False, True])
def test_gaussian_estimate_is_right_on_average_and_costs_the_dimension(central):
    """Row N118: E g = grad f, and for a linear f E|g|^2 = (d + 2)|grad f|^2."""
    a = np.arange(1.0, 6.0)
    g = estimates(GaussianEstimate(mu=1e-3, central=central), lambda x: a @ x, np.zeros(5), 4000)
    np.testing.assert_allclose(g.mean(axis=0), a, atol=6 * np.linalg.norm(a) / np.sqrt(4000))
    assert np.mean(np.sum(g**2, axis=1)) / (a @ a) == pytest.approx(7, rel=0.12)


def test_samples_are_one_batch_and_closures_work_too():
    calls = []

    def fun(x):
        calls.append(1)
        return (x**2).sum()

    result = optim.minimize(fun, np.ones(3), "random-gradient-free", lr=0.05, samples=10, maxiter=5)
    assert len(calls) == 2 * 6  # at each of six points a value, and a batch of ten
    assert result.nfev == 11 * 6
    x = mg.Tensor(np.ones(3), True)
    method = optim.RandomGradientFree([x], lr=0.05, samples=10)
    for _ in range(5):
        method.step(lambda: (x**2).sum())
    np.testing.assert_allclose(x.numpy(), result.x, rtol=1e-12)


# -------------------------------------------------------------------------------------------------------- rates
@given(st.floats(0.05, 0.97), st.floats(0.1, 10))
def test_linear_sequences(c, scale):
    rate = rates.estimate(scale * c ** np.arange(40), floor=1e-300)
    assert rate.kind == "linear"
    assert rate.factor == pytest.approx(c)
    assert rate.order == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
def test_sublinear_sequences(a):
    rate = rates.estimate(3.0 / np.arange(1, 400) ** a)
    assert rate.kind == "sublinear"
    assert rate.power == pytest.approx(a, rel=0.02)
    assert "k^-" in str(rate)


@pytest.mark.parametrize(("q", "kind"), [(2.0, "quadratic"), (1.5, "superlinear"), (3.0, "quadratic")])
def test_fast_sequences(q, kind):
    e = [0.5]
    while e[-1] > 1e-60:
        e.append(0.8 * e[-1] ** q)
    rate = rates.estimate(e)
    assert rate.kind == kind
    assert rate.order == pytest.approx(q, abs=1e-6)
    assert rate.factor == pytest.approx(0.8, rel=1e-3)


def test_other_sequences():
    assert rates.estimate([1.0, 1.1, 1.3, 1.2, 1.5]).kind == "none"
    assert rates.estimate([1.0, 0.0]).kind == "finite"
    assert rates.estimate([1.0, 0.9, 0.5, 0.55, 0.25, 0.3, 0.12]).kind == "linear"  # R-linear: single steps go up
    with pytest.raises(ValueError, match="three errors"):
        rates.estimate([1.0, 0.5])
    with pytest.raises(ValueError, match="not negative"):
        rates.estimate([1.0, -0.5, 0.1])
    with pytest.raises(ValueError, match="three positive errors"):
        rates.order([1.0, 0.1])


def test_the_rates_of_the_methods():
    H = np.diag([1.0, 10.0])
    fun = lambda x: 0.5 * x @ H @ x
    gd = optim.minimize(fun, np.ones(2), "gd", lr=0.1, maxiter=100, tol=0.0)
    assert rates.estimate(gd.history["fun"]).factor == pytest.approx(0.81, abs=1e-3)
    newton = optim.minimize(lambda x: (mg.exp(x) - x).sum(), np.array([1.0]), "newton", keep_x=True)
    assert rates.estimate(np.abs(newton.history["x"][:, 0])[:5]).kind == "quadratic"


# ------------------------------------------------------------------------------------------------------ pictures
def test_pictures():
    pytest.importorskip("matplotlib")
    fun = lambda x: 0.5 * (10 * x[0] ** 2 + x[1] ** 2)
    results = {
        name: optim.minimize(fun, [1.0, 2.0], name, keep_x=True, maxiter=50, **options)
        for name, options in (("gd", {"lr": 0.05}), ("newton", {}))
    }
    figure = viz.plot_history(results, ("fun", "step", "size"))
    assert len(figure.axes) == 3
    curve = figure.axes[0].lines[0]
    np.testing.assert_array_equal(curve.get_ydata(), results["gd"].history["fun"])
    assert figure.axes[0].get_yscale() == "log"
    assert viz.plot_history(results["gd"], x="nfev", minimum=-1.0).axes[0].get_xlabel() == "nfev"
    path = viz.plot_path(fun, results, logarithmic=True)
    np.testing.assert_array_equal(path.axes[0].lines[0].get_xdata(), results["gd"].history["x"][:, 0])
    game = optim.minimax(lambda x, y: (x * y).sum(), [1.0], [1.0], lr=0.3, maxiter=20, keep_x=True)
    assert viz.plot_path(lambda x, y: (x * y).sum(), game, bounds=((-2, 2), (-2, 2))).axes[0].get_xlim() == (-2, 2)
    with pytest.raises(ValueError, match="keep_x=True"):
        viz.plot_path(fun, optim.minimize(fun, [1.0, 2.0]))
    with pytest.raises(ValueError, match="these iterates have 3"):
        viz.plot_path(fun, optim.minimize(lambda x: (x**2).sum(), np.ones(3), keep_x=True))
    with pytest.raises(KeyError, match="no 'loss'"):
        viz.plot_history(results, ("loss",))


@pytest.mark.parametrize("estimate", [GaussianEstimate(mu=1e-3, samples=4), CoordinateEstimate(mu=1e-3)])
@pytest.mark.parametrize("method", ["sgd", "adam", "nesterov", "adagrad"])
def test_any_first_order_method_follows_an_estimate(method, estimate):
    result = optim.minimize(lambda x: 0.5 * ((x - 1) ** 2).sum(), np.zeros(3), method, lr=0.1, estimate=estimate)
    assert result.njev == 0
    assert result.fun < 0.02


def test_noise_needs_a_width():
    with pytest.raises(ValueError, match="sigma must not be negative"):
        optim.NoisyGD([mg.zeros(2, requires_grad=True)], sigma=-1.0)


def test_noise_in_a_ball_is_uniform_there():
    """abs(v)^d / r^d is uniform on [0, 1]."""
    from minigrad.optim.first_order.descent import _Noise

    like, noise = np.zeros(3), _Noise(0)
    draws = np.array([noise.in_ball(k, like, 2.0) for k in range(2000)])
    shares = (np.linalg.norm(draws, axis=1) / 2.0) ** 3
    assert shares.max() <= 1
    np.testing.assert_allclose(np.quantile(shares, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.04)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.1)
