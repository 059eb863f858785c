"""Levenberg-Marquardt: Gauss-Newton in a trust region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arrays.backend import backend_of, move, to_numpy
from minigrad.optim.method import Method, Step
from minigrad.optim.problems.minimization import Problem
from minigrad.optim.problems.squares import LeastSquares
from minigrad.optim.result import Status
from minigrad.optim.second_order.damped import Damped, inverse_slope
from minigrad.optim.second_order.gauss_newton import GaussNewtonDirection, with_solver


class LevenbergMarquardt(Method):
    """Gauss-Newton in a trust region abs(D d) <= radius (More 1978), for residuals of any number and any scale.

    The step solves min |J d + r|^2 + mu |D d|^2, with the damping mu >= 0 chosen so that abs(D d) is the radius: so
    damping and trust region are one. D holds the largest length each column of J has had, which makes the method
    independent of the parameters' units. The radius grows where the linear model predicts well and shrinks where not.

    Args:
        radius: of the first region, in units of abs(D theta).
        eta: the share of the predicted decrease that a step must achieve to be taken.
        solver: "qr" (the default), "cholesky" (see :class:`~minigrad.optim.damped.Damped`), or "lsmr", which forms no
            Jacobian (the default from 3,000 parameters on; there D = 1, and the damping itself is adapted).
    """

    kind = LeastSquares

    def __init__(self, params: Any, radius: float = 1.0, eta: float = 1e-4, solver: str | None = None) -> None:
        super().__init__(params)
        if not radius > 0:
            raise ValueError(f"radius must be positive, but is {radius}")
        if solver not in (None, "qr", "cholesky", "lsmr"):
            raise ValueError(f"LevenbergMarquardt's solver is 'qr', 'cholesky' or 'lsmr', not {solver!r}")
        self.factor, self.eta, self.solver = radius, eta, solver
        self.state.update(radius=None, damping=None, D=None)

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        return with_solver(super().problem(fun, **options), self.solver)

    def advance(self, point: Any) -> Step:
        return self._matrix_free(point) if point.problem.matrix_free else self._dense(point)

    # ------------------------------------------------------------------------------------------------- dense
    def _dense(self, point: Any) -> Step:
        R, z = point.triangle
        if not np.isfinite(R).all():
            return Step(point, 0.0, Status.NON_FINITE)
        state, theta, eps = self.state, to_numpy(point.theta), float(np.finfo(R.dtype).eps)
        longest = np.linalg.norm(R, axis=0)
        if state["D"] is not None:
            longest = np.maximum(to_numpy(state["D"]), longest)
        state["D"] = longest
        D = np.where(longest > 0, longest, 1)
        # In the scaled variables q = D d the region is a ball.
        model = Damped(R / D, z, triangular=point.problem.factorized, gram=not point.problem.factorized)
        size, first = float(np.linalg.norm(D * theta)), state["radius"] is None
        if first:
            state["radius"] = self.factor * (size or 1.0)
        undamped = model(0.0) if model.triangular else (None, None)
        while True:
            q, mu = self._step(model, state["radius"], undamped)
            length = float(np.linalg.norm(q))
            if first:  # the first radius was a guess: the step says more
                state["radius"], first = min(state["radius"], length), False
            radius = state["radius"]
            predicted = model.decrease(q)
            if not predicted > 16 * eps * point.value or length <= eps * size:
                return self._polish(point, D, q if undamped[0] is None else undamped[0], radius)
            new = self._moved(point, D, q)
            ratio = (point.value - new.value) / predicted
            if not ratio >= 0.25:
                state["radius"] = (0.5 if ratio > 0 else 0.25) * length
            elif ratio > 0.75 or mu == 0:
                state["radius"] = max(radius, 2 * length)
            if ratio > self.eta:
                state["damping"] = mu
                return Step(new, radius)

    @staticmethod
    def _moved(point: Any, D: np.ndarray, q: np.ndarray) -> Any:
        d = move((q / D).astype(point.theta.dtype), backend_of(point.theta).name)
        return point.problem.at(point.theta + d)

    def _polish(self, point: Any, D: np.ndarray, q: np.ndarray, radius: float) -> Step:
        """The costs no longer tell one point from another; the gradient may."""
        new = self._moved(point, D, q)
        if new.finite and new.optimality < 0.99 * point.optimality:
            return Step(new, radius)
        return Step(point, radius, Status.ROUNDING)

    def _step(self, model: Damped, radius: float, undamped: Any) -> tuple[np.ndarray, float]:
        """q and the damping mu with abs(q) within a tenth of the radius, or mu = 0 and abs(q) below it."""
        least = 16 * model.eps  # damping that rounding does not swallow: it stands for none where none is singular
        low, high = 0.0, float(np.linalg.norm(model.z @ model.A)) / radius
        q, F = undamped
        if q is not None:
            length = float(np.linalg.norm(q))
            if length <= 1.1 * radius:
                return q, 0.0
            low = (length - radius) / radius * inverse_slope(F, q)
        mu = self.state["damping"] or 0.0
        for _ in range(30):  # two or three
            if not low < mu < high:
                mu = max(0.05 * high, float(np.sqrt(low * high)))
            if q is None and mu <= least:
                mu = least
            q_mu, F = model(mu)
            length = float(np.linalg.norm(q_mu))
            if q is None and mu == least and length <= 1.1 * radius:
                return q_mu, 0.0
            if abs(length - radius) <= 0.1 * radius:
                break
            low, high = (max(low, mu), high) if length > radius else (low, mu)
            mu += (length - radius) / radius * inverse_slope(F, q_mu)
        return q_mu, mu

    # ------------------------------------------------------------------------------------------- matrix-free
    def _matrix_free(self, point: Any) -> Step:
        """Marquardt's damping, with each step from LSMR: products with J alone."""
        state, eps = self.state, float(np.finfo(point.theta.dtype).eps)
        if state["damping"] is None:
            state["damping"] = 1e-3 * float(point.field @ point.field) / max(2 * point.value, eps)
        while True:
            direction = GaussNewtonDirection(state["damping"], solver="lsmr")
            d = direction(point)
            Jd = point.jvp(d)
            predicted = -(float(Jd @ point.residual) + 0.5 * float(Jd @ Jd))
            length = float(np.linalg.norm(d))
            if not predicted > 4 * eps * point.value or length <= eps * float(np.linalg.norm(point.theta)):
                return Step(point, length, Status.ROUNDING)
            new = point.problem.at(point.theta + d)
            ratio = (point.value - new.value) / predicted
            state["damping"] *= 1 / 3 if ratio > 0.75 else 1 if ratio > 0.25 else 4
            if ratio > self.eta:
                return Step(new, length)
