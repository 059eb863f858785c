"""What the five front doors have in common: one Result for the callback and the end, one Stopping, methods by name."""

import dataclasses

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import Stopping
from tests import host_only

pytestmark = host_only


def bowl(x):
    return 0.5 * ((x - 1) ** 2).sum() + 0.1 * (x**4).sum()


def field(x, y):
    return 0.5 * (x * x).sum() + (x * y).sum() - 0.5 * (y * y).sum() + x.sum()


def residual(x):
    return mg.concatenate([x - 1, 0.3 * x**2])


START = np.array([3.0, -2.0])
DOORS = {
    "minimize": (optim.minimize, (bowl, START), optim.MINIMIZE),
    "least_squares": (optim.least_squares, (residual, START), optim.LEAST_SQUARES),
    "minimax": (optim.minimax, (field, START, START), optim.MINIMAX),
    "root": (optim.root, (lambda x: x + 0.1 * mg.sin(x) - 1, START), optim.ROOT),
    "fixed_point": (optim.fixed_point, (lambda x: 0.5 * mg.cos(x), START), optim.FIXED_POINT),
}
OPTIONS = {"projected-gd": {"constraint": optim.Ball(2.0)}, "newton": {}, "perturbed-gd": {"patience": 2}}
CASES = [(door, method) for door, (_, _, methods) in DOORS.items() for method in methods]


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a is b or bool(np.all(np.asarray(a == b))) or (a != a and b != b)


@pytest.mark.parametrize(("door", "method"), CASES)
def test_a_callback_that_stops_has_seen_the_result_itself(door, method):
    """Field by field, bit for bit: there is one meaning of each."""
    solve, arguments, _ = DOORS[door]
    seen = []

    def callback(result):
        seen.append(result)
        return result.nit == 2

    end = solve(*arguments, method, callback=callback, keep_x=True, tol=0.0, **OPTIONS.get(method, {}))
    last = seen[-1]
    assert type(last) is type(end)
    for f in dataclasses.fields(end):
        a, b = getattr(last, f.name), getattr(end, f.name)
        if f.name == "history":
            assert set(a) == set(b)
            assert len(a) == len(b)
            for name in b:
                np.testing.assert_array_equal(a[name], b[name])
        else:
            assert same(a, b), f.name
    assert repr(last) == repr(end)
    assert len(seen[0].history["fun"]) == 2  # the first one's history is still that of the first step
    with pytest.raises(KeyError):
        last.history["nothing"]
    assert "iterates" in repr(last.history)


def test_a_callback_sees_the_module_with_its_present_weights():
    model, x = nn.Linear(2, 1), mg.randn(5, 2)
    loss, values = lambda net: (net(x) ** 2).mean(), []

    def callback(result):
        assert result.x is model
        values.append((loss(model).item(), result.fun))

    optim.minimize(loss, model, "gd", lr=0.1, maxiter=4, callback=callback)
    assert len(values) == 4
    np.testing.assert_allclose(*np.transpose(values), rtol=1e-6)
    assert len({value for value, _ in values}) == 4


# -------------------------------------------------------------------------------------------------- Stopping
LIMITS = {"tol": 1e-1, "xtol": 1e-1, "maxiter": 3, "maxfev": 4, "maxtime": 0.0}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("limit", LIMITS)
def test_stop_says_what_the_keywords_say(door, limit):
    solve, arguments, methods = DOORS[door]
    method = next(m for m in ("gd", "lm", "gda", "anderson", "newton") if m in methods)
    lr = {"lr": 0.1} if method in ("gd", "gda") else {}
    one = solve(*arguments, method, stop=Stopping(**{limit: LIMITS[limit]}), **lr)
    other = solve(*arguments, method, **{limit: LIMITS[limit]}, **lr)
    assert one.status is other.status
    assert one.nit == other.nit
    np.testing.assert_array_equal(one.x, other.x)
    with pytest.raises(TypeError, match=f"{limit} is given twice"):
        solve(*arguments, method, stop=Stopping(**{limit: LIMITS[limit]}), **{limit: LIMITS[limit]})


def test_stop_and_keywords_that_differ_go_together():
    result = optim.minimize(bowl, START, "gd", lr=0.01, stop=Stopping(target=3.0), maxiter=500)
    assert result.status is optim.Status.TARGET
    assert optim.minimize(bowl, START, "gd", lr=1e-9, stop=Stopping(target=0.0), maxiter=5).nit == 5


def test_stop_that_makes_no_sense_is_refused():
    with pytest.raises(TypeError, match=r"stop must be a Stopping\(tol=..., maxiter=...\), not 1e-06"):
        optim.minimize(bowl, START, stop=1e-6)
    with pytest.raises(TypeError, match="makes no value small, so it cannot stop at a target"):
        optim.minimax(field, START, START, stop=Stopping(target=0.0))
    with pytest.raises(TypeError, match="no option target"):
        optim.minimax(field, START, START, target=0.0)
    with pytest.raises(ValueError, match="maxiter must not be negative"):
        Stopping(maxiter=-1)
    with pytest.raises(TypeError, match="tol is a number, not 'small'"):
        Stopping(tol="small")
    with pytest.raises(TypeError, match="jac is a function that returns the Jacobian, not True"):
        optim.least_squares(residual, START, jac=True)


# --------------------------------------------------------------------------------------------- methods by name
def test_a_method_may_be_its_class():
    by_class, by_name = (optim.minimize(bowl, START, m) for m in (optim.Newton, "newton"))
    np.testing.assert_array_equal(by_class.x, by_name.x)
    adam = optim.minimize(bowl, START, optim.Adam, lr=0.1, maxiter=3)
    np.testing.assert_array_equal(adam.x, optim.minimize(bowl, START, "Adam", lr=0.1, maxiter=3).x)
    with pytest.raises(TypeError, match=r"method must be a name, one of gd, .*method='adam', lr=0.1"):
        optim.minimize(bowl, START, optim.Adam([mg.tensor(START, requires_grad=True)]))
    with pytest.raises(TypeError, match="method must be a name"):
        optim.minimize(bowl, START, optim.LevenbergMarquardt)
    with pytest.raises(TypeError, match="has no option nonsense; it has"):
        optim.minimize(bowl, START, optim.Adam, nonsense=1)


def test_the_names_that_editors_complete_are_the_methods():
    from typing import get_args

    from minigrad.optim import equations, solvers

    for names, methods in (
        (solvers.MinimizeMethod, optim.MINIMIZE),
        (solvers.LeastSquaresMethod, optim.LEAST_SQUARES),
        (solvers.MinimaxMethod, optim.MINIMAX),
        (equations.RootMethod, optim.ROOT),
        (equations.FixedPointMethod, optim.FIXED_POINT),
    ):
        assert set(get_args(names)) == set(methods)
    with pytest.raises(ValueError, match=r"no method 'BFGS'.*did you mean 'lbfgs'"):
        optim.minimize(bowl, START, "BFGS")
    with pytest.raises(ValueError, match=r"no method 'nestrov'.*did you mean 'nesterov'"):
        optim.minimize(bowl, START, "nestrov")
    with pytest.raises(ValueError, match=r"'broyden' is a method of optim\.root"):
        optim.minimize(bowl, START, "broyden")


def test_a_subclass_of_a_method_is_a_method():
    class Halved(optim.Adam):
        def __init__(self, params, lr=0.2):
            super().__init__(params, lr=lr / 2)

    ours, plain = optim.minimize(bowl, START, Halved, maxiter=3), optim.minimize(bowl, START, "adam", lr=0.1, maxiter=3)
    np.testing.assert_array_equal(ours.x, plain.x)


def test_a_method_of_ones_own_goes_by_its_class():
    class Polyak(optim.Method):
        """Steps of (f - f*) / |g|^2 for a known minimum f*."""

        derivatives = 1

        def __init__(self, params, minimum=0.0):
            super().__init__(params)
            self.minimum = minimum

        def advance(self, point):
            g = point.field
            t = (point.value - self.minimum) / float(g @ g)
            return optim.Step(point.problem.at(point.theta - t * g), t)

    result = optim.minimize(lambda x: ((x - 1) ** 4).sum() + 2.0, START, Polyak, minimum=2.0, tol=1e-6)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-2)
    for solve, arguments in ((optim.least_squares, (residual, START)), (optim.minimax, (field, START, START))):
        with pytest.raises(TypeError, match="method must be a name"):
            solve(*arguments, Polyak)
    with pytest.raises(TypeError, match="has no option nonsense; it has minimum"):
        optim.minimize(bowl, START, Polyak, nonsense=1)


# ------------------------------------------------------------------------------------------ inside a constraint
BOX = optim.Box(-1.0, 0.5)  # the minimizer lies outside


@pytest.mark.parametrize("method", ["projected-gd", "gd-like adam", "sgd"])
def test_stationary_in_a_constraint_is_where_no_step_stays_inside(method):
    """One measure, abs(x - P(x - gradient)), decides, is shown, and is recorded."""
    options = {"lr": 0.1, "constraint": BOX, "maxiter": 3000}
    result = optim.minimize(bowl, START, method.split()[-1], **options)
    assert result.status is optim.Status.CONSTRAINED
    assert result.success
    np.testing.assert_allclose(result.x, 0.5, atol=1e-7)
    g = mg.grad(bowl)(mg.Tensor(result.x)).numpy()
    assert np.linalg.norm(g) > 0.1
    measure = np.linalg.norm(result.x - BOX.project(result.x - g))
    assert result.optimality == pytest.approx(measure, abs=1e-12) == result.history["optimality"][-1]
    inside = optim.minimize(bowl, START, method.split()[-1], **{**options, "constraint": optim.Ball(5.0)})
    assert inside.status is optim.Status.GRADIENT


def test_matching_pennies_ends_at_its_equilibrium():
    A = np.array([[1.0, -1.0], [-1.0, 1.0]])
    pennies = lambda x, y: x @ mg.Tensor(A) @ y
    simplex = optim.Simplex()
    game = optim.minimax(pennies, [0.9, 0.1], [0.2, 0.8], lr=0.2, constraints=(simplex, simplex), tol=1e-6)
    assert game.success, game.message
    np.testing.assert_allclose([game.x, game.y], 0.5, atol=1e-5)


def test_what_is_no_constraint_is_refused_before_the_first_step():
    for options in ({"method": "projected-gd", "constraint": (0, 1)}, {"method": "adam", "constraint": 3}):
        with pytest.raises(TypeError, match=r"takes Box\(...\), Ball\(...\), Simplex\(...\), or what else has project"):
            optim.minimize(bowl, START, **options)
    with pytest.raises(TypeError, match="constraints is a pair of sets or None"):
        optim.minimax(field, START, START, constraints=optim.Ball(1.0))
    with pytest.raises(TypeError, match="or what else has project"):
        optim.minimax(field, START, START, constraints=(None, 1.0))


# --------------------------------------------------------------------------------------------- starting points
def test_numbers_in_a_dict_are_numbers():
    """A list of numbers is an array, as in SciPy; a dict of them is a dict of arrays."""
    result = optim.minimize(
        lambda p: (p["a"] - 1) ** 2 + ((p["b"] - 2) ** 2).sum(), {"a": 0.0, "b": [0.0, 1.0]}, "newton"
    )
    assert float(result.x["a"]) == pytest.approx(1.0)
    np.testing.assert_allclose(result.x["b"], 2.0)
    assert optim.minimize(lambda x: ((x - 1) ** 2).sum(), [[0.0, 1.0], [2.0, 3.0]], "newton").x.shape == (2, 2)
    for x0 in (None, {"a": "text"}, [1.0, None]):
        with pytest.raises(TypeError, match="it is to hold arrays, tensors and numbers"):
            optim.minimize(lambda x: x, x0)


def test_a_callback_may_overwrite_what_it_is_given():
    """The iterates are the method's own."""

    def spoil(result):
        for array in (result.x, result.fun):
            if isinstance(array, np.ndarray):
                array[...] = 100

    square = lambda x: ((x - 1) ** 2).sum()
    for solve in (
        lambda **about: optim.minimize(square, np.array([0.0, 5.0]), "gd", lr=0.1, maxiter=5, **about),
        lambda **about: optim.minimize(square, np.array([0.0, 5.0]), "lbfgs", **about),
        lambda **about: optim.least_squares(lambda x: x**3 - 8, np.array([1.0, 3.0]), **about),
        lambda **about: optim.root(lambda x: x**3 - x - 7, np.array([3.0, 1.9]), **about),
        lambda **about: optim.fixed_point(lambda x: 0.5 * x + 1, np.array([3.0, 1.9]), **about),
    ):
        spoiled, result = solve(callback=spoil), solve()
        np.testing.assert_array_equal(spoiled.x, result.x)
        assert spoiled.nit == result.nit
