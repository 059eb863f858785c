"""Gradients estimated from values alone (notes, section 8.2.3; Nesterov & Spokoiny 2017).

An estimate takes the place of the gradient in a problem, so every first-order method can follow it. The values it needs
are computed together, as one batch, by ``vmap``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move
from minigrad.core.modes import enable_grad, no_grad
from minigrad.optim.problems.minimization import Minimization, MinimizationPoint
from minigrad.optim.problems.problem import check_scalar
from minigrad.tensor import Tensor
from minigrad.transforms.vmap import vmap

__all__ = [
    "CoordinateEstimate",
    "Estimated",
    "EstimatedPoint",
    "GaussianEstimate",
]


class GaussianEstimate:
    """g = mean over u ~ N(0, I) of (f(theta + mu u) - f(theta)) / mu u, or its central form.

    Its mean is the gradient of f smoothed by a Gaussian of width mu. For a linear f, E abs(g)^2 is (d + 2) times
    abs(grad f)^2: the price of not having derivatives is a factor of the dimension.

    >>> from minigrad.optim.problems.variables import Variables
    >>> f, theta = lambda x: (x * x).sum(), np.array([1.0, -2.0])
    >>> Estimated(f, Variables(theta), GaussianEstimate(samples=10_000, central=True)).at(theta).field.round()
    array([ 2., -4.])

    Args:
        mu: the width, in theta's units.
        samples: how many u per estimate.
        central: (f(theta + mu u) - f(theta - mu u)) / 2 mu u: twice the evaluations, and each slope is exact on
            quadratics.

    Raises:
        ValueError: a mu that is not positive, or no samples.
    """

    def __init__(self, mu: float = 1e-4, samples: int = 1, central: bool = False) -> None:
        if not mu > 0 or samples < 1:
            raise ValueError(f"an estimate needs mu > 0 and samples >= 1, not {mu} and {samples}")
        self.mu, self.samples, self.central = mu, samples, central

    def __call__(self, point: Any, rng: np.random.Generator) -> Array:
        theta, mu = point.theta, self.mu
        u = rng.standard_normal((self.samples, theta.size)).astype(theta.dtype)
        u = move(u, backend_of(theta).name)
        ahead = point.problem.values(theta + mu * u)
        if self.central:
            slopes = (ahead - point.problem.values(theta - mu * u)) / (2 * mu)
        else:
            slopes = (ahead - point.value) / mu
        return slopes @ u / self.samples


class CoordinateEstimate:
    """g_i = (f(theta + mu e_i) - f(theta - mu e_i)) / 2 mu for ``coordinates`` random i (by default all), else 0.

    >>> from minigrad.optim.problems.variables import Variables
    >>> problem = Estimated(lambda x: (x * x).sum(), Variables(np.ones(3)), CoordinateEstimate(mu=0.5))
    >>> problem.at(np.array([1.0, -2.0, 3.0])).field, problem.nfev  # exact on quadratics
    (array([ 2., -4.,  6.]), 6)

    Args:
        mu: half the distance of the two points, in theta's units.
        coordinates: how many i, each once; None for all.

    Raises:
        ValueError: a mu that is not positive, or no coordinates.
    """

    def __init__(self, mu: float = 1e-4, coordinates: int | None = None) -> None:
        if not mu > 0 or (coordinates is not None and coordinates < 1):
            raise ValueError(f"an estimate needs mu > 0 and coordinates >= 1, not {mu} and {coordinates}")
        self.mu, self.coordinates = mu, coordinates

    def __call__(self, point: Any, rng: np.random.Generator) -> Array:
        theta, p = point.theta, point.theta.size
        q = min(self.coordinates or p, p)
        chosen = np.arange(p) if q == p else rng.choice(p, size=q, replace=False)
        e = np.zeros((q, p), theta.dtype)
        e[np.arange(q), chosen] = 1
        e = move(e, backend_of(theta).name)
        values = point.problem.values(np.concatenate([theta + self.mu * e, theta - self.mu * e]))
        return ((values[:q] - values[q:]) / (2 * self.mu)) @ e


class EstimatedPoint(MinimizationPoint):
    """A point whose gradient is an estimate."""

    problem: Estimated

    @cached_property
    def value(self) -> float:
        return float(self.problem.values(self.theta[None])[0])

    @cached_property
    def field(self) -> Array:
        problem = self.problem
        problem.drawn += 1
        return problem.estimate(self, np.random.default_rng([problem.seed, problem.drawn]))


class Estimated(Minimization):
    """Minimize a function by estimates of its gradient; nothing is differentiated.

    Args:
        estimate: a :class:`GaussianEstimate` or :class:`CoordinateEstimate`.
        drawn: how many estimates were made before: the k-th draws from the seed (seed, k).
    """

    point = EstimatedPoint
    stochastic = True

    def __init__(
        self, fun: Callable[..., Any], variables: Any, estimate: Any, seed: int = 0, drawn: int = 0, examples: Any = ()
    ) -> None:
        super().__init__(fun, variables, examples, derivatives=0)
        self.estimate, self.seed, self.drawn = estimate, seed, drawn
        self._at_many = vmap(lambda *leaves: self.evaluate(list(leaves), self.examples))

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> Tensor:
        y = self.variables.call(self.fun, leaves, *examples)
        return check_scalar(
            y, "a function to minimize", "which has to be one number", tracked=False
        )  # it need not be differentiable

    def values(self, thetas: Array) -> Array:
        """The values at many points, (q, p) -> (q,), in one sweep where the function can be batched."""
        self.nfev += len(thetas)
        with enable_grad() if self.reads is None else no_grad():  # once, to see what it reads
            if self.variables.in_place:  # a closure reads its parameters itself
                each = [self.evaluate(self.variables.leaves(theta), self.examples) for theta in thetas]
                return np.stack([y.array for y in each])
            parts = [Tensor(part) for part in self.variables.layout.split(thetas)]
            y = self._at_many(*parts)
            self.look_at(y, parts)
            return y.array
