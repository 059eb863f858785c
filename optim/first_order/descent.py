"""Gradient descent and its relatives: preconditioned, projected, with noise, for functions with kinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.constraints import Constraint, check_constraint
from minigrad.optim.line_search import Constant, Exact, LineSearch, Search, search_of
from minigrad.optim.method import Direction, DirectionSearch, Method, Steepest, Step
from minigrad.optim.problems.problem import Point
from minigrad.optim.result import Status
from minigrad.optim.schedules import Schedule

__all__ = [
    "GD",
    "FullMatrixAdaGrad",
    "NoisyGD",
    "OuterProducts",
    "PerturbedGD",
    "PerturbedState",
    "ProjectedGD",
    "Subgradient",
    "SubgradientState",
]


class GD(DirectionSearch):
    """theta <- theta - t D grad f, with t = ``lr`` schedule(k) or from a line search (notes, sections 8.4 and 9.2.1).

    >>> import minigrad as mg
    >>> valley = lambda x: (x * x * np.array([1.0, 100.0])).sum()
    >>> mg.optim.minimize(valley, [1.0, 1.0], "gd", lr=0.005, maxiter=1).x
    array([0.99, 0.  ])
    >>> mg.optim.minimize(valley, [1.0, 1.0], "gd", lr=1.0, preconditioner=[0.5, 0.005], maxiter=1).x
    array([0., 0.])

    Args:
        lr: the step length (1e-3 by default); the first one tried by "armijo".
        line_search: None, "armijo", "wolfe", "exact" or a Search.
        preconditioner: D, a vector (diagonal) or a matrix, (p,) or (p, p).
        schedule: a factor of ``lr``, by the step.

    Raises:
        ValueError: an ``lr`` that is not positive; no such line search.
    """

    derivatives = 1

    def __init__(
        self,
        params: Any,
        lr: float | None = None,
        line_search: LineSearch | Search | None = None,
        preconditioner: Any = None,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(params, Steepest(preconditioner), search_of(line_search, lr, 1e-3, schedule))
        self.derivatives = 2 if isinstance(self.search, Exact) else 1


class ProjectedGD(Method):
    """theta <- P(theta - lr grad f), P the projection on ``constraint`` (notes, remark 9.1).

    It is stationary where a step leads back: abs(theta - P(theta - grad f)) is 0.

    >>> import minigrad as mg
    >>> ball = mg.optim.Ball(radius=5.0)
    >>> result = mg.optim.minimize(lambda x: 3 * x[0] - 4 * x[1], [0.0, 0.0], "projected-gd", lr=2.0, constraint=ball)
    >>> result.x, result.status.name
    (array([-3.,  4.]), 'CONSTRAINED')

    Args:
        lr: the step length.
        constraint: a :class:`~minigrad.optim.Box`, :class:`~minigrad.optim.Ball`, :class:`~minigrad.optim.Simplex`, or
            anything with ``project``.
        schedule: a factor of ``lr``, by the step.

    Raises:
        TypeError: no constraint, or one without ``project``.
        ValueError: an ``lr`` that is not positive.
    """

    derivatives = 1

    def __init__(
        self, params: Any, lr: float = 1e-3, constraint: Constraint | None = None, schedule: Schedule | None = None
    ) -> None:
        super().__init__(params)
        if constraint is None:
            raise TypeError("ProjectedGD needs constraint=Box(...), Ball(...) or Simplex(...), not None")
        check_constraint(constraint, "ProjectedGD")
        self.search, self.constraint = Constant(lr, schedule), constraint

    def advance(self, point: Point) -> Step:
        to, t, _ = self.search(point, -point.field)
        return Step(point.problem.at(self.constraint.project(to.theta)), t)

    @property
    def constrained(self) -> bool:
        return True

    def project(self, theta: Array) -> Array:
        return self.constraint.project(theta)


@dataclass
class SubgradientState:
    """The best iterate and its value; the mean of all, and the sum of its weights."""

    best: Any = None
    best_value: float | None = None
    average: Any = None
    weight: float = 0.0


class Subgradient(Method):
    """theta <- theta - t_k g, for convex functions with kinks, where no constant step converges (notes, appendix .1.2).

    Values go up and down, so the answer is the best iterate; ``average`` is the mean of all, weighted by t_k.

    >>> import minigrad as mg
    >>> result = mg.optim.minimize(lambda x: abs(x), 1.5, "subgradient", maxiter=3)
    >>> result.history["fun"].round(3), round(result.fun, 3)
    (array([1.5  , 0.5  , 0.207, 0.37 ]), 0.207)

    Args:
        lr: a factor of the schedule.
        schedule: 1/sqrt(k + 1) by default; the steps must vanish, their sum must diverge.

    Raises:
        ValueError: an ``lr`` that is not positive.
    """

    derivatives = 1

    def __init__(self, params: Any, lr: float = 1.0, schedule: Schedule | None = None) -> None:
        super().__init__(params)
        self.search = Constant(lr, schedule or (lambda k: (k + 1) ** -0.5))
        self.state = SubgradientState()
        self._best: Any = None  # the best point, where this run has met it: it need not be evaluated again

    def advance(self, point: Point) -> Step:
        state = self.state
        if state.best_value is None or point.value < state.best_value:
            state.best, state.best_value, self._best = point.theta.copy(), point.value, point
        step = self.search(point, -point.field)
        state.weight += step.size
        share = step.size / state.weight
        before = point.theta if state.average is None else state.average
        state.average = (1 - share) * before + share * point.theta
        return step

    def answer(self, point: Point) -> Any:
        best = self.state.best_value
        if best is None or point.value <= best:
            return point
        return self._best if self._best is not None else point.problem.at(self.state.best)


class _Noise:
    """Random vectors that depend on (seed, k) alone, so that a resumed run draws the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def normal(self, k: int, like: Array) -> Array:
        draw = np.random.default_rng([self.seed, k]).standard_normal(like.shape)
        return move(draw.astype(like.dtype), backend_of(like).name)

    def in_ball(self, k: int, like: Array, radius: float) -> Array:
        """Uniform in the ball."""
        rng = np.random.default_rng([self.seed, k])
        draw = rng.standard_normal(like.shape)
        draw *= radius * rng.random() ** (1 / draw.size) / np.linalg.norm(draw)
        return move(draw.astype(like.dtype), backend_of(like).name)


class NoisyGD(Method):
    """theta <- theta - lr (grad f + sigma xi), xi standard normal: it leaves strict saddles, but never settles.

    >>> import minigrad as mg
    >>> x = mg.tensor([0.0, 0.0], requires_grad=True)  # a saddle: the gradient is 0
    >>> method = NoisyGD([x], lr=0.1)
    >>> losses = [method.step(lambda: x[0] ** 2 + x[1] ** 4 - x[1] ** 2).item() for _ in range(60)]
    >>> losses[0], round(losses[-1], 2)
    (0.0, -0.25)

    Args:
        sigma: the size of the noise, in the gradient's units.
        schedule: a factor of ``lr``, by the step.
        seed: of the noise, which depends on the seed and the step alone.

    Raises:
        ValueError: a negative sigma; an ``lr`` that is not positive.
    """

    derivatives = 1

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        sigma: float = 1e-2,
        schedule: Schedule | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(params)
        if not sigma >= 0:
            raise ValueError(f"sigma must not be negative, but is {sigma}")
        self.search, self.sigma, self.noise = Constant(lr, schedule), sigma, _Noise(seed)

    def advance(self, point: Point) -> Step:
        xi = self.noise.normal(self.search.state.k, point.theta)
        return self.search(point, -(point.field + self.sigma * xi))


@dataclass
class PerturbedState:
    """The number of steps; and how many since the last noise, with the point and the value from before it."""

    k: int = 0
    since: int | None = None
    theta: Any = None
    value: float = 0.0


class PerturbedGD(Method):
    """Gradient descent that shakes itself loose from saddles (Jin et al. 2017; notes, section 8.4).

    Where abs(grad f) <= ``threshold``, a vector uniform in a ball is added, and ``patience`` steps of gradient descent
    follow. If they bring the value down by less than ``decrease``, the point from before the noise has no direction of
    strictly negative curvature: it is returned, as a second-order stationary point. So strict saddles are left in time
    that grows with the logarithm of the dimension, where gradient descent may sit for ever.

    >>> import minigrad as mg
    >>> saddle = lambda x: x[0] ** 2 + x[1] ** 4 - x[1] ** 2
    >>> result = mg.optim.minimize(saddle, [0.0, 0.0], "perturbed-gd", lr=0.1, patience=40)
    >>> round(result.fun, 3), abs(result.x).round(2), result.status.name
    (-0.25, array([0.  , 0.71]), 'SECOND_ORDER')

    Args:
        lr: the step length.
        radius: of the ball, in theta's units.
        threshold: the norm of the gradient that counts as stationary.
        patience: how many steps the noise is given to show its effect.
        decrease: by default ``threshold * radius``.
        seed: of the noise, which depends on the seed and the step alone.

    Raises:
        ValueError: lr, radius, threshold or patience is not positive.
    """

    derivatives = 1

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        radius: float = 1e-3,
        threshold: float = 1e-2,
        patience: int = 200,
        decrease: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(params)
        for name, value in (("lr", lr), ("radius", radius), ("threshold", threshold), ("patience", patience)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, but is {value}")
        self.lr, self.radius, self.threshold, self.patience = lr, radius, threshold, patience
        self.decrease = threshold * radius if decrease is None else decrease
        self.noise = _Noise(seed)
        self.state = PerturbedState()

    def converged(self, point: Point, tol: float) -> Status | None:
        return None  # a small gradient is what the noise is for

    def advance(self, point: Point) -> Step:
        state = self.state
        state.k += 1
        if state.since is not None and state.since >= self.patience:
            if state.value - point.value < self.decrease:
                return Step(point.problem.at(state.theta), 0.0, Status.SECOND_ORDER)
            state.since = None
        if state.since is None and point.optimality <= self.threshold:
            state.since, state.theta, state.value = 0, point.theta.copy(), point.value
            shaken = point.theta + self.noise.in_ball(state.k, point.theta, self.radius)
            return Step(point.problem.at(shaken), self.radius)
        state.since = None if state.since is None else state.since + 1
        return Step(point.problem.at(point.theta - self.lr * point.field), self.lr)


@dataclass
class OuterProducts:
    """The sum of g g^T."""

    G: Any = None


class _FullMatrixDirection(Direction):
    """d = -(eps I + G^{1/2})^{-1} g with G = sum g g^T."""

    def __init__(self, eps: float) -> None:
        self.eps, self.state = eps, OuterProducts()

    def __call__(self, point: Point) -> Array:
        g = to_numpy(point.field)
        G = 0.0 if self.state.G is None else to_numpy(self.state.G)
        self.state.G = G = G + np.outer(g, g)
        s, Q = np.linalg.eigh(G)
        s = np.maximum(s, len(s) * np.finfo(s.dtype).eps * s[-1])  # what is smaller is rounding
        d = -Q @ ((Q.T @ g) / (np.sqrt(s) + self.eps))
        return move(d.astype(g.dtype), backend_of(point.theta).name)


class FullMatrixAdaGrad(DirectionSearch):
    """AdaGrad with the whole matrix: theta <- theta - lr (eps I + G^{1/2})^{-1} g, G = sum g g^T (Duchi et al. 2011).

    Unlike the diagonal form it does not depend on the choice of axes. For few parameters: each step takes an
    eigendecomposition of a (p, p) matrix. The first step has length ``lr`` along the gradient:

    >>> import minigrad as mg
    >>> slope = lambda x: 3 * x[0] + 4 * x[1]
    >>> mg.optim.minimize(slope, [0.0, 0.0], "full-adagrad", lr=1.0, maxiter=1).x.round(6)
    array([-0.6, -0.8])
    >>> mg.optim.minimize(slope, [0.0, 0.0], "adagrad", lr=1.0, maxiter=1).x.round(6)
    array([-1., -1.])

    Args:
        lr: the length of the first step.
        eps: keeps the inverse finite.
        schedule: a factor of ``lr``, by the step.

    Raises:
        ValueError: an ``lr`` that is not positive.
    """

    derivatives = 1

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        eps: float = 1e-10,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(params, _FullMatrixDirection(eps), Constant(lr, schedule))
