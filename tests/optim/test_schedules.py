"""Step-size schedules and gradient clipping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim import schedules


def test_values():
    assert [schedules.constant()(k) for k in (0, 9)] == [1, 1]
    assert [schedules.step(2, 0.5)(k) for k in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert [schedules.exponential(0.5)(k) for k in range(3)] == [1, 0.5, 0.25]
    assert schedules.diminishing(0.5, c=2)(3) == 1
    np.testing.assert_allclose(
        [schedules.cosine(4)(k) for k in range(6)], [1, 0.853553, 0.5, 0.146447, 0, 0], atol=1e-6
    )
    assert schedules.cosine(4, floor=0.1)(100) == pytest.approx(0.1)
    restarts = schedules.warm_restarts(2, multiplier=2)
    np.testing.assert_allclose([restarts(k) for k in range(7)], [1, 0.5, 1, 0.853553, 0.5, 0.146447, 1], atol=1e-6)
    assert [schedules.warm_up(4, then=schedules.step(1, 0.5))(k) for k in range(7)] == [
        0.25,
        0.5,
        0.75,
        1,
        1,
        0.5,
        0.25,
    ]


@given(st.floats(0.01, 1.0))
def test_diminishing_steps_sum_to_infinity(power):
    """The sum of 1/(k+1)^p exceeds log n for p <= 1."""
    n = 1000
    assert sum(schedules.diminishing(power)(k) for k in range(n)) >= np.log(n)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: schedules.diminishing(1.5), "sum to a finite distance"), (lambda: schedules.diminishing(0), "do not vanish"),
    (lambda: schedules.cosine(0), "total must be positive"), (lambda: schedules.step(0), "size must be positive"),
    (lambda: schedules.exponential(-1), "gamma must be positive"),
])  # fmt: skip
def test_bad_schedules(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_scheduler_sets_every_group_and_resumes():
    a, b = (mg.ones(1, requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.1}])
    scheduler = optim.Scheduler(optimizer, schedules.exponential(0.5))
    for _ in range(2):
        scheduler.step()
    assert [group["lr"] for group in optimizer.groups] == [0.25, 0.025]
    other = optim.Scheduler(optimizer, schedules.exponential(0.5))
    other.load_state_dict(scheduler.state_dict())
    other.step()
    assert [group["lr"] for group in optimizer.groups] == [0.125, 0.0125]


def test_clipping_by_norm():
    a, b = mg.ones(2, requires_grad=True), mg.ones(1, requires_grad=True)
    a.grad, b.grad = mg.tensor([3.0, 0.0]), mg.tensor([4.0])
    assert optim.clip_grad_norm_([a, b, mg.ones(1, requires_grad=True)], 1.0) == 5
    np.testing.assert_allclose([*a.grad.tolist(), *b.grad.tolist()], [0.6, 0, 0.8], rtol=1e-6)
    assert optim.clip_grad_norm_([a, b], 10.0) == pytest.approx(1)
    assert optim.clip_grad_norm_(a, 10.0, norm_type=np.inf) == pytest.approx(0.6)
    b.grad = mg.tensor([np.inf])
    with pytest.raises(mg.NonFiniteError, match="detect_anomaly"):
        optim.clip_grad_norm_([a, b], 1.0)
    with pytest.raises(ValueError, match="max_norm must be positive"):
        optim.clip_grad_norm_([a], 0)


def test_clipping_by_value():
    a = mg.ones(3, requires_grad=True)
    a.grad = mg.tensor([-5.0, 0.5, 5.0])
    optim.clip_grad_value_([a], 1.0)
    assert a.grad.tolist() == [-1, 0.5, 1]
    with pytest.raises(ValueError, match="clip_value must be positive"):
        optim.clip_grad_value_([a], -1)


def test_methods_without_groups_take_the_schedule_themselves():
    with pytest.raises(TypeError, match="Newton has none: give it the schedule itself"):
        optim.Scheduler(optim.Newton([mg.ones(1, requires_grad=True)]), schedules.constant())
