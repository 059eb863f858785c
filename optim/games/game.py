"""What all games have: two players, one update rule, and a set for each to stay in."""

from __future__ import annotations

from typing import Any

from minigrad.arrays.backend import Array
from minigrad.optim.constraints import Constraint, check_constraint
from minigrad.optim.first_order.field_update import FieldUpdate
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.first_order.sgd import SGD
from minigrad.optim.method import Method
from minigrad.optim.problems.minimax import Minimax
from minigrad.optim.schedules import Schedule

__all__ = ["Game"]


class Game(Method):
    """A rule for two players: a subclass says in :meth:`advance` how it uses the field F = (df/dx, -df/dy).

    >>> import minigrad as mg
    >>> class Damped(Game):
    ...     def advance(self, point):
    ...         theta = self.update(point.theta, point.field + point.theta)
    ...         return mg.optim.Step(point.problem.at(self.project(theta)), self.update.lr)
    >>> x, y = mg.tensor(1.0, requires_grad=True), mg.tensor(1.0, requires_grad=True)
    >>> value = Damped([x], [y], lr=0.5).step(lambda: x * y)
    >>> x.item(), y.item()
    (0.0, 1.0)

    Args:
        x_params, y_params: the parameters of the player who minimizes, and of the one who maximizes.
        lr: the learning rate; a pair gives each player its own.
        rule: the update rule, an optimizer's class (SGD by default); further ``settings`` are its own.
        constraints: a pair of sets with ``project``, or None, one per player.
        schedule: a factor of the learning rate, by the step.

    Raises:
        ValueError: the parameters of one player alone; an ``lr`` of another length than two; what the rule refuses.
        TypeError: ``constraints`` is no pair of sets.
    """

    kind = Minimax
    derivatives = 1

    def __init__(
        self,
        x_params: Any,
        y_params: Any = None,
        lr: float | tuple[float, float] = 1e-3,
        rule: type[Optimizer] = SGD,
        constraints: tuple[Constraint | None, Constraint | None] = (None, None),
        schedule: Schedule | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*((x_params,) if y_params is None else (x_params, y_params)))
        if len(self.variables.arguments) != 2:
            raise ValueError(f"{type(self).__name__} is a game: it needs the parameters of two players")
        boundary, p = self.variables.boundary, self.variables.p
        self.slices = (slice(0, boundary), slice(boundary, p))
        self.update = FieldUpdate(rule, self.variables.read(), self.slices, {"lr": lr, **settings}, schedule)
        if not isinstance(constraints, (tuple, list)) or len(constraints) != 2:
            raise TypeError(f"constraints is a pair of sets or None, one for each player, not {constraints!r}")
        for constraint in constraints:
            check_constraint(constraint, "constraints=")
        self.constraints = tuple(constraints)

    @property
    def parts(self) -> dict[str, Any]:
        return {"method": self, "rule": self.update}

    @property
    def constrained(self) -> bool:
        return any(constraint is not None for constraint in self.constraints)

    def project(self, theta: Array) -> Array:
        """theta with each player back in its set."""
        if not self.constrained:
            return theta
        theta = theta.copy()
        for part, constraint in zip(self.slices, self.constraints, strict=True):
            if constraint is not None:
                theta[part] = constraint.project(theta[part])
        return theta
