"""Trust regions: minimize the quadratic model g'd + 1/2 d'Hd where it can be trusted, abs(d) <= radius."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.method import Method, Step
from minigrad.optim.result import Status

EXACT = 500  # up to so many parameters the subproblem is solved exactly, by an eigendecomposition


def trust_region_step(g: np.ndarray, H: np.ndarray, radius: float) -> np.ndarray:
    """argmin of g'd + 1/2 d'Hd over abs(d) <= radius, for any symmetric H (More & Sorensen 1983).

    The minimizer satisfies (H + mu I) d = -g with H + mu I >= 0, mu >= 0, and mu = 0 or abs(d) = radius. With
    H = Q diag(h) Q^T the length of d(mu) is explicit, and mu is found by Newton's method on 1 / abs(d(mu)), which is
    almost linear. In the hard case, where g has no part along the lowest eigenvectors, one of them is added to reach
    the boundary.
    """
    if not radius > 0:
        raise ValueError(f"trust_region_step: the radius must be positive, but is {radius}")
    h, Q = np.linalg.eigh(H)
    a = Q.T @ g
    scale = max(float(np.abs(h).max()), float(np.linalg.norm(g)) / radius, np.finfo(h.dtype).tiny)
    tiny = len(h) * np.finfo(h.dtype).eps * scale
    if h[0] > tiny:
        d = -a / h
        if np.linalg.norm(d) <= radius:
            return Q @ d
    lowest = h - h[0] <= tiny
    floor = max(0.0, -float(h[0]))  # mu is not below this
    rest = np.where(lowest, 0.0, a / np.where(lowest, 1.0, h + floor))
    if h[0] <= tiny and np.linalg.norm(a[lowest]) <= tiny * radius:  # the hard case, possibly
        inside = float(np.linalg.norm(rest))
        if inside <= radius:
            d = -rest
            if h[0] < -tiny:
                d[int(np.argmax(lowest))] = np.sqrt(radius**2 - inside**2)
            return Q @ d
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
    return Q @ (-a / (h + mu))


def steihaug_step(g: Array, product: Any, radius: float) -> Array:
    """An approximate minimizer by conjugate gradients, stopped at the boundary (Steihaug 1983).

    Args:
        product: v -> H v.
    """
    norm = float(np.sqrt(g @ g))
    tolerance = min(0.5, norm**0.5) * norm
    d, r, s, rr = np.zeros_like(g), g, -g, norm * norm
    for _ in range(10 * g.size):
        Hs = product(s)
        bend = float(s @ Hs)
        t = rr / bend if bend > 0 else np.inf
        if not np.isfinite(t) or float(np.linalg.norm(d + t * s)) >= radius:
            dd, ds, ss = float(d @ d), float(d @ s), float(s @ s)
            return d + ((np.sqrt(ds * ds + ss * (radius**2 - dd)) - ds) / ss) * s
        d = d + t * s
        r = r + t * Hs
        new = float(r @ r)
        if new**0.5 <= tolerance:
            return d
        s, rr = s * (new / rr) - r, new
    return d


class TrustRegion(Method):
    """Minimize the model in a ball; enlarge the ball where the model was right, shrink it where not (notes, .3.3).

    Args:
        radius: of the first ball.
        max_radius: the largest allowed.
        solver: "exact" (up to 500 parameters, the default there) or "steihaug".
        eta: the share of the predicted decrease that a step must achieve to be taken.
    """

    def __init__(
        self, params: Any, radius: float = 1.0, max_radius: float = 1e10, solver: str | None = None, eta: float = 1e-4
    ) -> None:
        super().__init__(params)
        if not 0 < radius <= max_radius:
            raise ValueError(f"TrustRegion needs 0 < radius <= max_radius, not {radius} and {max_radius}")
        if solver not in (None, "exact", "steihaug"):
            raise ValueError(f"solver must be 'exact' or 'steihaug', not {solver!r}")
        self.exact = solver == "exact" or (solver is None and self.variables.p <= EXACT)
        self.max_radius, self.eta = max_radius, eta
        self.state.update(radius=radius)

    def advance(self, point: Any) -> Step:
        g, eps = point.field, float(np.finfo(point.theta.dtype).eps)
        if self.exact:
            H, g_host = to_numpy(point.hessian).astype(np.float64), to_numpy(g).astype(np.float64)
            if not np.isfinite(H).all():
                return Step(point, 0.0, Status.NON_FINITE)
        while True:
            radius = self.state["radius"]
            if self.exact:
                host = trust_region_step(g_host, H, radius)
                d = move(host.astype(point.theta.dtype), backend_of(point.theta).name)
                bend = float(host @ H @ host)
            else:
                d = steihaug_step(g, point.curvature, radius)
                bend = float(d @ point.curvature(d))
            predicted = -(float(g @ d) + 0.5 * bend)
            length = float(np.linalg.norm(d))
            if not predicted > eps * abs(point.value) or length <= eps * float(np.linalg.norm(point.theta)):
                return self._rounding(point, d)
            new = point.problem.at(point.theta + d)
            ratio = (point.value - new.value) / predicted
            if not ratio >= 0.25:  # NaN too
                self.state["radius"] = 0.25 * length
            elif ratio > 0.75 and length > 0.9 * radius:
                self.state["radius"] = min(2 * radius, self.max_radius)
            if ratio > self.eta:
                return Step(new, radius)

    @staticmethod
    def _rounding(point: Any, d: Array) -> Step:
        """Values no longer tell one point from another; the gradient may, for one more step."""
        new = point.problem.at(point.theta + d)
        if new.finite and new.optimality < 0.5 * point.optimality:
            return Step(new, float(np.linalg.norm(d)))
        return Step(point, 0.0, Status.ROUNDING)
