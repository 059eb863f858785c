"""The one way in: operations as functions, and their derivatives as text."""

import inspect
import pydoc

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.formulas import derivative_table, formulas
from minigrad.core.table import NUMPY, TABLE, primitive
from tests import host_only

PRIMITIVES = {name: f for name, f in TABLE.items() if hasattr(f, "op")}


def test_an_operation_is_a_function():
    assert str(inspect.signature(mg.clip)).replace("'", "") == "(x: Any, min: Any = None, max: Any = None) -> Any"
    assert mg.clip.__name__ == mg.clip.__qualname__ == "clip"
    assert mg.clip.__module__ == "minigrad.ops.choices"
    text = pydoc.render_doc(mg.sum, renderer=pydoc.plaintext)
    assert "sum(x" in text
    assert "keepdims" in text
    assert NUMPY[np.clip] is mg.clip


def test_an_argument_given_by_name_is_an_argument():
    x, low = mg.tensor([0.0, 2.0], requires_grad=True), mg.tensor(1.0, requires_grad=True)
    assert [g.tolist() for g in mg.gradients(mg.clip(x, min=low).sum(), [x, low])] == [[0, 1], 1]
    assert mg.gradients(mg.clip(max=None, x=x, min=low).sum(), low).item() == 1
    assert mg.gradients(mg.multiply(b=x, a=x).sum(), x).tolist() == [0, 4]
    assert mg.sum(x=x, axis=0).requires_grad
    assert mg.greater(a=x, b=low).tolist() == [False, True]
    labels = mg.tensor([1])
    z = mg.tensor([[0.0, 1.0]], requires_grad=True)
    loss = TABLE["softmax_cross_entropy"](z, t=labels)
    assert mg.gradients(loss.sum(), z).shape == (1, 2)
    assert TABLE["normalize"](mg.tensor([[1.0, 3.0]]), bias=low, axes=(1,), eps=0).requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: mg.tanh(x, x), r"tanh takes \(x\), not 2 arguments"),
        (lambda x: mg.tanh(x, out=x), r"tanh takes \(x\), not out"),
        (lambda x: mg.clip(x, minimum=0), r"clip takes \(x, min, max\), not minimum"),
        (lambda x: mg.tanh(), "tanh"),
        (lambda x: mg.add(x), "add"),
        (lambda x: mg.add(b=x), r"add takes \(a, b\): missing a required argument: 'a'"),
        (lambda x: mg.concatenate([x], axes=0), r"concatenate takes \(arrays, axis\), not axes"),
    ],
)
def test_calls_that_do_not_fit_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(mg.ones(2))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, s: mg.leaky_relu(x, s),
        lambda x, s: mg.leaky_relu(x, negative_slope=s),
        lambda x, s: mg.elu(x, alpha=s),
        lambda x, s: mg.softplus(x, beta=s),
        lambda x, s: mg.pad(x, 1, constant_values=s),
        lambda x, s: mg.sum(x, axis=s),
        lambda x, s: mg.cross_entropy(mg.reshape(x, (1, 2)), [1], label_smoothing=s),
    ],
)
def test_a_tensor_as_an_option_is_refused(call):
    """Its gradient would silently be zero, and nobody would notice that it was overwritten."""
    x, s = mg.tensor([-1.0, 2.0], requires_grad=True), mg.tensor(0.5, requires_grad=True)
    with pytest.raises(TypeError, match="option"):
        call(x, s)


def test_an_operation_of_ones_own_takes_no_keywords_on_a_ufunc():
    with pytest.raises(TypeError, match=r"mine: keyword arguments \['where'\] are not supported on tensors"):
        mg.Op("mine", np.exp, lambda g, y, x: g * y)(mg.ones(2), where=True)


def test_every_rule_is_in_the_table_of_derivatives():
    table = derivative_table()
    assert {name for name, f in PRIMITIVES.items() if f.op.differentiable} == table.keys()
    for name, found in table.items():
        rules = primitive(TABLE[name]).rules
        if isinstance(rules, list) and rules:
            assert len(found) == sum(rule is not None for rule in rules), name
    assert formulas(mg.softmax) == {"x": "y * (g - row_totals(g * y, axis))"}
    assert formulas(mg.where).keys() == {"a", "b"}
    assert formulas(mg.var) == {}


@host_only
@pytest.mark.parametrize(
    "name", [name for name, f in PRIMITIVES.items() if isinstance(f.op.forward, np.ufunc) and f.op.rules]
)
def test_a_formula_is_what_its_rule_computes(name):
    """The text, evaluated, equals the derivative that the engine uses."""
    function, rng = TABLE[name], np.random.default_rng(0)
    entry = primitive(function)
    xs = [
        1.1 + 0.2 * rng.random(5) if name == "arccosh" else 0.2 + 0.6 * rng.random(5) for _ in range(entry.forward.nin)
    ]
    y, g = entry.forward(*xs), rng.standard_normal(5)
    texts = formulas(function)
    scope = {**vars(inspect.getmodule(inspect.unwrap(function))), "g": g, "y": y}
    scope |= dict(zip(inspect.signature(function).parameters, xs, strict=True))
    for text, rule in zip(texts.values(), entry.rules, strict=True):
        np.testing.assert_array_equal(eval(text, scope), rule(g, y, *xs))
