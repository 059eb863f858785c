"""Equations: F(x) = 0, as many as there are unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.core.errors import GraphError
from minigrad.optim.problems.least_squares import LeastSquares, LeastSquaresPoint
from minigrad.optim.problems.problem import check_tracked
from minigrad.optim.result import Status
from minigrad.tensor import Tensor
from minigrad.transforms.flat import TypedLayout
from minigrad.transforms.linearization import PerExample
from minigrad.transforms.tree import flatten

__all__ = [
    "Equations",
    "EquationsPoint",
]

FORMED = 1000  # up to so many unknowns the Jacobian may be formed for a verdict


class EquationsPoint(LeastSquaresPoint):
    """A point of F(x) = 0: least squares, but only a residual of zero will do."""

    @property
    def optimality(self) -> float:
        """abs(F)."""
        return float(np.sqrt(2 * self.value))

    @property
    def finite(self) -> bool:
        """Whether F is finite; the Jacobian need not exist."""
        return bool(np.isfinite(self.value))


class Equations(LeastSquares):
    """F(x) = 0 for p unknowns and p equations.

    Raises (when evaluated):
        GraphError: the function returns no tensors.
        ValueError: another number of equations than unknowns.
    """

    point = EquationsPoint
    stationary = Status.ROOT
    symmetric = False

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> tuple[Tensor, list[PerExample]]:
        out = flatten(self.variables.call(self.fun, leaves, *examples))[0]
        wrong = [type(y).__name__ for y in out if not isinstance(y, Tensor)]
        if wrong:
            raise GraphError(f"equations are a function that returns tensors, but this one returned a {wrong[0]}")
        n, p = sum(y.size for y in out), self.variables.p
        if n != p:
            raise ValueError(
                f"a root needs as many equations as unknowns, but these are {n} for {p}; where no x satisfies all, "
                "optim.least_squares finds the best one"
            )
        return check_tracked(TypedLayout(out).join(out), "what is to vanish"), []

    def stationarity(self, leaves: list[Tensor]) -> list[Tensor]:
        return self.variables.layout.split(self.evaluate(leaves, self.examples)[0])

    def outcome(self, leaves: list[Tensor]) -> dict[str, Any]:
        return {"fun": self.variables.rebuild(self.stationarity(leaves))[0]}

    def report(self, point: Any) -> dict[str, Any]:
        return {"fun": self.variables.show(point.residual.copy())[0]}

    def tolerance(self, first: Any, default: float) -> float:
        return default * min(1.0, first.optimality or 1.0)  # small equations are held to their own measure

    def verdict(self, at_first: float, point: Any, status: Status) -> Status:
        if not status.success or status is Status.ROOT:
            return status
        # As far as rounding lets it: but is F small for its Jacobian and x?
        eps, scale = float(np.finfo(point.theta.dtype).eps) ** 0.5, max(1.0, at_first)
        if self.variables.p <= FORMED:
            scale = float(np.linalg.norm(point.jacobian)) * max(float(np.linalg.norm(point.theta)), eps)
        return status if point.optimality <= eps * scale else Status.NO_ROOT
