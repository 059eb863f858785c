"""Optimistic methods: the last field foretells the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigrad.optim.first_order.adam import Adam
from minigrad.optim.games.game import Game
from minigrad.optim.method import Step
from minigrad.optim.problems.problem import Point

__all__ = [
    "LastStep",
    "OptimisticAdam",
    "OptimisticGDA",
]


@dataclass
class LastStep:
    """The step that the rule made last, before it was corrected."""

    last: Any = None


class OptimisticGDA(Game):
    """theta <- theta - lr (2 F_k - F_{k-1}): each step made twice, less the one before (Popov 1980; Daskalakis 2018).

    The last field foretells the next one. Converges on x'Ay for lr s < 1/sqrt(3). Starts with F_{-1} = F_0. With
    another rule, "step" is the rule's; :class:`OptimisticAdam` is the best known.

    >>> import minigrad as mg
    >>> [mg.optim.minimax(lambda x, y: x * y, 1.0, 1.0, method, lr=0.5, maxiter=60).optimality < 0.1
    ...  for method in ("ogda", "gda")]
    [True, False]

    Args, Raises: as of :class:`Game`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = LastStep()

    def advance(self, point: Point) -> Step:
        step = self.update(point.theta, point.field) - point.theta
        last = step if self.state.last is None else self.state.last
        self.state.last = step
        return Step(point.problem.at(self.project(point.theta + (2 * step - last))), self.update.lr)


class OptimisticAdam(OptimisticGDA):
    """Optimistic Adam (Daskalakis et al. 2018): :class:`OptimisticGDA` with Adam's step.

    The first is ``lr`` for every entry of both players, whatever the size of the payoff:

    >>> import minigrad as mg
    >>> result = mg.optim.minimax(lambda x, y: 100 * x * y, 1.0, 2.0, "optimistic-adam", lr=0.1, maxiter=1)
    >>> result.x.round(6), result.y.round(6)
    (np.float64(0.9), np.float64(2.1))

    Args:
        betas, eps: of :class:`~minigrad.optim.Adam`.
        x_params, y_params, lr, kwargs: as of :class:`Game`.

    Raises: as of :class:`Game`.
    """

    def __init__(
        self,
        x_params: Any,
        y_params: Any = None,
        lr: float | tuple[float, float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(x_params, y_params, lr, Adam, betas=betas, eps=eps, **kwargs)
