"""First-order methods as pure functions of (theta, g, state)."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim import adam_step
from tests import host_only

pytestmark = host_only

METHODS = {
    "SGD": {},
    "SGD with momentum": {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1},
    "SGD, Nesterov's": {"momentum": 0.9, "nesterov": True},
    "Nesterov": {},
    "Adam": {"weight_decay": 0.1},
    "Adam, eps inside": {"eps_inside": True, "bias_correction": False},
    "AdamW": {},
    "AMSGrad": {},
    "AdaFom": {},
    "AdaGrad": {},
    "RMSProp": {},
    "HeavyBall": {},
    "SignSGD": {},
}


def named(name):
    return getattr(optim, name.split(",")[0].split(" ")[0])


def test_every_optimizer_is_here():
    classes = {cls for cls in vars(optim).values() if inspect.isclass(cls) and issubclass(cls, optim.Optimizer)}
    assert classes - {named(name) for name in METHODS} == {optim.Optimizer, optim.IncrementalGradient}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", METHODS)
def test_an_optimizer_is_its_rule_applied_to_parameters(name, dtype):
    """The same numbers, bit for bit, from optimizer.step() and from rule.update on the flat vector."""
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(s).astype(dtype) for s in ((3, 2), (4,), ())]
    parameters = [mg.tensor(p, requires_grad=True) for p in parts]
    optimizer = named(name)(parameters, **METHODS[name])
    rule = named(name).rule(**METHODS[name])
    theta = np.concatenate([p.reshape(-1) for p in parts])
    state = rule.init(theta)
    for k in range(4):
        gradients = [rng.standard_normal(p.shape).astype(dtype) for p in parts]
        for x, g in zip(parameters, gradients, strict=True):
            x.grad = mg.Tensor(g)
        optimizer.step()
        theta, state = rule.update(theta, np.concatenate([g.reshape(-1) for g in gradients]), state)
        assert state.step == k + 1
        np.testing.assert_array_equal(
            np.concatenate([x.numpy().reshape(-1) for x in map(mg.Tensor.detach, parameters)]), theta
        )
    assert set(optimizer.state) == set(state.vectors)
    for key, vector in state.vectors.items():
        np.testing.assert_array_equal(optimizer.state[key], vector)


@pytest.mark.parametrize("name", METHODS)
def test_an_update_changes_nothing_that_it_is_given(name):
    rule = named(name).rule(**METHODS[name])
    theta, g = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    state = rule.init(theta)
    first = rule.update(theta, g, state)
    again = rule.update(theta, g, state)
    np.testing.assert_array_equal(theta, [1.0, -2.0])
    np.testing.assert_array_equal(g, [0.5, 3.0])
    assert state.step == 0
    assert all(not vector.any() for vector in state.vectors.values())
    np.testing.assert_array_equal(first[0], again[0])
    assert (rule.update(theta, g, state, lr=0.0)[0] == theta).all() or "decay" in repr(rule)
    assert repr(rule).startswith(named(name).__name__)


@given(st.integers(0, 10**6), st.floats(0, 0.99), st.floats(0, 0.999), st.floats(1e-4, 1))
def test_fast_adam_is_the_papers(seed, beta1, beta2, lr):
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(5)
    x = mg.tensor(theta, requires_grad=True)
    optimizer = optim.Adam([x], lr=lr, betas=(beta1, beta2), eps=1e-8)
    m = v = np.zeros(5)
    for t in range(1, 6):
        g = rng.standard_normal(5)
        theta, m, v = adam_step(theta, g, m, v, t, lr, beta1, beta2, 1e-8)
        x.grad = mg.Tensor(g)
        optimizer.step()
        np.testing.assert_allclose(x.detach().numpy(), theta, rtol=1e-9, atol=1e-12)


def test_a_rule_has_the_settings_of_its_class_and_checks_them():
    assert optim.RMSProp.rule(alpha=0.5).settings["beta2"] == 0.5
    with pytest.raises(ValueError, match="decay rate"):
        optim.Adam.rule(betas=(1.0, 0.9))
    with pytest.raises(TypeError, match="momentum"):
        optim.Adam.rule(momentum=0.9)


def test_players_have_rules_of_their_own():
    with pytest.raises(ValueError, match="lr has 3 entries for 2 players"):
        optim.minimax(lambda x, y: x * y, 1.0, 1.0, lr=(0.1, 0.2, 0.3))
    result = optim.minimax(lambda x, y: x * y, 1.0, 1.0, "gda", lr=(0.0, 0.5), maxiter=1)
    assert (float(result.x), float(result.y)) == (1.0, 1.5)


def test_what_is_no_vector_is_refused():
    """A list was left unchanged, without a word."""
    rule = optim.SGD.rule(lr=0.1)
    state = rule.init(np.ones(2))
    with pytest.raises(TypeError, match="theta is a list, not an array of floating-point numbers; mg.ravel_tree"):
        rule.update([1.0, 2.0], [1.0, 1.0], state)
    with pytest.raises(TypeError, match="theta is a tensor; an update is a function of arrays"):
        rule.init(mg.ones(2))
    with pytest.raises(TypeError, match="g is an array of int64"):
        rule.update(np.ones(2), np.ones(2, dtype=np.int64), state)
    with pytest.raises(TypeError, match="theta is a dict"):
        rule.init({"w": np.ones(2)})
    with pytest.raises(ValueError, match=r"g has shape \(3,\), and theta \(2,\)"):
        rule.update(np.ones(2), np.ones(3), state)
    adam = optim.Adam.rule()
    with pytest.raises(TypeError, match=r"the state is none of Adam.*begin with state = rule.init"):
        adam.update(np.ones(2), np.ones(2), state)
    with pytest.raises(TypeError, match="begin with state"):
        rule.update(np.ones(2), np.ones(2), None)
    with pytest.raises(ValueError, match="the state belongs to another theta"):
        adam.update(np.ones(2), np.ones(2), adam.init(np.ones(3)))
    with pytest.raises(ValueError, match="lr must not be negative"):
        rule.update(np.ones(2), np.ones(2), state, lr=-1.0)
