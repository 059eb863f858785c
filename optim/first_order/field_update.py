"""First-order methods over any problem: an update rule is fed the problem's field.

The field is the gradient; of a game, both players' gradients; or an estimate. The rule does not ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, move, to_numpy
from minigrad.optim.constraints import Constraint, check_constraint
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.first_order.update import UpdateState
from minigrad.optim.method import Method, Step
from minigrad.optim.problems.finite_sum import FiniteSum, Order
from minigrad.optim.problems.gradient_estimates import Estimated
from minigrad.optim.problems.problem import Point, Problem
from minigrad.optim.schedules import Schedule

__all__ = [
    "Draws",
    "FieldUpdate",
    "FirstOrder",
]


class FieldUpdate:
    """theta, field -> new theta, by one update rule per player; and what the rules remember.

    Args:
        optimizer: the class.
        theta: any vector of the right length, dtype and backend.
        parts: the players' shares of it.
        settings: of the optimizer; a pair ``lr`` gives each player its own.
        schedule: a factor of the learning rate, by the step.
    """

    def __init__(
        self,
        optimizer: type[Optimizer],
        theta: Array,
        parts: Sequence[slice],
        settings: dict[str, Any],
        schedule: Schedule | None = None,
    ) -> None:
        self.parts, self.schedule, self.k = list(parts), schedule, 0
        lr = settings.pop("lr", None)
        each = lr if isinstance(lr, tuple) else (lr,) * len(parts)
        if len(each) != len(parts):
            raise ValueError(f"lr has {len(each)} entries for {len(parts)} players")
        self.rules = [optimizer.rule(**settings, **({} if lr is None else {"lr": lr})) for lr in each]
        self.states = [rule.init(theta[part]) for rule, part in zip(self.rules, parts, strict=True)]
        self.lr = self.learning_rates()[0]  # the first player's, in the last step

    def __call__(self, theta: Array, field: Array, players: Sequence[int] | None = None, last: bool = True) -> Array:
        """The new theta; only the parts of ``players`` move. ``last``: the step is complete, the schedule goes on."""
        theta, rates = theta.copy(), self.learning_rates()
        for i in range(len(self.parts)) if players is None else players:
            part = self.parts[i]
            self.rules[i].update_in_place(theta[part], field[part], self.states[i], rates[i])
        self.k, self.lr = self.k + last, rates[0]
        return theta

    def learning_rates(self) -> list[float]:
        """The players' learning rates in the step to come."""
        factor = 1.0 if self.schedule is None else self.schedule(self.k)
        return [rule.settings["lr"] * factor for rule in self.rules]

    def save_state(self) -> dict[str, Any]:
        """The counts, and the players' vectors as one each."""
        counts = {f"step {i}": state.step for i, state in enumerate(self.states)}
        names = self.states[0].vectors
        vectors = {name: to_numpy(np.concatenate([s.vectors[name] for s in self.states])) for name in names}
        return {"k": self.k, **counts, **vectors}

    def restore_state(self, saved: dict[str, Any], home: str) -> None:
        """What :meth:`save_state` gave, on the backend ``home``."""
        self.k = saved["k"]
        for i, (part, state) in enumerate(zip(self.parts, self.states, strict=True)):
            vectors = {name: move(np.array(saved[name]), home)[part] for name in state.vectors if name in saved}
            self.states[i] = UpdateState(saved[f"step {i}"], {**state.vectors, **vectors})

    def __repr__(self) -> str:
        return "; ".join(dict.fromkeys(map(repr, self.rules)))


@dataclass
class Draws:
    """How many estimates have been drawn."""

    drawn: int = 0


class FirstOrder(Method):
    """Any optimizer of the familiar kind as a method: theta <- project(update(theta, field)).

    Args:
        optimizer: the class, such as :class:`~minigrad.optim.Adam`.
        constraint: a set with ``project``, to stay in.
        schedule: a factor of the learning rate, by the step.
        estimate: a :class:`~minigrad.optim.GaussianEstimate` or :class:`~minigrad.optim.CoordinateEstimate`, to be
            followed in the gradient's place.
        batch_size, order, seed: how examples, if any, and estimates are drawn, see
            :class:`~minigrad.optim.problems.finite_sum.FiniteSum`.
        settings: of the class.
    """

    derivatives = 1

    def __init__(
        self,
        params: Any,
        optimizer: type[Optimizer],
        constraint: Constraint | None = None,
        schedule: Schedule | None = None,
        estimate: Any = None,
        batch_size: int = 1,
        order: Order = "shuffled",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(params)
        self.update = FieldUpdate(optimizer, self.variables.read(), [slice(0, self.variables.p)], settings, schedule)
        check_constraint(constraint, "constraint=")
        self.constraint, self.estimate, self.seed = constraint, estimate, seed
        self.batch: dict[str, Any] = {"batch_size": batch_size, "order": order, "seed": seed}
        if estimate is not None:
            self.state = Draws()

    @property
    def parts(self) -> dict[str, Any]:
        return {"method": self, "rule": self.update}

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        examples = options.pop("examples", ())
        if self.estimate is not None:
            return Estimated(fun, self.variables, self.estimate, self.seed, self.state.drawn, examples)
        if len(examples):
            return FiniteSum(fun, self.variables, examples, **self.batch)
        return super().problem(fun, **options)

    def advance(self, point: Point) -> Step:
        theta = self.update(point.theta, point.field)
        if self.estimate is not None:
            self.state.drawn = point.problem.drawn
        return Step(point.problem.at(self.project(theta)), self.update.lr)

    @property
    def constrained(self) -> bool:
        return self.constraint is not None

    def project(self, theta: Array) -> Array:
        return theta if self.constraint is None else self.constraint.project(theta)
