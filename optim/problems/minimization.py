"""Minimize a scalar function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.core.backward import walk
from minigrad.core.graph import wrap
from minigrad.optim.problems.problem import Point, Problem, check_scalar
from minigrad.tensor import Tensor
from minigrad.transforms.recording import pull

__all__ = ["Minimization", "MinimizationPoint"]


class MinimizationPoint(Point):
    """A point of a scalar function."""

    problem: Minimization

    @cached_property
    def value(self) -> float:
        return self.graph()[1].item()

    @cached_property
    def field(self) -> Array:
        if self.has("field_graph"):
            return self.join(self.field_graph)
        leaves, y = self.graph()
        again = self.problem.derivatives > 1
        self.problem.njev += 1
        found = walk([(y, np.ones_like(y.array))], leaves, retain_graph=again)
        self.value  # noqa: B018 - while the graph is there
        if not again:
            self._graph = None
        return self.problem.variables.join([found[x] if x in found else np.zeros_like(x.array) for x in leaves])

    @cached_property
    def field_graph(self) -> list[Tensor]:
        leaves, y = self.graph()
        self.problem.njev += not self.has("field")
        return pull([(y, wrap(np.ones_like(y.array)))], leaves, True, True)

    @cached_property
    def hessian(self) -> Array:
        """All second derivatives, (p, p): a batch of Hessian-vector products."""
        self.graph()
        self.problem.nhev += 1
        H = self.linearization.matrix()
        return (H + H.T) / 2  # the two triangles differ by rounding


class Minimization(Problem):
    """Minimize a scalar function.

    >>> from minigrad.optim.problems.variables import Variables
    >>> problem = Minimization(lambda x: x[0] * x[1] ** 2, Variables(np.ones(2)))
    >>> point = problem.at(np.array([2.0, 3.0]))
    >>> point.value, point.field, point.hessian.tolist()
    (18.0, array([ 9., 12.]), [[0.0, 6.0], [6.0, 4.0]])
    >>> problem.nfev, problem.njev, problem.nhev  # nothing is computed twice
    (1, 1, 1)

    Args:
        fun: of the variables' structure, and of ``examples``, where given.
        variables: what is optimized, as one vector (p,).
        examples: further arguments of ``fun``; arrays become tensors.
        derivatives: the highest derivative that will be asked for. With 1, the graph is freed as the gradient is taken.

    Raises (when evaluated):
        GraphError: the function returns no scalar tensor, or one that does not depend on the variables.
    """

    point = MinimizationPoint

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> Tensor:
        y = self.variables.call(self.fun, leaves, *examples)
        return check_scalar(y, "a function to minimize", "or minimize the sum of its squares with optim.least_squares")

    def stationarity(self, leaves: list[Tensor]) -> list[Tensor]:
        y = self.evaluate(leaves, self.examples)
        return pull([(y, wrap(np.ones_like(y.array)))], leaves, True, True)

    def outcome(self, leaves: list[Tensor]) -> dict[str, Any]:
        return {"fun": self.evaluate(leaves, self.examples)}
