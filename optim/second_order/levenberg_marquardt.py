"""Levenberg-Marquardt: least squares by the linear model min |A q + z|^2, kept in a ball by damping, + mu |q|^2.

:class:`DampedLeastSquares` solves the damped problem for one A and several mu, :class:`DampedModel` finds the mu that a
radius asks for, and the radius is learned as in every trust region (:func:`~.trust_region.step_in_region`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import scipy.linalg

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.method import Method, Step
from minigrad.optim.problems.least_squares import JacobianForm, LeastSquares
from minigrad.optim.result import Status
from minigrad.optim.second_order.trust_region import QuadraticModel, RegionState, Trial, step_in_region

__all__ = [
    "DampedLeastSquares",
    "DampedModel",
    "LMState",
    "LevenbergMarquardt",
    "form_for",
]

SMALL = 64  # below so many columns the QR factorization costs next to nothing
DENSE = 3000  # from so many parameters on, the Jacobian is not formed
ACCURACY = 0.001

LMSolver = Literal["qr", "cholesky", "cg", "lsmr"]


# ------------------------------------------------------------------------------------- min |A q + z|^2 + mu |q|^2
class DampedLeastSquares:
    """``DampedLeastSquares(A, z)(mu)`` is (q, F): the minimizer, and an upper triangular F with F'F = A'A + mu I.

    Two ways lead to it. QR of the stacked system [A; sqrt(mu) I] never squares the condition number; it serves small
    systems. Cholesky of A'A + mu I is several times faster, and half the digits are lost; but *corrected*, by solving
    again for what the residual z + A q says is still missing, it gives the digits of QR where it converges at all
    (Bjorck 1987, the corrected seminormal equations). Where it does not within a few corrections, QR takes over.

    Args:
        A: (rows, p), finite; its columns of about equal length.
        triangular: A is upper triangular, and so its own factor.
        gram: use Cholesky whatever the size.

    q is None where the system is singular to working precision.
    """

    def __init__(self, A: np.ndarray, z: np.ndarray, triangular: bool = False, gram: bool = False) -> None:
        self.A, self.z, self.triangular = A, z, triangular and len(A) == A.shape[1]
        self.gram = gram or A.shape[1] >= SMALL
        self.eps = float(np.finfo(A.dtype).eps)
        self.slope = float(np.linalg.norm(z @ A))
        self.least = 16 * self.eps  # damping that rounding does not swallow: it stands for none where none is singular
        self._AtA: np.ndarray | None = None

    def __call__(self, mu: float) -> tuple[Any, Any]:
        if mu == 0 and self.triangular:
            return self._back(self.A, self.z)
        corrected = self._by_cholesky(mu) if self.gram else None
        return self._by_qr(mu) if corrected is None else corrected

    def decrease(self, q: np.ndarray) -> float:
        """1/2 |z|^2 - 1/2 |A q + z|^2, without cancellation."""
        change = self.A @ q
        return -float(change @ self.z) - 0.5 * float(change @ change)

    def inverse_slope(self, F: np.ndarray, q: np.ndarray) -> float:
        """-abs(q) / (d abs(q) / d mu): what Newton's method on 1 / abs(q(mu)) divides by."""
        w = scipy.linalg.solve_triangular(F, q, trans="T", check_finite=False)
        return float(q @ q) / max(float(w @ w), float(np.finfo(w.dtype).tiny))

    def _by_qr(self, mu: float) -> tuple[Any, np.ndarray]:
        A, p = self.A, self.A.shape[1]
        whole = np.concatenate([A, self.z[:, None]], axis=1)
        if mu > 0:
            whole = np.concatenate([whole, np.eye(p, p + 1, dtype=A.dtype) * A.dtype.type(mu**0.5)])
        factor: Any = np.linalg.qr(whole, mode="r")
        return self._back(factor[:p, :p], factor[:p, p])

    def _back(self, F: np.ndarray, z: np.ndarray) -> tuple[Any, np.ndarray]:
        # Column by column, so that the answer does not depend on anybody's units.
        regular = len(F) == F.shape[1] and np.all(np.abs(np.diag(F)) > 16 * self.eps * np.linalg.norm(F, axis=0))
        return (-scipy.linalg.solve_triangular(F, z, check_finite=False) if regular else None), F

    def _by_cholesky(self, mu: float) -> tuple[Any, np.ndarray] | None:
        A, z = self.A, self.z
        if self._AtA is None:
            self._AtA = A.T @ A
        try:
            L = np.linalg.cholesky(self._AtA + np.diag(np.full(len(self._AtA), mu, A.dtype)))
        except np.linalg.LinAlgError:
            return None
        q, size = np.zeros(A.shape[1], A.dtype), np.inf
        for _ in range(6):
            missing = scipy.linalg.cho_solve((L, True), (z + A @ q) @ A + mu * q, check_finite=False)
            q = q - missing
            before, size = size, float(np.linalg.norm(missing))
            relative = size / max(float(np.linalg.norm(q)), float(np.finfo(A.dtype).tiny))
            if relative <= 64 * self.eps or (relative <= self.eps**0.5 and size > 0.1 * before):
                return q, L.T  # converged, or down to rounding
            if not size < 0.1 * before:
                return None
        return None


# -------------------------------------------------------------------------------------- the damping for a radius
class DampedModel:
    """|J d + r|^2 around a point, in the variables q = D d, in which the region is a ball.

    Args:
        damping: of the step before: where the search for the next one starts.
    """

    def __init__(self, point: Any, damped: Any, D: Any, damping: float | None) -> None:
        self.point, self.damped, self.D, self.start = point, damped, D, damping or 0.0
        self.size = float(np.linalg.norm(D * to_numpy(point.theta)))
        self.undamped: Any = None
        self._factor: Any = None
        if damped.triangular:
            self.undamped, self._factor = damped(0.0)
        self.mu = 0.0

    def within(self, radius: float) -> Trial:
        """The damped step whose length is within a tenth of the radius, or the undamped one where that is inside."""
        q, self.mu = self._damped_to(radius)
        return Trial(self._d(q), float(np.linalg.norm(q)), self.damped.decrease(q), self.mu == 0)

    def minimizer(self) -> Array | None:
        """The undamped step, where the factorization gives it for nothing."""
        return None if self.undamped is None else self._d(self.undamped)

    def _d(self, q: np.ndarray) -> Array:
        theta = self.point.theta
        return move((q / self.D).astype(theta.dtype), backend_of(theta).name)

    def _damped_to(self, radius: float) -> tuple[np.ndarray, float]:
        damped, least = self.damped, self.damped.least
        low, high = 0.0, damped.slope / radius
        known = self.undamped is not None
        if known:
            length = float(np.linalg.norm(self.undamped))
            if length <= 1.1 * radius:
                return self.undamped, 0.0
            low = (length - radius) / radius * damped.inverse_slope(self._factor, self.undamped)
        mu = self.start
        for _ in range(30):  # two or three
            if not low < mu < high:
                mu = max(0.05 * high, float(np.sqrt(low * high)))
            if not known:
                mu = max(mu, least)
            q, F = damped(mu)
            length = float(np.linalg.norm(q))
            if not known and mu == least and length <= 1.1 * radius:
                return q, 0.0
            if abs(length - radius) <= 0.1 * radius:
                break
            low, high = (max(low, mu), high) if length > radius else (low, mu)
            mu += (length - radius) / radius * damped.inverse_slope(F, q)
        return q, mu


# --------------------------------------------------------------------------------------------------- the method
@dataclass
class LMState(RegionState):
    """Besides the radius: the damping of the last step, and the largest length of each column of J so far."""

    damping: float | None = None
    D: Any = None


class LevenbergMarquardt(Method):
    """Gauss-Newton in a trust region abs(D d) <= radius (More 1978), for residuals of any number and any scale.

    The step solves min |J d + r|^2 + mu |D d|^2, with the damping mu >= 0 chosen so that abs(D d) is the radius: so
    damping and trust region are one. D holds the largest length each column of J has had, which makes the method
    independent of the parameters' units. The radius grows where the linear model predicts well and shrinks where not.

    >>> import minigrad as mg
    >>> rosenbrock = lambda x: mg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    >>> [mg.optim.least_squares(lambda x: rosenbrock(x * u), [-1.2 / u, 1 / u], "lm", tol=1e-6).nit for u in (1, 1024)]
    [9, 9]

    Args:
        radius: of the first region, in units of abs(D theta).
        eta: the share of the predicted decrease that a step must achieve to be taken.
        solver: "qr" (the default), "cholesky" (see :class:`DampedLeastSquares`), or "cg", which forms no Jacobian (the
            default from 3,000 parameters on): there D = 1, and the linear model is minimized in the ball by conjugate
            gradients, to 0.1 % of the gradient. ("lsmr" is an older spelling of "cg".)

    Raises:
        ValueError: a radius that is not positive, or another solver.
    """

    kind = LeastSquares

    def __init__(self, params: Any, radius: float = 1.0, eta: float = 1e-4, solver: LMSolver | None = None) -> None:
        super().__init__(params)
        if not radius > 0:
            raise ValueError(f"radius must be positive, but is {radius}")
        if solver not in (None, *get_args(LMSolver)):
            raise ValueError(f"LevenbergMarquardt's solver is 'qr', 'cholesky' or 'cg', not {solver!r}")
        self.factor, self.eta, self.solver = radius, eta, solver
        self.state = LMState()

    def needs(self) -> dict[str, Any]:
        return {"form": form_for(self.solver, self.variables.p)}

    def advance(self, point: Any) -> Step:
        state, form = self.state, point.problem.form
        if form == "products":
            free = QuadraticModel(point, lambda v: point.vjp(point.jvp(v)), ACCURACY)
            return step_in_region(point, free, state, self.factor * (free.size or 1.0), self.eta)
        A, z = point.linear_model
        if not np.isfinite(A).all():
            return Step(point, 0.0, Status.NON_FINITE)
        longest = np.linalg.norm(A, axis=0)
        state.D = longest if state.D is None else np.maximum(to_numpy(state.D), longest)
        D = np.where(state.D > 0, state.D, 1)
        damped = DampedLeastSquares(A / D, z, triangular=form == "triangle", gram=form == "matrix")
        model = DampedModel(point, damped, D, state.damping)
        step = step_in_region(point, model, state, self.factor * (model.size or 1.0), self.eta)
        if step.status is None:
            state.damping = model.mu
        return step


def form_for(solver: str | None, p: int) -> JacobianForm:
    """What a least-squares solver makes of the Jacobian of p parameters."""
    if solver in ("cg", "lsmr") or (solver is None and p >= DENSE):
        return "products"
    return "matrix" if solver == "cholesky" else "triangle"
