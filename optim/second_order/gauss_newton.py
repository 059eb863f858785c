"""Gauss-Newton: least squares by minimizing the linear model 1/2 |J d + r|^2 of 1/2 |r(theta + d)|^2, repeatedly."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.line_search import LineSearch, Search, search_of
from minigrad.optim.method import Direction, DirectionSearch, Stuck
from minigrad.optim.problems.least_squares import LeastSquares
from minigrad.optim.result import Status
from minigrad.optim.schedules import Schedule
from minigrad.optim.second_order.conjugate_gradients import conjugate_gradients
from minigrad.optim.second_order.levenberg_marquardt import DampedLeastSquares, form_for

__all__ = [
    "GaussNewton",
    "GaussNewtonDirection",
    "Solver",
    "column_lengths",
    "lsmr_step",
]

Solver = Literal["qr", "cholesky", "cg", "lsmr"]


class GaussNewtonDirection(Direction):
    """d = argmin |J d + r|^2 + damping |D d|^2.

    Args:
        damping: lambda >= 0.
        scaling: D, the lengths of J's columns, or 1.
        solver: "qr" (the default), "cholesky" of J^T J + damping D^2 with corrections (see
            :class:`~.levenberg_marquardt.DampedLeastSquares`; faster from some 100 parameters on), "cg" on the normal
            equations, or "lsmr" (the default from 3,000 parameters on); the last two need no J, only its
            products.
    """

    def __init__(self, damping: float = 0.0, scaling: bool = False, solver: Solver | None = None) -> None:
        if not damping >= 0:
            raise ValueError(f"damping must not be negative, but is {damping}")
        if solver not in (None, *get_args(Solver)):
            raise ValueError(f"solver must be 'qr', 'cholesky', 'cg' or 'lsmr', not {solver!r}")
        self.damping, self.scaling, self.solver = damping, scaling, solver

    def __call__(self, point: Any) -> Array:
        n, p = int(point.residual.size), point.problem.variables.p
        solver = self.solver or ("lsmr" if point.problem.form == "products" else "qr")
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
        A, z = point.linear_model
        if not np.isfinite(A).all():
            raise Stuck(Status.NON_FINITE)
        D = column_lengths(A) if self.scaling else np.ones(A.shape[1], A.dtype)
        q = DampedLeastSquares(A / D, z, triangular=solver == "qr", gram=solver == "cholesky")(self.damping)[0]
        if q is None:
            raise Stuck(Status.SINGULAR)
        return q / D

    def _iterative(self, point: Any, solver: str) -> Array:
        if self.scaling:
            raise ValueError("scaling needs the lengths of J's columns; use solver='qr' or 'cholesky'")
        if solver == "lsmr":
            return lsmr_step(point, self.damping)
        g = point.field
        tolerance = float(np.finfo(g.dtype).eps) ** 0.75 * float(np.linalg.norm(g))
        product = lambda v: point.vjp(point.jvp(v)) + self.damping * v
        return conjugate_gradients(product, g, tolerance=tolerance)[0]


def lsmr_step(point: Any, mu: float) -> np.ndarray:
    """argmin of |J d + r|^2 + mu |d|^2 at a least-squares point, on the host."""
    from scipy.sparse.linalg import LinearOperator, lsmr

    theta, r = point.theta, to_numpy(point.residual)
    home, dtype = backend_of(theta).name, theta.dtype
    jvp = lambda v: to_numpy(point.jvp(move(np.asarray(v, dtype).reshape(-1), home)))
    vjp = lambda u: to_numpy(point.vjp(move(np.asarray(u, dtype).reshape(-1), home)))
    eps, shape = float(np.finfo(dtype).eps), (r.size, theta.size)
    J = LinearOperator(shape, matvec=jvp, rmatvec=vjp, dtype=dtype)
    return -lsmr(J, r, damp=mu**0.5, atol=eps, btol=eps, maxiter=4 * min(shape))[0].astype(dtype)


def column_lengths(A: np.ndarray) -> np.ndarray:
    """The norms of the columns; 1 for a column of zeros."""
    lengths = np.linalg.norm(A, axis=0)
    return np.where(lengths > 0, lengths, 1)


class GaussNewton(DirectionSearch):
    """theta <- theta + t d with d = argmin |J d + r|^2 + damping |D d|^2 (notes, sections 9.2.1 and .3.4).

    Newton's method without the second derivatives of r: as fast where the residual is small or almost linear at the
    minimizer. The error then shrinks at the spectral radius of (J^T J)^{-1} sum_i r_i Hess r_i.

    >>> import minigrad as mg
    >>> line = lambda c: c[0] + c[1] * np.arange(3.0) - np.array([1.0, 3.0, 8.0])  # linear: one step
    >>> result = mg.optim.least_squares(line, [0.0, 0.0], "gauss-newton", maxiter=1)
    >>> result.x.round(6), result.fun.round(6)
    (array([0.5, 3.5]), array([-0.5,  1. , -0.5]))

    Args: see :class:`GaussNewtonDirection` and :class:`~minigrad.optim.Newton`.

    Raises:
        ValueError: a negative damping; no such solver or line search; in a step, fewer residuals than parameters and no
            damping.
    """

    kind = LeastSquares

    def __init__(
        self,
        params: Any,
        lr: float | None = None,
        line_search: LineSearch | Search | None = None,
        damping: float = 0.0,
        scaling: bool = False,
        solver: Solver | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(
            params, GaussNewtonDirection(damping, scaling, solver), search_of(line_search, lr, 1.0, schedule)
        )

    def needs(self) -> dict[str, Any]:
        return {"form": form_for(self.direction.solver, self.variables.p)}
