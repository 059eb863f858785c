"""Checkpoints: the same numbers, less memory, and each side effect once."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.models import MLP
from tests import host_only
from tests.transforms.test_autodiff import same

pytestmark = pytest.mark.usefixtures("float64")


def blocks(rng, n, width=4):
    """Residual blocks that read weights of their own, and one weight that all of them read."""
    weights = [mg.Tensor(rng.standard_normal((width, width)) / 2, requires_grad=True) for _ in range(n)]
    shared = mg.Tensor(rng.standard_normal(width), requires_grad=True)
    return [lambda x, W=W: x + mg.tanh(x @ W * shared) for W in weights], [*weights, shared]


def chain(functions):
    def f(x):
        for function in functions:
            x = function(x)
        return x

    return f


@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_values_and_gradients_are_the_same_numbers(seed, n, nested):
    rng = np.random.default_rng(seed)
    functions, weights = blocks(rng, n)
    wrapped = chain([mg.checkpoint(f) for f in functions])
    wrapped = mg.checkpoint(wrapped) if nested else wrapped
    x = mg.Tensor(rng.standard_normal((3, 4)), requires_grad=True)
    found = []
    for f in (chain(functions), wrapped):
        y = f(x)
        (y * y).sum().backward()
        found.append([y, x.grad, *(w.grad for w in weights)])
        for w in (x, *weights):
            w.grad = None
    same(found[0], found[1], 0)


@given(st.integers(0, 10**6))
def test_every_transformation_goes_through(seed):
    rng = np.random.default_rng(seed)
    functions, _ = blocks(rng, 2, width=3)
    plain, wrapped = chain(functions), chain([mg.checkpoint(f) for f in functions])
    wrapped = mg.checkpoint(wrapped)
    x, v, X = rng.standard_normal(3), rng.standard_normal(3), rng.standard_normal((4, 3))
    scalar = lambda f: lambda x: (f(x) ** 3).sum()
    same(mg.jacobian(wrapped)(x), mg.jacobian(plain)(x), 1e-13)
    same(mg.hessian(scalar(wrapped))(x), mg.hessian(scalar(plain))(x), 1e-11)
    same(mg.jvp(wrapped, (x,), (v,)), mg.jvp(plain, (x,), (v,)), 1e-13)
    same(mg.hvp(scalar(wrapped), x, v), mg.hvp(scalar(plain), x, v), 1e-11)
    third = lambda f: mg.grad(lambda x: (mg.hvp(scalar(f), x, v) ** 2).sum())
    same(third(wrapped)(x), third(plain)(x), 1e-9)
    same(mg.vmap(mg.grad(scalar(wrapped)))(X), mg.vmap(mg.grad(scalar(plain)))(X), 1e-12)
    total = lambda f: mg.grad(lambda X: mg.vmap(f)(X).sum())
    same(total(wrapped)(X), total(plain)(X), 1e-12)
    same(mg.vmap(mg.hessian(scalar(wrapped)))(X), mg.vmap(mg.hessian(scalar(plain)))(X), 1e-11)
    inside = lambda f: lambda X: mg.vmap(f)(X).sum()
    same(mg.grad(mg.checkpoint(inside(plain)))(X), total(plain)(X), 1e-12)
    same(mg.hessian(mg.checkpoint(inside(plain)))(X), mg.hessian(inside(plain))(X), 1e-11)


def test_a_weight_shared_by_the_examples_of_a_vmap(rng):
    W, X = rng.standard_normal((3, 3)), rng.standard_normal((5, 3))

    def total(wrap):
        return mg.grad(lambda W: (mg.vmap(wrap(lambda x: mg.tanh(W @ x)))(X) ** 2).sum())(W)

    same(total(mg.checkpoint), total(lambda f: f), 1e-13)


def test_gradients_of_gradients_inside(rng):
    """A function that differentiates: a physics-informed loss, checkpointed."""
    w = mg.Tensor(rng.standard_normal((2, 3)), requires_grad=True)
    u = lambda x: mg.tanh(w @ x).sum()
    loss = lambda x: (mg.grad(u)(x) ** 2).sum() + mg.hessian(u)(x).sum()
    x = mg.Tensor(rng.standard_normal(3))
    same(mg.gradients(mg.checkpoint(loss)(x), w), mg.gradients(loss(x), w), 1e-13)


def test_trees_and_whatever_else():
    @mg.checkpoint
    def f(p, options, *, scale, label="none"):
        """What f does."""
        y = mg.exp(p["a"]) * options["power"] + p["b"][0] * scale
        return {"y": y, "same": p["a"], "label": label, "n": [3, None], "constant": mg.tensor(1.0), "large": y > 0}

    assert (f.__name__, f.__doc__) == ("f", "What f does.")
    a, b = mg.tensor([0.0, 1.0], requires_grad=True), mg.tensor([2.0, 3.0], requires_grad=True)
    out = f({"a": a, "b": (b, a)}, {"power": 2}, scale=np.array([10.0, 100.0]), label="it")
    assert (out["label"], out["n"], out["constant"].item()) == ("it", [3, None], 1)
    assert out["large"].tolist() == [True, True]
    (out["y"] + out["same"] * b).sum().backward()
    same(a.grad, 2 * np.exp([0.0, 1.0]) + [2, 3])
    same(b.grad, np.array([10.0, 101.0]))


def test_nothing_to_differentiate_is_just_a_call():
    f = mg.checkpoint(lambda x: mg.exp(x))
    assert not f(mg.ones(2)).requires_grad
    x = mg.ones(2, requires_grad=True)
    with mg.no_grad():
        assert not f(x).requires_grad
    assert mg.checkpoint(lambda x: x.shape)(x) == (2,)


def test_one_tensor_given_twice_or_returned_as_it_is():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    a, b = mg.checkpoint(lambda a, b: (a * b, b))(x, x)
    (a + b).sum().backward()
    assert x.grad.tolist() == [3, 5]
    w = mg.tensor(3.0, requires_grad=True)
    mg.checkpoint(lambda x: w)(x).backward()
    assert w.grad.item() == 1


def test_results_of_several_dtypes():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y, z = mg.checkpoint(lambda x: ((x * x).astype("float32"), mg.exp(x)))(x)
    assert (y.dtype, z.dtype) == (np.float32, np.float64)
    (y.sum() + z.sum()).backward()
    same(x.grad, np.array([2.0, 4.0]) + np.exp([1.0, 2.0]))


def test_a_dropout_draws_its_mask_once(rng):
    x = mg.Tensor(rng.standard_normal((20, 5)), requires_grad=True)
    f = lambda x: nn.functional.dropout(mg.tanh(x)) * x
    found = []
    for wrap in (lambda f: f, mg.checkpoint, lambda f: mg.checkpoint(mg.checkpoint(f))):
        mg.manual_seed(3)
        x.grad = None
        y = wrap(f)(x)
        y.sum().backward()
        found.append((y, x.grad, mg.rand(3)))  # and the generator stands where it would
    same(found[1], found[0], 0)
    same(found[2], found[0], 0)


def test_running_statistics_move_once(rng):
    X = mg.Tensor(rng.standard_normal((8, 3)))
    found = []
    for wrap in (lambda f: f, mg.checkpoint):
        norm = nn.BatchNorm1d(3, dtype=np.float64)
        layer = wrap(lambda x, norm=norm: mg.tanh(norm(x)))
        layer(X).sum().backward()
        found.append((norm.running_mean, norm.running_var, norm.num_batches_tracked, norm.weight.grad, norm.bias.grad))
    same(found[1], found[0], 0)


def test_a_module_as_it_stands(rng):
    model = MLP((3, 8, 8, 2), "tanh", dtype=np.float64)
    X = mg.Tensor(rng.standard_normal((5, 3)))
    found = []
    for f in (model, mg.checkpoint(model)):
        model.zero_grad()
        (f(X) ** 2).mean().backward()
        found.append([p.grad for p in model.parameters()])
    same(found[1], found[0], 0)


@pytest.mark.parametrize("which", ["parameter", "argument", "constant"])
def test_what_was_overwritten_is_noticed(which):
    tensors = {
        "parameter": mg.tensor([2.0], requires_grad=True),
        "argument": mg.tensor([3.0], requires_grad=True),
        "constant": mg.tensor([4.0]),
    }
    f = mg.checkpoint(lambda x: (mg.exp(x) * tensors["parameter"] * tensors["constant"]).sum())
    y = f(tensors["argument"])
    with mg.no_grad():
        tensors[which].assign_([1.0])
    with pytest.raises(mg.GraphError, match="was overwritten between the forward and this backward"):
        y.backward()


def test_a_second_backward_says_that_the_graph_is_freed():
    x = mg.tensor([2.0], requires_grad=True)
    y = mg.checkpoint(lambda x: (x * x).sum())(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8]
    with pytest.raises(mg.GraphError, match="was freed by an earlier backward"):
        y.backward()


@pytest.mark.parametrize("tracked", [True, False])
def test_no_intermediate_result_stays_alive(tracked):
    """Also where the arguments are data, and all that is differentiated by is captured."""
    alive = []
    w = mg.ones(10, requires_grad=True)

    def f(x):
        for _ in range(3):
            x = mg.tanh(x * w)
            alive.append(weakref.ref(x))
            alive.append(weakref.ref(x.node))
        return x * 1

    x = mg.ones(10, requires_grad=tracked)
    y = mg.checkpoint(f)(mg.exp(x))
    gc.collect()
    assert [r() for r in alive] == [None] * 6
    y.sum().backward()
    same(w.grad, mg.grad(lambda v: mg.tanh(mg.tanh(mg.tanh(np.e * v) * v) * v).sum())(mg.ones(10)), 1e-14)
    assert (x.grad is not None) == tracked


@host_only
def test_memory_falls_from_all_blocks_to_one():
    """n blocks of k results each: n k arrays are kept without checkpoints; with them n, and k for a while."""
    n, k, size = 10, 10, 50_000

    def block(x):
        for _ in range(k):
            x = mg.sin(x)
        return x

    def peak(f):
        x = mg.Tensor(np.ones(size), requires_grad=True)
        gc.collect()
        tracemalloc.start()
        chain([f] * n)(x).sum().backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / (8 * size), x.grad

    (plain, expected), (wrapped, gradient) = peak(block), peak(mg.checkpoint(block))
    assert plain > n * k
    assert wrapped < n + k + 6
    same(gradient, expected, 0)


def test_what_the_function_puts_aside_leads_to_its_arguments():
    """A penalty that a module keeps as an attribute is differentiated by the input as it is without a checkpoint."""
    aside = {}
    w = mg.tensor(3.0, requires_grad=True)

    def f(x):
        h = x * w
        aside["penalty"] = h**2
        return mg.sin(h)

    def gradients(f):
        x = mg.tensor(2.0, requires_grad=True)
        return mg.gradients(f(x) + aside["penalty"], [x, w])

    for found, expected in zip(gradients(mg.checkpoint(f)), gradients(f), strict=True):
        same(found, expected, 1e-14)


def test_a_checkpointed_module_is_no_part_of_a_module():
    """Its parameters would not be found."""

    class Net(nn.Module):
        def __init__(self):
            self.block = mg.checkpoint(nn.Linear(2, 2))

    with pytest.raises(TypeError, match=r"hides its parameters.*call mg.checkpoint\(self.block\)\(x\) in forward"):
        Net()
    assert "weight" not in vars(mg.checkpoint(nn.Linear(2, 2)))


def test_a_custom_function_inside_is_recomputed_by_itself():
    """To the second order, with the residuals of each recomputation its own."""

    @mg.custom_vjp
    def sine(x):
        return mg.sin(x)

    sine.defvjp(lambda x: (mg.sin(x), x), lambda x, g: (g * mg.cos(x),))
    inside, plain = mg.checkpoint(lambda x: sine(2 * x) * x), lambda x: mg.sin(2 * x) * x
    for f, expected in (
        (inside, plain),
        (mg.grad(inside), mg.grad(plain)),
        (mg.grad(mg.grad(inside)), mg.grad(mg.grad(plain))),
    ):
        for a in (0.3, 1.0):
            assert f(mg.tensor(a)).item() == pytest.approx(expected(mg.tensor(a)).item(), rel=1e-5)
