"""Consensus optimization: both players also make the field smaller."""

from __future__ import annotations

from typing import Any

from minigrad.optim.games.game import Game
from minigrad.optim.method import Step
from minigrad.optim.problems.problem import Point

__all__ = ["ConsensusGD"]


class ConsensusGD(Game):
    """theta <- theta - lr (F + gamma grad 1/2 |F|^2): both players also make the field smaller (Mescheder et al. 2017).

    >>> import minigrad as mg
    >>> result = mg.optim.minimax(lambda x, y: x * y, 1.0, 1.0, "consensus", lr=0.5, maxiter=3)
    >>> (result.history["optimality"] ** 2).round(6)
    array([2.  , 1.  , 0.5 , 0.25])

    Args:
        gamma: the weight of 1/2 abs(F)^2; with 0 it is :class:`GDA`.
        args, kwargs: as of :class:`Game`.

    Raises:
        ValueError: a negative gamma; what :class:`Game` refuses.
    """

    derivatives = 2

    def __init__(self, *args: Any, gamma: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not gamma >= 0:
            raise ValueError(f"gamma must not be negative, but is {gamma}")
        self.gamma = gamma

    def advance(self, point: Point) -> Step:
        # transposed derivative of F times F: what pulling F back through F's own graph gives
        field = point.field + self.gamma * point.curvature(point.field)
        return Step(point.problem.at(self.project(self.update(point.theta, field))), self.update.lr)
