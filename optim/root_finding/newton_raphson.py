"""Newton's method for equations."""

from __future__ import annotations

from typing import Any

from minigrad.optim.line_search import LineSearch, Search
from minigrad.optim.problems.equations import Equations
from minigrad.optim.schedules import Schedule
from minigrad.optim.second_order.gauss_newton import GaussNewton, Solver

__all__ = ["NewtonRaphson"]


class NewtonRaphson(GaussNewton):
    """x <- x - t J^{-1} F(x): Gauss-Newton, where there are as many residuals as unknowns.

    Near a root with a regular Jacobian each step doubles the digits. Far from one, t comes from a search that makes
    abs(F)^2 smaller, which Newton's direction always can; ``line_search=None`` takes t = ``lr``, the pure method.

    >>> import minigrad as mg
    >>> result = mg.optim.root(lambda x: x**2 - 2, 1.0, "newton", maxiter=4, keep_x=True)
    >>> result.history["x"].ravel().round(8)
    array([1.        , 1.5       , 1.41666667, 1.41421569, 1.41421356])

    Args, Raises: as of :class:`~minigrad.optim.GaussNewton`.
    """

    kind = Equations

    def __init__(
        self,
        params: Any,
        lr: float | None = None,
        line_search: LineSearch | Search | None = "armijo",
        solver: Solver | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(params, lr, line_search, solver=solver, schedule=schedule)
