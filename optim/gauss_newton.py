"""Least squares: Gauss-Newton and Levenberg-Marquardt.

Both minimize the linear model 1/2 |J d + r|^2 of 1/2 |r(theta + d)|^2. They work on the triangle (R, z) of the point,
which stands for J and r at a fraction of the size, and never square the condition number by forming J^T J unless asked
to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from minigrad.backend import Array, home_of, move, to_numpy
from minigrad.optim.line_search import search_of
from minigrad.optim.method import Direction, DirectionSearch, Method, Step, Stuck
from minigrad.optim.problems import LeastSquares, Problem
from minigrad.optim.result import Status


def damped_solution(
    R: np.ndarray, z: np.ndarray, D: np.ndarray, damping: float
) -> tuple[np.ndarray | None, np.ndarray]:
    """d = argmin |R d + z|^2 + damping |D d|^2 by QR of the stacked system, and the triangular factor of it.

    Returns None for d where the system is singular to working precision.
    """
    p = R.shape[1]
    if damping > 0:
        stacked = np.concatenate([R, np.diag(np.sqrt(damping) * D).astype(R.dtype)])
        right = np.concatenate([z, np.zeros(p, R.dtype)])
        factor: Any = np.linalg.qr(np.concatenate([stacked, right[:, None]], axis=1), mode="r")
        R, z = factor[:p, :p], factor[:p, p]
    diagonal = np.abs(np.diag(R))
    if len(R) < p or not diagonal.min() > 16 * np.finfo(R.dtype).eps * diagonal.max():
        return None, R
    return -scipy.linalg.solve_triangular(R, z, check_finite=False), R


DENSE = 3000  # from so many parameters on, the solver is matrix-free


class GaussNewtonDirection(Direction):
    """d = argmin |J d + r|^2 + damping |D d|^2.

    Args:
        damping: lambda >= 0.
        scaling: D, the lengths of J's columns, or 1.
        solver: "qr" (the default), "cholesky" (of J^T J + damping D^2: faster, and half the digits), "cg" on the normal
            equations, or "lsmr" (the default from 3,000 parameters on), which need no J but its products.
    """

    def __init__(self, damping: float = 0.0, scaling: bool = False, solver: str | None = None) -> None:
        super().__init__()
        if not damping >= 0:
            raise ValueError(f"damping must not be negative, but is {damping}")
        if solver not in (None, "qr", "cholesky", "cg", "lsmr"):
            raise ValueError(f"solver must be 'qr', 'cholesky', 'cg' or 'lsmr', not {solver!r}")
        self.damping, self.scaling, self.solver = damping, scaling, solver

    def __call__(self, point: Any) -> Array:
        n, p = int(point.residual.size), point.problem.variables.p
        solver = "lsmr" if point.problem.matrix_free and self.solver is None else self.solver or "qr"
        if n < p and self.damping == 0:
            raise ValueError(
                f"Gauss-Newton without damping has no unique step for {n} residuals and {p} parameters. Use "
                "damping > 0, or method='lm'"
            )
        d = self._iterative(point, solver) if solver in ("cg", "lsmr") else self._direct(point, solver)
        eps = float(np.finfo(point.theta.dtype).eps)
        if float(np.linalg.norm(d)) <= 4 * eps * float(np.linalg.norm(point.theta)):
            raise Stuck(Status.ROUNDING)
        return move(d.astype(point.theta.dtype), home_of(point.theta).name)

    def _direct(self, point: Any, solver: str) -> np.ndarray:
        if solver == "qr":
            R, z = point.triangle
            if not np.isfinite(R).all():
                raise Stuck(Status.NON_FINITE)
            D = _lengths(R) if self.scaling else np.ones(R.shape[1])
            d = damped_solution(R, z, D, self.damping)[0]
            if d is None:
                raise Stuck(Status.SINGULAR)
            return d
        J = to_numpy(point.jacobian)
        if not np.isfinite(J).all():
            raise Stuck(Status.NON_FINITE)
        D = _lengths(J) if self.scaling else np.ones(J.shape[1])
        try:
            factor = scipy.linalg.cho_factor(J.T @ J + np.diag(self.damping * D * D).astype(J.dtype))
        except np.linalg.LinAlgError:
            raise Stuck(Status.SINGULAR) from None
        return -scipy.linalg.cho_solve(factor, to_numpy(point.field))

    def _iterative(self, point: Any, solver: str) -> np.ndarray:
        from scipy.sparse.linalg import LinearOperator, cg, lsmr

        theta, p, n = point.theta, point.problem.variables.p, int(point.residual.size)
        home, dtype = home_of(theta).name, theta.dtype
        if self.scaling:
            raise ValueError("scaling needs the lengths of J's columns; use solver='qr' or 'cholesky'")

        def jvp(v: np.ndarray) -> np.ndarray:
            return to_numpy(point.jvp(move(np.asarray(v, dtype).reshape(-1), home)))

        def vjp(u: np.ndarray) -> np.ndarray:
            return to_numpy(point.vjp(move(np.asarray(u, dtype).reshape(-1), home)))

        eps = float(np.finfo(dtype).eps)
        if solver == "lsmr":
            J = LinearOperator((n, p), matvec=jvp, rmatvec=vjp, dtype=dtype)
            r = to_numpy(point.residual)
            return -lsmr(J, r, damp=self.damping**0.5, atol=eps, btol=eps, maxiter=4 * min(n, p))[0]
        A = LinearOperator((p, p), matvec=lambda v: vjp(jvp(v)) + self.damping * v, dtype=dtype)
        return -cg(A, to_numpy(point.field), rtol=eps**0.75, maxiter=10 * p)[0]


def _lengths(J: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(J, axis=0)
    return np.where(lengths > 0, lengths, 1)


class GaussNewton(DirectionSearch):
    """theta <- theta + t d with d = argmin |J d + r|^2 + damping |D d|^2 (notes, sections 9.2.1 and .3.4).

    Newton's method without the second derivatives of r: as fast where the residual is small or almost linear at the
    minimizer. The error then shrinks at the spectral radius of (J^T J)^{-1} sum_i r_i Hess r_i.

    Args: see :class:`GaussNewtonDirection` and :class:`~minigrad.optim.Newton`.

    Raises:
        ValueError: fewer residuals than parameters, and no damping.
    """

    kind = LeastSquares

    def __init__(
        self,
        params: Any,
        lr: float | None = None,
        line_search: Any = None,
        damping: float = 0.0,
        scaling: bool = False,
        solver: str | None = None,
        schedule: Callable[[int], float] | None = None,
    ) -> None:
        super().__init__(
            params, GaussNewtonDirection(damping, scaling, solver), search_of(line_search, lr, 1.0, schedule)
        )

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        return _matrix_free(super().problem(fun, **options), self.direction.solver)


def _matrix_free(problem: Any, solver: str | None) -> Problem:
    problem.matrix_free = solver in ("cg", "lsmr") if solver else problem.variables.p >= DENSE
    return problem


class LevenbergMarquardt(Method):
    """Gauss-Newton in a trust region abs(D d) <= radius (More 1978), for residuals of any number and any scale.

    The step solves min |J d + r|^2 + mu |D d|^2, with the damping mu >= 0 chosen so that abs(D d) is the radius: so
    damping and trust region are one. D holds the largest length each column of J has had, which makes the method
    independent of the parameters' units. The radius grows where the linear model predicts well and shrinks where not.

    Args:
        radius: of the first region, in units of abs(D theta).
        eta: the share of the predicted decrease that a step must achieve to be taken.
        solver: "qr", or "lsmr" from 3,000 parameters on (there D = 1, and the damping itself is adapted).
    """

    kind = LeastSquares

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        return _matrix_free(super().problem(fun, **options), self.solver)

    def __init__(self, params: Any, radius: float = 1.0, eta: float = 1e-4, solver: str | None = None) -> None:
        super().__init__(params)
        if not radius > 0:
            raise ValueError(f"radius must be positive, but is {radius}")
        if solver not in (None, "qr", "lsmr"):
            raise ValueError(f"LevenbergMarquardt's solver is 'qr' or 'lsmr', not {solver!r}")
        self.factor, self.eta = radius, eta
        self.solver = solver
        self.state.update(radius=None, damping=None, D=None)

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
        if state["radius"] is None:
            state["radius"] = self.factor * (float(np.linalg.norm(D * theta)) or 1.0)
            first = True
        else:
            first = False
        cost = float(z @ z)
        undamped = None  # the Gauss-Newton step, worked out once
        while True:
            radius = state["radius"]
            if undamped is None:
                undamped = damped_solution(R, z, D, 0.0)
            d, mu = self._step(R, z, D, radius, undamped)
            length = float(np.linalg.norm(D * d))
            if first:
                state["radius"] = radius = min(radius, length)
                first = False
            model = R @ d + z
            predicted = 0.5 * (cost - float(model @ model))
            new = point.problem.at(point.theta + move(d.astype(theta.dtype), home_of(point.theta).name))
            if not predicted > 4 * eps * point.value or length <= eps * float(np.linalg.norm(D * theta)):
                # Costs no longer tell one point from another; the gradient may.
                if new.finite and new.optimality < 0.99 * point.optimality:
                    return Step(new, radius)
                return Step(point, radius, Status.ROUNDING)
            ratio = (point.value - new.value) / predicted
            if not ratio >= 0.25:
                state["radius"] = (0.5 if ratio > 0 else 0.25) * length
            elif ratio > 0.75 or mu == 0:
                state["radius"] = max(radius, 2 * length)
            if ratio > self.eta:
                state["damping"] = mu
                return Step(new, radius)

    def _step(
        self, R: np.ndarray, z: np.ndarray, D: np.ndarray, radius: float, undamped: Any
    ) -> tuple[np.ndarray, float]:
        """d and the damping mu with abs(D d) within a tenth of the radius, or mu = 0 and abs(D d) below it."""
        d, factor = undamped
        low = 0.0
        if d is not None:
            length = float(np.linalg.norm(D * d))
            if length <= 1.1 * radius:
                return d, 0.0
            low = (length - radius) / radius * self._inverse_slope(factor, D, d, length)
        high = float(np.linalg.norm((z @ R) / D)) / radius
        mu = self.state["damping"] or 0.0
        if not low < mu < high:
            mu = max(1e-3 * high, float(np.sqrt(low * high)))
        for _ in range(40):  # two or three, but for singular systems
            d, factor = damped_solution(R, z, D, mu)
            if d is None:  # so little damping that it is lost in rounding
                low, mu = mu, max(10 * mu, 1e-12 * high)
                continue
            length = float(np.linalg.norm(D * d))
            if abs(length - radius) <= 0.1 * radius:
                break
            low, high = (max(low, mu), high) if length > radius else (low, mu)
            mu += (length - radius) / radius * self._inverse_slope(factor, D, d, length)
            if not low < mu < high:
                mu = max(1e-3 * high, float(np.sqrt(low * high)))
        assert d is not None
        return d, mu

    @staticmethod
    def _inverse_slope(factor: np.ndarray, D: np.ndarray, d: np.ndarray, length: float) -> float:
        """-length / (d length / d mu), where length(mu) = abs(D d(mu))."""
        w = scipy.linalg.solve_triangular(factor, D * D * d / length, trans="T", check_finite=False)
        return 1.0 / max(float(w @ w), np.finfo(w.dtype).tiny)

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
