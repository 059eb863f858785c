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

    >>> import minigrad as mg
    >>> result = mg.optim.minimax(lambda x, y: x * y, 1.0, 1.0, "gda", lr=0.5, maxiter=3)
    >>> (result.history["optimality"] ** 2).round(6)  # times 1 + lr^2
    array([2.     , 2.5    , 3.125  , 3.90625])
    >>> result = mg.optim.minimax(lambda x, y: x * y, 1.0, 1.0, "gda", lr=1.0, order="alternating", maxiter=6)
    >>> result.x, result.y  # back where it began
    (array(1.), array(1.))

    Args:
        order: "simultaneous" or "alternating".
        x_params, y_params, args, kwargs: as of :class:`Game`.

    Raises:
        ValueError: another order; what :class:`Game` refuses.
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
