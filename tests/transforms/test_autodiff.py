"""Transformations against finite differences, loops, and each other."""

from collections import OrderedDict, defaultdict
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.models import MLP
from minigrad.transforms.tree import flatten

pytestmark = pytest.mark.usefixtures("float64")


def quadratic(A):
    return lambda x: 0.5 * (x @ mg.Tensor(A) @ x)


@pytest.fixture
def net(rng):
    params = {"W": rng.standard_normal((5, 3)), "b": rng.standard_normal(5), "v": rng.standard_normal((4, 5))}
    X, t = rng.standard_normal((6, 3)), rng.integers(0, 4, 6)

    def loss(params, x, t):
        return mg.cross_entropy(params["v"] @ mg.tanh(params["W"] @ x + params["b"]), t)

    return loss, params, X, t


def same(a, b, tolerance=1e-10):
    for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True):
        np.testing.assert_allclose(mg.Tensor(x).numpy(), mg.Tensor(y).numpy(), rtol=tolerance, atol=tolerance)


def test_grad_of_trees_and_argnums():
    f = lambda p, s: (p["a"] * p["b"][0] * s).sum()
    p = {"a": np.array([1.0, 2.0]), "b": [3.0]}
    g = mg.grad(f)(p, 2.0)
    assert g["a"].tolist() == [6, 6]
    assert g["b"][0].item() == 6
    gp, gs = mg.grad(f, argnums=(0, 1))(p, 2.0)
    assert gs.item() == 9
    assert gp["a"].tolist() == [6, 6]
    assert mg.grad(f, argnums=-1)(p, 2.0).item() == 9


def test_value_and_grad_with_aux():
    (value, aux), g = mg.value_and_grad(lambda x: (x * x, "note"), has_aux=True)(3.0)
    assert (value.item(), aux, g.item()) == (9, "note", 6)
    assert not value.requires_grad
    g, aux = mg.grad(lambda x: (x * x, "note"), has_aux=True)(3.0)
    assert (g.item(), aux) == (6, "note")


def test_trees_keep_the_class_of_their_dicts():
    gradient = mg.grad(lambda p: p["a"] * p["b"])(OrderedDict(a=2.0, b=3.0))
    assert type(gradient) is OrderedDict
    assert {k: g.item() for k, g in gradient.items()} == {"a": 3, "b": 2}
    _, aux = mg.grad(lambda x: (x * x, defaultdict(list, y=[x])), has_aux=True)(2.0)
    assert aux["y"][0].item() == 2
    assert aux["z"] == []


def test_aux_is_cut_from_the_graph_unless_it_leads_outside():
    w, x = mg.tensor(3.0, requires_grad=True), mg.tensor(2.0)

    def f(x):
        return x * x, {"constant": x * 5, "of w": [x * w]}

    _, aux = mg.grad(f, has_aux=True)(x)
    _, _, aux_of_vjp = mg.vjp(f, x, has_aux=True)
    _, aux_of_jacobian = mg.jacobian(f, has_aux=True)(x)
    for found in (aux, aux_of_vjp, aux_of_jacobian):
        assert not found["constant"].requires_grad
        assert found["constant"].item() == 10
        assert mg.gradients(found["of w"][0], w).item() == 2
    with mg.no_grad():
        assert not mg.grad(f, has_aux=True)(x)[1]["of w"][0].requires_grad
    _, shared = mg.grad(lambda x: (h := mg.sin(x), h * w)[:2], has_aux=True)(x)
    assert mg.gradients(shared, w).item() == np.sin(2)
    second = mg.grad(lambda x: mg.grad(f, has_aux=True)(x)[1]["constant"])
    assert second(x).item() == 5


def test_a_function_that_raises_leaves_nothing_tracked():
    kept = []

    def f(x):
        kept.append(x)
        raise ArithmeticError

    for transformed in (mg.grad(f), mg.jacobian(f), partial(mg.vjp, f)):
        with pytest.raises(ArithmeticError):
            transformed(np.ones(2))
    assert [x.requires_grad for x in kept] == [False] * 3


def test_grad_needs_a_scalar_of_real_numbers():
    with pytest.raises(mg.GraphError, match=r"returns one scalar; this one returned \(2,\)"):
        mg.grad(lambda x: x * 2)(np.ones(2))
    with pytest.raises(TypeError, match="floating-point arguments"):
        mg.grad(lambda x: x * 2)(3)


def test_grad_of_a_constant_is_zero():
    assert mg.grad(lambda x: mg.tensor(1.0))(2.0).item() == 0
    assert mg.grad(lambda x: 1.0)(2.0).item() == 0
    assert mg.grad(lambda x: mg.floor(x))(2.5).item() == 0
    assert mg.hessian(lambda x: x.sum())(np.ones(2)).tolist() == [[0, 0], [0, 0]]


def test_nested_grad_has_no_perturbation_confusion():
    """d/dx (x * d/dy (x + y)) = 1: the inner derivative must not see the outer variable."""
    assert mg.grad(lambda x: x * mg.grad(lambda y: x + y)(1.0))(1.0).item() == 1
    assert mg.grad(lambda x: mg.grad(lambda y: x * y * y)(3.0))(2.0).item() == 6
    assert mg.grad(mg.grad(mg.grad(mg.sin)))(0.3).item() == pytest.approx(-np.cos(0.3))


def test_grad_inside_a_recorded_computation_stays_differentiable():
    w = mg.tensor(2.0, requires_grad=True)
    slope = mg.grad(lambda x: w * x * x)(3.0)
    slope.backward()
    assert w.grad.item() == 6
    with mg.no_grad():
        assert not mg.grad(lambda x: w * x * x)(3.0).requires_grad
    x = mg.tensor(3.0, requires_grad=True)
    mg.grad(lambda x: x**3)(x).backward()
    assert x.grad.item() == 18


def test_vjp_and_jvp_against_the_jacobian(rng):
    f = lambda x, y: (mg.tanh(x @ y), (x * x).sum())
    x, y = rng.standard_normal((2, 3)), rng.standard_normal(3)
    (Jx, Jy), (Lx, Ly) = mg.jacobian(f, argnums=(0, 1))(x, y)
    out, pull = mg.vjp(f, x, y)
    v = (rng.standard_normal(2), rng.standard_normal())
    gx, gy = pull(v)
    same(gx, np.einsum("i,ijk->jk", v[0], Jx.numpy()) + v[1] * Lx.numpy())
    same(gy, v[0] @ Jy.numpy() + v[1] * Ly.numpy())
    same(pull(v)[0], gx)
    u = (rng.standard_normal((2, 3)), rng.standard_normal(3))
    out2, (t0, t1) = mg.jvp(f, (x, y), u)
    same(out2, out)
    same(t0, np.einsum("ijk,jk->i", Jx.numpy(), u[0]) + Jy.numpy() @ u[1])
    same(t1, (Lx.numpy() * u[0]).sum())


def test_jvp_of_what_does_not_depend():
    y, t = mg.jvp(lambda x: mg.tensor(3.0), (1.0,), (1.0,))
    assert (y.item(), t.item()) == (3, 0)


def test_structure_errors():
    _, pull = mg.vjp(lambda x: (x, x), 1.0)
    with pytest.raises(ValueError, match="returned 2 tensors, but 1 cotangents"):
        pull((1.0,))
    with pytest.raises(ValueError, match="as many tangents"):
        mg.jvp(lambda x: x, (1.0,), (1.0, 2.0))
    with pytest.raises(ValueError, match="they must agree"):
        mg.jvp(lambda x: x, (np.ones(2),), (np.ones(3),))


@given(st.integers(1, 5), st.integers(0, 10**6))
def test_hessian_and_hvp_of_a_quadratic(n, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    x, v = rng.standard_normal(n), rng.standard_normal(n)
    H = mg.hessian(quadratic(A))(x)
    same(H, (A + A.T) / 2)
    same(mg.hvp(quadratic(A), x, v), H.numpy() @ v)
    same(mg.hvp(quadratic(A), (x,), (v,))[0], H.numpy() @ v)


def test_hessian_of_a_network_against_finite_differences(net):
    loss, params, X, t = net
    f = lambda p: mg.vmap(loss, (None, 0, 0))(p, X, t).mean()
    H = mg.hessian(f)(params)
    eps = 1e-5
    for name in params:
        moved = {k: v.copy() for k, v in params.items()}
        moved[name].flat[1] += eps
        ahead = mg.grad(f)(moved)
        moved[name].flat[1] -= 2 * eps
        behind = mg.grad(f)(moved)
        for other in params:
            numeric = (ahead[other].numpy() - behind[other].numpy()) / (2 * eps)
            block = H[name][other].numpy().reshape(params[name].size, *params[other].shape)[1]
            np.testing.assert_allclose(block, numeric, atol=1e-8)


@pytest.mark.parametrize("chunk", [None, 1, 2, 7, 100])
def test_jacobian_in_chunks(chunk, rng):
    W, x = rng.standard_normal((7, 3)), rng.standard_normal(3)
    J = mg.jacobian(lambda x: mg.tanh(mg.Tensor(W) @ x), chunk_size=chunk)(x)
    same(J, (1 - np.tanh(W @ x) ** 2)[:, None] * W)


def test_jacobian_shapes_and_aux():
    J, aux = mg.jacobian(lambda x: (x.sum(axis=0), 5), has_aux=True)(np.ones((2, 3)))
    assert J.shape == (3, 2, 3)
    assert aux == 5
    assert mg.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert mg.jacobian(lambda x: x)(2.0).shape == ()


def test_jacobian_is_differentiable():
    f = lambda x: x**3
    x = np.array([1.0, 2.0])
    g = mg.grad(lambda x: mg.jacobian(f)(x).sum())(x)
    same(g, 6 * x)


def test_gauss_newton_product_is_three_lines(net, rng):
    """J^T H J v by jvp, hvp and vjp equals the dense product."""
    _, params, X, t = net
    f = lambda p: mg.vmap(lambda x: p["v"] @ mg.tanh(p["W"] @ x + p["b"]))(X)
    v = {k: rng.standard_normal(p.shape) for k, p in params.items()}
    labels = mg.Tensor(t)
    outer = lambda z: mg.cross_entropy(z, labels)
    z, Jv = mg.jvp(f, (params,), (v,))
    HJv = mg.hvp(outer, z, Jv)
    (JHJv,) = mg.vjp(f, params)[1](HJv)
    J = np.concatenate([x.numpy().reshape(z.size, -1) for x in mg.jacobian(f)(params).values()], axis=1)
    H = mg.hessian(outer)(z).numpy().reshape(z.size, z.size)
    dense = J.T @ H @ J @ np.concatenate([x.ravel() for x in v.values()])
    np.testing.assert_allclose(np.concatenate([x.numpy().ravel() for x in JHJv.values()]), dense, atol=1e-12)


# ------------------------------------------------------------------------------------------------------ vmap
@pytest.mark.parametrize("chunk", [None, 1, 4, 6, 10])
def test_per_example_gradients(net, chunk):
    loss, params, X, t = net
    got = mg.vmap(mg.grad(loss), in_axes=(None, 0, 0), chunk_size=chunk)(params, X, t)
    for n in range(6):
        same({k: g[n] for k, g in got.items()}, mg.grad(loss)(params, X[n], t[n]))


def test_grad_of_a_vmap_sums_over_examples(net):
    loss, params, X, t = net
    total = mg.grad(lambda p: mg.vmap(loss, (None, 0, 0))(p, X, t).sum())(params)
    each = mg.vmap(mg.grad(loss), (None, 0, 0))(params, X, t)
    same(total, {k: g.numpy().sum(0) for k, g in each.items()})
    closed = {k: mg.Tensor(v, requires_grad=True) for k, v in params.items()}
    mg.vmap(lambda x, t: loss(closed, x, t))(X, t).sum().backward()
    same({k: v.grad for k, v in closed.items()}, total)


def test_per_example_hessians(net):
    loss, params, X, t = net
    f = lambda x, t: loss({k: mg.Tensor(v) for k, v in params.items()}, x, t)
    H = mg.vmap(mg.hessian(f))(X, t)
    for n in range(6):
        same(H[n], mg.hessian(f)(X[n], t[n]))


def test_derivatives_of_a_function_that_vmaps_inside(rng):
    """The batch of cotangents is a level made after the inner vmap's, but enters it from outside."""
    X, W = rng.standard_normal((6, 3)), rng.standard_normal((4, 3))
    mapped = lambda W: mg.vmap(lambda x: mg.tanh(W @ x))(X)
    direct = lambda W: mg.tanh(mg.Tensor(X) @ W.T)
    same(mg.jacobian(mapped)(W), mg.jacobian(direct)(W))
    same(mg.hessian(lambda W: (mapped(W) ** 2).sum())(W), mg.hessian(lambda W: (direct(W) ** 2).sum())(W))
    same(mg.vmap(mg.jacobian(mapped))(np.stack([W, 2 * W]))[1], mg.jacobian(direct)(2 * W))


def test_nested_vmap_is_an_outer_loop():
    x, y = np.arange(3.0), np.arange(4.0)
    same(mg.vmap(mg.vmap(lambda a, b: a * b, (None, 0)), (0, None))(x, y), np.outer(x, y))
    same(
        mg.vmap(mg.vmap(lambda a, b: a @ b, (None, 0)), (0, None))(np.ones((3, 2)), np.ones((4, 2))),
        np.full((3, 4), 2.0),
    )
    f = lambda a: mg.vmap(lambda b: mg.grad(lambda a: (a * b) ** 2)(a))(y)
    same(mg.vmap(f)(x), 2 * np.outer(x, y**2))


@given(st.integers(0, 2), st.integers(-3, 2), st.integers(0, 1))
def test_in_and_out_axes(i, j, k):
    x = np.arange(24.0).reshape(2, 3, 4)
    y = mg.vmap(lambda a: a * 2, in_axes=i, out_axes=j)(x)
    same(y, np.moveaxis(2 * x, i, j))
    z = mg.vmap(lambda a, b: {"s": a.sum() + b}, in_axes=({"x": i}, None), out_axes=0)
    with pytest.raises(ValueError, match="does not match the structure"):
        z(x, 1.0)
    tree = mg.vmap(lambda d: (d["x"], d["x"].sum()), in_axes=({"x": i, "w": None},), out_axes=(k, 0))(
        {"x": x, "w": 1.0}
    )
    same(tree[0], np.moveaxis(x, i, k))


def test_vmap_of_a_constant_and_of_numbers():
    same(mg.vmap(lambda x: mg.tensor([1.0, 2.0]))(np.ones(3)), np.tile([1.0, 2.0], (3, 1)))
    same(mg.vmap(lambda x: 5.0)(np.ones(3)), np.full(3, 5.0))


def test_vmap_errors():
    with pytest.raises(ValueError, match="differ in length"):
        mg.vmap(lambda a, b: a)(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="every entry of in_axes is None"):
        mg.vmap(lambda a: a, in_axes=None)(np.ones(2))
    with pytest.raises(ValueError, match="has no axis 1 to map over"):
        mg.vmap(lambda a: a, in_axes=1)(np.ones(2))
    with pytest.raises(ValueError, match="positive number"):
        mg.vmap(lambda a: a, chunk_size=-1)(np.ones(2))
    with pytest.raises(TypeError, match="one per example: use where"):
        mg.vmap(lambda a: a if a > 0 else -a)(np.ones(2))
    with pytest.raises(TypeError, match="stands for many examples"):
        mg.vmap(lambda a: a.item())(np.ones(2))
    with pytest.raises(TypeError, match="cannot become a NumPy array"):
        mg.vmap(lambda a: a.numpy())(np.ones(2))
    with pytest.raises(TypeError, match="boolean mask"):
        mg.vmap(lambda a: a[a > 0])(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("in_axes", "argument"),
    [
        ((("a", "b"),), {"a": np.ones(2), "b": np.ones(2)}),
        (((0, 0),), {"a": np.ones(2), "b": np.ones(2)}),
        (({0: 0, 1: 0},), [np.ones(2), np.ones(2)]),
        (((0, 0, 0),), [np.ones(2), np.ones(2)]),
        (({"a": 0, "c": 0},), {"a": np.ones(2), "b": np.ones(2)}),
        (((0,),), np.ones(1)),
    ],
)
def test_axes_of_another_structure_are_refused(in_axes, argument):
    with pytest.raises(ValueError, match="in_axes=.* does not match the structure of what it describes"):
        mg.vmap(lambda x: mg.ones(1), in_axes=in_axes)(argument)


def test_gradients_of_a_vmap_share_no_memory():
    a, b = mg.vmap(mg.grad(lambda a, b: ((a + b) ** 2).sum(), (0, 1)))(np.ones((3, 2)), np.ones((3, 2)))
    assert not np.shares_memory(a.data, b.data)


@pytest.mark.parametrize(
    "call", [lambda x: np.add.reduce(x), lambda x: np.add(x, x, out=x), lambda x: np.multiply.outer(x, x)]
)
def test_what_a_batch_cannot_do_is_refused(call):
    def inside(x):
        call(x.data)
        return x

    with pytest.raises(TypeError, match="vmap has no rule for numpy"):
        mg.vmap(inside)(np.ones((3, 2)))


def test_a_zero_slope_may_arrive_before_a_batch_of_cotangents():
    """The sum of cotangents that wait at a node may begin with what every row of the Hessian shares."""
    f = lambda x: (mg.absolute(x * x) + mg.absolute(x * x) + x * x * x).sum()
    x = np.array([0.5, 2.0])
    np.testing.assert_allclose(mg.hessian(f)(x).numpy(), np.diag(4 + 6 * x))
    g = lambda x: (lambda h: (mg.absolute(h) + mg.absolute(h) + h * h).sum())(2 * x)
    np.testing.assert_allclose(mg.hessian(g)(x).numpy(), np.diag([8, 8]))


def test_repr_inside_vmap():
    seen = []
    mg.vmap(lambda a: seen.append(repr(a)) or a)(np.ones((2, 3)))
    assert seen == ["Tensor(one of a vmap's examples, shape=(3,), dtype=float64)"]


def test_modules_as_functions(rng):
    model = MLP((3, 4, 2), "tanh", dtype=np.float64)
    X, t = rng.standard_normal((5, 3)), rng.integers(0, 2, 5)
    loss = lambda p, x, t: mg.cross_entropy(nn.functional_call(model, p, x), t)
    params = dict(model.named_parameters())
    each = mg.vmap(mg.grad(loss), (None, 0, 0))(params, X, t)
    mg.cross_entropy(model(mg.Tensor(X)), mg.Tensor(t), reduction="sum").backward()
    same({k: g.numpy().sum(0) for k, g in each.items()}, {k: p.grad for k, p in params.items()})


def test_vmap_of_a_deep_network_matches_the_batch():
    model = MLP((6, 16, 16, 16, 3), "relu", dtype=np.float64)
    x = mg.randn(20, 6)
    same(mg.vmap(model)(x), model(x))
    same(mg.vmap(mg.jacobian(model))(x)[7], mg.jacobian(model)(x[7]))


def test_an_argument_that_was_not_given_cannot_be_differentiated_by():
    """It was taken modulo the number of arguments: argument 2 of one was argument 0."""
    for argnums in (1, 2, -2, (0, 3)):
        with pytest.raises(ValueError, match="but the function was called with 1 positional arguments"):
            mg.grad(lambda x: x * x, argnums=argnums)(3.0)
    with pytest.raises(ValueError, match=r"grad: argnums=0, but the function was called with 0 positional"):
        mg.grad(lambda x: x * x)(x=3.0)
    assert mg.grad(lambda x, y: x * y * y, argnums=-1)(2.0, 3.0).item() == 12


def test_dicts_are_matched_by_their_keys():
    """They were matched by the order in which the keys had come, silently."""
    f = lambda p: (p["a"] * 2).sum() + (p["b"] * 5).sum()
    primals, tangents = {"a": np.ones(2), "b": np.zeros(2)}, {"b": np.zeros(2), "a": np.ones(2)}
    assert mg.jvp(f, (primals,), (tangents,))[1].item() == 4
    square = lambda p: (p["a"] ** 2).sum() + 3 * (p["b"] ** 2).sum()
    assert mg.hvp(square, primals, tangents)["a"].tolist() == [2, 2]
    pullback = mg.vjp(lambda x: {"a": 2 * x, "b": 5 * x}, np.ones(2))[1]
    assert pullback(tangents)[0].tolist() == [2, 2]
    for wrong in ({"a": np.ones(2), "c": np.ones(2)}, [np.ones(2), np.ones(2)]):
        with pytest.raises(ValueError, match="the tangents have another structure"):
            mg.jvp(f, (primals,), (wrong,))
        with pytest.raises(ValueError, match="the cotangents have another structure"):
            pullback(wrong)


def test_a_recording_stays_open_until_its_last_user_is_done():
    """Two threads may pull through one recording at the same time."""
    from minigrad.transforms.recording import Recording

    run = Recording("vjp", lambda x: x * x, (2.0,), (0,), {}, False)
    (x,) = run.own
    assert not x.tracked
    with run.open():
        with run.open():
            pass
        assert x.tracked
    assert not x.tracked
