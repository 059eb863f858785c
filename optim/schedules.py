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
    """1, always."""
    return lambda k: 1.0


def step(size: int, gamma: float = 0.1) -> Schedule:
    """gamma^floor(k / size): a drop every ``size`` steps."""
    _positive("step", size=size, gamma=gamma)
    return lambda k: gamma ** (k // size)


def exponential(gamma: float) -> Schedule:
    """gamma^k."""
    _positive("exponential", gamma=gamma)
    return lambda k: gamma**k


def diminishing(power: float = 1.0, c: float = 1.0) -> Schedule:
    """c / (k + 1)^power, for 0 < power <= 1: it vanishes, but its sum does not converge (notes, appendix .1.4).

    Raises:
        ValueError: a power above 1, whose steps sum to a finite distance: the iterates may stall before a minimum; or a
            power that is not positive, whose steps do not vanish.
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
    """From 1 to ``floor`` along half a cosine in ``total`` steps, and ``floor`` after that."""
    _positive("cosine", total=total)
    return lambda k: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(k, total) / total))


def warm_restarts(period: int, multiplier: int = 1, floor: float = 0.0) -> Schedule:
    """SGDR (Loshchilov & Hutter 2017): cosine cycles, each ``multiplier`` times as long as the one before."""
    _positive("warm_restarts", period=period, multiplier=multiplier)

    def schedule(k: int) -> float:
        length = period
        while k >= length:
            k -= length
            length *= multiplier
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * k / length))

    return schedule


def warm_up(steps: int, then: Schedule | None = None, start: float = 0.0) -> Schedule:
    """Linearly from ``start`` to 1 in ``steps`` steps, then ``then`` (constant by default) from its own beginning."""
    _positive("warm_up", steps=steps)
    after = constant() if then is None else then
    return lambda k: start + (1 - start) * (k + 1) / steps if k < steps else after(k - steps)


class Scheduler:
    """Sets an optimizer's learning rates: after ``k`` calls of :meth:`step`, each group's is its first one times
    schedule(k).

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
