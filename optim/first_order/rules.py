"""First-order methods over any problem: an update rule is fed the problem's field.

SGD, momentum and the Adam family were written for a gradient. They never ask whether it is one: given the field of a
game they play it, given an estimate they minimize without derivatives. So they are written once, in ``sgd.py`` and
``adam.py``, and used here as maps (theta, field) -> theta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad.arrays.backend import Array
from minigrad.core.graph import wrap
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.method import Method, Step
from minigrad.optim.problems.estimates import Estimated
from minigrad.optim.problems.minimization import FiniteSum, Problem
from minigrad.tensor import Tensor


class Rule:
    """An optimizer as a map (theta, field) -> new theta.

    Args:
        make: the optimizer's class.
        theta: any vector of the right length, dtype and backend.
        splits: its parts, one per player, as slices.
        settings: of the optimizer; a pair ``lr`` gives each player its own.
        schedule: a factor of the learning rate, by the step.
    """

    def __init__(
        self,
        make: Callable[..., Optimizer],
        theta: Array,
        splits: Sequence[slice],
        settings: dict[str, Any],
        schedule: Callable[[int], float] | None = None,
    ) -> None:
        self.splits, self.schedule, self.k = list(splits), schedule, 0
        groups: list[dict[str, Any]] = [{"params": [Tensor(theta[part].copy())]} for part in splits]
        rates = settings.pop("lr", None)
        if rates is not None:
            for group, lr in zip(groups, rates if isinstance(rates, tuple) else [rates] * len(groups), strict=True):
                group["lr"] = lr
        self.optimizer = make(groups, **settings)
        self.base = [group["lr"] for group in self.optimizer.groups]

    def __call__(self, theta: Array, field: Array, players: Sequence[int] | None = None, last: bool = True) -> Array:
        """The new theta; only the parts of ``players`` move. ``last``: the step is complete, the schedule goes on."""
        optimizer = self.optimizer
        optimizer.flat.theta[...] = theta
        for i, (part, lr) in enumerate(zip(self.splits, self.rates(), strict=True)):
            optimizer.parameters[i].grad = wrap(field[part]) if players is None or i in players else None
            optimizer.groups[i]["lr"] = lr
        optimizer.step()
        self.k += last
        return optimizer.flat.theta.copy()

    def rates(self) -> list[float]:
        """The players' learning rates in the step to come."""
        factor = 1.0 if self.schedule is None else self.schedule(self.k)
        return [lr * factor for lr in self.base]

    @property
    def lr(self) -> float:
        """The first player's learning rate in the last step."""
        return self.optimizer.groups[0]["lr"]

    @property
    def state(self) -> dict[str, Any]:
        """The optimizer's vectors and counts, for checkpoints."""
        counts = {f"step {i}": group["step"] for i, group in enumerate(self.optimizer.groups)}
        return {"k": self.k, **counts, **self.optimizer.state}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.k = state["k"]
        for i, group in enumerate(self.optimizer.groups):
            group["step"] = state[f"step {i}"]
        self.optimizer.state = {name: state[name] for name in self.optimizer.vectors() if name in state}

    def __repr__(self) -> str:
        return repr(self.optimizer).partition("  #")[0]


class FirstOrder(Method):
    """Any optimizer of the familiar kind as a method: theta <- project(rule(theta, field)).

    Args:
        make: the class, such as :class:`~minigrad.optim.Adam`.
        constraint: a set with ``project``, to stay in.
        schedule: a factor of the learning rate, by the step.
        estimate: a :class:`~minigrad.optim.GaussianEstimate` or :class:`~minigrad.optim.CoordinateEstimate`, to be
            followed in the gradient's place.
        batch_size, order, seed: how examples, if any, and estimates are drawn, see
            :class:`~minigrad.optim.problems.FiniteSum`.
        settings: of the class.
    """

    second_order = False

    def __init__(
        self,
        params: Any,
        make: Callable[..., Optimizer],
        constraint: Any = None,
        schedule: Callable[[int], float] | None = None,
        estimate: Any = None,
        batch_size: int = 1,
        order: str = "shuffled",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(params)
        self.rule = Rule(make, self.variables.read(), [slice(0, self.variables.p)], settings, schedule)
        self.constraint, self.estimate, self.seed = constraint, estimate, seed
        self.batch: dict[str, Any] = {"batch_size": batch_size, "order": order, "seed": seed}
        if estimate is not None:
            self.state.update(drawn=0)

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        examples = options.pop("examples", ())
        if self.estimate is not None:
            return Estimated(fun, self.variables, self.estimate, self.seed, self.state["drawn"], examples)
        if not len(examples):
            return super().problem(fun, **options)
        problem = FiniteSum(fun, self.variables, examples, **self.batch)
        problem.keep_graph = False
        return problem

    def advance(self, point: Any) -> Step:
        theta = self.rule(point.theta, point.field)
        if self.estimate is not None:
            self.state["drawn"] = point.problem.drawn
        if self.constraint is not None:
            theta = self.constraint.project(theta)
        return Step(point.problem.at(theta), self.rule.lr)
