"""The subproblem of Gauss-Newton methods: min |A q + z|^2 + mu |q|^2, for one A and several mu."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

SMALL = 64  # below so many columns the QR factorization costs next to nothing


class Damped:
    """``Damped(A, z)(mu)`` is (q, F): the minimizer, and an upper triangular F with F'F = A'A + mu I.

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
        self._AtA: np.ndarray | None = None

    def __call__(self, mu: float) -> tuple[Any, np.ndarray]:
        if mu == 0 and self.triangular:
            return self._back(self.A, self.z)
        corrected = self._by_cholesky(mu) if self.gram else None
        return self._by_qr(mu) if corrected is None else corrected

    def decrease(self, q: np.ndarray) -> float:
        """1/2 |z|^2 - 1/2 |A q + z|^2, without cancellation."""
        change = self.A @ q
        return -float(change @ self.z) - 0.5 * float(change @ change)

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


def inverse_slope(F: np.ndarray, q: np.ndarray) -> float:
    """-abs(q) / (d abs(q) / d mu), for q and F as :class:`Damped` returns them: Newton's step on 1 / abs(q(mu))."""
    w = scipy.linalg.solve_triangular(F, q, trans="T", check_finite=False)
    return float(q @ q) / max(float(w @ w), float(np.finfo(w.dtype).tiny))


def column_lengths(A: np.ndarray) -> np.ndarray:
    """The norms of the columns; 1 for a column of zeros."""
    lengths = np.linalg.norm(A, axis=0)
    return np.where(lengths > 0, lengths, 1)
