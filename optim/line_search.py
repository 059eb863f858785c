"""Searches: how far to go along a direction d. Each returns a Step to theta + t d.

The first point of a search costs one evaluation; the accepted one is handed on, so nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.optim.method import Stateful, Step
from minigrad.optim.problems.minimax import Minimax
from minigrad.optim.problems.problem import Point
from minigrad.optim.result import Status

__all__ = [
    "Armijo",
    "Constant",
    "Exact",
    "LineSearch",
    "Search",
    "StepCount",
    "Wolfe",
    "search_of",
]

#: A line search by name; None is a constant step.
LineSearch = Literal["armijo", "wolfe", "exact"]


class Search(Stateful):
    """How far to go: ``search(point, d)`` is a :class:`Step` to theta + t d. One's own says so in :meth:`along`.

    >>> import minigrad as mg
    >>> class UnitLength(Search):
    ...     def along(self, point, d, slope):
    ...         t = 1 / np.linalg.norm(d)
    ...         return Step(point.problem.at(point.theta + t * d), t)
    >>> mg.optim.minimize(lambda x: x**2, 5.0, "gd", line_search=UnitLength(), maxiter=3).x
    array(2.)

    Raises (when called):
        TypeError: the search compares values, and the point is one of a game.
    """

    compares_values = True

    def __call__(self, point: Point, d: Array) -> Step:
        if self.compares_values:
            if isinstance(point.problem, Minimax):
                raise TypeError(
                    f"{type(self).__name__} compares values of a function to be minimized, and a game has none: what "
                    "one player gains, the other loses. Use a constant step or a schedule"
                )
            slope = float(point.field @ d)
            if slope == 0 and point.optimality == 0:
                return Step(point, 0.0, Status.GRADIENT)
            if not slope < 0:
                return Step(point, 0.0, Status.NOT_DESCENT)
        else:
            slope = 0.0
        return self.along(point, d, slope)

    def along(self, point: Point, d: Array, slope: float) -> Step:
        """The step, for a direction of slope field^T d < 0."""
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v}" for k, v in vars(self).items() if k != "state")
        return f"{type(self).__name__}({settings})"


@dataclass
class StepCount:
    """The number of steps so far: where a schedule is."""

    k: int = 0


class Constant(Search):
    """t = lr schedule(k) in step k = 0, 1, 2, ..., whatever happens.

    >>> import minigrad as mg
    >>> search = Constant(0.25, schedule=mg.optim.schedules.exponential(0.5))
    >>> mg.optim.minimize(lambda x: x**2, 1.0, "gd", line_search=search, maxiter=3).history["size"][1:]
    array([0.25  , 0.125 , 0.0625])

    Args:
        lr: the step length, positive.
        schedule: a factor of it, by the step; 1 by default.

    Raises:
        ValueError: an ``lr`` that is not positive.
    """

    compares_values = False

    def __init__(self, lr: float, schedule: Callable[[int], float] | None = None) -> None:
        if not lr > 0:
            raise ValueError(f"lr must be positive, but is {lr}")
        self.lr, self.schedule = lr, schedule
        self.state = StepCount()

    def along(self, point: Point, d: Array, slope: float) -> Step:
        t = self.lr if self.schedule is None else self.lr * self.schedule(self.state.k)
        self.state.k += 1
        return Step(point.problem.at(point.theta + t * d), t)


class Armijo(Search):
    """The first of t = s, beta s, beta^2 s, ... with f(theta + t d) <= f(theta) + gamma t f'd (notes, appendix .1.5).

    On a function whose Hessian is at most M the accepted step is at least min(s, 2 beta (1 - gamma) / M) along -grad f;
    the notes leave out the s, which is wrong where s is short. Newton's method needs s = 1 and gamma < 1/2.

    >>> import minigrad as mg
    >>> result = mg.optim.minimize(lambda x: 10 * x**2, 1.0, "gd", line_search=Armijo(), maxiter=1)
    >>> result.history["size"][1], result.x, result.nfev  # 1, 1/2, 1/4 and 1/8 go too far
    (np.float64(0.0625), array(-0.25), 6)

    Args:
        s: the first step length tried.
        beta: the factor from one to the next, in (0, 1).
        gamma: the share of the decrease t f'd that has to come true, in (0, 1).
        max_backtracks: how many step lengths are tried; where none will do, the status is ``NO_PROGRESS``.

    Raises:
        ValueError: s, beta or gamma out of its range.
    """

    def __init__(self, s: float = 1.0, beta: float = 0.5, gamma: float = 1e-4, max_backtracks: int = 60) -> None:
        if not (s > 0 and 0 < beta < 1 and 0 < gamma < 1):
            raise ValueError(f"Armijo needs s > 0 and 0 < beta, gamma < 1, not s={s}, beta={beta}, gamma={gamma}")
        self.s, self.beta, self.gamma, self.max_backtracks = s, beta, gamma, max_backtracks

    def along(self, point: Point, d: Array, slope: float) -> Step:
        t = self.s
        noise = 4 * np.finfo(point.theta.dtype).eps * abs(point.value)  # two values closer than this are the same
        for _ in range(self.max_backtracks):
            new = point.problem.at(point.theta + t * d)
            if new.value <= point.value + self.gamma * t * slope + noise:
                return Step(new, t)
            t *= self.beta
        return Step(point, 0.0, Status.NO_PROGRESS)


class _Line:
    """phi(t) = f(theta + t d), as SciPy's searches want it, with every point kept."""

    def __init__(self, point: Point, d: Array) -> None:
        self.origin, self.d = point, d
        self.points: dict[float, Any] = {0.0: point}

    def at(self, t: Any) -> Any:
        t = float(np.reshape(t, ()))
        if t not in self.points:
            self.points[t] = self.origin.problem.at(self.origin.theta + t * self.d)
        return self.points[t]

    def value(self, t: Any) -> float:
        return self.at(t).value

    def slope(self, t: Any) -> float:
        return float(self.at(t).field @ self.d)


class Wolfe(Search):
    """The strong Wolfe conditions: Armijo's with c1, and abs(phi'(t)) <= c2 abs(phi'(0)) (Nocedal & Wright, Alg. 3.5).

    They make the curvature that L-BFGS learns from positive. By ``scipy.optimize.line_search``. Short steps are
    refused, as long ones are:

    >>> import minigrad as mg
    >>> for search in (Armijo(), Wolfe()):  # t = 50 is best
    ...     result = mg.optim.minimize(lambda x: x**2, 1.0, "gd", line_search=search, preconditioner=[0.01], maxiter=1)
    ...     print(type(search).__name__, result.history["size"][1])
    Armijo 1.0
    Wolfe 8.0

    Args:
        c1: the share of the decrease t phi'(0) that has to come true.
        c2: the share of the slope phi'(0) that may be left.
        maxiter: how many step lengths are tried; where none will do, :class:`Armijo` searches on.

    Raises:
        ValueError: unless 0 < c1 < c2 < 1.
    """

    def __init__(self, c1: float = 1e-4, c2: float = 0.9, maxiter: int = 30) -> None:
        if not 0 < c1 < c2 < 1:
            raise ValueError(f"Wolfe's conditions need 0 < c1 < c2 < 1, not c1={c1}, c2={c2}")
        self.c1, self.c2, self.maxiter = c1, c2, maxiter

    def along(self, point: Point, d: Array, slope: float) -> Step:
        import warnings

        from scipy.optimize import line_search

        line = _Line(point, d)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where it fails; the status below says so
            t = line_search(
                lambda t: line.value(t[0]),
                lambda t: np.array([line.slope(t[0])]),
                np.array([0.0]),
                np.array([1.0]),
                gfk=np.array([slope]),
                old_fval=point.value,
                c1=self.c1,
                c2=self.c2,
                maxiter=self.maxiter,
            )[0]
        if t is None:  # rounding, or a cliff: settle for less
            return Armijo(gamma=self.c1).along(point, d, slope)
        return Step(line.at(t), float(t))


class Exact(Search):
    """t = argmin phi: in closed form where the function is quadratic along d, else by Brent's method.

    The closed form is -phi'(0) / phi''(0), with one Hessian-vector product; it is checked by the slope there.

    >>> import minigrad as mg
    >>> valley = lambda x: (x * x * np.array([0.5, 5.0])).sum()
    >>> result = mg.optim.minimize(valley, [10.0, 1.0], "gd", line_search=Exact(), maxiter=3, keep_x=True)
    >>> result.history["x"].round(2)  # each step is at right angles to the last, and leaves 9/11
    array([[10.  ,  1.  ],
           [ 8.18, -0.82],
           [ 6.69,  0.67],
           [ 5.48, -0.55]])

    Args:
        tol: the share of the slope phi'(0) that the closed form may leave.
    """

    def __init__(self, tol: float = 1e-10) -> None:
        self.tol = tol

    def along(self, point: Point, d: Array, slope: float) -> Step:
        line = _Line(point, d)
        curvature = float(d @ point.curvature(d))
        if curvature > 0:
            t = -slope / curvature
            if abs(line.slope(t)) <= max(self.tol, 32 * np.finfo(point.theta.dtype).eps) * -slope:
                return Step(line.at(t), t)
        else:
            t = 1.0
        from scipy.optimize import minimize_scalar

        try:
            found = minimize_scalar(line.value, bracket=(0.0, t), method="brent", options={"xtol": 1e-8})
        except RuntimeError:  # no bracket: the line falls for ever
            return Step(point, 0.0, Status.NO_PROGRESS)
        if not found.fun <= point.value or found.x == 0:
            return Step(point, 0.0, Status.NO_PROGRESS)
        return Step(line.at(float(found.x)), float(found.x))


def search_of(
    line_search: LineSearch | Search | None,
    lr: float | None,
    default: float,
    schedule: Callable[[int], float] | None = None,
) -> Search:
    """The search called ``line_search``: None (constant ``lr``, or ``default``), "armijo" (from ``lr``, or 1), "wolfe",
    "exact", or a Search.

    Raises:
        ValueError: another name.
    """
    if isinstance(line_search, Search):
        return line_search
    makers: dict[Any, Callable[[], Search]] = {
        None: lambda: Constant(default if lr is None else lr, schedule),
        "armijo": lambda: Armijo(s=1.0 if lr is None else lr),
        "wolfe": Wolfe,
        "exact": Exact,
    }
    if line_search not in makers:
        raise ValueError(f"line_search must be None, 'armijo', 'wolfe', 'exact' or a Search, not {line_search!r}")
    return makers[line_search]()
