"""Gradient steps: clipping, a step of one's own, their order, and what they must not do."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import data, nn, optim
from minigrad.nn import functional as F
from minigrad.train import ClipNorm, ClipValue, fit
from tests.train import line, same, weights

GRADIENTS = st.lists(st.one_of(st.none(), st.lists(st.floats(-10, 10), min_size=1, max_size=4)), min_size=1, max_size=4)


def with_gradients(gradients):
    """Parameters that have these gradients; None for one that has none."""
    parameters = []
    for g in gradients:
        x = mg.zeros(1 if g is None else len(g), dtype="float64", requires_grad=True)
        if g is not None:
            x.grad = mg.tensor(g, dtype="float64")
        parameters.append(x)
    return parameters


def together(parameters):
    return np.concatenate([np.zeros(0), *(x.grad.numpy() for x in parameters if x.grad is not None)])


@given(GRADIENTS, st.floats(0.01, 20), st.sampled_from([1.0, 2.0, math.inf]))
def test_clipping_the_norm_keeps_the_direction(gradients, largest, norm_type):
    parameters = with_gradients(gradients)
    before = together(parameters)
    assert ClipNorm(largest, norm_type)(parameters) is None
    after, norm = together(parameters), np.linalg.norm(before, norm_type) if before.size else 0.0
    np.testing.assert_allclose(after, before * min(1.0, largest / norm) if norm else before, rtol=1e-12)
    assert [x.grad is None for x in parameters] == [g is None for g in gradients]


@given(GRADIENTS, st.floats(0.01, 20))
def test_clipping_values(gradients, largest):
    parameters = with_gradients(gradients)
    before = together(parameters)
    assert ClipValue(largest)(parameters) is None
    np.testing.assert_array_equal(together(parameters), before.clip(-largest, largest))


def test_steps_of_the_settings_are_equal_by_value():
    assert ClipNorm(1.0) == ClipNorm(1.0, 2.0) != ClipNorm(2.0)
    assert repr(ClipValue(0.5)) == "ClipValue(clip_value=0.5)"
    assert len({ClipNorm(1.0), ClipNorm(1.0), ClipValue(1.0)}) == 2


def test_each_is_called_in_order_between_backward_and_step():
    seen, model = [], nn.Sequential(nn.Linear(1, 1, dtype="float64"), nn.Linear(1, 1, dtype="float64"))
    model[0].requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), 0.1)
    start = weights(model)

    def first(parameters):
        assert [x is y for x, y in zip(parameters, optimizer.parameters, strict=True)] == [True] * 4
        assert [x.grad is None for x in parameters] == [True, True, False, False]
        assert not mg.is_grad_enabled()
        if not seen:
            same(weights(model), start)
        seen.append("first")
        for x in parameters[2:]:
            x.grad = mg.ones_like(x)  # a new tensor will do as well

    def second(parameters):
        seen.append("second")
        assert all((x.grad.numpy() == 1).all() for x in parameters[2:])
        return 1.0  # a norm, say: nobody looks at it

    line(1, model=model, optimizer=optimizer, gradient_steps=[first, second])
    assert seen == ["first", "second"] * 2
    np.testing.assert_allclose(model[1].weight.numpy(), start["1.weight"] - 2 * 0.1)


def test_one_step_needs_no_list():
    results = []
    for steps in (ClipNorm(0.1), [ClipNorm(0.1)], (step for step in [ClipNorm(0.1)])):
        mg.manual_seed(0)
        model = nn.Linear(1, 1, dtype="float64")
        line(3, model=model, gradient_steps=steps)
        results.append(weights(model))
    same(results[0], results[1])
    same(results[0], results[2])


def test_their_order_matters():
    results = []
    for steps in ([ClipValue(0.1), ClipNorm(0.05)], [ClipNorm(0.05), ClipValue(0.1)]):
        mg.manual_seed(0)
        model = nn.Linear(1, 1, dtype="float64")
        line(3, model=model, gradient_steps=steps)
        results.append(model.weight.item())
    assert results[0] != results[1]


def test_averaging_over_several_runs_is_one_more_step():
    """Two halves of each batch in two threads, averaged: the whole batch in one."""
    x = np.random.default_rng(0).standard_normal((32, 3))
    y = x @ [[1.0], [2.0], [3.0]]
    posted, both = {}, threading.Barrier(2, timeout=30)

    def average(me):
        def step(parameters):
            posted[me] = [p.grad.array.copy() for p in parameters]
            both.wait()
            for p, mine, theirs in zip(parameters, posted[0], posted[1], strict=True):
                p.grad.assign_((mine + theirs) / 2)
            both.wait()

        return step

    models = [nn.Linear(3, 1, dtype="float64") for _ in range(3)]
    for model in models[1:]:
        model.load_state_dict(models[0].state_dict())
    optimizers = [optim.Adam(model.parameters(), 0.1) for model in models]
    batches = [data.DataLoader((x, y), 8)]
    batches += [data.DataLoader((x.reshape(4, 2, 4, 3)[:, k].reshape(16, 3), y.reshape(4, 2, 4, 1)[:, k].reshape(16, 1)), 4)
                for k in range(2)]  # fmt: skip
    fit(models[0], F.mse_loss, batches[0], optimizers[0], 3, gradient_steps=[ClipNorm(1.0)])
    threads = [
        threading.Thread(
            target=fit,
            args=(models[k + 1], F.mse_loss, batches[k + 1], optimizers[k + 1], 3),
            kwargs={"gradient_steps": [average(k), ClipNorm(1.0)]},
        )
        for k in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(weights(models[1]), weights(models[2]))
    for name, value in weights(models[0]).items():
        np.testing.assert_allclose(models[1].state_dict()[name], value, rtol=1e-9)


def lazily(parameters):
    yield from parameters


@pytest.mark.parametrize(
    "step",
    [lambda parameters: [x.grad for x in parameters], lambda parameters: parameters[0].grad, lazily],
    ids=["list", "tensor", "generator"],
)
def test_what_is_returned_would_be_lost(step):
    with pytest.raises(TypeError, match="returned a .*which would be lost. It is to change the gradients in place"):
        line(gradient_steps=[step])


def test_the_function_of_optim_is_a_step():
    results = []
    for step in (ClipNorm(0.1), lambda parameters: optim.clip_grad_norm_(parameters, 0.1)):
        mg.manual_seed(0)
        model = nn.Linear(1, 1, dtype="float64")
        line(2, model=model, gradient_steps=step)
        results.append(weights(model))
    same(*results)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: ClipNorm(0.0), ValueError, "ClipNorm: max_norm must be positive, but is 0.0; to clip nothing, leave it"),
        (lambda: ClipNorm(math.nan), ValueError, "max_norm must be positive, but is nan"),
        (lambda: ClipValue(-1), ValueError, "ClipValue: clip_value must be positive, but is -1"),
        (lambda: line(gradient_steps=[ClipNorm]), TypeError, r"holds the class ClipNorm; give one .*ClipNorm\(\.\.\.\)"),
        (lambda: line(gradient_steps=[1.0]), TypeError, "gradient_steps= takes a function or a list.*1.0 is none"),
        (lambda: line(gradient_steps=None), TypeError, "gradient_steps= takes a function or a list.*None is none"),
    ],
)  # fmt: skip
def test_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_gradients_that_are_not_finite():
    def spoil(parameters):
        parameters[0].grad.assign_(np.full(parameters[0].shape, np.nan))

    with pytest.raises(mg.NonFiniteError, match="gradients have norm nan"):
        line(gradient_steps=[spoil, ClipNorm(1.0)])
