"""Functions with a derivative of their own: the protocol, every order and transformation, and the errors."""

import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.transforms.test_autodiff import same

pytestmark = pytest.mark.usefixtures("float64")


# One function in four ways: h(p, x) = (sin(W x + b), sum of x exp(x)) by its operations, ...
def plain(p, x):
    return mg.sin(p["W"] @ x + p["b"][0]), (x * mg.exp(x)).sum()


def by_vjp(p, x):
    """... by a vjp whose residuals are intermediate results, ..."""
    return plain(p, x)


by_vjp = mg.custom_vjp(by_vjp)


def fwd(p, x):
    z = p["W"] @ x + p["b"][0]
    return (mg.sin(z), (x * mg.exp(x)).sum()), {"cos": mg.cos(z), "args": (p["W"], x), "exp": mg.exp(x)}


def bwd(kept, g):
    W, x = kept["args"]
    gz = g[0] * kept["cos"]
    return {"W": mg.outer(gz, x), "b": [gz]}, W.T @ gz + g[1] * kept["exp"] * (1 + x)


by_vjp.defvjp(fwd, bwd)
by_jvp = mg.custom_jvp(plain)  # ... by a jvp, ...


@by_jvp.defjvp
def rule(primals, tangents):
    (p, x), (dp, dx) = primals, tangents
    z = p["W"] @ x + p["b"][0]
    dz = dp["W"] @ x + p["W"] @ dx + dp["b"][0]
    y = x * mg.exp(x)
    return (mg.sin(z), y.sum()), (mg.cos(z) * dz, ((mg.exp(x) + y) * dx).sum())


nested = mg.custom_vjp(plain)  # ... and by a vjp that calls the one by a jvp, twice.
nested.defvjp(lambda p, x: (by_jvp(p, x), (p, x)), lambda kept, g: mg.vjp(by_vjp, *kept)[1](g))

WAYS = {"vjp": by_vjp, "jvp": by_jvp, "nested": nested}


def draw(seed):
    rng = np.random.default_rng(seed)
    p = {"W": rng.standard_normal((2, 3)), "b": [rng.standard_normal(2)]}
    return p, rng.standard_normal(3), {"W": rng.standard_normal((2, 3)), "b": [rng.standard_normal(2)]}, rng


def scalar(f):
    return lambda p, x: (lambda y: (y[0] ** 3).sum() + y[0].sum() * y[1])(f(p, x))


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 10**6))
def test_every_derivative_is_that_of_the_operations(way, seed):
    f = WAYS[way]
    p, x, v, rng = draw(seed)
    dx = rng.standard_normal(3)
    same(f(p, x), plain(p, x), 0)
    both = (0, 1)
    same(mg.grad(scalar(f), both)(p, x), mg.grad(scalar(plain), both)(p, x))
    same(mg.jacobian(f, both)(p, x), mg.jacobian(plain, both)(p, x))
    same(mg.jvp(f, (p, x), (v, dx)), mg.jvp(plain, (p, x), (v, dx)))
    same(mg.hvp(scalar(f), (p, x), (v, dx)), mg.hvp(scalar(plain), (p, x), (v, dx)))
    same(mg.hessian(scalar(f), 1)(p, x), mg.hessian(scalar(plain), 1)(p, x))


@pytest.mark.parametrize("way", WAYS)
def test_third_derivatives(way):
    p, x, _, rng = draw(1)
    v = mg.Tensor(rng.standard_normal(3))
    third = lambda f: mg.hessian(lambda x: (mg.grad(scalar(f), 1)(p, x) * v).sum())(x)
    same(third(WAYS[way]), third(plain))


@pytest.mark.parametrize("way", WAYS)
def test_with_vmap_in_every_order(way):
    f = WAYS[way]
    p, _, _, rng = draw(2)
    X = rng.standard_normal((4, 3))
    axes = (None, 0)
    same(mg.vmap(f, axes)(p, X), mg.vmap(plain, axes)(p, X))
    each = lambda f: mg.vmap(mg.grad(scalar(f), (0, 1)), axes)(p, X)
    same(each(f), each(plain))
    total = lambda f: mg.grad(lambda p, X: mg.vmap(scalar(f), axes)(p, X).sum(), (0, 1))(p, X)
    same(total(f), total(plain))
    hessians = lambda f: mg.vmap(mg.hessian(scalar(f), 1), axes)(p, X)
    same(hessians(f), hessians(plain))
    tangents = lambda f: mg.vmap(lambda p, x: mg.jvp(partial(f, p), (x,), (x,)), axes)(p, X)
    same(tangents(f), tangents(plain))
    many = lambda f: mg.vmap(mg.vmap(mg.grad(scalar(f)), (None, 0)), (0, None))(
        {"W": np.stack([p["W"], 2 * p["W"]]), "b": [np.stack(2 * p["b"])]}, X
    )
    same(many(f), many(plain))


@pytest.mark.parametrize("way", WAYS)
def test_backward_and_checkpoint(way):
    p, x, _, _ = draw(3)
    found = []
    for f in (plain, WAYS[way], mg.checkpoint(WAYS[way])):
        q = {"W": mg.Tensor(p["W"], requires_grad=True), "b": [mg.Tensor(p["b"][0], requires_grad=True)]}
        y = mg.Tensor(x, requires_grad=True)
        out = scalar(f)(q, mg.exp(y))
        out.backward(retain_graph=True)
        out.backward()
        found.append((q["W"].grad, q["b"][0].grad, y.grad))
        with mg.no_grad():
            assert not f(q, y)[0].requires_grad
    same(found[1], found[0])
    same(found[2], found[0])
    wrapped = mg.checkpoint(WAYS[way])
    same(mg.hessian(scalar(wrapped), 1)(p, x), mg.hessian(scalar(plain), 1)(p, x))


def test_residuals_are_functions_of_the_arguments():
    """d2/dx2 sin = -sin only if the residual cos(x), which fwd computed, is seen to depend on x: else it would be 0."""
    f = mg.custom_vjp(mg.sin)
    f.defvjp(lambda x: (mg.sin(x), mg.cos(x)), lambda c, g: (g * c,))
    x = 0.7
    assert mg.grad(f)(x).item() == pytest.approx(np.cos(x))
    assert mg.grad(mg.grad(f))(x).item() == pytest.approx(-np.sin(x))
    assert mg.grad(mg.grad(mg.grad(f)))(x).item() == pytest.approx(-np.cos(x))
    y = mg.tensor(x, requires_grad=True)
    f(y).backward(create_graph=True)
    slope, y.grad = y.grad, None
    slope.backward()
    assert y.grad.item() == pytest.approx(-np.sin(x))


def test_a_residual_that_is_the_result_itself():
    f = mg.custom_vjp(mg.exp)
    f.defvjp(lambda x: (lambda y: (y, y))(f(x)), lambda y, g: (g * y,))
    for derivative in (mg.grad(f), mg.grad(mg.grad(f)), mg.grad(mg.grad(mg.grad(f)))):
        assert derivative(0.3).item() == pytest.approx(np.exp(0.3))


def test_cotangents_share_memory_with_nothing():
    f = mg.custom_vjp(lambda x, y: (x * x).sum() / 2 + y.sum())
    f.defvjp(lambda x, y: (f(x, y), x), lambda x, g: (x, x))
    x, y = mg.ones(3, requires_grad=True), mg.ones(3, requires_grad=True)
    f(x, y).backward()
    x.grad[:] = 2.0
    assert (x.tolist(), y.grad.tolist(), x.grad.tolist()) == ([1, 1, 1], [1, 1, 1], [2, 2, 2])


def test_a_checkpoint_keeps_no_residuals():
    alive = []

    def fwd(x):
        kept = mg.cos(x)
        alive.append(weakref.ref(kept))
        return mg.sin(x), kept

    f = mg.custom_vjp(mg.sin)
    f.defvjp(fwd, lambda c, g: (g * c,))
    x = mg.ones(3, requires_grad=True)
    y = mg.checkpoint(lambda x: f(x) * 2)(x)
    assert alive[0]() is None
    y.sum().backward()
    same(x.grad, 2 * np.cos(np.ones(3)))
    assert len(alive) == 2
    assert alive[1]() is None
    z = f(x)
    assert alive[2]() is not None
    z.sum().backward()  # and a graph that was walked has let go of them
    assert alive[2]() is None


def test_the_rule_is_used_and_fwd_runs_once():
    calls = []
    f = mg.custom_vjp(lambda x: calls.append("f") or x * x)
    f.defvjp(lambda x: calls.append("fwd") or (x * x, x), lambda x, g: calls.append("bwd") or (100 * g,))
    assert mg.grad(f)(3.0).item() == 100
    assert calls == ["fwd", "bwd"]
    f(3.0)
    assert calls[2:] == ["f"]


def test_clipped_gradients_with_options_by_name():
    @partial(mg.custom_vjp, nondiff_argnums=(2, 0))
    def clipped(activation, x, bound=1.0):
        """Whatever the activation, with a clipped gradient."""
        return activation(x)

    clipped.defvjp(
        lambda activation, x, bound: (activation(x), None),
        lambda activation, bound, _, g: (mg.clip(g, -bound, bound),),
    )
    assert clipped.__name__ == "clipped"
    assert clipped.__doc__ == "Whatever the activation, with a clipped gradient."
    x = np.array([-3.0, 0.5])
    slope = lambda **options: mg.grad(lambda x: (clipped(mg.tanh, x=x, **options) * mg.tensor([5.0, 0.1])).sum())(x)
    same(slope(), np.array([1.0, 0.1]))
    same(slope(bound=2.0), np.array([2.0, 0.1]))
    same(clipped(mg.tanh, x), np.tanh(x))


def test_options_come_first_in_a_jvp_rule():
    @partial(mg.custom_jvp, nondiff_argnums=(-1,))
    def scaled(x, n):
        return x * n

    scaled.defjvp(lambda n, primals, tangents: (primals[0] * n, tangents[0] * (10 * n)))
    assert mg.grad(scaled)(2.0, 3).item() == 30
    assert mg.grad(lambda x: scaled(x, n=4))(2.0).item() == 40


def test_integers_and_bools_have_no_cotangent():
    @mg.custom_vjp
    def pick(x, index, mask, power, name):
        return {"y": mg.where(mask, x[index] ** power, 0.0), "largest": x.argmax(), "name": name}

    def fwd(x, index, mask, power, name):
        return pick(x, index, mask, power, name), (x, index, mask, power)

    def bwd(kept, g):
        x, index, mask, power = kept
        assert g["largest"] is None
        assert g["name"] is None
        one_hot = mg.one_hot(index, 3, dtype=x.dtype)
        return mg.where(mask, g["y"] * power, 0.0) @ one_hot * x ** (power - 1), None, "whatever", None, None

    pick.defvjp(fwd, bwd)
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    index, mask = mg.tensor([2, 0]), mg.tensor([True, False])
    out = pick(x, index, mask, 2, name="n")
    assert (out["largest"].item(), out["name"]) == (2, "n")
    out["y"].sum().backward()
    assert x.grad.tolist() == [0, 0, 6]


def test_only_integers_are_returned():
    f = mg.custom_vjp(lambda x: x.argmax())
    f.defvjp(lambda x: (x.argmax(), None), lambda _, g: (None,))
    assert f(mg.tensor([1.0, 3.0], requires_grad=True)).item() == 1


def test_none_is_zero_and_numbers_are_cotangents():
    f = mg.custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (x * y, None), lambda _, g: (None, 7.0))
    assert [g.item() for g in mg.grad(f, (0, 1))(2.0, 3.0)] == [0, 7]
    assert mg.hessian(f, 0)(2.0, 3.0).item() == 0
    tree = mg.custom_vjp(lambda p: p["a"] * p["b"])
    tree.defvjp(lambda p: (tree(p), p), lambda p, g: ({"b": g * p["a"], "a": None},))
    assert {k: g.item() for k, g in mg.grad(tree)({"a": 2.0, "b": 3.0}).items()} == {"a": 0, "b": 2}


def test_a_jvp_that_calls_jvp_and_one_that_is_zero():
    f = mg.custom_jvp(mg.tanh)
    f.defjvp(lambda primals, tangents: mg.jvp(mg.tanh, primals, tangents))
    x = np.array([0.3, -1.0])
    same(mg.jacobian(f)(x), mg.jacobian(mg.tanh)(x))
    same(mg.hessian(lambda x: f(x).sum())(x), mg.hessian(lambda x: mg.tanh(x).sum())(x))
    same(mg.vmap(mg.grad(f))(x), mg.vmap(mg.grad(mg.tanh))(x))
    constant = mg.custom_jvp(mg.floor)
    constant.defjvp(lambda primals, tangents: (mg.floor(*primals), None))
    assert mg.grad(constant)(2.5).item() == 0


def test_dtypes_of_cotangents_and_results():
    f = mg.custom_vjp(lambda x, y: (x * 2, y * 3))
    f.defvjp(lambda x, y: (f(x, y), None), lambda _, g: (2 * g[0].astype("float64"), 3 * g[1]))
    x = mg.tensor([1.0], dtype="float32", requires_grad=True)
    y = mg.tensor([1.0], dtype="float64", requires_grad=True)
    a, b = f(x, y)
    assert (a.dtype, b.dtype) == (np.float32, np.float64)
    (a + b).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


def test_an_argument_overwritten_since_is_noticed():
    f = mg.custom_vjp(mg.sin)
    f.defvjp(lambda x: (mg.sin(x), x), lambda x, g: (g * mg.cos(x),))
    x = mg.tensor([1.0], requires_grad=True)
    y = f(x).sum()
    with mg.no_grad():
        x.assign_([2.0])
    with pytest.raises(mg.GraphError, match="argument 0 of custom_vjp sin, .* was overwritten"):
        y.backward()


# -------------------------------------------------------------------------------------------------------- errors
def make(fwd=lambda x: (x * 2, x), bwd=lambda x, g: (g,), fun=lambda x: x * 2):
    f = mg.custom_vjp(fun)
    f.defvjp(fwd, bwd)
    return f


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (mg.custom_vjp(lambda x: x), TypeError, r"no derivative yet: say f.defvjp\(fwd, bwd\)"),
        (mg.custom_jvp(lambda x: x), TypeError, r"no derivative yet: say f.defjvp\(rule\)"),
        (make(fwd=lambda x: x * 2), TypeError, r"fwd must return a pair \(result, residuals\), not a Tensor"),
        (make(fwd=lambda x: (x, x, x)), TypeError, "not 3 values"),
        (
            make(bwd=lambda x, g: g),
            TypeError,
            r"tuple of 1, one cotangent per argument .* not a Tensor; .* write \(g,\)",
        ),
        (make(bwd=lambda x, g: (g, g)), TypeError, "not 2 values"),
        (
            make(bwd=lambda x, g: (g.sum(),)),
            ValueError,
            r"cotangent of argument 0 has shape \(\), but must have shape \(2,\)",
        ),
        (make(bwd=lambda x, g: ([g],)), ValueError, "another structure: a list of 1 in place of a tensor"),
    ],
)
def test_mistakes_are_explained(f, error, message):
    with pytest.raises(error, match=message):
        mg.grad(lambda x: f(x).sum())(np.ones(2))


@pytest.mark.parametrize(
    ("tree", "given", "message"),
    [
        ({"a": 1.0}, lambda g: {"b": g}, "argument 0 has another structure: a dict of 'b' in place of a dict of 'a'"),
        ([1.0, 2.0], lambda g: [g], "a list of 1 in place of a list of 2"),
        ([[1.0]], lambda g: [{"a": g}], r"argument 0\[0\] has another structure"),
    ],
)
def test_structures_must_agree(tree, given, message):
    f = make(fwd=lambda x: (mg.tensor(1.0), None), bwd=lambda _, g: (given(g),))
    with pytest.raises(ValueError, match=message):
        mg.grad(f)(tree)


def test_mistakes_of_a_jvp_rule():
    f = mg.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda primals, tangents: tangents[0])
    with pytest.raises(TypeError, match=r"pair \(result, its tangent\), not a Tensor"):
        mg.grad(f)(1.0)
    f.defjvp(lambda primals, tangents: (primals[0], tangents[0].reshape(1)))
    with pytest.raises(ValueError, match=r"tangent of the result has shape \(1,\), but must have shape \(\)"):
        mg.grad(f)(1.0)


def test_a_captured_tensor_would_lose_its_gradient():
    w = mg.tensor(3.0, requires_grad=True)
    message = "reads a tensor that requires gradients and is not one of its arguments"
    f = mg.custom_vjp(lambda x: w * x)
    f.defvjp(lambda x: (w * x, None), lambda _, g: (g * w,))
    with pytest.raises(mg.GraphError, match="its fwd " + message):
        mg.grad(f)(2.0)
    with pytest.raises(mg.GraphError, match="it " + message):
        f(2.0)
    with mg.no_grad():
        assert f(2.0).item() == 6
    only_bwd = make(fwd=lambda x: (x, None), bwd=lambda _, g: (g * w,))
    with pytest.raises(mg.GraphError, match="its rule " + message):
        mg.grad(only_bwd)(2.0)
    j = mg.custom_jvp(lambda x: w * x)
    j.defjvp(lambda primals, tangents: (w * primals[0], w * tangents[0]))
    with pytest.raises(mg.GraphError, match=message):
        mg.grad(j)(2.0)
    h = mg.custom_vjp(lambda x, w: w * x)
    h.defvjp(lambda x, w: (w * x, (x, w)), lambda kept, g: (g * kept[1], g * kept[0]))
    h(2.0, w).backward()
    assert w.grad.item() == 2


def test_a_derivative_inside_is_no_captured_tensor():
    """The variable of an inner derivative is a tracked tensor, too, but nobody's but its own."""
    inner = lambda x: mg.grad(lambda z: x * z * z)(3.0) + mg.jvp(lambda z: x * z, (1.0,), (1.0,))[1]
    f = mg.custom_vjp(inner)
    f.defvjp(lambda x: (inner(x), None), lambda _, g: (7 * g,))
    assert mg.grad(f)(1.0).item() == 7
    assert mg.grad(mg.grad(f))(1.0).item() == 0


def test_options_cannot_be_differentiated_by():
    f = mg.custom_vjp(lambda x, n: x * n, nondiff_argnums=(1,))
    f.defvjp(lambda x, n: (x * n, None), lambda n, _, g: (g * n,))
    with pytest.raises(TypeError, match="argument 1 is one of nondiff_argnums, but a tensor in it requires gradients"):
        f(1.0, mg.tensor(2.0, requires_grad=True))
    only_by_name = mg.custom_vjp(lambda x, *, n: x * n)
    only_by_name.defvjp(lambda x, n: (x * n, None), lambda n, _, g: (g * n,))
    with pytest.raises(TypeError, match="n can be given by name only"):
        only_by_name(1.0, n=2)


def test_a_rule_that_raises_leaves_no_tangent_tracked():
    kept = []
    f = mg.custom_jvp(lambda x: x)

    @f.defjvp
    def rule(primals, tangents):
        kept.extend(tangents)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        mg.grad(f)(1.0)
    assert not kept[0].requires_grad


def test_nondiff_argnums_out_of_range():
    f = mg.custom_vjp(lambda x: x, nondiff_argnums=(1,))
    f.defvjp(lambda x: (x, None), lambda kept, g: (g,))
    with pytest.raises(ValueError, match=r"nondiff_argnums=\(1,\), but it was called with 1 arguments"):
        f(2.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("default", ["float32", "float64"])
def test_python_floats_have_the_precision_of_the_tensors_beside_them(default, dtype):
    f = mg.custom_vjp(lambda x, a: x * a)
    f.defvjp(lambda x, a: (f(x, a), a), lambda a, g: (g * a, None))
    x = mg.tensor(1.0, dtype=dtype)
    mg.set_default_dtype(default)  # the fixture sets it back
    for y in (f(x, 0.1), mg.grad(f)(x, 0.1)):
        assert y.dtype == dtype
        assert y.array == np.dtype(dtype).type(0.1)
