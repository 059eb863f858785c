"""Jacobians as linear maps, against ``mg.jacobian``, loops and each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.arrays.backend import to_numpy
from minigrad.transforms.linearization import Linearization, PerExample
from minigrad.transforms.vmap import HiddenAxis
from tests import strict  # noqa: F401 - registers the strict backend

pytestmark = pytest.mark.usefixtures("float64")
seeds = st.integers(0, 10**6)
shapes = st.lists(st.integers(1, 3), max_size=2).map(tuple)


def variable(array):
    return mg.Tensor(np.asarray(array), requires_grad=True)


def device(array):
    return mg.Tensor(np.asarray(array)).array


def near(a, b, tolerance=1e-11):
    np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=tolerance, atol=tolerance)


def mixed(xs, sizes, rng):
    """A function of several variables with several outputs of many shapes: nonlinear in all, constant, one's own."""
    p = sum(x.size for x in xs)
    flat = lambda xs: mg.ravel_tree(list(xs))[0]
    weights = [mg.Tensor(rng.standard_normal((int(np.prod(shape)), p))) for shape in sizes]

    def f(*xs):
        return [
            *(mg.tanh(W @ flat(xs)).reshape(shape) for W, shape in zip(weights, sizes, strict=True)),
            mg.ones((2,)),
            xs[0] * 1,
            xs[-1],
        ]

    return f


def dense(f, xs):
    """The Jacobian of f by the independent route, (n, p)."""
    J = mg.jacobian(f, argnums=tuple(range(len(xs))))(*[x.detach() for x in xs])
    rows = [[block.numpy().reshape(-1, x.size) for block, x in zip(row, xs, strict=True)] for row in J]
    sizes = [y.size for y in f(*xs)]
    rows = [[block.reshape(n, -1) for block in row] for row, n in zip(rows, sizes, strict=True)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


@given(st.lists(shapes, min_size=1, max_size=3), st.lists(shapes, min_size=1, max_size=3), seeds)
def test_products_and_the_matrix_against_the_jacobian(inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    xs = [variable(rng.standard_normal(shape)) for shape in inputs]
    f = mixed(xs, outputs, rng)
    J, A = Linearization(xs, f(*xs)), dense(f, xs)
    n, p = A.shape
    assert (J.rows.size, J.columns.size) == (n, p)
    near(J.matrix(), A)
    u, v = rng.standard_normal(n), rng.standard_normal(p)
    near(J.vjp(device(u)), u @ A)
    near(J.jvp(device(v)), A @ v)
    near(to_numpy(J.jvp(device(v))) @ u, to_numpy(J.vjp(device(u))) @ v)
    U, V = rng.standard_normal((3, n)), rng.standard_normal((4, p))
    near(J.vjp(device(U)), np.stack([to_numpy(J.vjp(device(u))) for u in U]))
    near(J.jvp(device(V)), np.stack([to_numpy(J.jvp(device(v))) for v in V]))


@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 100])
@pytest.mark.parametrize(("n", "p"), [(7, 3), (6, 3), (3, 7), (1, 4), (9, 1)])
def test_rows_and_columns_give_the_same_matrix(n, p, chunk, rng, monkeypatch):
    """2 p < n takes columns, a sweep through two graphs each, and otherwise rows."""
    W, x = rng.standard_normal((n, p)), variable(rng.standard_normal(p))
    J = Linearization([x], [mg.tanh(mg.Tensor(W) @ x)])
    routes = []
    for name in ("vjp", "jvp"):
        product = getattr(J, name)
        monkeypatch.setattr(J, name, lambda v, name=name, product=product: routes.append((name, len(v))) or product(v))
    near(J.matrix(chunk), (1 - np.tanh(W @ x.numpy()) ** 2)[:, None] * W)
    assert {name for name, _ in routes} == {"jvp" if 2 * p < n else "vjp"}
    assert sum(count for _, count in routes) == (p if 2 * p < n else n)
    if chunk is not None:
        assert max(count for _, count in routes) <= chunk


def test_what_does_not_depend():
    x, y = variable([1.0, 2.0]), variable([3.0])
    J = Linearization([x, y], [x * x, mg.ones(3)])
    A = np.array([[2.0, 0, 0], [0, 4, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    near(J.matrix(), A)
    near(J.jvp(device(np.ones(3))), [2, 4, 0, 0, 0])
    near(J.vjp(device(np.ones(5))), [2, 4, 0])
    constant = Linearization([x], [mg.ones(5)])
    near(constant.matrix(), np.zeros((5, 2)))
    near(constant.jvp(device(np.ones((3, 2)))), np.zeros((3, 5)))
    near(constant.vjp(device(np.ones((3, 5)))), np.zeros((3, 2)))


def test_a_variable_that_is_an_output_and_one_given_twice(rng):
    x = variable(rng.standard_normal(2))
    A = np.concatenate([np.eye(2), np.eye(2), 3 * np.eye(2)])
    near(Linearization([x], [x, x, 3 * x]).matrix(), A)
    near(Linearization([x, x], [3 * x]).matrix(), np.concatenate([3 * np.eye(2)] * 2, axis=1))
    u = device(rng.standard_normal(2))
    found = Linearization([x], [x]).vjp(u)
    near(found, u)
    assert found is not u
    assert not np.shares_memory(to_numpy(found), to_numpy(u))


@pytest.mark.parametrize(("n", "p"), [(0, 3), (4, 0), (0, 0)])
def test_nothing_by_something_and_something_by_nothing(n, p):
    x = variable(np.zeros(p))
    J = Linearization([x], [mg.ones((n, p)) @ x])
    assert J.matrix().shape == (n, p)
    near(J.jvp(device(np.ones(p))), np.zeros(n))
    near(J.vjp(device(np.ones(n))), np.zeros(p))
    near(J.vjp(device(np.ones((2, n)))), np.zeros((2, p)))


def test_an_empty_part_among_others():
    x, empty = variable([1.0, 2.0]), variable(np.zeros((0, 2)))
    J = Linearization([empty, x], [x * x, empty * 2])
    near(J.matrix(), np.diag([2.0, 4.0]))
    near(J.jvp(device(np.ones((3, 2)))), np.tile([2.0, 4.0], (3, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_that_of_the_variables(dtype, rng):
    x = variable(rng.standard_normal(3).astype(dtype))
    J = Linearization([x], [mg.sin(x)])
    for found in (J.vjp(device(np.ones(3, dtype))), J.jvp(device(np.ones((2, 3), dtype))), J.matrix()):
        assert found.dtype == dtype


@pytest.mark.parametrize("length", [1, 4])
def test_a_vector_of_another_length_is_refused(length):
    x = variable(np.ones(2))
    J = Linearization([x], [mg.concatenate([x, x[:1]])])
    with pytest.raises(ValueError, match=f"have 3 entries, but the vector has {length}"):
        J.vjp(device(np.ones(length)))
    with pytest.raises(ValueError, match=f"have 2 entries, but the vector has {length}"):
        J.jvp(device(np.ones(length)))


def test_inside_no_grad_and_again_afterwards(rng):
    x = variable(rng.standard_normal(2))
    J = Linearization([x], [x**3])
    with mg.no_grad():
        near(J.jvp(device(np.ones(2))), 3 * x.numpy() ** 2)
    near(J.jvp(device(np.ones(2))), 3 * x.numpy() ** 2)
    near(J.matrix(), np.diag(3 * x.numpy() ** 2))
    x.assign_(np.zeros(2))
    with pytest.raises(mg.GraphError, match="was overwritten"):
        J.vjp(device(np.ones(2)))


@pytest.mark.parametrize("shape", [(2, 3), (7, 2)])
def test_inside_vmap(shape, rng):
    W, X, V = rng.standard_normal(shape), rng.standard_normal((4, shape[1])), rng.standard_normal((4, shape[1]))
    f = lambda x: mg.tanh(mg.Tensor(W) @ x)

    def at(x):
        y = x.detach()
        y.requires_grad = True
        return Linearization([y], [f(y)])

    near(mg.vmap(lambda x: at(x).matrix())(X).array, mg.vmap(mg.jacobian(f))(X).array)
    want = mg.vmap(lambda x, v: mg.jvp(f, (x,), (v,))[1])(X, V).array
    near(mg.vmap(lambda x, v: at(x).jvp(v.array))(X, V).array, want)
    near(mg.vmap(lambda x: at(x).jvp(device(V[0])))(X).array, mg.vmap(lambda x: mg.jvp(f, (x,), (V[0],))[1])(X).array)
    several = mg.vmap(lambda x, v: at(x).jvp(mg.stack([v, 2 * v]).array))(X, V).array
    near(several, np.stack([to_numpy(want), 2 * to_numpy(want)], axis=1))
    U = rng.standard_normal((4, shape[0]))
    near(mg.vmap(lambda x, u: at(x).vjp(u.array))(X, U).array, mg.vmap(lambda x, u: mg.vjp(f, x)[1](u)[0])(X, U).array)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (2, 5)])
def test_of_a_function_that_vmaps_inside(n, k, rng):
    """What all the inner examples share receives the sum over them, and one cotangent for each of the outer batch."""
    X, w = mg.Tensor(rng.standard_normal((n, 2))), variable(rng.standard_normal(2))
    S = mg.Tensor(rng.standard_normal((k, 1)))
    mapped = lambda w: mg.vmap(lambda x: mg.tanh(w @ x) * S[:, 0])(X)
    direct = lambda w: mg.tanh((X @ w).reshape((n, 1))) * S.T
    J, want = Linearization([w], [mapped(w)]), dense(lambda w: [direct(w)], [w])
    near(J.matrix(), want)
    V, U = rng.standard_normal((3, 2)), rng.standard_normal((3, n * k))
    near(J.jvp(device(V)), V @ want.T)
    near(J.vjp(device(U)), U @ want)
    near(J.jvp(device(V[0])), want @ V[0])

    A = rng.standard_normal((4, 2))
    batch = PerExample(lambda a: mg.vmap(lambda x: mg.tanh(w @ x) + a @ w)(X), [mg.Tensor(A)])
    rows = [dense(lambda w, a=a: [mg.tanh(X @ w) + mg.Tensor(a) @ w], [w]) for a in A]
    near(batch.jacobian([w]), np.concatenate(rows))


# -------------------------------------------------------------------------------------------- per example
@given(st.integers(1, 4), shapes, seeds)
def test_per_example_is_a_loop(n, shape, seed):
    rng = np.random.default_rng(seed)
    k = int(np.prod(shape))
    X, t = mg.Tensor(rng.standard_normal((n, 3))), mg.Tensor(rng.standard_normal(n))
    W, b, unused = variable(rng.standard_normal((k, 3))), variable(rng.standard_normal(())), variable(np.ones(2))
    f = lambda x, t: (mg.tanh(W @ x) * t + b).reshape(shape)
    batch = PerExample(f, [X, t])
    near(batch.outputs.array, np.stack([f(x, s).numpy() for x, s in zip(X, t, strict=True)]))
    want = np.concatenate(
        [to_numpy(Linearization([W, unused, b], [f(X[i], t[i])]).matrix()).reshape(k, -1) for i in range(n)]
    )
    near(batch.jacobian([W, unused, b]), want)


def test_per_example_of_what_does_not_depend():
    X, w = mg.Tensor(np.ones((3, 2))), variable(np.ones(2))
    near(PerExample(lambda x: w * 2, [X]).jacobian([w]), np.tile(2 * np.eye(2), (3, 1)))  # not on the example
    near(PerExample(lambda x: x * 2, [X]).jacobian([w]), np.zeros((6, 2)))  # not on the variable
    near(PerExample(lambda x: mg.ones(2), [X]).outputs.array, np.ones((3, 2)))


def test_per_example_of_none():
    w = variable(np.ones(2))
    assert PerExample(lambda x: x * w, [mg.zeros((0, 2))]).jacobian([w]).shape == (0, 2)
    batch = PerExample(lambda x: (x * w)[:0], [mg.zeros((3, 2))])  # no outputs
    assert batch.outputs.shape == (3, 0)
    assert batch.jacobian([w]).shape == (0, 2)


def test_examples_that_count_differently():
    with pytest.raises(ValueError, match=r"axis 0 of shape \(1,\) should count 3 examples"):
        PerExample(lambda x, y: x * y, [mg.zeros(3), mg.zeros(1)])


# -------------------------------------------------------------------------------------------- the hidden axis
def test_a_hidden_axis_is_vmap_by_hand(rng):
    X = rng.standard_normal((2, 3, 4))
    for axis in (0, 1, 2, -1):
        examples = HiddenAxis(X.shape[axis])
        x = examples.enter(mg.Tensor(X), axis)
        assert x.shape == tuple(np.delete(X.shape, axis))
        y = examples.leave(mg.exp(x).sum(axis=0), axis % 2)
        near(y.array, mg.vmap(lambda x: mg.exp(x).sum(axis=0), in_axes=axis, out_axes=axis % 2)(X).array)
        near(examples.leave(x, axis).array, X)
    bare = examples.enter(device(X), -1)
    assert not isinstance(bare, mg.Tensor)
    near(examples.leave(bare, -1), X)
    near(examples.leave(device(np.arange(2.0)), 1), np.tile([[0.0], [1.0]], (1, 4)))  # the same for all examples


def test_hidden_axes_nest_and_differentiate():
    outer, inner = HiddenAxis(2), HiddenAxis(3)
    a, b = variable([1.0, 2.0]), variable([3.0, 4.0, 5.0])
    y = outer.leave(inner.leave(outer.enter(a) * inner.enter(b)))
    near(y.array, np.outer(a.numpy(), b.numpy()))
    y.sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([12, 12], [3, 3, 3])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_hidden_axis_has_one_length(axis):
    with pytest.raises(ValueError, match=rf"axis {axis} of shape \(2, 2\) should count 3 examples"):
        HiddenAxis(3).enter(mg.ones((2, 2)), axis)
