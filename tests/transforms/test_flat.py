"""Trees as vectors: round trips, derivatives both ways, batches, and what is refused."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.arrays.backend import to_numpy
from minigrad.models import MLP
from minigrad.testing import check_grads
from minigrad.transforms.flat import Layout, check_alike
from minigrad.transforms.tree import flatten, tree_map
from tests import strict  # noqa: F401 - registers the strict backend

pytestmark = pytest.mark.usefixtures("float64")
Pair = namedtuple("Pair", "first second")

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
dtypes = st.sampled_from(["float32", "float64", "int32", "int64", "bool"])
seeds = st.integers(0, 10**6)


def trees(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.builds(Pair, inner, inner),
            st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
        ),
        max_leaves=6,
    )


@dataclass
class Spec:
    """A leaf to be; a tuple would be a tree."""

    shape: tuple
    dtype: str


specs = st.builds(Spec, shapes, dtypes)
floats = st.builds(Spec, shapes, st.just("float64"))


def build(tree, rng):
    """The tree with a tensor for every Spec."""
    return tree_map(lambda spec: mg.Tensor((10 * rng.standard_normal(spec.shape)).astype(spec.dtype)), tree)


def structure(tree):
    leaves, rebuild = flatten(tree)
    return repr(rebuild(["*"] * len(leaves)))


def same(a, b):
    assert structure(a) == structure(b)
    for x, y in zip(flatten(a)[0], flatten(b)[0], strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_array_equal(x.numpy(), y.numpy())


# -------------------------------------------------------------------------------------------------- round trips
@given(trees(specs), seeds)
def test_unravel_gives_back_the_tree(tree, seed):
    tree = build(tree, np.random.default_rng(seed))
    vector, unravel = mg.ravel_tree(tree)
    leaves = flatten(tree)[0]
    assert vector.dtype == (np.result_type(*[x.dtype for x in leaves]) if leaves else mg.get_default_dtype())
    want = np.concatenate([x.numpy().ravel().astype(vector.dtype) for x in leaves] or [np.zeros(0)])
    np.testing.assert_array_equal(vector.numpy(), want)
    same(unravel(vector), tree)


@given(trees(floats), seeds)
def test_ravel_gives_back_the_vector(tree, seed):
    rng = np.random.default_rng(seed)
    vector, unravel = mg.ravel_tree(build(tree, rng))
    theta = rng.standard_normal(vector.size)
    again, _ = mg.ravel_tree(unravel(theta))
    np.testing.assert_array_equal(again.numpy(), theta)


def test_numbers_and_arrays_become_tensors():
    vector, unravel = mg.ravel_tree({"a": 2, "b": (0.5, np.float32(3)), "c": np.arange(2), "d": True})
    assert vector.tolist() == [2, 0.5, 3, 0, 1, 1]
    tree = unravel(vector)
    assert [str(x.dtype) for x in flatten(tree)[0]] == ["int64", "float64", "float32", "int64", "bool"]
    assert all(isinstance(x, mg.Tensor) for x in flatten(tree)[0])
    assert mg.ravel_tree([1, 2])[0].dtype == np.int64


def test_one_tensor_is_a_tree():
    x = mg.Tensor(np.arange(6.0).reshape(2, 3))
    vector, unravel = mg.ravel_tree(x)
    same(unravel(vector), x)
    x.assign_(np.zeros((2, 3)))
    assert vector.tolist() == [0, 1, 2, 3, 4, 5], "the vector is a copy"


def test_no_leaves():
    vector, unravel = mg.ravel_tree({"a": [], "b": ()})
    assert (vector.shape, vector.dtype) == ((0,), mg.get_default_dtype())
    assert unravel(vector) == {"a": [], "b": ()}


def test_a_module_is_the_dict_of_its_trainable_parameters(rng):
    net, X = MLP([3, 4, 2]), mg.Tensor(rng.standard_normal((5, 3)))
    first = next(net.parameters())
    first.requires_grad = False
    vector, unravel = mg.ravel_tree(net)
    trainable = {name: x for name, x in net.named_parameters() if x.requires_grad}
    assert vector.size == sum(x.size for x in trainable.values()) == net.parameter_count() - first.size
    same(unravel(vector), {name: x.detach() for name, x in trainable.items()})
    np.testing.assert_array_equal(nn.functional_call(net, unravel(vector), X).numpy(), net(X).numpy())
    (vector * vector).sum().backward()  # the vector is computed from the parameters
    assert first.grad is None
    for x in trainable.values():
        np.testing.assert_allclose(x.grad.numpy(), 2 * x.numpy())


# -------------------------------------------------------------------------------------------------- derivatives
@given(trees(floats), seeds)
def test_ravel_and_unravel_are_each_others_transpose(tree, seed):
    rng = np.random.default_rng(seed)
    tree = build(tree, rng)
    vector, unravel = mg.ravel_tree(tree)
    u = mg.Tensor(rng.standard_normal(vector.size))
    _, pull = mg.vjp(lambda tree: mg.ravel_tree(tree)[0], tree)
    same(pull(u)[0], unravel(u))
    _, pull = mg.vjp(unravel, vector)
    np.testing.assert_array_equal(pull(unravel(u))[0].numpy(), u.numpy())


def test_derivatives_to_second_order(rng):
    tree = {"W": rng.standard_normal((2, 2)), "b": [rng.standard_normal(()), rng.standard_normal((0, 3))]}
    vector, unravel = mg.ravel_tree(tree)

    def f(tree):
        return mg.tanh(tree["W"] @ tree["W"]).sum() * mg.exp(tree["b"][0]) + tree["b"][1].sum()

    check_grads(lambda theta: f(unravel(theta)), vector)
    check_grads(lambda W: (mg.ravel_tree({"W": W, "b": mg.sin(W)})[0] ** 3).sum(), mg.Tensor(tree["W"]))
    H = mg.hessian(lambda theta: f(unravel(theta)))(vector)
    blocks = mg.hessian(f)(tree)
    for i, (rows, a) in enumerate(zip(flatten(blocks["W"])[0], [4, 1, 0], strict=True)):
        start = [0, 4, 5][i]
        np.testing.assert_allclose(H[:4, start : start + a].numpy(), rows.numpy().reshape(4, a), atol=1e-12)


def test_a_gradient_takes_the_dtype_of_each_part():
    x = mg.tensor([1.0, 2.0], dtype="float32", requires_grad=True)
    y = mg.tensor(3.0, dtype="float64", requires_grad=True)
    vector, unravel = mg.ravel_tree((x, y, 4))
    assert vector.dtype == np.float64
    (vector**2).sum().backward()
    assert (x.grad.dtype, x.grad.tolist(), y.grad.item()) == (np.float32, [2, 4], 6)
    g = mg.grad(lambda theta: (unravel(theta)[0] * unravel(theta)[1]).sum() + unravel(theta)[2])(vector.detach())
    assert g.tolist() == [3, 3, 3, 0]  # an integer has no derivative


# -------------------------------------------------------------------------------------------------- batches
def test_inside_vmap(rng):
    tree = {"W": rng.standard_normal((3, 2)), "b": rng.standard_normal(3)}
    vector, unravel = mg.ravel_tree(tree)
    thetas = rng.standard_normal((4, vector.size))
    f = lambda theta: (mg.tanh(unravel(theta)["W"]).sum(axis=1) * unravel(theta)["b"]).sum()
    for transformation in (lambda f: f, mg.grad, mg.hessian):
        got = mg.vmap(transformation(f))(thetas)
        for theta, y in zip(thetas, got, strict=True):
            np.testing.assert_allclose(y.numpy(), transformation(f)(theta).numpy(), atol=1e-12)
    parts = mg.vmap(unravel)(thetas)
    assert parts["W"].shape == (4, 3, 2)
    back = mg.vmap(lambda W: mg.ravel_tree({"W": W, "b": tree["b"]})[0])(parts["W"])  # b is shared by all
    np.testing.assert_array_equal(back[:, :6].numpy(), thetas[:, :6])
    np.testing.assert_array_equal(back[:, 6:].numpy(), np.tile(tree["b"], (4, 1)))


# -------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize("theta", [np.zeros(4), np.zeros(6), np.zeros((1, 5)), 0.0])
def test_unravel_wants_a_vector_of_its_length(theta):
    _, unravel = mg.ravel_tree([np.zeros((2, 2)), 1.0])
    with pytest.raises(ValueError, match="this tree has 5 entries, but the vector has shape"):
        unravel(theta)


@pytest.mark.parametrize("leaf", ["text", None, 1j, {1, 2}, len])
def test_what_is_no_leaf(leaf):
    with pytest.raises(TypeError, match=f"tensors, arrays and numbers, not a {type(leaf).__name__}"):
        mg.ravel_tree([1.0, leaf])


def test_a_module_inside_a_tree_is_refused():
    with pytest.raises(TypeError, match=r"a module inside a tree \(Linear\).* put dict\(module.named_parameters\(\)\)"):
        mg.ravel_tree([nn.Linear(1, 1)])
    vector, _ = mg.ravel_tree([dict(nn.Linear(1, 1).named_parameters())])
    assert vector.shape == (2,)


def test_parts_on_two_backends_are_refused():
    x, y = mg.Tensor(np.zeros(2)).to("numpy"), mg.Tensor(np.zeros(2)).to("strict")
    with pytest.raises(mg.BackendError, match="is on strict"):
        mg.ravel_tree([x, y])
    with pytest.raises(TypeError, match=r"must share a dtype and a backend; these have .*strict.*\.astype\(dtype\)"):
        check_alike([x.array, y.array], "the parts")
    with pytest.raises(TypeError, match="the parts are kept in one vector"):
        check_alike([np.zeros(1), np.zeros(1, np.float32)], "the parts")
    check_alike([x.array, x.array], "the parts")


# -------------------------------------------------------------------------------------------------- the layout
@given(st.lists(shapes, min_size=1, max_size=4), st.lists(st.integers(0, 3), max_size=2).map(tuple), seeds)
def test_a_layout_splits_what_it_joined(shapes, batch, seed):
    rng = np.random.default_rng(seed)
    layout = Layout(shapes)
    parts = [rng.standard_normal(batch + shape) for shape in shapes]
    joined = layout.join([mg.Tensor(part).array for part in parts], batch)
    assert joined.shape == (*batch, layout.size)
    for part, back in zip(parts, layout.split(joined), strict=True):
        np.testing.assert_array_equal(to_numpy(back), part)
    np.testing.assert_array_equal(layout.offsets, np.cumsum([0, *(int(np.prod(s)) for s in shapes)]))


def test_a_joined_vector_is_new_and_its_parts_are_views():
    for parts in ([np.ones((2, 2))], [np.ones((2, 2)), np.ones(1)]):
        layout = Layout([part.shape for part in parts])
        vector = layout.join(parts)
        assert not any(np.shares_memory(vector, part) for part in parts)
        assert all(np.shares_memory(vector, part) for part in layout.split(vector))


@pytest.mark.parametrize("parts", [[np.ones(2)], [np.ones(2), np.ones(3)], [np.ones(2), np.ones(1), np.ones(0)]])
def test_other_parts_are_not_joined(parts):
    with pytest.raises(ValueError, match="shorter|longer|reshape"):
        Layout([(2,), ()]).join(parts)


@pytest.mark.parametrize("length", [4, 6])
def test_a_vector_of_another_length_is_not_split(length):
    with pytest.raises(ValueError, match=f"have 5 entries, but the vector has {length}"):
        Layout([(2, 2), ()]).split(np.zeros(length))
