"""Step-size schedules: functions of the step k = 0, 1, 2, ... that return a factor of the base learning rate.

>>> half_life = exponential(0.5)
>>> [half_life(k) for k in range(3)]
[1.0, 0.5, 0.25]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minigrad.optim.first_order.optimizer import Optimizer

__all__ = [
    "Schedule",
    "Scheduler",
    "constant",
    "cosine",
    "diminishing",
    "exponential",
    "step",
    "warm_restarts",
    "warm_up",
]

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """1, always.

    >>> [constant()(k) for k in range(3)]
    [1.0, 1.0, 1.0]
    """
    return lambda k: 1.0


def step(size: int, gamma: float = 0.1) -> Schedule:
    """gamma^floor(k / size): a drop every ``size`` steps.

    >>> [step(2, gamma=0.5)(k) for k in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]

    Raises:
        ValueError: a size or a gamma that is not positive.
    """
    _positive("step", size=size, gamma=gamma)
    return lambda k: gamma ** (k // size)


def exponential(gamma: float) -> Schedule:
    """gamma^k.

    >>> [exponential(0.5)(k) for k in range(4)]
    [1.0, 0.5, 0.25, 0.125]

    Raises:
        ValueError: a gamma that is not positive.
    """
    _positive("exponential", gamma=gamma)
    return lambda k: gamma**k


def diminishing(power: float = 1.0, c: float = 1.0) -> Schedule:
    """c / (k + 1)^power, for 0 < power <= 1: it vanishes, but its sum does not converge (notes, appendix .1.4).

    >>> [diminishing()(k) for k in (0, 1, 3)], [diminishing(power=0.5)(k) for k in (0, 3, 15)]
    ([1.0, 0.5, 0.25], [1.0, 0.5, 0.25])

    Raises:
        ValueError: a power above 1, whose steps sum to a finite distance: the iterates may stall before a minimum; or a
            power that is not positive, whose steps do not vanish; a c that is not positive.
    """
    _positive("diminishing", c=c)
    if not 0 < power <= 1:
        why = (
            "its steps sum to a finite distance, so it may stall before a minimum"
            if power > 1
            else "its steps do not vanish"
        )
        raise ValueError(f"diminishing: the power must lie in (0, 1], but is {power}: {why}")
    return lambda k: c / (k + 1) ** power


def cosine(total: int, floor: float = 0.0) -> Schedule:
    """From 1 to ``floor`` along half a cosine in ``total`` steps, and ``floor`` after that.

    >>> [round(cosine(4)(k), 3) for k in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]

    Raises:
        ValueError: a total that is not positive.
    """
    _positive("cosine", total=total)
    return lambda k: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(k, total) / total))


def warm_restarts(period: int, multiplier: int = 1, floor: float = 0.0) -> Schedule:
    """SGDR (Loshchilov & Hutter 2017): cosine cycles, each ``multiplier`` times as long as the one before.

    >>> [round(warm_restarts(2, multiplier=2)(k), 3) for k in range(7)]  # cycles of 2, 4, 8, ... steps
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]

    Args:
        period: of the first cycle, in steps.
        floor: where every cycle ends.

    Raises:
        ValueError: a period or a multiplier that is not positive.
    """
    _positive("warm_restarts", period=period, multiplier=multiplier)

    def schedule(k: int) -> float:
        length = period
        while k >= length:
            k -= length
            length *= multiplier
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * k / length))

    return schedule


def warm_up(steps: int, then: Schedule | None = None, start: float = 0.0) -> Schedule:
    """Linearly from ``start`` to 1 in ``steps`` steps, then ``then`` (constant by default) from its own beginning.

    >>> [warm_up(4, then=exponential(0.5))(k) for k in range(7)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.25]

    Raises:
        ValueError: a number of steps that is not positive.
    """
    _positive("warm_up", steps=steps)
    after = constant() if then is None else then
    return lambda k: start + (1 - start) * (k + 1) / steps if k < steps else after(k - steps)


class Scheduler:
    """Sets an optimizer's learning rates: after ``k`` calls of :meth:`step`, each group's is its first one times
    schedule(k).

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.tensor(1.0, requires_grad=True)], lr=0.5)
    >>> scheduler = Scheduler(optimizer, warm_up(4))
    >>> rates = [(optimizer.groups[0]["lr"], scheduler.step())[0] for _ in range(5)]
    >>> rates
    [0.125, 0.25, 0.375, 0.5, 0.5]

    Args:
        optimizer: an :class:`~minigrad.optim.Optimizer`.
        schedule: of k = 0, 1, 2, ..., a factor.

    Raises:
        TypeError: the optimizer has no groups.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        if not hasattr(optimizer, "groups"):
            raise TypeError(
                f"Scheduler sets the learning rates of groups, and {type(optimizer).__name__} has none: give it the "
                "schedule itself, schedule=..., where it takes one"
            )
        self.optimizer, self.schedule, self.k = optimizer, schedule, 0
        self.base = [group["lr"] for group in optimizer.groups]
        self._set()

    def _set(self) -> None:
        factor = self.schedule(self.k)
        for group, lr in zip(self.optimizer.groups, self.base, strict=True):
            group["lr"] = lr * factor

    def step(self) -> None:
        """Go on to the next step of the schedule; call it after the optimizer's."""
        self.k += 1
        self._set()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""
        return {"k": self.k, "base": list(self.base)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.k, self.base = state["k"], list(state["base"])
        self._set()


def _positive(name: str, **values: float) -> None:
    for key, value in values.items():
        if not value > 0:
            raise ValueError(f"{name}: {key} must be positive, but is {value}")
