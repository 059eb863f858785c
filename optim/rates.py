"""How fast does a sequence converge? (Notes, appendix .1.1.)

For errors e_k -> 0:

* order q and factor c:  e_{k+1} ~ c e_k^q. q = 1 with c < 1 is linear (Q-linear), q = 2 quadratic, between superlinear;
* sublinear of power a:  e_k ~ C k^{-a}; then e_{k+1} / e_k -> 1;
* R-linear: e_k <= C c^k, though single steps may go up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Rate", "estimate", "linear_factor", "order", "power"]


@dataclass
class Rate:
    """What :func:`estimate` found.

    >>> print(Rate("linear", order=1.0, factor=0.5, power=np.inf))
    linear (factor 0.5)

    Attributes:
        kind: "finite" (an error of 0 is reached at once), "quadratic", "superlinear", "linear", "sublinear", "none".
        order: q.
        factor: c of the last steps: of a linear sequence, their geometric mean ratio.
        power: a, of a sublinear sequence.
    """

    kind: str
    order: float
    factor: float
    power: float

    def __str__(self) -> str:
        detail = {"linear": f"factor {self.factor:.6g}", "sublinear": f"like k^-{self.power:.3g}"}
        return f"{self.kind} ({detail.get(self.kind, f'order {self.order:.2f}')})"


def linear_factor(errors: Any, skip: float = 0.5) -> float:
    """The geometric mean of e_{k+1} / e_k over all but the first ``skip`` of the sequence: the R-linear factor.

    >>> linear_factor([4.0, 5.0, 1.0, 1.25, 0.25], skip=0.0)  # some steps go up, but two of them quarter it
    0.5

    Args:
        errors: (n,), positive; what follows a 0 is ignored.
        skip: the share of the sequence that is left out, in [0, 1).

    Raises:
        ValueError: a negative or non-finite error.
    """
    e = _errors(errors)
    start = min(int(len(e) * skip), len(e) - 2)
    return float((e[-1] / e[start]) ** (1 / (len(e) - 1 - start)))


def order(errors: Any) -> tuple[float, float]:
    """(q, c) of e_{k+1} = c e_k^q, from the last three positive errors.

    >>> q, c = order([0.1, 0.03, 0.0027])  # 3 e^2
    >>> round(q, 6), round(c, 6)
    (2.0, 3.0)

    Args:
        errors: (n,); what follows a 0 is ignored.

    Raises:
        ValueError: fewer than three positive errors, or a negative or non-finite one.
    """
    e = _errors(errors)
    if len(e) < 3:
        raise ValueError(f"the order takes three positive errors, and there are {len(e)}")
    a, b, c = np.log(e[-3:])
    q = (c - b) / (b - a) if b != a else 1.0
    return float(q), float(np.exp(c - q * b))


def power(errors: Any) -> float:
    """a of e_k ~ C k^{-a}: the slope of log e against log k over the last two thirds of the sequence, k from 1.

    >>> round(power([7 / k**2 for k in range(1, 50)]), 6)
    2.0

    Args:
        errors: (n,), positive; what follows a 0 is ignored.

    Raises:
        ValueError: a negative or non-finite error.
    """
    e = _errors(errors)
    k = np.arange(1, len(e) + 1)[len(e) // 3 :]
    return float(-np.polyfit(np.log(k), np.log(e[len(e) // 3 :]), 1)[0])


def estimate(errors: Any, floor: float = 0.0) -> Rate:
    """The kind of convergence of a sequence of errors.

    >>> print(estimate([0.5**k for k in range(20)]))
    linear (factor 0.5)
    >>> print(estimate([1e-1, 1e-2, 1e-4, 1e-8]))
    quadratic (order 2.00)
    >>> print(estimate([1 / k for k in range(1, 50)]))
    sublinear (like k^-1)

    Args:
        errors: non-negative numbers, such as ``history["fun"] - minimum`` or distances to the limit.
        floor: errors from the first at or below this on are rounding, and are ignored.

    Raises:
        ValueError: fewer than three errors above the floor, or a negative or non-finite one.
    """
    raw = np.asarray(errors, dtype=np.float64)
    reached = bool(np.any(raw <= floor))
    e = _errors(raw, floor)
    if len(e) < 3:
        if reached:
            return Rate("finite", np.inf, 0.0, np.inf)
        raise ValueError(f"a rate takes three errors above the floor, and there are {len(e)}")
    q, c = order(e)
    ratios = e[1:] / e[:-1]
    late = ratios[len(ratios) // 2 :]
    factor = linear_factor(e)
    if factor >= 1:
        return Rate("none", 1.0, factor, 0.0)
    a = power(e)
    # In a sublinear sequence 1 - e_{k+1}/e_k falls like a/k; in a linear one it stays.
    k = np.arange(1, len(e))
    drift = np.polyfit(np.log(k[len(k) // 3 :]), np.log(np.maximum(1 - ratios[len(k) // 3 :], 1e-300)), 1)[0]
    if len(e) > 8 and factor > 0.5 and drift < -0.5:
        return Rate("sublinear", 1.0, factor, a)
    if late[-1] < 0.3 * late[0] or q > 1.5:
        return Rate("quadratic" if q > 1.7 else "superlinear", q, c, np.inf)
    return Rate("linear", q, factor, np.inf)


def _errors(errors: Any, floor: float = 0.0) -> np.ndarray:
    e = np.asarray(errors, dtype=np.float64)
    if not np.all(np.isfinite(e)) or np.any(e < 0):
        raise ValueError("errors must be finite and not negative")
    below = np.flatnonzero(e <= floor)
    return e[: below[0]] if len(below) else e
