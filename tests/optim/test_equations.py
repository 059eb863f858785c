"""Roots and fixed points, against closed forms, SciPy and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import Status
from tests import host_only

seeds = st.integers(0, 10**6)
METHODS = [("root", name) for name in optim.ROOT] + [("fixed_point", name) for name in optim.FIXED_POINT]


def contraction(seed, n=4):
    """g(x) = b + A tanh(x) with a norm of A below 1, so that x - g(x) has one root."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A *= 0.7 / np.linalg.norm(A, 2)
    return A, rng.standard_normal(n), rng.standard_normal(n)


@given(seeds)
@settings(max_examples=10)
@pytest.mark.parametrize(("function", "method"), METHODS)
def test_every_method_finds_the_fixed_point_of_a_contraction(function, method, seed):
    A, b, x0 = contraction(seed)
    At, bt = mg.tensor(A), mg.tensor(b)
    g = lambda x: bt + At @ mg.tanh(x)
    fun = g if function == "fixed_point" else lambda x: x - g(x)
    result = getattr(optim, function)(fun, x0, method)
    assert result.status in (Status.ROOT, Status.ROUNDING)
    assert result.success
    np.testing.assert_allclose(result.x, b + A @ np.tanh(result.x), atol=1e-11)
    np.testing.assert_allclose(result.fun, result.x - (b + A @ np.tanh(result.x)), atol=1e-11)
    assert result.optimality == pytest.approx(np.linalg.norm(result.fun), abs=1e-15)
    assert result.cost is None


@host_only
@given(seeds)
@settings(max_examples=10)
def test_root_agrees_with_scipy(seed):
    from scipy import optimize

    rng = np.random.default_rng(seed)
    A = np.eye(3) + 0.2 * rng.standard_normal((3, 3))
    x0, c = rng.standard_normal(3), rng.standard_normal(3)
    ours = optim.root(lambda x: A @ x + 0.3 * mg.sin(x) - c, x0)
    theirs = optimize.root(lambda x: A @ x + 0.3 * np.sin(x) - c, x0, tol=1e-13)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-10)


def test_newton_doubles_its_digits_and_broyden_computes_one_jacobian():
    F = lambda x: mg.stack([x[0] ** 2 + x[1] ** 2 - 4, x[0] * x[1] - 1])
    newton = optim.root(F, [2.0, 0.6])
    errors = newton.history["optimality"]
    assert optim.rates.estimate(errors[errors > 1e-13]).kind in ("quadratic", "superlinear")
    broyden = optim.root(F, [2.0, 0.6], "broyden")
    assert broyden.njev == 1 < newton.njev
    assert broyden.nit < 12
    np.testing.assert_allclose(broyden.x, newton.x, atol=1e-11)


def test_anderson_solves_a_linear_map_in_as_many_steps_as_it_has_dimensions():
    """On linear g it is GMRES; plain iteration takes hundreds."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    A, b = Q @ np.diag([0.95, 0.9, 0.5, -0.9]) @ Q.T, rng.standard_normal(4)
    At, bt = mg.tensor(A), mg.tensor(b)
    g = lambda x: At @ x + bt
    anderson, plain = (optim.fixed_point(g, np.zeros(4), m) for m in ("anderson", "iteration"))
    np.testing.assert_allclose(anderson.x, np.linalg.solve(np.eye(4) - A, b), rtol=1e-9)
    assert anderson.nit <= 7
    assert plain.nit > 300


def test_an_equation_without_a_root_is_no_success():
    for method in optim.ROOT:
        result = optim.root(lambda x: x**2 + 1, 0.7, method, maxiter=50)
        assert not result.success, method
    stuck = optim.root(lambda x: x**2 + 1, 0.0, line_search=None)
    assert stuck.status in (Status.SINGULAR, Status.NO_ROOT)


def test_x_of_any_kind():
    """A number, a tensor, a tree, a module: F returns as many numbers."""
    assert optim.root(lambda x: x * x - 2, 1.0).x == pytest.approx(2**0.5)
    tensor = optim.root(lambda x: x * x - 2, mg.tensor([1.0, 2.0], dtype=float)).x
    assert isinstance(tensor, mg.Tensor)
    tree = optim.root(lambda t: {"a": t["a"] - t["b"].sum(), "b": t["b"] - 1.0}, {"a": np.ones(()), "b": np.zeros(2)})
    assert tree.success
    assert tree.x["a"].item() == pytest.approx(2.0)
    assert set(tree.fun) == {"a", "b"}
    layer = nn.Linear(2, 1, bias=False, dtype=np.float64)
    X, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]])
    result = optim.root(lambda net: net(mg.Tensor(X)) - mg.Tensor(y), layer)
    assert result.x is layer
    np.testing.assert_allclose(layer.weight.numpy()[0], np.linalg.solve(X, y)[:, 0])


def test_bad_input_teaches():
    with pytest.raises(ValueError, match="as many equations as unknowns, but these are 3 for 2"):
        optim.root(lambda x: mg.concatenate([x, x[:1]]), np.ones(2))
    with pytest.raises(ValueError, match="g must return what it is given"):
        optim.fixed_point(lambda x: x.sum(), np.ones(2))
    with pytest.raises(mg.GraphError, match="does not depend on them"):
        optim.root(lambda x: mg.ones(2), np.ones(2))
    with pytest.raises(mg.GraphError, match="returned a float"):
        optim.root(lambda x: 1.0, 1.0)
    with pytest.raises(ValueError, match=r"optim\.root has no method 'lm'.*is a method of optim\.least_squares"):
        optim.root(lambda x: x, 1.0, "lm")
    with pytest.raises(ValueError, match="mixing must be positive"):
        optim.fixed_point(mg.cos, 1.0, mixing=0.0)
    with pytest.raises(ValueError, match="memory of at least one"):
        optim.fixed_point(mg.cos, 1.0, memory=0)
    assert optim.root(lambda x: mg.log(x), -1.0).status is Status.NON_FINITE


@pytest.mark.parametrize("method", list(optim.FIXED_POINT))
def test_state_is_saved(method):
    """Stopped after three steps and resumed: bit for bit the run that was not stopped."""
    A, b, x0 = contraction(5)
    cls = optim.FIXED_POINT[method]
    A, b = mg.tensor(A), mg.tensor(b)
    F = lambda x: x - (b + A @ mg.tanh(x))

    def steps(x, made, n):
        for _ in range(n):
            made.step(lambda: F(x))

    x = mg.tensor(x0, requires_grad=True)
    whole = cls([x])
    steps(x, whole, 3)
    saved, place = whole.state_dict(), x.detach().numpy().copy()
    steps(x, whole, 2)
    y = mg.tensor(place, requires_grad=True)
    resumed = cls([y])
    resumed.load_state_dict(saved)
    steps(y, resumed, 2)
    np.testing.assert_array_equal(x.detach().numpy(), y.detach().numpy())


def test_g_returns_the_structure_it_is_given():
    """A dict's order says nothing; other keys, or a list around an array, are errors."""
    start = {"a": np.ones(2), "b": np.zeros(2)}
    x = optim.fixed_point(lambda p: {"b": p["a"] * 0.5 + 1, "a": p["b"] * 0.5}, start).x
    np.testing.assert_allclose([x["a"], x["b"]], [[2 / 3] * 2, [4 / 3] * 2], rtol=1e-10)
    for g, x0 in (
        (lambda x: [x], np.ones(2)),
        (lambda p: [p["a"], p["b"]], start),
        (lambda p: {"a": p["a"], "c": p["b"]}, start),
    ):
        with pytest.raises(ValueError, match="g must return the structure that it is given"):
            optim.fixed_point(g, x0)
    with pytest.raises(TypeError, match="g cannot return a module"):
        optim.fixed_point(lambda net: net, nn.Linear(2, 2))


@pytest.mark.parametrize("method", list(optim.ROOT))
@pytest.mark.parametrize("scale", [1e-20, 1e-8, 1e6])
def test_small_equations_are_held_to_their_own_measure(method, scale):
    """An absolute tolerance took the starting point for a root."""
    options = {"mixing": 0.3 / scale} if method == "anderson" else {}
    result = optim.root(lambda x: scale * (mg.exp(x) - 2), 0.0, method, **options)
    assert result.success, result.message
    assert float(result.x) == pytest.approx(np.log(2), rel=1e-9)
    assert optim.root(lambda x: scale * x * (x - 1), 0.0, method, **options).nit == 0  # a root already


@pytest.mark.parametrize("method", ["newton", "broyden"])
def test_a_jacobian_that_is_not_finite(method):
    assert optim.root(lambda x: mg.sqrt(x) - 1, 0.0, method).status in (Status.NON_FINITE, Status.SINGULAR)
    assert optim.root(lambda x: mg.sqrt(x) - 1, 0.0, "broyden").status is Status.NON_FINITE
