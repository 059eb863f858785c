"""Fixed points x = g(x): iteration, and Anderson's acceleration of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arrays.backend import backend_of, move, to_numpy
from minigrad.optim.method import Method, Step
from minigrad.optim.problems.equations import Equations

__all__ = [
    "Anderson",
    "Changes",
    "FixedPointIteration",
]


class FixedPointIteration(Method):
    """x <- x + mixing (g(x) - x). With mixing = 1 it is x <- g(x): Banach's iteration, where g contracts.

    For equations F(x) = 0, g(x) is x - F(x).

    >>> import minigrad as mg
    >>> mg.optim.fixed_point(lambda x: 1 + x / 2, 0.0, "iteration", maxiter=4, keep_x=True).history["x"].ravel()
    array([0.   , 1.   , 1.5  , 1.75 , 1.875])
    >>> mg.optim.fixed_point(lambda x: 4 - 3 * x, 0.0, "iteration", mixing=0.25).x  # g does not contract
    array(1.)

    Args:
        mixing: how much of the step to g(x) is taken, a positive number.

    Raises:
        ValueError: a mixing that is not positive.
    """

    kind = Equations

    def __init__(self, params: Any, mixing: float = 1.0) -> None:
        super().__init__(params)
        if not mixing > 0:
            raise ValueError(f"mixing must be positive, but is {mixing}")
        self.mixing = mixing

    def advance(self, point: Any) -> Step:
        return Step(point.problem.at(point.theta - self.mixing * point.residual), self.mixing)


@dataclass
class Changes:
    """The last steps and the changes of the residual along them: (pairs, p) each on the host, the oldest first."""

    dX: Any = None
    dR: Any = None
    theta: Any = None
    residual: Any = None


class Anderson(FixedPointIteration):
    """Iterate, but from the combination of the last points whose residual would vanish if g were linear.

    With r = g(x) - x and the last changes dX, dR of x and r, gamma = argmin |r - dR gamma| and
    x <- x + mixing r - (dX + mixing dR) gamma (Anderson 1965; Walker & Ni 2011). On linear g it is GMRES.

    >>> import minigrad as mg
    >>> [mg.optim.fixed_point(mg.cos, 1.0, method, tol=1e-6).nit for method in ("iteration", "anderson")]
    [33, 4]

    Args:
        memory: how many changes to remember.
        mixing: how much of the residual to add, a positive number.

    Raises:
        ValueError: a mixing that is not positive, or a memory of no step.
    """

    def __init__(self, params: Any, memory: int = 5, mixing: float = 1.0) -> None:
        super().__init__(params, mixing)
        if memory < 1:
            raise ValueError(f"Anderson's method needs a memory of at least one step, not {memory}")
        self.memory, self.state = memory, Changes()

    def advance(self, point: Any) -> Step:
        x, r = to_numpy(point.theta), -to_numpy(point.residual)
        state = self.state
        if state.theta is not None:
            state.dX = self._with(state.dX, x - to_numpy(state.theta))
            state.dR = self._with(state.dR, r - to_numpy(state.residual))
        state.theta, state.residual = x.copy(), r.copy()
        step = self.mixing * r
        if state.dX is not None:
            # Nearly parallel changes say nothing new: what is below rounding is left out.
            gamma = np.linalg.lstsq(state.dR.T, r, rcond=len(r) * np.finfo(r.dtype).eps)[0]
            step = step - (state.dX + self.mixing * state.dR).T @ gamma
        d = move(step.astype(x.dtype), backend_of(point.theta).name)
        return Step(point.problem.at(point.theta + d), self.mixing)

    def _with(self, before: np.ndarray | None, v: np.ndarray) -> np.ndarray:
        return v[None] if before is None else np.concatenate([to_numpy(before), v[None]])[-self.memory :]
