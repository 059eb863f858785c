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

    >>> import minigrad as mg
    >>> parabola = lambda x: (x * x).sum()
    >>> result = mg.optim.minimize(parabola, [1.0, 1.0], "random-gradient-free", lr=0.1, maxiter=60)
    >>> result.njev, result.fun < 1e-6  # no derivatives
    (0, True)

    Args:
        lr: theory asks for 1 / (4 (d + 4) L), d the dimension, L the gradient's Lipschitz constant.
        mu, samples, central: of the estimate.
        schedule: a factor of ``lr``, by the step.
        constraint: a set to stay in.
        seed: of the random directions.

    Raises:
        ValueError: a negative lr; a mu that is not positive, or no samples.
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

    >>> import minigrad as mg
    >>> result = mg.optim.minimize(lambda x: (x * x).sum(), [1.0] * 4, "zoo", lr=0.5, coordinates=1, maxiter=1)
    >>> sorted(result.x.round(6).tolist()), result.njev
    ([0.5, 1.0, 1.0, 1.0], 0)

    Args:
        mu: the half-width of the differences, in theta's units.
        coordinates: how many per step, None for all.
        betas: of :class:`Adam`.
        schedule, constraint, seed: as of :class:`RandomGradientFree`.

    Raises:
        ValueError: a mu that is not positive, or no coordinates; what :class:`Adam` refuses.
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
