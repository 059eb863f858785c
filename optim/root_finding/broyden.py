"""Broyden's method: Newton's, with a Jacobian that is learned instead of computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.method import Method, Step, Stuck
from minigrad.optim.problems.equations import Equations
from minigrad.optim.result import Status

__all__ = [
    "Broyden",
    "InverseJacobian",
]


@dataclass
class InverseJacobian:
    """The estimate H of the inverse Jacobian, (p, p), on the host; and whether steps have changed it."""

    H: Any = None
    learned: bool = False


class Broyden(Method):
    """x <- x - H F(x), where H follows the inverse Jacobian from the steps taken (Broyden 1965, the "good" method).

    H starts as the inverse of the true Jacobian. A step s that changed F by y asks for H y = s, and the Jacobian
    changes by as little as that takes: H <- H + (s - H y) s'H / (s'H y). One evaluation of F a step, and superlinear
    convergence; where a step does not make abs(F) smaller, the true Jacobian is computed anew, and then the step is
    halved.

    >>> import minigrad as mg
    >>> result = mg.optim.root(lambda x: x**2 - 2, 1.0, "broyden")
    >>> result.x.round(12), result.njev  # one Jacobian
    (np.float64(1.414213562373), 1)

    Args:
        max_backtracks: how often a step along the true Newton direction is halved.
    """

    kind = Equations

    def __init__(self, params: Any, max_backtracks: int = 40) -> None:
        super().__init__(params)
        self.max_backtracks = max_backtracks
        self.state = InverseJacobian()

    def advance(self, point: Any) -> Step:
        F = to_numpy(point.residual)
        if self.state.H is None:
            self._compute(point)
        s = -(to_numpy(self.state.H) @ F)
        new = self._at(point, s)
        if self.state.learned and not new.value < point.value:
            self._compute(point)
            s = -(self.state.H @ F)
            new = self._at(point, s)
        for _ in range(self.max_backtracks):
            if new.value < point.value:
                break
            s = 0.5 * s
            new = self._at(point, s)
        else:
            return Step(point, 0.0, Status.ROUNDING)
        self._learn(s, to_numpy(new.residual) - F)
        return Step(new, 1.0)

    def _at(self, point: Any, s: np.ndarray) -> Any:
        d: Array = move(s.astype(point.theta.dtype), backend_of(point.theta).name)
        return point.problem.at(point.theta + d)

    def _compute(self, point: Any) -> None:
        J = to_numpy(point.jacobian)
        if not np.isfinite(J).all():
            raise Stuck(Status.NON_FINITE)
        try:
            self.state.H, self.state.learned = np.linalg.inv(J), False
        except np.linalg.LinAlgError:
            raise Stuck(Status.SINGULAR) from None

    def _learn(self, s: np.ndarray, y: np.ndarray) -> None:
        H = to_numpy(self.state.H)
        Hy = H @ y
        along = float(s @ Hy)
        if abs(along) > np.finfo(H.dtype).eps * float(np.linalg.norm(s) * np.linalg.norm(Hy)):  # else H turns singular
            self.state.H, self.state.learned = H + np.outer(s - Hy, s @ H) / along, True
