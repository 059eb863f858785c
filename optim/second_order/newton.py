"""Newton's method: with a factorized Hessian, made safe on indefinite ones, or with Hessian-vector products alone."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import scipy.linalg

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.line_search import LineSearch, Search, search_of
from minigrad.optim.method import Direction, DirectionSearch, Stuck
from minigrad.optim.result import Status
from minigrad.optim.schedules import Schedule
from minigrad.optim.second_order.conjugate_gradients import conjugate_gradients

__all__ = ["Indefinite", "Newton", "NewtonCG", "NewtonCGDirection", "NewtonDirection", "modified_cholesky"]

#: What Newton's method does where the Hessian is not positive definite.
Indefinite = Literal["stop", "modify", "accept"]


def modified_cholesky(A: np.ndarray, delta: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """L and the diagonal of Delta >= 0 with A + diag(Delta) = L L^T: each pivot is raised to at least ``delta``.

    (Notes, appendix .3.2.) Delta = 0 where every pivot of A is larger than ``delta``, whose default is 1e-8 max diag A.
    Column j comes as its pivot l_jj first and then the l_ij below it; the notes print the two the other way round.

    >>> L, Delta = modified_cholesky(np.array([[1.0, 2.0], [2.0, 1.0]]), delta=1.0)  # pivots 1 and 1 - 4
    >>> L.tolist(), Delta
    ([[1.0, 0.0], [2.0, 1.0]], array([0., 4.]))

    Args:
        A: symmetric, (p, p); only its lower triangle is read.
        delta: the least pivot, positive.

    Returns:
        L, (p, p), lower triangular; and the diagonal of Delta, (p,).

    Raises:
        ValueError: a delta that is not positive.
    """
    A = np.array(A, dtype=np.float64)
    n = len(A)
    if delta is None:
        delta = 1e-8 * max(float(np.abs(np.diag(A)).max()), 1e-300)
    if not delta > 0:
        raise ValueError(f"modified_cholesky: delta must be positive, but is {delta}")
    L, Delta = np.zeros_like(A), np.zeros(n)
    for j in range(n):
        pivot = A[j, j] - L[j, :j] @ L[j, :j]
        Delta[j] = max(0.0, delta - pivot)
        L[j, j] = np.sqrt(pivot + Delta[j])
        L[j + 1 :, j] = (A[j + 1 :, j] - L[j + 1 :, :j] @ L[j, :j]) / L[j, j]
    return L, Delta


class NewtonDirection(Direction):
    """d = -H^{-1} g, by Cholesky factorization on the host.

    Args:
        indefinite: what to do where H is not positive definite: "stop"; "modify" it (:func:`modified_cholesky`); or
            "accept" it, solving H d = -g as Newton's method for equations does: it then finds any stationary point.
    """

    def __init__(self, indefinite: Indefinite = "stop") -> None:
        if indefinite not in get_args(Indefinite):
            raise ValueError(f"indefinite must be 'stop', 'modify' or 'accept', not {indefinite!r}")
        self.indefinite = indefinite

    def __call__(self, point: Any) -> Array:
        H, g = to_numpy(point.hessian), to_numpy(point.field)
        if not np.isfinite(H).all():
            raise Stuck(Status.NON_FINITE)
        return move(self.solve(H, -g).astype(g.dtype), backend_of(point.theta).name)

    def solve(self, H: np.ndarray, b: np.ndarray) -> np.ndarray:
        """H^{-1} b."""
        if self.indefinite == "accept":
            try:
                return np.linalg.solve(H, b)
            except np.linalg.LinAlgError:
                raise Stuck(Status.SINGULAR) from None
        try:
            L = np.linalg.cholesky(H)
            smallest, largest = np.diag(L).min() ** 2, np.diag(L).max() ** 2
            definite = smallest > len(H) * np.finfo(H.dtype).eps * largest
            singular = not definite
        except np.linalg.LinAlgError:
            definite = False
            eigenvalues = np.linalg.eigvalsh(H)
            singular = eigenvalues[0] > -len(H) * np.finfo(H.dtype).eps * abs(eigenvalues[-1])
        if not definite:
            if self.indefinite == "stop":
                raise Stuck(Status.SINGULAR if singular else Status.INDEFINITE)
            L = modified_cholesky(H)[0]
        return scipy.linalg.cho_solve((L, True), b.astype(L.dtype))


class NewtonCGDirection(Direction):
    """d with |H d + g| <= eta |g|, by conjugate gradients on Hessian-vector products; H is never formed.

    eta = min(1/2, sqrt(|g|)) makes the convergence superlinear (Nocedal & Wright, Alg. 7.1).
    """

    def __init__(self, max_products: int | None = None) -> None:
        self.max_products = max_products

    def __call__(self, point: Any) -> Array:
        return conjugate_gradients(point.curvature, point.field, max_products=self.max_products)[0]


class Newton(DirectionSearch):
    """theta <- theta - t H^{-1} g, with t = ``lr`` or a line search (notes, sections 9.2.1 and .2).

    Near a minimizer the error is squared in every step; far from it Newton's method may diverge or climb. With
    ``line_search="armijo"`` and ``indefinite="modify"`` it converges from anywhere.

    >>> import minigrad as mg
    >>> bowl = lambda x: (x[0] - 1) ** 2 + 50 * (x[1] - x[0]) ** 2  # quadratic: one step
    >>> mg.optim.minimize(bowl, [-9.0, 7.0], "newton", maxiter=1).x.round(6)
    array([1., 1.])
    >>> mg.optim.minimize(lambda x: x**4 - x**2, 0.1, "newton").status.name
    'INDEFINITE'

    Args:
        lr: the step length (1 by default); the first one tried by a line search.
        line_search: None, "armijo", "wolfe", "exact" or a Search.
        indefinite: see :class:`NewtonDirection`; "stop" unless told otherwise.
        schedule: a factor of ``lr``, by the step, where there is no line search.

    Raises:
        ValueError: an ``lr`` that is not positive; no such line search, or no such ``indefinite``.
    """

    def __init__(
        self,
        params: Any,
        lr: float | None = None,
        line_search: LineSearch | Search | None = None,
        indefinite: Indefinite = "stop",
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(params, NewtonDirection(indefinite), search_of(line_search, lr, 1.0, schedule))


class NewtonCG(DirectionSearch):
    """Newton's method without a Hessian: :class:`NewtonCGDirection`, then a line search.

    Memory and work per product are those of a gradient, so it suits networks.

    >>> import minigrad as mg
    >>> flat = lambda x: ((x - 1) ** 2).sum()  # one product is enough, where all curvatures are the same
    >>> result = mg.optim.minimize(flat, np.zeros(1000), "newton-cg")
    >>> result.nit, result.nhev, result.fun
    (1, 1, 0.0)

    Args:
        lr: as of :class:`Newton`.
        line_search: "armijo", "wolfe", "exact", None or a Search.
        max_products: per step, 10 times the dimension by default.

    Raises:
        ValueError: an ``lr`` that is not positive; no such line search.
    """

    def __init__(
        self,
        params: Any,
        lr: float | None = None,
        line_search: LineSearch | Search | None = "armijo",
        max_products: int | None = None,
    ) -> None:
        super().__init__(params, NewtonCGDirection(max_products), search_of(line_search, lr, 1.0))
