"""Derivatives of solutions: against closed forms, unrolled iterations and finite differences, to every order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.transforms import implicit
from minigrad.transforms.implicit import implicit_root
from tests.transforms.test_autodiff import same

pytestmark = pytest.mark.usefixtures("float64")

#: How the linear systems are solved: by factors of the Jacobian, by CG, by GMRES.
SOLVERS = {"dense": {}, "symmetric": {"symmetric": True, "dense": 0}, "general": {"dense": 0}}
solver = pytest.mark.parametrize("options", SOLVERS.values(), ids=SOLVERS)


def newton(fun, x, steps=8):
    """A solution by Newton's method, outside the graph."""
    with mg.no_grad():
        for _ in range(steps):
            x = x - mg.solve(mg.jacobian(fun)(x), fun(x))
    return x.detach()


@solver
@given(st.floats(0.2, 5.0))
def test_the_square_root_to_the_third_order(options, a):
    root = lambda a: implicit_root(lambda x: x * x - a, mg.sqrt(a).detach(), **options)
    f, expected = root, mg.sqrt
    for _ in range(4):
        assert f(mg.Tensor(a)).item() == pytest.approx(expected(mg.Tensor(a)).item(), rel=1e-6)
        f, expected = mg.grad(f), mg.grad(expected)


@solver
@given(st.integers(0, 10**6))
def test_ridge_regression_by_everything_it_is_given(options, seed):
    """The minimum of |X w - y|^2 + c |w|^2 / 2 in closed form, and as the root of its gradient."""
    rng = np.random.default_rng(seed)
    X, y, c = rng.standard_normal((6, 3)), rng.standard_normal(6), rng.uniform(0.5, 2)
    v = mg.Tensor(rng.standard_normal(3))

    def closed(X, y, c):
        return mg.solve(2 * X.T @ X + c * mg.eye(3), 2 * X.T @ y)

    def implicit(X, y, c):
        objective = lambda w: ((X @ w - y) ** 2).sum() + c * (w * w).sum() / 2
        return implicit_root(mg.grad(objective), closed(X, y, c).detach(), **options)

    everything = (0, 1, 2)
    of = lambda f: lambda X, y, c: mg.sin(f(X, y, c) * v).sum()
    same(implicit(*map(mg.Tensor, (X, y, c))), closed(*map(mg.Tensor, (X, y, c))))
    same(mg.grad(of(implicit), everything)(X, y, c), mg.grad(of(closed), everything)(X, y, c), 1e-6)
    same(mg.hessian(of(implicit), 2)(X, y, c), mg.hessian(of(closed), 2)(X, y, c), 1e-6)
    mixed = lambda f: mg.jacobian(mg.grad(of(f), 1), 2)(X, y, c)
    same(mixed(implicit), mixed(closed), 1e-6)
    tangents = lambda f: mg.jvp(f, (X, y, c), (X, y, c))[1]
    same(tangents(implicit), tangents(closed), 1e-6)


def equations(A, b, x):
    """A system with a solution near 0, whose Jacobian is not symmetric."""
    return x + 0.3 * mg.tanh(A @ x) - 0.5 * b


@pytest.mark.parametrize("options", [SOLVERS["dense"], SOLVERS["general"]], ids=["dense", "general"])
@given(st.integers(0, 10**6))
def test_against_unrolled_iterations(options, seed):
    rng = np.random.default_rng(seed)
    A, b, v = 0.3 * rng.standard_normal((3, 3)), rng.standard_normal(3), mg.Tensor(rng.standard_normal(3))

    def unrolled(A, b):
        x = 0.5 * b
        for _ in range(20):
            x = 0.5 * b - 0.3 * mg.tanh(A @ x)
        return x

    def solved(A, b):
        F = lambda x: equations(A, b, x)
        return implicit_root(F, unrolled(A.detach(), b.detach()), **options)

    of = lambda f: lambda A, b: ((f(A, b) + v) ** 3).sum()
    same(mg.grad(of(solved), (0, 1))(A, b), mg.grad(of(unrolled), (0, 1))(A, b), 1e-6)
    curved = lambda f: mg.grad(lambda A: (mg.grad(of(f), 1)(A, b) * v).sum())(A)
    same(curved(solved), curved(unrolled), 1e-6)


def test_against_finite_differences(rng):
    A, b = 0.5 * rng.standard_normal((3, 3)), rng.standard_normal(3)
    zero = mg.zeros(3)
    solution = lambda b: newton(lambda x: equations(mg.Tensor(A), b, x), zero)
    f = lambda b: implicit_root(lambda x: equations(mg.Tensor(A), b, x), solution(b.detach()))
    J = mg.jacobian(f)(b).numpy()
    for i in range(3):
        step = 1e-6 * np.eye(3)[i]
        difference = (solution(mg.Tensor(b + step)) - solution(mg.Tensor(b - step))).numpy() / 2e-6
        np.testing.assert_allclose(J[:, i], difference, atol=1e-8)


@solver
def test_under_vmap_in_every_order(options, rng):
    """Examples with their own data, beside data that all share."""
    B, c = 1 + rng.random((4, 3)), mg.Tensor(rng.random(3) + 1)
    root = lambda b, c: implicit_root(lambda x: c * x * x - b, mg.sqrt(b / c).detach(), **options)
    closed = lambda b, c: mg.sqrt(b / c)
    axes = (0, None)
    same(mg.vmap(root, axes)(B, c), mg.vmap(closed, axes)(B, c))
    of = lambda f: lambda b, c: (f(b, c) ** 3).sum() * b.sum()
    for transform in (
        lambda f: mg.vmap(mg.grad(of(f), (0, 1)), axes)(B, c),
        lambda f: mg.grad(lambda B, c: mg.vmap(of(f), axes)(B, c).sum(), (0, 1))(B, c),
        lambda f: mg.vmap(mg.jacobian(f, (0, 1)), axes)(B, c),
        lambda f: mg.jacobian(mg.vmap(f, axes), (0, 1))(B, c),
        lambda f: mg.vmap(mg.hessian(of(f)), axes)(B, c),
        lambda f: mg.vmap(lambda b, c: mg.jvp(f, (b, c), (b, c)), axes)(B, c),
        lambda f: mg.vmap(mg.vmap(mg.grad(of(f)), (None, 0)), axes)(B, c * mg.Tensor([[1.0], [2.0]])),
    ):
        same(transform(root), transform(closed), 1e-6)


@solver
def test_one_solution_for_all_examples(options):
    """The solution does not depend on the example, but its derivative does: dx/da of a (x - 1) = k a (x - 1) + (a - 1) b."""
    x = mg.tensor([1.0])
    f = lambda a, b: implicit_root(lambda x: a * (x - 1) - (b - 2), x, **options)
    A = np.array([[2.0], [4.0]])
    J = mg.vmap(mg.jacobian(f, 1), (0, None))(A, np.array([2.0]))
    same(J.reshape(-1), 1 / A.ravel())
    g = mg.vmap(mg.grad(lambda b, a: (a * f(a, b)).sum()), (None, 0))(np.array([2.0]), A)
    same(g, np.ones((2, 1)))


@solver
def test_data_that_are_results_and_are_used_elsewhere(options):
    f = lambda root: lambda a: (lambda e: root(e) * e + a)(mg.exp(a))
    root = lambda e: implicit_root(
        lambda x: x**3 - e, mg.Tensor(np.cbrt(e.item()) if not e.array.shape else 0.0), **options
    )
    closed = lambda e: e ** (1 / 3)
    for derivative in (mg.grad, lambda f: mg.grad(mg.grad(f))):
        assert derivative(f(root))(0.4).item() == pytest.approx(derivative(f(closed))(0.4).item(), rel=1e-6)
    a = mg.tensor(0.4, requires_grad=True)
    f(root)(a).backward()
    assert a.grad.item() == pytest.approx(mg.grad(f(closed))(0.4).item(), rel=1e-6)


def test_trees_of_unknowns_and_of_equations():
    """The stationary point of a Lagrangian: a quadratic program, whose unknowns are a point and a multiplier."""
    Q = mg.Tensor(np.array([[3.0, 1.0], [1.0, 2.0]]))

    def closed(b, c):
        """min x Q x / 2 with b x = c."""
        Qb = mg.solve(Q, b)
        return Qb * c / (b @ Qb)

    def program(b, c):
        kkt = lambda u: {"point": Q @ u["x"] + u["price"] * b, "constraint": b @ u["x"] - c}
        x = closed(b, c).detach()
        price = -(Q @ x)[0] / b.detach()[0]
        return implicit_root(kkt, {"x": x, "price": price})

    b, c = np.array([1.0, 2.0]), 3.0
    assert program(*map(mg.Tensor, (b, c))).keys() == {"x", "price"}
    J, expected = (mg.jacobian(f, (0, 1))(b, c) for f in (lambda b, c: program(b, c)["x"], closed))
    same(J, expected)
    H, expected = (
        mg.hessian(lambda b, f=f: f(b, mg.Tensor(c)).sum())(b) for f in (lambda b, c: program(b, c)["x"], closed)
    )
    same(H, expected)


@solver
def test_two_solutions_nested(options):
    """Bilevel: the outer equation holds an inner solution, w(x) = sqrt(a x), and x solves w(x) x = 8 a."""

    def outer(a):
        inner = lambda x: implicit_root(lambda w: w * w - a * x, mg.sqrt(a * x).detach(), **options)
        x = (64 * a) ** (1 / 3)
        return implicit_root(lambda x: inner(x) * x - 8 * a, x.detach(), **options)

    closed = lambda a: (64 * a) ** (1 / 3)
    for derivative in (lambda f: f, mg.grad, lambda f: mg.grad(mg.grad(f))):
        found, expected = derivative(outer)(mg.tensor(2.0)), derivative(closed)(mg.tensor(2.0))
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_hyperparameters_by_gradients(rng):
    """Bilevel optimization: the validation loss's derivative by a ridge, through the solution of the training problem."""
    X, y, V, z = (mg.Tensor(rng.standard_normal(s)) for s in ((8, 3), 8, (5, 3), 5))

    def validation(log_ridge, solve):
        objective = lambda w: ((X @ w - y) ** 2).sum() + mg.exp(log_ridge) * (w * w).sum()
        closed = mg.solve(X.T @ X + mg.exp(log_ridge) * mg.eye(3), X.T @ y)
        return ((V @ solve(objective, closed) - z) ** 2).mean()

    solved = lambda objective, closed: implicit_root(mg.grad(objective), closed.detach(), symmetric=True)
    for derivative in (mg.grad, lambda f: mg.grad(mg.grad(f))):
        same(
            derivative(lambda r: validation(r, solved))(0.3),
            derivative(lambda r: validation(r, lambda _, w: w))(0.3),
            1e-8,
        )


def test_inside_a_checkpoint_and_a_custom_rule():
    root = lambda a: implicit_root(lambda x: x * x - a, mg.sqrt(a).detach())
    f = mg.custom_vjp(root)
    f.defvjp(lambda a: (lambda x: (x, x))(root(a)), lambda x, g: (g / (2 * x),))
    for g in (mg.checkpoint(root), f):
        for order in (mg.grad(g), mg.grad(mg.grad(g))):
            expected = mg.grad(mg.sqrt) if order.__wrapped__ is g else mg.grad(mg.grad(mg.sqrt))
            assert order(4.0).item() == pytest.approx(expected(4.0).item())


@solver
def test_equations_made_of_derivatives_checkpoints_and_custom_rules(options, rng):
    """The minimum of sum(cosh(x) - a x) is arcsinh a."""
    cosh = mg.custom_vjp(mg.cosh)
    cosh.defvjp(lambda x: (mg.cosh(x), mg.sinh(x)), lambda s, g: (g * s,))

    def minimum(a):
        objective = mg.checkpoint(lambda x: (cosh(x) - a * x).sum())
        return implicit_root(mg.grad(objective), mg.arcsinh(a).detach(), **options)

    A = rng.standard_normal((4, 2))
    for transform in (
        lambda f: mg.jacobian(f)(A[0]),
        lambda f: mg.hessian(lambda a: (f(a) ** 2).sum())(A[0]),
        lambda f: mg.vmap(mg.jacobian(f))(A),
    ):
        same(transform(minimum), transform(mg.arcsinh), 1e-6)


def test_many_unknowns_need_no_jacobian():
    """2000 unknowns, by the default choice: a Jacobian would have 4 million entries."""
    n = 2 * implicit.DENSE
    a = mg.Tensor(np.linspace(1, 2, n), requires_grad=True)
    root = implicit_root(lambda x: x * x + 0.1 * mg.roll(x, 1) - a, newton_diagonal(a.detach()))
    v = np.cos(np.arange(n))
    (root * mg.Tensor(v)).sum().backward()
    x = root.numpy()
    J = np.diag(2 * x) + 0.1 * np.roll(np.eye(n), 1, axis=0)
    np.testing.assert_allclose(a.grad.numpy(), np.linalg.solve(J.T, v), rtol=1e-6, atol=1e-9)


def newton_diagonal(a):
    """The root of x^2 + 0.1 roll(x) = a by a fixed-point iteration."""
    x = mg.sqrt(a)
    for _ in range(60):
        x = mg.sqrt(a - 0.1 * mg.roll(x, 1))
    return x


def test_nothing_to_differentiate():
    x = mg.tensor([1.0, 2.0])
    assert not implicit_root(lambda x: x - mg.tensor([1.0, 2.0]), x).requires_grad
    a = mg.tensor([1.0, 2.0], requires_grad=True)
    calls = []
    with mg.no_grad():
        y = implicit_root(lambda x: calls.append(x) or x - a, {"x": x})
    assert not y["x"].requires_grad
    assert not calls
    y = implicit_root(lambda x: x - a, mg.tensor([1.0, 2.0], requires_grad=True))
    assert mg.gradients(y.sum(), a).tolist() == [1, 1]


def test_single_precision():
    a = mg.tensor([4.0, 9.0], dtype="float32", requires_grad=True)
    for options in SOLVERS.values():
        a.grad = None
        y = implicit_root(lambda x: x * x - a, mg.tensor([2.0, 3.0], dtype="float32"), **options)
        assert y.dtype == np.float32
        y.sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), [1 / 4, 1 / 6], rtol=1e-5)


# -------------------------------------------------------------------------------------------------------- errors
@solver
@pytest.mark.parametrize("rank", ["zero", "one"])
def test_a_singular_jacobian_is_an_error_and_no_infinity(options, rank):
    a = mg.tensor([1.0, 1.0], requires_grad=True)
    M = {"zero": np.zeros((2, 2)), "one": np.array([[1.0, 2.0], [2.0, 4.0]])}[rank]
    y = implicit_root(lambda x: mg.Tensor(M) @ x * a, mg.zeros(2), **options)
    with pytest.raises(np.linalg.LinAlgError, match="Jacobian of the equations is singular at the solution"):
        (y * mg.tensor([1.0, 3.0])).sum().backward()


def test_nearly_singular_too():
    a = mg.tensor([1.0, 1.0], requires_grad=True)
    M = mg.Tensor(np.array([[1.0, 1 / 3], [3.0, 1.0 + 1e-16]]))
    y = implicit_root(lambda x: M @ x * a, mg.zeros(2))
    with pytest.raises(np.linalg.LinAlgError, match="singular at the solution"):
        y.sum().backward()


def test_as_many_equations_as_unknowns():
    a = mg.tensor([1.0, 1.0], requires_grad=True)
    with pytest.raises(
        ValueError, match=r"2 unknowns, of shapes \[\(2,\)\], need as many equations, but fun returned 1"
    ):
        implicit_root(lambda x: (x * a).sum(), mg.zeros(2))


def test_data_overwritten_since():
    a = mg.tensor([4.0], requires_grad=True)
    y = implicit_root(lambda x: x * x - a, mg.tensor([2.0]))
    with mg.no_grad():
        a.assign_([9.0])
    with pytest.raises(mg.GraphError, match="was overwritten"):
        y.sum().backward()
