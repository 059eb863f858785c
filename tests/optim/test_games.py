"""Games: fields, rates on bilinear games against theory, stability limits, players of different kinds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim.problems.minimax import Minimax
from minigrad.optim.problems.variables import Variables
from tests import host_only

pytestmark = host_only  # numbers in NumPy arrays; test_methods.py runs every method on the device
seeds = st.integers(0, 10_000)


def bilinear(A):
    return lambda x, y: x @ A @ y


def run(method, A, lr, steps, **options):
    n = len(A)
    rng = np.random.default_rng(1)
    return optim.minimax(
        bilinear(A), rng.standard_normal(n), rng.standard_normal(n), method, lr=lr, maxiter=steps, tol=0.0, **options
    )


def factor(result, last=None):
    """The growth of |z| per step: on a bilinear game |F| is as good as |z|, and both are exact."""
    e = result.history["optimality"]
    last = last or len(e) // 4
    return (e[-1] / e[-1 - last]) ** (1 / last)


@given(seeds)
def test_the_field_is_both_players_gradients(seed):
    rng = np.random.default_rng(seed)
    x, y, B = rng.standard_normal(3), rng.standard_normal(2), rng.standard_normal((3, 2))
    payoff = lambda x, y: (x**2).sum() + mg.tanh(x @ B @ y) - (y**4).sum()
    problem = Minimax(payoff, Variables(x, y))
    point = problem.at(problem.variables.read())
    gx, gy = mg.grad(payoff, (0, 1))(mg.Tensor(x), mg.Tensor(y))
    np.testing.assert_allclose(point.field, np.concatenate([gx.numpy(), -gy.numpy()]))
    # the transposed Jacobian of the field times a vector, by finite differences of <F, v>
    v, eps = rng.standard_normal(5), 1e-6
    numeric = [
        (problem.at(point.theta + eps * e).field @ v - problem.at(point.theta - eps * e).field @ v) / (2 * eps) for e in np.eye(5)
    ]  # fmt: skip
    np.testing.assert_allclose(point.curvature(v), numeric, atol=1e-6)
    both = Minimax(lambda x, y: (payoff(x, y), -payoff(x, y)), Variables(x, y))
    np.testing.assert_allclose(both.at(point.theta).field, point.field)
    for game in (problem, both):
        for known in (False, True):
            here = game.at(point.theta)
            if known:
                _ = here.field
            np.testing.assert_allclose(here.field_of(0), [*point.field[:3], 0, 0])
            np.testing.assert_allclose(here.field_of(1), [0, 0, 0, *point.field[3:]])
    np.testing.assert_allclose(both.at(point.theta).curvature(v), numeric, atol=1e-6)


@pytest.mark.parametrize(("eta", "s"), [(0.1, 1.0), (0.5, 0.7), (1.0, 2.0)])
def test_gda_grows_at_its_rate(eta, s):
    assert factor(run("gda", np.array([[s]]), eta, 200)) == pytest.approx(np.sqrt(1 + eta**2 * s**2), abs=1e-10)


@pytest.mark.parametrize("eta", [0.1, 0.3, 0.45])
@pytest.mark.parametrize("s", [0.3, 1.0])
def test_extragradient_and_ogda_contract_at_theirs(eta, s):
    """EG: |1 - i eta s - eta^2 s^2|; OGDA: the larger root of r^2 - (1 - 2 i eta s) r - i eta s."""
    a = eta * s
    assert factor(run("extragradient", np.array([[s]]), eta, 400)) == pytest.approx(np.hypot(1 - a * a, a), abs=1e-10)
    roots = np.roots([1, -(1 - 2j * a), -1j * a])
    assert factor(run("ogda", np.array([[s]]), eta, 400)) == pytest.approx(np.abs(roots).max(), abs=1e-6)


@pytest.mark.parametrize(
    ("method", "inside", "outside"), [("ogda", 0.99 / np.sqrt(3), 1.01 / np.sqrt(3)), ("extragradient", 0.99, 1.01)]
)
def test_stability_limits(method, inside, outside):
    """Row R14: OGDA is stable for eta s < 1/sqrt(3), extragradient for eta s < 1."""
    assert factor(run(method, np.eye(1), inside, 2000)) < 1
    assert factor(run(method, np.eye(1), outside, 2000)) > 1


def test_alternating_gda_circles_and_its_average_converges():
    result = run("gda", np.eye(1), 0.5, 4000, order="alternating", keep_x=True)
    lengths = np.linalg.norm(result.history["x"], axis=1)
    assert lengths.max() < 3 * lengths[0]
    assert lengths.min() > lengths[0] / 3
    assert np.linalg.norm(result.history["x"].mean(axis=0)) < 1e-3


def test_alternating_means_that_y_sees_where_x_has_gone():
    payoff = lambda x, y: (x * y).sum() + 0.5 * (x**2).sum() - (y**2).sum()
    x, y = 1.0, 2.0
    result = optim.minimax(payoff, [x], [y], "gda", lr=(0.1, 0.2), order="alternating", maxiter=3)
    for _ in range(3):
        x -= 0.1 * (y + x)
        y += 0.2 * (x - 2 * y)
    assert (result.x[0], result.y[0]) == (pytest.approx(x), pytest.approx(y))


def test_best_response_and_consensus_by_hand():
    payoff = lambda x, y: (x * y).sum()
    x, y = 1.0, 0.1
    box = optim.Box(-1, 1)
    result = optim.minimax(
        payoff, [x], [y], "best-response", lr=0.2, inner=3, constraints=(None, box), maxiter=2, tol=0.0
    )
    for _ in range(2):
        for _ in range(3):
            y = min(1.0, y + 0.2 * x)
        x -= 0.2 * y
    assert (result.x[0], result.y[0]) == (pytest.approx(x), pytest.approx(y))
    result = optim.minimax(payoff, [1.0], [0.5], "consensus", lr=0.1, gamma=2.0, maxiter=1, tol=0.0)
    # F = (y, -x), grad |F|^2/2 = (x, y)
    assert result.x[0] == pytest.approx(1 - 0.1 * (0.5 + 2 * 1))
    assert result.y[0] == pytest.approx(0.5 - 0.1 * (-1 + 2 * 0.5))


def test_optimistic_adam_is_two_steps_of_adam_less_the_last():
    payoff = lambda x, y: (x * y).sum() + 0.1 * (x**2).sum()
    result = optim.minimax(payoff, [1.0], [0.5], "optimistic-adam", lr=0.1, maxiter=5, keep_x=True, tol=0.0)
    z, m, v, last = np.array([1.0, 0.5]), 0.0, 0.0, None
    for t in range(1, 6):
        F = np.array([z[1] + 0.2 * z[0], -z[0]])
        m, v = 0.9 * m + 0.1 * F, 0.999 * v + 0.001 * F * F
        step = -0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        z, last = z + 2 * step - (step if last is None else last), step
        np.testing.assert_allclose(result.history["x"][t], z, rtol=1e-9)


def test_two_modules_play():
    mg.manual_seed(0)
    generator, critic = nn.Linear(1, 1), nn.Linear(1, 1, bias=False)
    noise, data = mg.randn(64, 1), mg.randn(64, 1) + 2.0

    def payoff(g, c):
        return c(data).mean() - c(g(noise)).mean() - 0.5 * (c.weight**2).sum()

    result = optim.minimax(payoff, generator, critic, "extragradient", lr=0.3, maxiter=600)
    assert result.x is generator
    assert result.y is critic
    assert abs(float(generator(noise).mean()) - float(data.mean())) < 1e-2
    by_class = optim.ExtraGradient(generator.parameters(), critic.parameters(), lr=0.1)
    value = by_class.step(lambda: payoff(generator, critic))
    assert np.isfinite(value.item())


def test_a_pair_of_losses_need_not_sum_to_zero():
    losses = lambda x, y: (((x - 1) ** 2).sum() + 0.1 * (x * y).sum(), ((y + 2) ** 2).sum() - 0.3 * (x * y).sum())
    result = optim.minimax(losses, [0.0], [0.0], "gda", lr=0.1)
    x, y = result.x[0], result.y[0]
    assert result.success
    assert 2 * (x - 1) + 0.1 * y == pytest.approx(0, abs=1e-7)
    assert 2 * (y + 2) - 0.3 * x == pytest.approx(0, abs=1e-7)


def test_any_rule_plays():
    for rule in (optim.SGD, optim.Adam, optim.RMSProp, optim.SignSGD):
        result = optim.minimax(
            lambda x, y: 0.5 * (x * x).sum() + (x * y).sum() - 0.5 * (y * y).sum(), [1.0], [1.0], "gda",
            lr=0.05, rule=rule, maxiter=300, schedule=optim.schedules.diminishing(0.5)
        )  # fmt: skip
        assert result.optimality < 0.5
    with pytest.raises(ValueError, match="momentum and weight_decay must not be negative"):
        optim.minimax(bilinear(np.eye(1)), [1.0], [1.0], "gda", momentum=-1)


def test_extragradient_looks_ahead_with_the_step_it_takes():
    """Also under a schedule: the look ahead is as long as the step that follows it, from the first on."""
    rates = [0.4 * (k + 1) ** -0.5 for k in range(4)]
    result = optim.minimax(
        bilinear(np.eye(1)), [1.0], [0.5], "extragradient", lr=0.4, schedule=optim.schedules.diminishing(0.5),
        maxiter=4, keep_x=True, tol=0.0,
    )  # fmt: skip
    z = np.array([1.0, 0.5])
    field = lambda z: np.array([z[1], -z[0]])
    for k, eta in enumerate(rates):
        z = z - eta * field(z - eta * field(z))
        np.testing.assert_allclose(result.history["x"][k + 1], z, rtol=1e-12)
    slow = lambda k: 0.1
    first = optim.minimax(
        bilinear(np.eye(1)), [1.0], [0.5], "extragradient", lr=1.0, schedule=slow, maxiter=1, tol=0.0
    )  # a factor that is not 1 at the start
    z = np.array([1.0, 0.5])
    z = z - 0.1 * field(z - 0.1 * field(z))
    assert (first.x[0], first.y[0]) == (pytest.approx(z[0]), pytest.approx(z[1]))
