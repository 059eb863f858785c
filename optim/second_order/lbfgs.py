"""L-BFGS: Newton's direction from the last few steps alone (Nocedal 1980)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.optim.line_search import LineSearch, Search, search_of
from minigrad.optim.method import Direction, DirectionSearch
from minigrad.optim.problems.problem import Point

__all__ = [
    "LBFGS",
    "LBFGSDirection",
    "LBFGSState",
]


@dataclass
class LBFGSState:
    """The last steps and the changes of the gradient along them: (pairs, p) each, the oldest first."""

    S: Any = None
    Y: Any = None


class LBFGSDirection(Direction):
    """d = -H g, H the inverse Hessian that the last ``memory`` pairs (s, y) = (step, change of gradient) suggest.

    By the two-loop recursion. A pair whose curvature s'y is not positive is left out: it would make H indefinite.
    """

    def __init__(self, memory: int = 10) -> None:
        if memory < 1:
            raise ValueError(f"L-BFGS needs a memory of at least one pair, not {memory}")
        self.memory = memory
        self.state = LBFGSState()

    def __call__(self, point: Point) -> Array:
        S, Y, d = self.state.S, self.state.Y, -point.field
        if S is None:
            return d / max(1.0, float(np.linalg.norm(d)))  # no scale is known yet
        rho = [1 / float(s @ y) for s, y in zip(S, Y, strict=True)]
        weights = []
        for i in reversed(range(len(S))):
            weights.append(rho[i] * float(S[i] @ d))
            d = d - weights[-1] * Y[i]
        d = d / (rho[-1] * float(Y[-1] @ Y[-1]))
        for i in range(len(S)):
            d = d + (weights.pop() - rho[i] * float(Y[i] @ d)) * S[i]
        return d

    def moved(self, old: Point, new: Point) -> None:
        s, y = new.theta - old.theta, new.field - old.field
        if float(s @ y) > np.finfo(s.dtype).eps * float(y @ y):
            self.state.S, self.state.Y = self._with(self.state.S, s), self._with(self.state.Y, y)

    def _with(self, before: Array | None, v: Array) -> Array:
        return v[None] if before is None else np.concatenate([before, v[None]])[-self.memory :]


class LBFGS(DirectionSearch):
    """L-BFGS with a strong Wolfe line search: the method of choice for smooth functions of many variables.

    >>> import minigrad as mg
    >>> valley = lambda x: ((x - 1) ** 2 * np.array([1.0, 2.0, 8.0])).sum()  # quadratic: a step for each dimension
    >>> exact = dict(line_search="exact", tol=1e-6)
    >>> [mg.optim.minimize(valley, [0.0] * 3, method, **exact).nit for method in ("lbfgs", "gd")]
    [3, 35]

    Args:
        lr: the first step length tried by ``line_search="armijo"``, the step itself with None.
        memory: how many pairs to remember, at least 1.
        line_search: "wolfe", "armijo", "exact", None or a Search.

    Raises:
        ValueError: a memory of no pair; an ``lr`` that is not positive; no such line search.
    """

    def __init__(
        self, params: Any, lr: float | None = None, memory: int = 10, line_search: LineSearch | Search | None = "wolfe"
    ) -> None:
        super().__init__(params, LBFGSDirection(memory), search_of(line_search, lr, 1.0))
