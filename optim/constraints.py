"""Sets to stay in: each knows the nearest of its points to any other, its projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move

__all__ = ["Ball", "Box", "Constraint", "Simplex", "check_constraint"]


class Constraint(Protocol):
    """A set to stay in: anything with a projection.

    >>> import minigrad as mg
    >>> class SumZero:
    ...     def project(self, theta):
    ...         return theta - theta.mean()
    >>> loss = lambda x: ((x - np.array([3.0, 1.0])) ** 2).sum()
    >>> mg.optim.minimize(loss, [0.0, 0.0], "projected-gd", lr=0.5, constraint=SumZero()).x
    array([ 1., -1.])
    """

    def project(self, theta: Array, /) -> Array:
        """The nearest point of the set: (p,) -> (p,)."""


def check_constraint(constraint: Any, who: str) -> None:
    """Raise TypeError unless ``constraint`` is None or a set."""
    if constraint is not None and not callable(getattr(constraint, "project", None)):
        raise TypeError(
            f"{who} takes Box(...), Ball(...), Simplex(...), or what else has project(theta), not {constraint!r}"
        )


@dataclass
class Box:
    """lower <= theta <= upper, entry by entry.

    >>> Box(lower=0.0, upper=[1.0, 2.0]).project(np.array([-3.0, 3.0]))
    array([0., 2.])

    Args:
        lower, upper: numbers, or arrays with as many entries as theta; None for no bound.

    Raises:
        ValueError: the bounds cross; or, in :meth:`project`, they do not fit theta.
    """

    lower: Any = None
    upper: Any = None

    def __post_init__(self) -> None:
        if self.lower is not None and self.upper is not None:
            crossed = np.asarray(self.lower) > np.asarray(self.upper)
            if np.any(crossed):
                where = "" if np.ndim(crossed) == 0 else f" at index {tuple(int(i) for i in np.argwhere(crossed)[0])}"
                raise ValueError(f"Box: the lower bound lies above the upper one{where}: no point is inside")

    def project(self, theta: Array) -> Array:
        """clip(theta, lower, upper)."""
        for bound, limit in ((self.lower, np.maximum), (self.upper, np.minimum)):
            if bound is not None:
                array = np.asarray(bound, dtype=theta.dtype).reshape(-1)
                if array.size not in (1, theta.size):
                    raise ValueError(f"Box: a bound of {array.size} entries does not fit {theta.size} variables")
                theta = limit(theta, move(array, backend_of(theta).name))
        return theta


@dataclass
class Ball:
    """abs(theta - center) <= radius.

    >>> Ball(radius=1.0).project(np.array([3.0, 4.0])), Ball(radius=9.0).project(np.array([3.0, 4.0]))
    (array([0.6, 0.8]), array([3., 4.]))

    Args:
        radius: a positive number, in theta's units.
        center: a number, or an array with as many entries as theta.

    Raises:
        ValueError: a radius that is not positive.
    """

    radius: float = 1.0
    center: Any = 0.0

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"Ball: the radius must be positive, but is {self.radius}")

    def project(self, theta: Array) -> Array:
        """Along the radius, onto the sphere, if outside."""
        center = move(np.asarray(self.center, dtype=theta.dtype).reshape(-1), backend_of(theta).name)
        offset = theta - center
        return center + offset * min(1.0, self.radius / max(float(np.linalg.norm(offset)), np.finfo(theta.dtype).tiny))


@dataclass
class Simplex:
    """theta >= 0 with sum(theta) = total: mixed strategies, probabilities.

    >>> Simplex().project(np.array([0.5, 0.9, -1.0])).round(12)
    array([0.3, 0.7, 0. ])

    Args:
        total: a positive number.

    Raises:
        ValueError: a total that is not positive.
    """

    total: float = 1.0

    def __post_init__(self) -> None:
        if not self.total > 0:
            raise ValueError(f"Simplex: the total must be positive, but is {self.total}")

    def project(self, theta: Array) -> Array:
        """max(theta - t, 0), with the t that makes the sum right (Held et al. 1974)."""
        falling = -np.sort(-theta)
        shifts = (np.cumsum(falling) - self.total) / move(
            np.arange(1, theta.size + 1, dtype=theta.dtype), backend_of(theta).name
        )
        t = shifts[int(np.sum(falling > shifts)) - 1]
        return np.maximum(theta - t, 0)
