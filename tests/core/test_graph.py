"""The graph, the walk, the modes: including the defects known from other libraries."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.core.graph import Op


def leaf(*values):
    return mg.Tensor(np.array(values if len(values) > 1 else values[0], float), requires_grad=True)


# ------------------------------------------------------------------------------------------------ the walk
@pytest.mark.parametrize("depth", [3_000, 100_000])
def test_deep_graphs(depth):
    x = leaf(1.0)
    y = x
    for _ in range(depth):
        y = y + 1e-6
    y.backward()
    assert x.grad.item() == 1
    del y  # freeing it must not recurse either


def test_work_per_node_does_not_grow_with_depth():
    """A linear walk, counted in function calls: one that sorts its queue at every push would make 4 times as many."""

    def calls(n):
        y = leaf(1.0)
        for _ in range(n):
            y = y * 1.0
        count = 0

        def profile(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(profile)
        try:
            y.backward()
        finally:
            sys.setprofile(None)
        return count

    assert calls(2_000) < 2.1 * calls(1_000)


def test_a_node_used_often_is_visited_once():
    x = leaf(2.0)
    y = x
    for _ in range(60):
        y = y + y  # 2^60 paths
    y.backward()
    assert x.grad.item() == 2.0**60


def test_graph_is_freed_by_reference_counting():
    gc.disable()
    try:
        x = leaf(1.0)
        y = mg.exp(x) * 2
        node = weakref.ref(y.node)
        assert node() is not None
        del y
        assert node() is None
    finally:
        gc.enable()


def test_interior_gradients_do_not_accumulate():
    """Twice the backward is twice the gradient, and not more."""
    a = leaf(2.0)
    d = (a * a) * 2
    d.backward(retain_graph=True)
    assert a.grad.item() == 8
    d.backward()
    assert a.grad.item() == 16


def test_second_backward_names_the_cure():
    x = leaf(1.0)
    y = mg.exp(x * 2)
    y.backward()
    with pytest.raises(mg.GraphError, match="retain_graph=True"):
        y.backward()


def test_backward_needs_a_scalar_and_a_graph():
    with pytest.raises(mg.GraphError, match=r"starts from a scalar.*shape \(2,\)"):
        (leaf(1.0, 2.0) * 2).backward()
    with pytest.raises(mg.GraphError, match="requires_grad=True"):
        mg.tensor(1.0).backward()
    with pytest.raises(mg.GraphError, match="the gradient has shape"):
        (leaf(1.0, 2.0) * 2).backward(np.ones(3))


def test_using_a_leaf_again_keeps_its_gradient():
    x = leaf(3.0)
    (x * x).backward()
    _ = x * 1.0
    assert x.grad.item() == 6


def test_gradients_share_no_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    ((a + b) * 2).sum().backward()
    a.grad.array[...] = 7
    assert b.grad.tolist() == [2, 2]
    seed = np.ones(2)
    c = leaf(1.0, 2.0)
    c.backward(seed)
    c.grad.array[...] = 7
    assert seed.tolist() == [1, 1]


@pytest.mark.parametrize("create_graph", [False, True])
def test_no_two_gradients_are_one(create_graph):
    """Neither the leaves' nor those of intermediate results nor what the caller gave share memory, or are read-only."""
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    ((a + b) ** 2).sum().backward(create_graph=create_graph)
    seed = mg.tensor([1.0, 1.0])
    c = leaf(1.0, 2.0)
    c.backward(seed, create_graph=create_graph)
    u, v = a * 1.0, b * 1.0
    inner = mg.gradients(((u + v) * 3.0).sum(), [u, v]) if not create_graph else []
    outer = [mg.gradients((a * 1.0).sum(), a)] if not create_graph else []
    found = [a.grad, b.grad, c.grad, seed, *inner, *outer]
    for i, x in enumerate(found):
        assert x.data.flags.writeable
        assert not any(np.shares_memory(x.data, y.data) for y in found[:i])


def test_only_paths_to_the_wanted_are_walked():
    calls = []
    spy = Op("spy", lambda x: x * 1, lambda g, y, x: calls.append(1) or g)
    x, w = leaf(1.0), leaf(2.0)
    y = spy(x) * w
    assert mg.gradients(y, w).item() == 1
    assert calls == []


def test_gradients_by_intermediate_results_and_their_own_gradients():
    x = leaf(3.0)
    y = x * x
    z = y * y
    assert mg.gradients(z, [x, y, z], retain_graph=True)[1].item() == 18
    slope = mg.gradients(z, y, create_graph=True)
    assert mg.gradients(slope, y).item() == 2, "keyed by node, not by tensor: the walk rebuilds y"


def test_gradient_of_what_does_not_depend_is_zero():
    x, w = leaf(1.0, 2.0), leaf(3.0)
    assert mg.gradients((x * 2).sum(), [x, w])[1].item() == 0
    with pytest.raises(mg.GraphError, match="input 0 does not require"):
        mg.gradients(x.sum(), mg.tensor(1.0))


def test_rules_with_a_bug_are_named():
    wrong = Op("wrong", lambda x: x * 2, lambda g, y, x: np.ones(5))
    with pytest.raises(
        mg.GraphError, match=r"the rule of wrong returned a cotangent of shape \(5,\) for an argument of shape \(2,\)"
    ):
        wrong(leaf(1.0, 2.0)).sum().backward()


@given(
    st.sampled_from([((3,), (2, 3)), ((1, 3), (2, 1)), ((), (2, 2)), ((2, 1, 3), (4, 1)), ((1,), (3,)), ((0,), (1,))])
)
def test_broadcasting_is_undone_once_for_all(shapes):
    """Every pattern: the gradient has the argument's shape and sums over what was stretched."""
    a, b = (mg.ones(*shape, requires_grad=True) for shape in shapes)
    y = a * b
    y.sum().backward()
    assert a.grad.shape == a.shape
    assert b.grad.shape == b.shape
    assert float(a.grad.sum()) == y.size == float(b.grad.sum())


def test_gradients_have_the_dtype_of_their_tensor():
    x = mg.Tensor(np.ones(2, np.float32), requires_grad=True)
    (x * mg.Tensor(np.arange(2.0))).sum().backward()
    assert x.grad.dtype == np.float32
    (x.astype("float64") * 2.0).sum().backward()
    assert x.grad.dtype == np.float32


# -------------------------------------------------------------------------------------------- stale values
def test_an_update_between_forward_and_backward_is_an_error():
    """Three of four libraries tried return -19 for a gradient of 1."""
    W = leaf(1.0)
    loss = (W * W) * 0.5
    W.assign_(W.numpy() - 10)
    with pytest.raises(
        mg.GraphError, match=r"argument \d of multiply.*overwritten between the forward and this backward"
    ):
        loss.backward()


@pytest.mark.parametrize("write", [
    lambda x: x.assign_(x.numpy() * 2),
    lambda x: setattr(x, "data", x.data * 2),
    lambda x: x.detach().assign_(x.numpy() * 2),
    lambda x: x.detach().reshape(-1).assign_(x.numpy().ravel() * 2),
    lambda x: x.detach()[0].assign_(5.0),
])  # fmt: skip
def test_every_way_of_writing_is_noticed(write):
    x = leaf(1.0, 2.0)
    loss = (x * x).sum()
    write(x)
    with pytest.raises(mg.GraphError, match="overwritten"):
        loss.backward()


def test_in_place_arithmetic_through_data_is_noticed():
    x = leaf(1.0, 2.0)
    loss = (x * x).sum()
    x.data -= 0.5
    assert x.tolist() == [0.5, 1.5]
    with pytest.raises(mg.GraphError, match="overwritten"):
        loss.backward()


def test_overwriting_a_result_that_its_own_rule_needs_is_noticed():
    """The rule of exp reads its output."""
    y = mg.exp(leaf(1.0, 2.0))
    y.detach().assign_([0.0, 0.0])
    with pytest.raises(mg.GraphError, match="the result of exp, .*overwritten"):
        y.backward(np.ones(2))


def test_item_assignment():
    x = leaf(1.0, 2.0)
    with pytest.raises(mg.GraphError, match="item assignment is not differentiable"):
        x[0] = 3.0
    with mg.no_grad():
        x[0] = 3.0
    assert x.tolist() == [3, 2]
    loss = (x * x).sum()
    with mg.no_grad():
        x[0] = 3.0
    with pytest.raises(mg.GraphError, match="overwritten"):
        loss.backward()


def test_the_bug_of_gan_loops_is_caught():
    """The generator's loss must not run back through a discriminator that was updated since."""
    mg.manual_seed(0)
    D, G = mg.nn.Linear(2, 1), mg.nn.Linear(1, 2)
    step_D = optim.SGD(D.parameters(), lr=0.1)
    score = D(G(mg.randn(4, 1)))
    score.mean().backward(retain_graph=True)
    step_D.step()
    with pytest.raises(mg.GraphError, match="of linear.*overwritten"):
        (-score.mean()).backward()


def test_results_of_operations_cannot_be_overwritten():
    y = leaf(1.0) * 2
    with pytest.raises(mg.GraphError, match="result of multiply"):
        y.assign_(3.0)
    with pytest.raises(mg.GraphError, match="item assignment"):
        (leaf(1.0, 2.0) * 2)[0] = 1.0


# --------------------------------------------------------------------------------------------------- modes
def test_no_grad_and_enable_grad():
    x = leaf(1.0)
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
    assert mg.is_grad_enabled()


def test_no_grad_as_a_decorator():
    @mg.no_grad()
    def f(x):
        return x * 2

    assert not f(leaf(1.0)).requires_grad
    assert not f(leaf(1.0)).requires_grad


def test_modes_survive_exceptions():
    for context in (mg.no_grad, mg.detect_anomaly, lambda: mg.use("numpy")):
        with pytest.raises(ZeroDivisionError), context():
            raise ZeroDivisionError
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            mg.grad(lambda x: 1 / 0)(1.0)
    assert mg.is_grad_enabled()
    assert not mg.tensor(1.0).requires_grad


def test_modes_belong_to_their_thread():
    seen = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_anomaly_in_the_forward_names_the_operation_and_the_line():
    x = leaf(-1.0)
    with mg.detect_anomaly(), np.errstate(invalid="ignore"), pytest.raises(mg.NonFiniteError) as caught:
        mg.log(x)  # the line that is to blame
    assert "forward of log produced a NaN" in str(caught.value)
    assert "test_graph.py" in str(caught.value)
    assert "the line that is to blame" in str(caught.value)


def test_anomaly_in_the_backward_names_the_operation_and_the_line():
    x = leaf(0.0)
    with mg.detect_anomaly(), np.errstate(divide="ignore"):
        y = mg.sqrt(x)  # the slope at 0 is infinite
        with pytest.raises(
            mg.NonFiniteError, match="backward of sqrt produced an infinity.*the slope at 0 is infinite"
        ):
            y.backward()


def test_anomaly_inside_a_layer_blames_the_line_outside_the_library():
    layer = mg.nn.Linear(2, 2)
    layer.weight.assign_(np.full((2, 2), np.nan))
    with mg.detect_anomaly(), pytest.raises(mg.NonFiniteError, match="forward of linear.*layer.mg.ones"):
        layer(mg.ones(1, 2))


def test_a_nan_loss_is_an_error():
    x = leaf(0.0)
    with np.errstate(invalid="ignore"):
        loss = x / x
    with pytest.raises(mg.NonFiniteError, match="the loss is NaN.*detect_anomaly"):
        loss.backward()


# ------------------------------------------------------------------------------------------- higher orders
def test_third_derivative_of_the_sine():
    x = leaf(0.7)
    y = mg.sin(x)
    for _ in range(3):
        y = mg.gradients(y, x, create_graph=True)
    assert y.item() == pytest.approx(-np.cos(0.7), abs=1e-14)


def test_backward_with_create_graph():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert x.grad.item() == 12


def test_gradient_penalty_reaches_the_weights():
    """d/dw (d/dx w x^2)^2 with x = 3: (2 w x)^2 -> 8 w x^2 = 72 w."""
    w, x = leaf(2.0), leaf(3.0)
    slope = mg.gradients(w * x * x, x, create_graph=True)
    (slope * slope).backward()
    assert w.grad.item() == 144


def test_training_memory_does_not_grow():
    """Live objects stay level over training steps: nothing keeps old graphs."""
    model = mg.nn.Sequential(mg.nn.Linear(4, 8), mg.nn.Tanh(), mg.nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters())
    x = mg.randn(16, 4)

    def step():
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()

    for _ in range(5):
        step()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        step()
    gc.collect()
    assert len(gc.get_objects()) - before < 50
