"""Methods without derivatives: first-order methods that follow an estimate."""

from __future__ import annotations

from typing import Any

from minigrad.optim.constraints import Constraint
from minigrad.optim.first_order.adam import Adam
from minigrad.optim.first_order.field_update import FirstOrder
from minigrad.optim.first_order.sgd import SGD
from minigrad.optim.problems.gradient_estimates import CoordinateEstimate, GaussianEstimate
from minigrad.optim.schedules import Schedule

__all__ = ["ZOO", "RandomGradientFree"]


class RandomGradientFree(FirstOrder):
    """theta <- theta - lr g, g a :class:`GaussianEstimate` (Nesterov & Spokoiny 2017).

    Args:
        lr: theory asks for 1 / (4 (d + 4) L), d the dimension, L the gradient's Lipschitz constant.
        mu, samples, central: of the estimate.
        seed: of the random directions.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        mu: float = 1e-4,
        samples: int = 1,
        central: bool = False,
        schedule: Schedule | None = None,
        constraint: Constraint | None = None,
        seed: int = 0,
    ) -> None:
        estimate = GaussianEstimate(mu, samples, central)
        super().__init__(params, SGD, constraint, schedule, estimate, seed=seed, lr=lr)


class ZOO(FirstOrder):
    """Adam on a few coordinates at a time, each by a central difference (Chen et al. 2017).

    Args:
        coordinates: how many per step.
        mu: the half-width of the differences.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        mu: float = 1e-4,
        coordinates: int | None = 128,
        betas: tuple[float, float] = (0.9, 0.999),
        schedule: Schedule | None = None,
        constraint: Constraint | None = None,
        seed: int = 0,
    ) -> None:
        estimate = CoordinateEstimate(mu, coordinates)
        super().__init__(params, Adam, constraint, schedule, estimate, seed=seed, lr=lr, betas=betas)
