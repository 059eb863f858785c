"""Games: min over x, max over y of a payoff."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.core.graph import wrap
from minigrad.core.modes import enable_grad
from minigrad.optim.problems.problem import Point, Problem, check_scalar
from minigrad.tensor import Tensor
from minigrad.transforms.recording import pull

__all__ = ["Minimax", "MinimaxPoint"]


class MinimaxPoint(Point):
    """A point (x, y) of a game; its field is (df/dx, -df/dy): both players go against it."""

    problem: Minimax

    @cached_property
    def value(self) -> float:
        """The payoff to the second player."""
        return self.graph()[1][0].item()

    @cached_property
    def field(self) -> Array:
        if self.has("field_graph"):
            return self.join(self.field_graph)
        self.problem.njev += 1
        return self.join(self.problem.field(*self.graph(), create_graph=False))

    def field_of(self, player: int) -> Array:
        """The field with zeros in the other player's place: where one moves alone, half the work."""
        boundary, k = self.problem.variables.boundary, self.problem.variables.counts[0]
        mine, leaves_of = [(slice(0, boundary), slice(0, k)), (slice(boundary, None), slice(k, None))][player]
        alone = np.zeros_like(self.theta)
        if "field" in self.__dict__:
            alone[mine] = self.field[mine]
            return alone
        leaves, (cost_x, cost_y) = self.graph()
        cost = cost_x if player == 0 or cost_y is None else cost_y
        self.problem.njev += 1
        found = pull([(cost, np.ones_like(cost.array))], leaves[leaves_of], False, True)
        alone[mine] = np.concatenate([g.array.reshape(-1) for g in found])
        return -alone if player == 1 and cost_y is None else alone

    @cached_property
    def field_graph(self) -> list[Tensor]:
        self.problem.njev += not self.has("field")
        with enable_grad():
            return self.problem.field(*self.graph(), create_graph=True)


class Minimax(Problem):
    """min over x, max over y of payoff(x, y).

    ``payoff`` returns the scalar that the first player pays the second; or a pair of scalars, one for each player to
    minimize, where the game is not zero-sum (the non-saturating GAN).

    >>> from minigrad.optim.problems.variables import Variables
    >>> point = Minimax(lambda x, y: x * y, Variables(2.0, 3.0)).at(np.array([2.0, 3.0]))
    >>> point.value, point.field  # (df/dx, -df/dy)
    (6.0, array([ 3., -2.]))

    Args:
        fun: the payoff.
        variables: of both players; ``examples`` and ``derivatives`` are as of :class:`Minimization`.

    Raises (when evaluated):
        GraphError: a payoff is no scalar tensor, or does not depend on the variables.
    """

    point = MinimaxPoint
    symmetric = False

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
        out = self.variables.call(self.fun, leaves, *examples)
        pair = out if isinstance(out, tuple) else (out, None)
        for cost in pair:
            if cost is not None:
                check_scalar(cost, "a payoff", "for each player if there are two")
        return pair

    def field(self, leaves: list[Tensor], costs: tuple[Tensor, Tensor | None], create_graph: bool) -> list[Tensor]:
        """Each player's gradient of its own cost, one part per leaf."""
        (cost_x, cost_y), k = costs, self.variables.counts[0]
        one = np.ones_like(cost_x.array)
        seed = wrap(one) if create_graph else one
        if cost_y is None:  # zero sum: one walk serves both
            found = pull([(cost_x, seed)], leaves, create_graph, True)
            return [*found[:k], *(-g for g in found[k:])]
        mine = pull([(cost_x, seed)], leaves[:k], create_graph, True)
        return [*mine, *pull([(cost_y, seed)], leaves[k:], create_graph, True)]

    def stationarity(self, leaves: list[Tensor]) -> list[Tensor]:
        return self.field(leaves, self.evaluate(leaves, self.examples), create_graph=True)

    def outcome(self, leaves: list[Tensor]) -> dict[str, Any]:
        return {"fun": self.evaluate(leaves, self.examples)[0]}
