"""The extragradient method: look a step ahead."""

from __future__ import annotations

from minigrad.optim.games.game import Game
from minigrad.optim.method import Step
from minigrad.optim.problems.problem import Point

__all__ = ["ExtraGradient"]


class ExtraGradient(Game):
    """theta <- theta - lr F(theta - lr F(theta)): look a step ahead and follow the field from there (Korpelevich 1976).

    Two fields per step. Converges on x'Ay for lr s < 1, and for every monotone field with a small enough lr.
    The look ahead is a plain step along the field, whatever the rule.

    >>> import minigrad as mg
    >>> result = mg.optim.minimax(lambda x, y: x * y, 1.0, 1.0, "extragradient", lr=0.5, maxiter=3)
    >>> (result.history["optimality"] ** 2).round(6)  # times 1 - lr^2 + lr^4
    array([2.      , 1.625   , 1.320312, 1.072754])

    Args, Raises: as of :class:`Game`.
    """

    def advance(self, point: Point) -> Step:
        ahead = point.theta.copy()
        for part, lr in zip(self.slices, self.update.learning_rates(), strict=True):
            ahead[part] = ahead[part] - lr * point.field[part]
        middle = point.problem.at(self.project(ahead))
        return Step(point.problem.at(self.project(self.update(point.theta, middle.field))), self.update.lr)
