"""First-order methods against loops written from their papers, and against the course's tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import MLP

# -------------------------------------------------------------- each method as its paper prints it, in plain NumPy


def sgd(theta, gradients, lr, momentum=0.0, dampening=0.0, nesterov=False):
    b = None
    for g in gradients:
        b = g if b is None else momentum * b + (1 - dampening) * g
        theta = theta - lr * (g + momentum * b if nesterov else b if momentum else g)
    return theta


def adam(theta, gradients, lr, beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, correct=True, inside=False):
    m = v = v_max = np.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        v_max = np.maximum(v_max, v)
        m_hat, v_hat = m, v_max if amsgrad else v
        if correct:
            m_hat, v_hat = m / (1 - beta1**t), v_hat / (1 - beta2**t)
        theta = theta - lr * m_hat / (np.sqrt(v_hat + eps) if inside else np.sqrt(v_hat) + eps)
    return theta


def adagrad(theta, gradients, lr, eps=1e-10):
    G = np.zeros_like(theta)
    for g in gradients:
        G = G + g * g
        theta = theta - lr * g / (np.sqrt(G) + eps)
    return theta


def adafom(theta, gradients, lr, beta1=0.9, eps=1e-8):
    m = G = np.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m, G = beta1 * m + (1 - beta1) * g, G + g * g
        theta = theta - lr * m / (1 - beta1**t) / (np.sqrt(G / t) + eps)
    return theta


def heavy_ball(theta, gradients, lr, beta=0.9):
    m = np.zeros_like(theta)
    for g in gradients:
        m = beta * m + (1 - beta) * g
        theta = theta - lr * m
    return theta


def sign(theta, gradients, lr):
    for g in gradients:
        theta = theta - lr * np.sign(g)
    return theta


def nesterov(y, gradients, lr):
    x = y
    for k, g in enumerate(gradients, 1):
        x_new = y - lr * g
        y, x = x_new + (k - 1) / (k + 2) * (x_new - x), x_new
    return y


METHODS = {
    "SGD": (lambda p: optim.SGD(p, 0.1), lambda x, g: sgd(x, g, 0.1)),
    "momentum": (lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda x, g: sgd(x, g, 0.1, 0.9)),
    "dampened": (lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.4), lambda x, g: sgd(x, g, 0.1, 0.9, 0.4)),
    "Nesterov": (
        lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        lambda x, g: sgd(x, g, 0.1, 0.9, nesterov=True),
    ),
    "HeavyBall": (lambda p: optim.HeavyBall(p, 0.1), lambda x, g: heavy_ball(x, g, 0.1)),
    "Adam": (lambda p: optim.Adam(p, 0.1), lambda x, g: adam(x, g, 0.1)),
    "Adam as in the notes": (
        lambda p: optim.Adam(p, 0.1, bias_correction=False),
        lambda x, g: adam(x, g, 0.1, correct=False),
    ),
    "Adam, eps inside": (
        lambda p: optim.Adam(p, 0.1, eps=0.01, eps_inside=True),
        lambda x, g: adam(x, g, 0.1, eps=0.01, inside=True),
    ),
    "AMSGrad": (lambda p: optim.AMSGrad(p, 0.1), lambda x, g: adam(x, g, 0.1, amsgrad=True)),
    "AdaGrad": (lambda p: optim.AdaGrad(p, 0.1), lambda x, g: adagrad(x, g, 0.1)),
    "RMSProp": (
        lambda p: optim.RMSProp(p, 0.1, alpha=0.9),
        lambda x, g: adam(x, g, 0.1, beta1=0, beta2=0.9, correct=False),
    ),
    "AdaFom": (lambda p: optim.AdaFom(p, 0.1), lambda x, g: adafom(x, g, 0.1)),
    "SignSGD": (lambda p: optim.SignSGD(p, 0.1), lambda x, g: sign(x, g, 0.1)),
    "Nesterov's sequence": (lambda p: optim.Nesterov(p, 0.1, momentum=None), lambda x, g: nesterov(x, g, 0.1)),
}


def test_every_method_is_here():
    classes = {type(make([mg.ones(1, requires_grad=True)])) for make, _ in METHODS.values()} | {optim.AdamW}
    public = [c for c in vars(optim).values() if isinstance(c, type) and issubclass(c, optim.Optimizer)]
    assert set(public) - {optim.Optimizer, optim.IncrementalGradient} == classes


@pytest.mark.parametrize("name", METHODS)
@given(st.integers(0, 10**6))
def test_methods_against_their_papers(name, seed):
    rng = np.random.default_rng(seed)
    make, loop = METHODS[name]
    shapes = [(3, 2), (4,), ()]
    start = [rng.standard_normal(s) for s in shapes]
    steps = [[rng.standard_normal(s) for s in shapes] for _ in range(6)]
    params = [mg.tensor(x, requires_grad=True) for x in start]
    optimizer = make(params)
    for gradients in steps:
        for p, g in zip(params, gradients, strict=True):
            p.grad = mg.Tensor(g)
        optimizer.step()
    for k, p in enumerate(params):
        np.testing.assert_allclose(p.numpy(), loop(start[k], [g[k] for g in steps]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("entry", optim.FAMILY)
def test_the_family_is_one_function(entry, rng):
    """Fig. 9.1, entry by entry and bit for bit: each named method is adaptive_step with its row of the table."""
    settings = {"SGD": {}, "HeavyBall": {"beta1": 0.9}, "SignSGD": {}, "AdaGrad": {"eps": 1e-10}, "RMSProp": {"beta2": 0.99, "eps": 1e-8},
                "Adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}, "AMSGrad": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}, "AdaFom": {"beta1": 0.9, "eps": 1e-8}}  # fmt: skip
    first, second, corrected = optim.FAMILY[entry]
    x = rng.standard_normal(5)
    p = mg.tensor(x, requires_grad=True)
    optimizer = getattr(optim, entry)([p], lr=0.1)
    theta, M, V, V_max = x.copy(), np.zeros(5), np.zeros(5), np.zeros(5)
    for t in range(1, 8):
        g = rng.standard_normal(5)
        p.grad = mg.Tensor(g)
        optimizer.step()
        optim.adaptive_step(
            theta,
            g,
            M if first else None,
            V,
            V_max,
            second=second,
            t=t,
            lr=0.1,
            bias_correction=corrected,
            **settings[entry],
        )
        np.testing.assert_array_equal(p.numpy(), theta)


def run(make, f, x, steps):
    p = mg.tensor(np.asarray(x, float), requires_grad=True)
    optimizer, path = make([p]), []
    for _ in range(steps):
        optimizer.zero_grad()
        f(p).backward()
        optimizer.step()
        path.append(p.numpy().copy())
    return np.array(path)


@pytest.mark.parametrize(("make", "expected"), [  # rows S24, S25, S26: f = (100 w1^2 + w2^2)/2, lr .1, from (1, 1); w1 at t = 1, 2, 3, 10
    (lambda p: optim.AdaGrad(p, 0.1), (0.9, 0.83310353, 0.78045618, 0.55373120)),
    (lambda p: optim.RMSProp(p, 0.1, alpha=0.9), (0.68377223, 0.49887061, 0.36918055, 0.03211708)),
    (lambda p: optim.Adam(p, 0.1), (0.9, 0.80041223, 0.70158627, 0.07624915)),
])  # fmt: skip
def test_trajectories_of_the_course(make, expected):
    scale = mg.tensor(np.array([100.0, 1.0]))
    path = run(make, lambda w: 0.5 * (scale * w * w).sum(), [1, 1], 10)
    np.testing.assert_allclose(path[[0, 1, 2, 9], 0], expected, atol=5e-8)


def test_adam_without_bias_correction_starts_too_fast():
    """Row N142: first steps / lr on a constant gradient are 3.1623, 4.2496, 4.9502; with the correction 1, 1, 1."""
    for correct, expected in ((False, (3.1623, 4.2496, 4.9502)), (True, (1, 1, 1))):
        path = run(lambda p, c=correct: optim.Adam(p, 0.1, eps=0, bias_correction=c), lambda w: w.sum(), [0.0], 3)
        np.testing.assert_allclose(-np.diff(path[:, 0], prepend=0) / 0.1, expected, atol=1e-4)


def test_place_of_eps():
    """R15: at g = eps = 1e-8, outside the root the first step is lr/2, inside it lr * 1e-4."""
    for inside, expected in ((False, 0.5), (True, 1e-4)):
        path = run(lambda p, i=inside: optim.Adam(p, 1.0, eps=1e-8, eps_inside=i), lambda w: (1e-8 * w).sum(), [0.0], 1)
        assert -path[0, 0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("make", "limit"), [
    (lambda p: optim.SignSGD(p, 1.0), 37.3), (lambda p: optim.Adam(p, 1.0, betas=(0, 0.1)), 32.7), (lambda p: optim.Adam(p, 1.0, betas=(0, 0.9)), 2.76),
    (lambda p: optim.AMSGrad(p, 1.0, betas=(0, 0.1)), 0.62), (lambda p: optim.AdaGrad(p, 1.0), 0.132), (lambda p: optim.AdaFom(p, 1.0, beta1=0), 0.138),
    (lambda p: optim.SGD(p, 1.0), 0.060),
])  # fmt: skip
def test_adam_can_diverge_where_sgd_converges(make, limit):
    """Row N144, with a tenth of its steps: 5.5 w^2 once in eleven steps, -w^2/2 otherwise, lr .1/sqrt(t). The sum is convex.

    Expected is the ordering: sign and Adam with small beta2 move away from 0, the others stay within 1.
    """
    p = mg.tensor(np.array([1.0]), requires_grad=True)
    optimizer = make([p])
    schedule = optim.Scheduler(optimizer, lambda k: 0.1 / math.sqrt(k + 1))
    for t in range(5000):
        p.grad = mg.Tensor((11.0 if t % 11 == 0 else -1.0) * p.numpy())
        optimizer.step()
        schedule.step()
    moved_away = abs(p.item()) > 1
    assert moved_away == (limit > 1)


def test_sgd_weight_decay_is_the_gradient_of_half_the_squared_norm(rng):
    x = rng.standard_normal(6)
    f = lambda w: mg.sin(w).sum()
    for make in (
        optim.SGD,
        optim.Adam,
        optim.AdaGrad,
        optim.RMSProp,
        optim.HeavyBall,
        optim.AdaFom,
        optim.AMSGrad,
        optim.SignSGD,
    ):
        with_decay = run(lambda p, m=make: m(p, lr=0.1, weight_decay=0.3), f, x, 5)
        in_the_loss = run(lambda p, m=make: m(p, lr=0.1), lambda w: f(w) + 0.15 * (w * w).sum(), x, 5)
        np.testing.assert_allclose(with_decay, in_the_loss, atol=1e-12)


def test_adamw_decays_the_weights_directly(rng):
    x = rng.standard_normal(4)
    path = run(lambda p: optim.AdamW(p, 0.1, weight_decay=0.5), lambda w: 0 * w.sum(), x, 3)
    np.testing.assert_allclose(path[-1], x * (1 - 0.05) ** 3, atol=1e-12)


def test_heavy_ball_is_polyaks_in_other_units(rng):
    """Row N138: the moving average with lr equals Polyak's form with lr (1 - beta)."""
    x, A = rng.standard_normal(3), rng.standard_normal((3, 3))
    f = lambda w: ((mg.Tensor(A) @ w) ** 2).sum()
    ours = run(lambda p: optim.HeavyBall(p, 0.05, beta=0.8), f, x, 20)
    polyak = run(lambda p: optim.SGD(p, 0.05 * 0.2, momentum=0.8), f, x, 20)
    np.testing.assert_allclose(ours, polyak, rtol=1e-12)


# ------------------------------------------------------------------------------------------------ the flat vector
def test_parameters_become_views_of_one_vector():
    model = MLP((3, 4, 2))
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), 0.1)
    assert all(np.shares_memory(p.data, optimizer.flat.theta) for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_blocks_cover_every_parameter_once(block, monkeypatch, rng):
    """Whatever the block length, and whichever parameters have gradients, the update is the same."""
    monkeypatch.setattr("minigrad.optim.first_order.flat_parameters.BLOCK", block)
    monkeypatch.setattr("minigrad.optim.first_order.optimizer.BLOCK", block)
    shapes = [(3, 2), (1,), (0,), (5,), (2, 2)]
    for absent in [(), (1,), (0, 3), (4,), (1, 2)]:
        params = [mg.tensor(rng.standard_normal(s), requires_grad=True) for s in shapes]
        expected = []
        optimizer = optim.SGD(params, 0.1, momentum=0.9, weight_decay=0.1)
        for i, p in enumerate(params):
            g = None if i in absent else rng.standard_normal(p.shape)
            p.grad = None if g is None else mg.Tensor(g)
            expected.append(p.numpy().copy() if g is None else p.numpy() - 0.1 * (g + 0.1 * p.numpy()))
        optimizer.step()
        for p, e in zip(params, expected, strict=True):
            np.testing.assert_allclose(p.numpy(), e, atol=1e-14)


def test_rebound_parameters_are_followed():
    """Neither a cast, nor assigning .data, nor a second optimizer may leave the first one training a stale copy."""
    model = MLP((2, 3, 1))
    first = optim.Adam(model.parameters(), lr=0.1)

    def step(optimizer):
        x = mg.ones(4, 2).astype(model[0].weight.dtype)
        before = model.state_dict()
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
        return max(abs(model.state_dict()[k] - before[k]).max() for k in before)

    assert step(first) > 0
    model.to(dtype="float64")
    assert step(first) > 0
    assert first.state["first_moment"].dtype == np.float64
    second = optim.SGD(model.parameters(), lr=0.1)
    assert step(second) > 0
    assert step(first) > 0
    assert step(second) > 0
    model[0].weight.data = np.ones((3, 2))
    step(first)
    assert abs(model[0].weight.numpy() - 1).max() < 0.2


def test_a_parameter_that_changed_its_shape_is_refused():
    p = mg.ones(2, requires_grad=True)
    optimizer = optim.Adam([p])
    p.data = np.ones(3, "f")
    p.grad = mg.ones(3)
    with pytest.raises(ValueError, match=r"shape \(2,\) has shape \(3,\) now"):
        optimizer.step()


def test_groups_have_their_own_settings():
    a, b = (mg.ones(2, requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [("b", b)]}], lr=0.1)
    for p in (a, b):
        p.grad = mg.ones(2)
    optimizer.step()
    assert a.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(b.numpy(), 0.9, rtol=1e-6)
    assert "lr=0.5" in repr(optimizer)


def test_step_with_a_closure():
    x = mg.tensor(2.0, requires_grad=True)
    optimizer = optim.SGD([x], lr=0.25)
    x.grad = mg.tensor(100.0)
    loss = optimizer.step(lambda: x * x)
    assert (loss.item(), x.item()) == (4, 1)
    assert not loss.requires_grad


def test_frozen_parameters_stay():
    model = MLP((2, 2, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    model[0].requires_grad_(False)
    frozen = model[0].weight.numpy().copy()
    model(mg.ones(1, 2)).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(model[0].weight.numpy(), frozen)


@pytest.mark.parametrize("name", METHODS)
def test_state_dict_resumes_exactly(name, rng):
    make, _ = METHODS[name]
    x, gradients = rng.standard_normal(5), rng.standard_normal((8, 5))

    def advance(p, optimizer, part):
        for g in gradients[part]:
            p.grad = mg.Tensor(g)
            optimizer.step()

    p = mg.tensor(x, requires_grad=True)
    optimizer = make([p])
    advance(p, optimizer, slice(0, 4))
    saved, at = optimizer.state_dict(), p.numpy().copy()
    advance(p, optimizer, slice(4, 8))
    q = mg.tensor(at, requires_grad=True)
    resumed = make([q])
    resumed.load_state_dict(saved)
    advance(q, resumed, slice(4, 8))
    np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_state_of_another_method_or_model_is_refused():
    a, b = mg.ones(2, requires_grad=True), mg.ones(3, requires_grad=True)
    adam_a = optim.Adam([a])
    a.grad = mg.ones(2)
    adam_a.step()
    with pytest.raises(ValueError, match=r"sizes \[2\].*optimizer has 1 of sizes \[3\]"):
        optim.Adam([b]).load_state_dict(adam_a.state_dict())
    with pytest.raises(ValueError, match="belongs to another method than SGD"):
        optim.SGD([a]).load_state_dict(adam_a.state_dict())


def test_deterministic_to_the_bit():
    def train():
        mg.manual_seed(0)
        model = MLP((4, 8, 3))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        x, t = mg.randn(16, 4), mg.Tensor(np.arange(16) % 3)
        for _ in range(20):
            optimizer.zero_grad()
            mg.cross_entropy(model(x), t).backward()
            optimizer.step()
        return np.concatenate([p.numpy().ravel() for p in model.parameters()])

    np.testing.assert_array_equal(train(), train())


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda x: optim.SGD([], 0.1), ValueError, "no parameters"), (lambda x: optim.SGD([x, x], 0.1), ValueError, "given twice"),
    (lambda x: optim.SGD([x * 2], 0.1), TypeError, "not a leaf"), (lambda x: optim.SGD([mg.arange(3)], 0.1), TypeError, "only floating-point"),
    (lambda x: optim.SGD([1.0], 0.1), TypeError, "not a tensor"), (lambda x: optim.SGD([x], -1), ValueError, "lr must not be negative"),
    (lambda x: optim.SGD([x], 0.1, nesterov=True), ValueError, "needs momentum > 0"), (lambda x: optim.SGD([x], 0.1, momentum=-1), ValueError, "must not be negative"),
    (lambda x: optim.Adam([x], betas=(0.9, 1.0)), ValueError, r"decay rate must lie in \[0, 1\)"), (lambda x: optim.Adam([x], eps=-1), ValueError, "eps"),
    (lambda x: optim.SGD([{"params": [x], "rate": 1}], 0.1), TypeError, "no setting rate"),
    (lambda x: optim.SGD([x, mg.Tensor(np.ones(2), True)], 0.1), TypeError, "share a dtype"),
])  # fmt: skip
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(mg.ones(2, requires_grad=True))


def test_step_without_a_backward_says_so():
    with pytest.raises(mg.GraphError, match="call loss.backward"):
        optim.SGD([mg.ones(1, requires_grad=True)], 0.1).step()


def test_a_network_learns_xor():
    """Row S4: most seeds of a 2-4-1 tanh network learn it."""
    X, y = mg.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), mg.tensor([[0.0], [1], [1], [0]])
    solved = 0
    for seed in range(8):
        mg.manual_seed(seed)
        model = MLP((2, 4, 1), "tanh")
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        for _ in range(400):
            optimizer.step(lambda m=model: nn.functional.binary_cross_entropy_with_logits(m(X), y))
        solved += bool(((model(X) > 0) == (y > 0.5)).all())
    assert solved >= 6
