"""Gauss-Newton: least squares by minimizing the linear model 1/2 |J d + r|^2 of 1/2 |r(theta + d)|^2, repeatedly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.line_search import search_of
from minigrad.optim.method import Direction, DirectionSearch, Stuck
from minigrad.optim.problems.minimization import Problem
from minigrad.optim.problems.squares import LeastSquares
from minigrad.optim.result import Status
from minigrad.optim.second_order.damped import Damped, column_lengths

DENSE = 3000  # from so many parameters on, the solver is matrix-free


class GaussNewtonDirection(Direction):
    """d = argmin |J d + r|^2 + damping |D d|^2.

    Args:
        damping: lambda >= 0.
        scaling: D, the lengths of J's columns, or 1.
        solver: "qr" (the default), "cholesky" of J^T J + damping D^2 with corrections (see
            :class:`~minigrad.optim.damped.Damped`; faster from some 100 parameters on), "cg" on the normal equations,
            or "lsmr" (the default from 3,000 parameters on); the last two need no J, only products with it.
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
        return move(d.astype(point.theta.dtype), backend_of(point.theta).name)

    def _direct(self, point: Any, solver: str) -> np.ndarray:
        R, z = point.triangle
        if not np.isfinite(R).all():
            raise Stuck(Status.NON_FINITE)
        D = column_lengths(R) if self.scaling else np.ones(R.shape[1], R.dtype)
        q = Damped(R / D, z, triangular=solver == "qr", gram=solver == "cholesky")(self.damping)[0]
        if q is None:
            raise Stuck(Status.SINGULAR)
        return q / D

    def _iterative(self, point: Any, solver: str) -> np.ndarray:
        from scipy.sparse.linalg import LinearOperator, cg, lsmr

        theta, p, n = point.theta, point.problem.variables.p, int(point.residual.size)
        home, dtype = backend_of(theta).name, theta.dtype
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
        return with_solver(super().problem(fun, **options), self.direction.solver)


def with_solver(problem: Any, solver: str | None) -> Problem:
    """The least-squares problem, told what ``solver`` will ask of its points."""
    problem.matrix_free = solver in ("cg", "lsmr") if solver else problem.variables.p >= DENSE
    problem.factorized = solver in (None, "qr")
    return problem
