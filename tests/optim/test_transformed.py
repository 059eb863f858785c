"""Solves inside differentiated functions and under vmap: against finite differences, unrolled steps and loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional_call
from tests import host_only

pytestmark = [host_only, pytest.mark.usefixtures("float64")]

A = np.array([[3.0, 1.0], [1.0, 2.0]])
START = np.zeros(2)
T = np.linspace(0, 1, 6)


def bowl(x, a):
    return 0.5 * x @ mg.Tensor(A) @ x - (mg.exp(0.3 * a) * x).sum() + 0.1 * (x**4).sum()


def curve(x, a):
    return x[0] * mg.exp(-x[1] * mg.Tensor(T)) - (a[0] * np.cos(T) + a[1] * T)


def game(x, y, a):
    return bowl(x, a) + (x * y).sum() - 0.5 * (y * y).sum() + (a * y).sum()


#: Each solve as a function of its data a: every kind of problem, by several methods.
SOLVES = {
    "newton": lambda a: optim.minimize(lambda x: bowl(x, a), START, "newton", tol=1e-13).x,
    "lbfgs": lambda a: optim.minimize(lambda x: bowl(x, a), START, "lbfgs", tol=1e-12).x,
    "trust-region": lambda a: optim.minimize(lambda x: bowl(x, a), START, "trust-region", tol=1e-13).x,
    "gd": lambda a: optim.minimize(lambda x: bowl(x, a), START, "gd", lr=0.2, tol=1e-13).x,
    "adam": lambda a: optim.minimize(lambda x: bowl(x, a), START, "adam", lr=0.3, tol=1e-11).x,
    "lm": lambda a: optim.least_squares(lambda x: curve(x, a), np.ones(2), tol=1e-14).x,
    "gauss-newton": lambda a: optim.least_squares(lambda x: curve(x, a), np.ones(2), "gauss-newton", tol=1e-14).x,
    "root": lambda a: optim.root(lambda x: x + 0.3 * mg.sin(x * a) - a, START).x,
    "broyden": lambda a: optim.root(lambda x: x + 0.3 * mg.sin(x * a) - a, START, "broyden").x,
    "fixed point": lambda a: optim.fixed_point(lambda x: 0.5 * mg.tanh(x + a), START, tol=1e-14).x,
    "game, x": lambda a: optim.minimax(lambda x, y: game(x, y, a), START, START, lr=0.2, tol=1e-13).x,
    "game, y": lambda a: optim.minimax(lambda x, y: game(x, y, a), START, START, lr=0.2, tol=1e-13).y,
}
solves = pytest.mark.parametrize("f", SOLVES.values(), ids=SOLVES)


def differences(f, a, eps=1e-5):
    """Central differences of f, (outputs, inputs), to the fourth order."""

    def slope(e):
        near, far = ((f(a + h * e) - f(a - h * e)) / (2 * h) for h in (eps, 2 * eps))
        return (4 * near - far) / 3

    return np.stack([slope(e) for e in np.eye(len(a))], axis=-1)


def numbers(f):
    def as_array(y):
        return y.detach().numpy() if isinstance(y, mg.Tensor) else np.asarray(y)

    return lambda a: as_array(f(a))


@solves
@given(st.floats(0.5, 1.5), st.floats(0.5, 1.5))
@settings(max_examples=2)
def test_the_jacobian_of_an_answer_by_its_data(f, a0, a1):
    a = np.array([a0, a1])
    assert isinstance(f(a), np.ndarray)  # nothing is differentiated: what went in comes out
    expected = differences(numbers(f), a, 1e-3)
    np.testing.assert_allclose(mg.jacobian(f)(a).numpy(), expected, rtol=2e-8, atol=2e-8)


@solves
def test_second_derivatives(f):
    a = np.array([0.8, 1.2])
    total = lambda a: (f(a) * np.array([1.0, -2.0])).sum()
    slope = lambda a: mg.grad(total)(a).numpy()
    np.testing.assert_allclose(mg.hessian(total)(a).numpy(), differences(slope, a, 1e-3), rtol=1e-6, atol=1e-6)


@solves
def test_under_vmap(f):
    """Values, derivatives, and derivatives outside: as in a loop."""
    data = np.array([[0.8, 1.2], [1.0, 0.5], [0.6, 0.9]])
    np.testing.assert_allclose(mg.vmap(f)(data).numpy(), [f(a) for a in data], atol=1e-8)
    each = [mg.jacobian(f)(a).numpy() for a in data]
    np.testing.assert_allclose(mg.vmap(mg.jacobian(f))(data).numpy(), each, atol=1e-7)
    sums = mg.grad(lambda data: mg.vmap(f)(data).sum())(data).numpy()
    np.testing.assert_allclose(sums, [J.sum(0) for J in each], atol=1e-7)


def test_newtons_steps_unrolled():
    """The same derivatives, of the first and second order, as those of the steps themselves."""
    a = np.array([0.8, 1.2])

    def unrolled(a):
        x = mg.zeros(2)
        for _ in range(8):
            x = x - mg.solve(mg.hessian(lambda x: bowl(x, a))(x), mg.grad(lambda x: bowl(x, a))(x))
        return x

    f = SOLVES["newton"]
    np.testing.assert_allclose(mg.jacobian(f)(a).numpy(), mg.jacobian(unrolled)(a).numpy(), atol=1e-10)
    both = [mg.hessian(lambda a, g=g: g(a).sum())(a).numpy() for g in (f, unrolled)]
    np.testing.assert_allclose(*both, atol=1e-9)


def test_the_optimal_value_has_the_partial_derivative():
    """d/da min_x f(x, a) = df/da at the minimizer (the envelope theorem); so fun must not be cut off either."""
    a = np.array([0.8, 1.2])
    solved = lambda a: optim.minimize(lambda x: bowl(x, a), START, "newton")
    x = solved(a).x
    expected = mg.grad(lambda a: bowl(mg.Tensor(x), a))(a).numpy()
    np.testing.assert_allclose(mg.grad(lambda a: solved(a).fun)(a).numpy(), expected, rtol=1e-8)
    fitted = lambda a: optim.least_squares(lambda x: curve(x, a), np.ones(2))
    cost = lambda a: fitted(a).cost
    slopes = [mg.grad(cost)(a).numpy(), mg.grad(lambda a: (fitted(a).fun ** 2).sum() / 2)(a).numpy()]
    np.testing.assert_allclose(slopes, [differences(lambda a: np.array(cost(a)), a, 1e-3)] * 2, rtol=1e-6, atol=1e-9)


def test_backward_reaches_the_data():
    """Without a transformation: data that require gradients."""
    a = mg.tensor([0.8, 1.2], requires_grad=True)
    result = optim.minimize(lambda x: bowl(x, a), START, "newton")
    assert isinstance(result.x, mg.Tensor)
    result.x.sum().backward()
    np.testing.assert_allclose(
        a.grad.numpy(), mg.jacobian(SOLVES["newton"])(a.detach().numpy()).numpy().sum(0), rtol=1e-7
    )
    with mg.no_grad():
        assert isinstance(optim.minimize(lambda x: bowl(x, a), START, "newton").x, np.ndarray)


def test_two_levels():
    """The regularization that makes the validation error least, by Newton's method on a solve within."""
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((20, 3)), np.array([1.0, -2.0, 0.5])
    y = X @ w + rng.standard_normal(20)
    train, test = slice(0, 10), slice(10, 20)

    def error(log_ridge):
        ridge = mg.exp(log_ridge)
        residual = lambda w: mg.concatenate([X[train] @ w - y[train], mg.sqrt(ridge) * w])
        w = optim.least_squares(residual, np.zeros(3)).x
        return ((X[test] @ w - y[test]) ** 2).mean()

    def closed(ridge):
        w = np.linalg.solve(X[train].T @ X[train] + ridge * np.eye(3), X[train].T @ y[train])
        return np.mean((X[test] @ w - y[test]) ** 2)

    best = optim.minimize(error, 0.0, "newton", indefinite="modify", line_search="armijo")
    assert best.success
    around = [closed(np.exp(float(best.x) + h)) for h in (-1e-3, 0, 1e-3)]
    assert around[1] == min(around)
    assert float(best.fun) == pytest.approx(closed(np.exp(float(best.x))), rel=1e-9)


def test_trees_and_tensors():
    a = np.array([0.8, 1.2])

    def f(a):
        start = {"u": mg.zeros(()), "v": mg.zeros(2)}
        fun = lambda p: (p["u"] - a.sum()) ** 2 + ((p["v"] - a * p["u"]) ** 2).sum()
        x = optim.minimize(fun, start, "newton").x
        assert set(x) == {"u", "v"}
        return x["v"]

    np.testing.assert_allclose(mg.jacobian(f)(a).numpy(), np.eye(2) * a.sum() + np.outer(a, np.ones(2)), rtol=1e-8)
    np.testing.assert_allclose(mg.vmap(f)(np.stack([a, 2 * a])).numpy(), [a * a.sum(), 4 * a * a.sum()], rtol=1e-8)


def test_the_start_may_differ_from_example_to_example():
    starts = np.array([[2.0], [-2.0], [1.5]])
    double_well = lambda x: ((x * x - 1) ** 2).sum()
    found = mg.vmap(lambda x0: optim.minimize(double_well, x0, "lbfgs").x)(starts)
    np.testing.assert_allclose(np.abs(found.numpy()), 1.0, atol=1e-6)


def test_a_networks_own_parameters_are_not_what_anybody_differentiates_by():
    """An adversarial example is an array, as the clean one was; of a tensor it is a tensor with its derivative."""
    net, x = nn.Linear(2, 1), np.ones(2)
    fun = lambda d: ((net(mg.Tensor(x) + d) - 3.0) ** 2).sum() + (d * d).sum()
    assert isinstance(optim.minimize(fun, START, "newton").x, np.ndarray)
    d = optim.minimize(fun, mg.zeros(2), "newton").x
    assert isinstance(d, mg.Tensor)
    d.sum().backward()
    assert np.abs(net.weight.grad.numpy()).min() > 0


def test_modules_are_trained_in_place():
    net, x, y = nn.Linear(2, 1), mg.randn(8, 2), mg.randn(8, 1)
    loss = lambda net, s: ((net(x) - y) ** 2).mean() + s * (net.weight**2).sum()
    with pytest.raises(mg.GraphError, match="trained in place, so nothing can be differentiated through its training"):
        mg.grad(lambda s: optim.minimize(lambda net: loss(net, s), net, "newton").fun)(1.0)
    before = net.state_dict()
    with pytest.raises(mg.GraphError, match="reads a tensor that requires gradients"):  # before anything is trained
        optim.minimize(lambda net: loss(net, mg.tensor(1.0, requires_grad=True)), net, "gd", lr=0.1)
    np.testing.assert_array_equal(net.state_dict()["weight"], before["weight"])
    with pytest.raises(TypeError, match="a module, which is trained in place: call it in a loop"):
        mg.vmap(lambda s: optim.minimize(lambda net: loss(net, s), net, "newton").fun)(np.ones(2))

    def norm(s):
        fun = lambda p: ((functional_call(net, p, x) - y) ** 2).mean() + s * (p["weight"] ** 2).sum()
        p = optim.minimize(fun, {name: p.detach() for name, p in net.named_parameters()}, "newton").x
        return (p["weight"] ** 2).sum()

    expected = differences(lambda s: numbers(norm)(s[0]), np.ones(1), 1e-3)
    assert mg.grad(norm)(1.0).item() == pytest.approx(expected[0], rel=1e-7)


def test_what_is_no_solution_has_no_derivative():
    """An error when the derivative is asked for, not a wrong number."""
    a = np.array([0.8, 1.2])
    solve = lambda method, **options: lambda a: optim.minimize(lambda x: bowl(x, a), START, method, **options).x.sum()
    for f, why in (
        (solve("gd", lr=1e-3, maxiter=3), "stopped: the iterations ran out"),
        (solve("newton", target=0.0), "converged: the value reached the target"),
        (solve("gd", lr=1e-2, ftol=0.5), "converged: the value stopped changing"),
        (solve("gd", lr=1e-3, xtol=0.5), "converged: the last step was within"),
        (solve("projected-gd", lr=0.1, constraint=optim.Ball(0.1)), "it is subject to a constraint"),
        (solve("random-gradient-free", lr=1e-3, maxiter=3), "stopped: the iterations ran out"),
    ):
        with pytest.raises(mg.GraphError, match=f"no derivative by implicit differentiation, because .*{why}"):
            mg.grad(f)(a)
        f(mg.tensor(a, requires_grad=True))  # the number itself may be looked at
    examples = lambda a: (
        optim.minimize(  # data that come as examples are data
            lambda w, y: ((w - y) ** 2).sum(), 0.0, "sgd", lr=0.1, examples=(a,), batch_size=2, maxiter=3
        ).x
    )
    with pytest.raises(mg.GraphError, match="no derivative by implicit differentiation, because .*the iterations ran"):
        mg.grad(examples)(a)
    near = mg.jacobian(lambda a: optim.minimize(lambda x: bowl(x, a), START, "newton", tol=0.0, ftol=1e-14).x)(a)
    np.testing.assert_allclose(near.numpy(), mg.jacobian(SOLVES["newton"])(a).numpy(), rtol=1e-6)  # as good as solved
    flat = lambda a: optim.minimize(lambda x: (x[0] - a) ** 2 + 0 * x[1], START, "gd", lr=0.5).x[0]
    with pytest.raises(np.linalg.LinAlgError, match="singular at the solution"):
        mg.grad(flat)(1.0)
    with pytest.raises(TypeError, match="a constraint on all of them"):
        mg.vmap(solve("projected-gd", lr=0.1, constraint=optim.Ball(0.1)))(np.ones((3, 2)))


def test_a_jacobian_of_ones_own_and_callbacks_under_vmap():
    data = np.array([[0.8, 1.2], [1.0, 0.5]])
    jac = lambda x: mg.jacobian(lambda x: x * x)(x)
    f = lambda a: optim.root(lambda x: x * x - a, np.ones(2), jac=jac).x
    np.testing.assert_allclose(mg.vmap(f)(data).numpy(), np.sqrt(data), rtol=1e-10)
    with pytest.raises(TypeError, match="all examples are one solve, which a callback cannot look into"):
        mg.vmap(lambda a: optim.root(lambda x: x * x - a, np.ones(2), callback=print).x)(data)


def test_averages_of_iterates():
    """Under vmap one for each example; no solution of anything, and so without a derivative, not with a zero one."""
    mean = lambda a: optim.minimize(lambda x: bowl(x, a), START, "subgradient", lr=0.1, maxiter=9).average
    data = np.array([[0.8, 1.2], [1.0, 0.5], [0.6, 0.9]])
    np.testing.assert_allclose(mg.vmap(mean)(data).numpy(), [mean(a) for a in data], rtol=1e-12)
    for f, a in ((mean, data[0]), (mg.vmap(mean), data)):
        with pytest.raises(mg.GraphError, match="it is an average of iterates"):
            mg.grad(lambda a, f=f: f(a).sum())(a)


def test_one_solve_serves_all_examples():
    """Only where it fails are they solved one by one."""
    data, calls = np.linspace(0.5, 1.5, 20).reshape(10, 2), []

    def f(a):
        def fun(x):
            calls.append(1)
            return bowl(x, a)

        return optim.minimize(fun, START, "newton").x

    mg.vmap(f)(data)
    together = len(calls)
    calls.clear()
    f(data[0])
    assert together < 3 * len(calls)


def test_one_example_without_a_solution_does_not_spoil_the_others():
    data = np.array([-1.0, -4.0, 1.0])
    with np.errstate(all="ignore"):
        found = mg.vmap(lambda a: optim.root(lambda x: x * x + a, 1.0, maxiter=60).x)(data).numpy()
    np.testing.assert_allclose(found[:2], [1.0, 2.0], atol=1e-9)
    steps = lambda a: optim.minimize(lambda x: bowl(x, a), START, "full-adagrad", lr=0.1, maxiter=4).x
    data = np.array([[0.8, 1.2], [1.0, 0.5]])
    np.testing.assert_allclose(mg.vmap(steps)(data).numpy(), [steps(a) for a in data], rtol=1e-12)  # cut off alike
    pairs = lambda a: optim.minimax(lambda x, y: game(x, y, a), START, START, lr=0.1, maxiter=3).y
    np.testing.assert_allclose(mg.vmap(pairs)(data).numpy(), [pairs(a) for a in data], rtol=1e-12)
    means = lambda a: optim.minimize(lambda x: mg.absolute(x - a).sum(), START, "subgradient", maxiter=5).average
    np.testing.assert_allclose(mg.vmap(means)(data).numpy(), [means(a) for a in data], rtol=1e-12)


def test_data_that_come_in_later_are_data():
    """A function that reads its data only near the solution."""

    def f(a):
        def fun(x):
            value = ((x - 1) ** 2).sum()
            return value + (a * x).sum() if value.detach().item() < 1 else value

        return optim.minimize(fun, np.full(2, -3.0), "gd", lr=0.1, tol=1e-10).x

    np.testing.assert_allclose(mg.jacobian(f)(np.array([0.1, 0.2])).numpy(), -0.5 * np.eye(2), atol=1e-8)


def test_a_training_step_inside_vmap_needs_one_loss():
    w = mg.zeros(2, requires_grad=True)
    method = optim.Newton([w])
    with pytest.raises(Exception, match=r"a step\(closure\) needs one number"):
        mg.vmap(lambda a: method.step(lambda: ((w - a) ** 2).sum()))(np.ones((3, 2)))
