"""Trust regions: minimize a model of the function where it can be trusted, abs(d) <= radius, and learn the radius.

The loop :func:`step_in_region` is the same for all of them (notes, .3.3). Newton's model g'd + 1/2 d'Hd is here,
solved by an eigendecomposition or by conjugate gradients; that of Levenberg-Marquardt stands in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.method import Method, Step, Stuck
from minigrad.optim.result import Status
from minigrad.optim.second_order.conjugate_gradients import conjugate_gradients

__all__ = [
    "Model",
    "QuadraticModel",
    "RegionState",
    "Trial",
    "TrustRegion",
    "TrustRegionSolver",
    "step_in_region",
    "trust_region_step",
]

EXACT = 500  # up to so many parameters the subproblem is solved exactly, by an eigendecomposition

#: How Newton's model is minimized in the ball.
TrustRegionSolver = Literal["exact", "steihaug"]


# ---------------------------------------------------------------------------------------------- the radius loop
@dataclass
class RegionState:
    """The radius in use; None before the first step."""

    radius: float | None = None


class Trial(NamedTuple):
    """What a model proposes: a step d, how long it is in the region's norm, by how much the model says the value will
    fall, and whether the radius did not matter.
    """

    d: Array
    length: float
    predicted: float
    interior: bool


class Model(Protocol):
    """A model of a function around a point."""

    size: float  # abs(theta) in the region's norm

    def within(self, radius: float) -> Trial:
        """Its minimizer with a length of at most about ``radius``."""

    def minimizer(self) -> Array | None:
        """Its minimizer wherever that is, if it is known."""


def step_in_region(
    point: Any, model: Model, state: RegionState, initial: float, eta: float, largest: float = np.inf
) -> Step:
    """Propose steps and shrink the region until one brings the value down by ``eta`` of what the model said.

    The region grows to twice the step where three quarters of that came true, or the model's minimizer was inside it
    (More 1978).

    Args:
        initial: the first radius, a guess: the first trial says more, where it is shorter.
    """
    eps = float(np.finfo(point.theta.dtype).eps)
    first = state.radius is None
    radius = initial if state.radius is None else state.radius
    while True:
        trial = model.within(radius)
        if first:
            radius, first = min(radius, trial.length), False
        state.radius = radius
        if not trial.predicted > 16 * eps * abs(point.value) or trial.length <= eps * model.size:
            return _beyond_rounding(point, model, trial)
        new = point.problem.at(point.theta + trial.d)
        ratio = (point.value - new.value) / trial.predicted
        used = radius
        if not ratio >= 0.25:  # NaN too
            radius = (0.5 if ratio > 0 else 0.25) * trial.length
        elif ratio > 0.75 or trial.interior:
            radius = min(max(radius, 2 * trial.length), largest)
        state.radius = radius
        if ratio > eta:
            return Step(new, used)


def _beyond_rounding(point: Any, model: Model, trial: Trial) -> Step:
    """The values no longer tell one point from another; the gradient may."""
    d = model.minimizer()
    new = point.problem.at(point.theta + (trial.d if d is None else d))
    if new.finite and new.optimality < 0.99 * point.optimality:
        return Step(new, trial.length)
    return Step(point, trial.length, Status.ROUNDING)


# ---------------------------------------------------------------------------------------------- Newton's model
def trust_region_step(g: np.ndarray, H: np.ndarray, radius: float) -> np.ndarray:
    """argmin of g'd + 1/2 d'Hd over abs(d) <= radius, for any symmetric H (More & Sorensen 1983).

    The minimizer satisfies (H + mu I) d = -g with H + mu I >= 0, mu >= 0, and mu = 0 or abs(d) = radius. With
    H = Q diag(h) Q^T the length of d(mu) is explicit, and mu is found by Newton's method on 1 / abs(d(mu)), which is
    almost linear. In the hard case, where g has no part along the lowest eigenvectors, one of them is added to reach
    the boundary.

    >>> trust_region_step(np.array([1.0, 0.0]), np.diag([1.0, -1.0]), 2.0).round(6)
    array([-0.5     ,  1.936492])

    Raises:
        ValueError: the radius is not positive.
    """
    if not radius > 0:
        raise ValueError(f"trust_region_step: the radius must be positive, but is {radius}")
    h, Q = np.linalg.eigh(H)
    return Q @ _in_eigenvectors(h, Q.T @ g, radius)


def _in_eigenvectors(h: np.ndarray, a: np.ndarray, radius: float) -> np.ndarray:
    """The step where H is diagonal: h are its eigenvalues in rising order, a the gradient along its eigenvectors."""
    scale = max(float(np.abs(h).max()), float(np.linalg.norm(a)) / radius, np.finfo(h.dtype).tiny)
    tiny = len(h) * np.finfo(h.dtype).eps * scale
    if h[0] > tiny:
        d = -a / h
        if np.linalg.norm(d) <= radius:
            return d
    lowest = h - h[0] <= tiny
    floor = max(0.0, -float(h[0]))  # mu is not below this
    rest = np.where(lowest, 0.0, a / np.where(lowest, 1.0, h + floor))
    if h[0] <= tiny and np.linalg.norm(a[lowest]) <= tiny * radius:  # the hard case, possibly
        inside = float(np.linalg.norm(rest))
        if inside <= radius:
            d = -rest
            if h[0] < -tiny:
                d[int(np.argmax(lowest))] = np.sqrt(radius**2 - inside**2)
            return d
    low, high = floor, floor + float(np.linalg.norm(a)) / radius + tiny
    mu = high
    for _ in range(200):
        length = float(np.linalg.norm(a / (h + mu)))
        if abs(length - radius) <= 1e-12 * radius:
            break
        low, high = (mu, high) if length > radius else (low, mu)
        slope = float(np.sum(a**2 / (h + mu) ** 3)) / length  # of -length
        mu += (length - radius) / radius * length / slope
        if not low < mu < high:
            mu = 0.5 * (low + high)
        if high - low <= np.finfo(h.dtype).eps * high:
            break
    return -a / (h + mu)


class QuadraticModel:
    """g'd + 1/2 d'Hd around a point, minimized in a ball by conjugate gradients, on the device.

    Args:
        product: v -> H v.
        accuracy: abs(g + H d) / abs(g) that will do; by default it falls with abs(g).
    """

    def __init__(self, point: Any, product: Callable[[Array], Array], accuracy: float | None = None) -> None:
        self.point, self.product, self.size = point, product, float(np.linalg.norm(point.theta))
        self.tolerance = None if accuracy is None else accuracy * float(np.linalg.norm(point.field))

    def within(self, radius: float) -> Trial:
        """The minimizer, or what is near enough."""
        g = self.point.field
        d, r = conjugate_gradients(self.product, g, radius, self.tolerance)
        length = float(np.linalg.norm(d))
        return Trial(d, length, -0.5 * float(d @ (g + r)), length < 0.99 * radius)

    def minimizer(self) -> Array | None:
        """Unknown."""
        return None


class _Eigenmodel(QuadraticModel):
    """The same exactly, along H's eigenvectors, on the host: one decomposition serves every radius."""

    def __init__(self, point: Any) -> None:
        super().__init__(point, point.curvature)
        H = to_numpy(point.hessian).astype(np.float64)
        if not np.isfinite(H).all():
            raise Stuck(Status.NON_FINITE)
        self.h, self.Q = np.linalg.eigh(H)
        self.a = self.Q.T @ to_numpy(point.field).astype(np.float64)

    def within(self, radius: float) -> Trial:
        e = _in_eigenvectors(self.h, self.a, radius)
        length, predicted = float(np.linalg.norm(e)), -float(self.a @ e + 0.5 * (self.h * e) @ e)
        theta = self.point.theta
        d = move((self.Q @ e).astype(theta.dtype), backend_of(theta).name)
        return Trial(d, length, predicted, length < 0.99 * radius)


class TrustRegion(Method):
    """Minimize Newton's model in a ball; enlarge the ball where the model was right, shrink it where not (notes, .3.3).

    It leaves saddles, where the model falls along a direction of negative curvature:

    >>> import minigrad as mg
    >>> saddle = lambda x: x[0] ** 2 + x[1] ** 4 - x[1] ** 2
    >>> mg.optim.minimize(saddle, [1.0, 0.0], "gd", lr=0.25).x.round(3)
    array([0., 0.])
    >>> abs(mg.optim.minimize(saddle, [1.0, 0.0], "trust-region").x).round(3)
    array([0.   , 0.707])

    Args:
        radius: of the first ball.
        max_radius: the largest allowed.
        solver: "exact" (up to 500 parameters, the default there) or "steihaug", conjugate gradients.
        eta: the share of the predicted decrease that a step must achieve to be taken.

    Raises:
        ValueError: a radius or a solver that does not exist.
    """

    def __init__(
        self,
        params: Any,
        radius: float = 1.0,
        max_radius: float = 1e10,
        solver: TrustRegionSolver | None = None,
        eta: float = 1e-4,
    ) -> None:
        super().__init__(params)
        if not 0 < radius <= max_radius:
            raise ValueError(f"TrustRegion needs 0 < radius <= max_radius, not {radius} and {max_radius}")
        if solver not in (None, *get_args(TrustRegionSolver)):
            raise ValueError(f"solver must be 'exact' or 'steihaug', not {solver!r}")
        self.exact = solver == "exact" or (solver is None and self.variables.p <= EXACT)
        self.radius, self.max_radius, self.eta = radius, max_radius, eta
        self.state = RegionState()

    def advance(self, point: Any) -> Step:
        model = _Eigenmodel(point) if self.exact else QuadraticModel(point, point.curvature)
        return step_in_region(point, model, self.state, self.radius, self.eta, self.max_radius)
