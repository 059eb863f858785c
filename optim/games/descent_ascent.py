"""Gradient descent-ascent: both players follow their gradients, together or in turns."""

from __future__ import annotations

from typing import Any, Literal, get_args

from minigrad.optim.games.game import Game
from minigrad.optim.method import Step

__all__ = ["GDA"]


Turns = Literal["simultaneous", "alternating"]


class GDA(Game):
    """Gradient descent-ascent: theta <- theta - lr F(theta).

    On x'Ay, with s a singular value of A, it spirals outward by sqrt(1 + lr^2 s^2) a step. Taking turns
    (``order="alternating"``: y sees where x has gone) it circles for ever; its average converges.

    Args:
        order: "simultaneous" or "alternating".
    """

    def __init__(self, x_params: Any, y_params: Any = None, *args: Any, order: Turns = "simultaneous", **kwargs: Any):
        super().__init__(x_params, y_params, *args, **kwargs)
        if order not in get_args(Turns):
            raise ValueError(f"order must be 'simultaneous' or 'alternating', not {order!r}")
        self.turns = order

    def advance(self, point: Any) -> Step:
        if self.turns == "simultaneous":
            theta = self.update(point.theta, point.field)
        else:
            half = point.problem.at(self.project(self.update(point.theta, point.field_of(0), players=(0,), last=False)))
            theta = self.update(half.theta, half.field_of(1), players=(1,))
        return Step(point.problem.at(self.project(theta)), self.update.lr)
