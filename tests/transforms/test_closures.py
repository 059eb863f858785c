"""Closure conversion: a recorded function as a program of everything that it read."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.core.graph import mark
from minigrad.transforms.closures import closure_convert, convert, fresh
from tests.transforms.test_autodiff import same

pytestmark = pytest.mark.usefixtures("float64")

UNARY = (mg.sin, mg.tanh, lambda x: x * x, lambda x: x.sum(axis=0), lambda x: x.reshape(-1)[::-1].reshape(x.shape))
BINARY = (
    lambda a, b: a * b,
    lambda a, b: a + 2 * b,
    lambda a, b: mg.tanh(a) @ b.T @ a,
    lambda a, b: mg.where(a > b, a, b * b),
)


def composed(rng, depth, pool):
    """A function of ``x`` that combines it with what is in ``pool``, by the same random choices at every call."""
    choices = rng.integers(0, 2**31, (depth, 4))

    def f(x):
        values = [x, *pool]
        for kind, op, i, j in choices:
            a, b = values[i % len(values)], values[j % len(values)]
            if kind % 2 and a.ndim == b.ndim == 2:
                values.append(BINARY[op % len(BINARY)](a, b))
            elif a.ndim == 2:
                values.append(UNARY[op % len(UNARY)](a))
        return sum((v * v).sum() for v in values[1 + len(pool) :]) + (x * values[1]).sum()

    return f


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_the_program_computes_the_same_and_has_the_same_derivatives(seed, depth):
    rng = np.random.default_rng(seed)
    w = mg.Tensor(0.3 * rng.standard_normal((3, 3)), requires_grad=True)
    constant = mg.Tensor(0.3 * rng.standard_normal((3, 3)))
    earlier = mg.exp(w)  # an intermediate result that the function reads
    x = mg.Tensor(0.3 * rng.standard_normal((3, 3)))
    f = composed(rng, depth, [w, earlier, constant])
    converted, captured = closure_convert(f, x)
    assert all(c.requires_grad for c in captured)
    same(converted(x, *captured), f(x), 0)
    same(mg.grad(converted)(x, *captured), mg.grad(f)(x), 0)
    # by what was captured, through to where it came from
    whole = lambda call: mg.gradients(call(x), w, create_graph=True)
    first, expected = whole(lambda x: converted(x, *captured)), whole(f)
    same(first, expected, 1e-12)
    if first.requires_grad and expected.requires_grad:
        again = lambda g: mg.gradients((g**2).sum(), w, retain_graph=True)
        same(again(first), again(expected), 1e-10)


def test_what_is_inside_and_what_is_captured():
    w, v = mg.tensor(2.0, requires_grad=True), mg.tensor(5.0, requires_grad=True)
    early = mg.exp(w)
    seen = {}

    def f(x):
        seen["hoisted"] = w * v  # from captured tensors alone
        return {"a": x * early + seen["hoisted"], "b": [x, v, early, mg.tensor(7.0)]}

    converted, captured = closure_convert(f, mg.tensor(3.0))
    assert [id(c) for c in captured if c.node is None] == [id(v)]
    assert {c.node for c in captured if c.node} == {early.node, seen["hoisted"].node}
    out = converted(mg.tensor(3.0), *captured)
    assert out["a"].item() == pytest.approx(3 * np.exp(2) + 10)
    assert [b.item() for b in out["b"]] == pytest.approx([3, 5, np.exp(2), 7])


def test_the_whole_call_can_be_inside():
    w = mg.tensor(2.0, requires_grad=True)
    since, x = mark(), fresh(3.0)
    y = x * mg.exp(w)
    assert [c.node.op.name for c in convert([y], [x], since)[1]] == ["exp"]
    program, captured = convert([y], [x], since, whole=True)
    assert len(captured) == 1
    assert captured[0] is w
    assert program([x], captured)[0].item() == y.item()


def test_variables_may_be_results():
    w = mg.tensor(2.0, requires_grad=True)
    since = mark()
    x = mg.exp(w)
    y = w * x * x
    program, captured = convert([y, x], [x], since)
    assert len(captured) == 1
    assert captured[0] is w
    for v in (x, fresh(x)):
        value, same_x = program([v], [w])
        assert same_x is v
        assert mg.gradients(value, v, retain_graph=True).item() == pytest.approx(4 * np.exp(2))
        assert mg.gradients(value, w).item() == pytest.approx((5 if v is x else 1) * np.exp(4))


def test_tensors_that_share_a_node_are_one():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    earlier = w * w
    grad_inside = lambda x: mg.grad(lambda z: (earlier * z**3).sum())(x)  # its rules make tensors of nodes again
    converted, captured = closure_convert(grad_inside, mg.tensor([1.0, 3.0]))
    assert len(captured) == 1
    same(converted(mg.tensor([1.0, 3.0]), *captured), np.array([3.0, 108.0]))
    same(mg.gradients(converted(mg.tensor([1.0, 3.0]), *captured).sum(), w), np.array([6.0, 108.0]))


def test_nested_derivatives_are_part_of_the_program(rng):
    x = mg.Tensor(rng.standard_normal(3))

    def direct(a):
        return lambda x: mg.hessian(lambda z: mg.sin(a @ z).sum())(x) @ mg.grad(lambda z: mg.tanh(a @ z).sum())(x)

    def by_program(a):
        converted, captured = closure_convert(direct(a), x)
        return converted(x, *captured)

    a = rng.standard_normal((3, 3))
    same(by_program(mg.Tensor(a)), direct(mg.Tensor(a))(x), 1e-14)
    same(mg.jacobian(by_program)(a), mg.jacobian(lambda a: direct(a)(x))(a), 1e-12)


@pytest.mark.parametrize("which", ["constant", "captured", "argument"])
def test_what_was_overwritten_is_noticed(which):
    tensors = {"constant": mg.tensor(2.0), "captured": mg.tensor(3.0, requires_grad=True), "argument": mg.tensor(4.0)}
    converted, captured = closure_convert(
        lambda x: x * x * tensors["constant"] * tensors["captured"], tensors["argument"]
    )
    converted(mg.tensor(4.0), *captured)
    with mg.no_grad():
        tensors[which].assign_(5.0)
    with pytest.raises(mg.GraphError, match="was overwritten between the forward and this backward"):
        converted(mg.tensor(4.0), *captured)


def test_a_freed_graph_says_so():
    w = mg.tensor(2.0, requires_grad=True)

    def f(x):
        y = w * x
        y.backward()
        return y

    with pytest.raises(mg.GraphError, match="freed by an earlier backward"):
        closure_convert(f, mg.tensor(1.0))


def test_a_program_keeps_no_intermediate_results():
    alive = []

    def f(x):
        y = mg.exp(x) * 2
        alive.append(weakref.ref(y))
        alive.append(weakref.ref(y.node))
        return y * y

    converted, _ = closure_convert(f, mg.ones(10))
    gc.collect()
    assert [r() for r in alive] == [None, None]
    assert converted(mg.ones(10)).shape == (10,)


def test_a_program_inside_vmap(rng):
    w = mg.Tensor(rng.standard_normal(3), requires_grad=True)

    def f(x):
        converted, captured = closure_convert(lambda z: mg.sin(w * z) * x, x)
        return converted(x, *captured).sum()

    direct = lambda x: (mg.sin(w * x) * x.detach()).sum()
    X = rng.standard_normal((4, 3))
    same(mg.vmap(f)(X), mg.vmap(lambda x: (mg.sin(w * x) * x).sum())(X))
    same(mg.gradients(mg.vmap(f)(X).sum(), w), mg.gradients(mg.vmap(direct)(X).sum(), w))
