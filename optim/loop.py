"""The one loop around every method: test, step, record, until a test says stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from minigrad.arrays.backend import to_numpy
from minigrad.optim.method import Method
from minigrad.optim.problems.problem import Point, Problem
from minigrad.optim.result import Result, Status

__all__ = ["History", "Stopping", "run"]


@dataclass
class Stopping:
    """When to stop; None switches a test off, or leaves it to the default of what is called.

    >>> import minigrad as mg
    >>> stop = Stopping(target=1e-2, maxiter=100)
    >>> result = mg.optim.minimize(lambda x: x**2, 1.0, "gd", lr=0.25, stop=stop)  # each step halves x
    >>> result.nit, result.fun, result.message
    (4, 0.00390625, 'converged: the value reached the target')

    Args:
        tol: the optimality of a point that counts as stationary.
        xtol: a step shorter than ``xtol * (xtol + |theta|)``.
        ftol: a change of the value smaller than ``ftol * |value|``.
        target: a value this low.
        maxiter, maxfev: so many iterations, or evaluations of the function.
        maxtime: so many seconds.

    Raises:
        ValueError: a negative one.
    """

    tol: float | None = None
    xtol: float | None = None
    ftol: float | None = None
    target: float | None = None
    maxiter: int | None = None
    maxfev: int | None = None
    maxtime: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not isinstance(value, Real):
                raise TypeError(f"Stopping: {name} is a number, not {value!r}")
            if value is not None and name != "target" and not float(value) >= 0:
                raise ValueError(f"{name} must not be negative, but is {value}")


def run(
    problem: Problem,
    method: Method,
    stopping: Stopping,
    tol: float,
    callback: Callable[[Result[Any, Any]], Any] | None = None,
    progress: bool = False,
    keep_x: bool = False,
) -> Result[Any, Any]:
    """The loop of every method: test, step, record, until a test says stop.

    Args:
        tol: the tolerance where ``stopping`` has none, and the problem no other.
    """
    start = time.perf_counter()
    point = problem.at(problem.variables.read())
    history = History(keep_x, start)
    nit, status = 0, None
    # An overflow is what NON_FINITE reports; NumPy need not warn of it too.
    with np.errstate(all="ignore"), _bar(stopping.maxiter, progress) as bar:
        if not point.finite:
            status = Status.NON_FINITE
        if stopping.tol is None:
            stopping = replace(stopping, tol=problem.tolerance(point, tol))
        history.add(point, method.optimality(point), np.nan, np.nan)
        while status is None:
            status = _test(problem, method, stopping, point, nit, start)
            if status is not None:
                break
            made = method.attempt(point)
            status = made.status
            new = made.point
            if new is not point:
                if not new.finite:
                    status = Status.NON_FINITE
                    break
                nit += 1
                length = float(np.linalg.norm(new.theta - point.theta))
                status = status or _small(stopping, point, new, length)
                point = new
                history.add(point, method.optimality(point), length, made.size)
                if bar is not None:
                    bar.update()
                    bar.set_postfix_str(f"value {point.value:.4g}, optimality {history.rows[-1][1]:.2g}")
                if callback is not None:
                    so_far = _result(problem, method, point, nit, status or Status.CALLBACK, history.so_far())
                    if _asks_to_stop(callback, so_far):
                        status = status or Status.CALLBACK
        status = problem.verdict(history.rows[0][1], point, status)
        return _result(problem, method, point, nit, status, dict(history))


def _test(problem: Problem, method: Method, s: Stopping, point: Point, nit: int, start: float) -> Status | None:
    tol = s.tol or 0.0
    if s.target is not None and point.value <= s.target:
        return Status.TARGET
    if not problem.stochastic and (tol > 0 or method.optimality(point) == 0):
        status = method.converged(point, tol)
        if status is not None:
            return status
    if s.maxiter is not None and nit >= s.maxiter:
        return Status.MAX_ITERATIONS
    if s.maxfev is not None and problem.nfev >= s.maxfev:
        return Status.MAX_EVALUATIONS
    if s.maxtime is not None and time.perf_counter() - start >= s.maxtime:
        return Status.MAX_TIME
    return None


def _small(s: Stopping, old: Point, new: Point, length: float) -> Status | None:
    if s.xtol is not None and length <= s.xtol * (s.xtol + float(np.linalg.norm(new.theta))):
        return Status.STEP
    if s.ftol is not None and abs(new.value - old.value) <= s.ftol * abs(new.value):
        return Status.VALUE
    return None


class History(Mapping[str, np.ndarray]):
    """What happened at each iterate, from the start on: an array by name, made when it is asked for."""

    NAMES = ("fun", "optimality", "step", "size", "nfev", "time")

    def __init__(self, keep_x: bool, start: float) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.xs: list[np.ndarray] | None = [] if keep_x else None
        self.start, self.length = start, 0

    def add(self, point: Point, optimality: float, length: float, size: float) -> None:
        """Record a point, the length of the step to it, and the method's own size of that step."""
        elapsed = time.perf_counter() - self.start
        self.rows.append((point.value, optimality, length, size, point.problem.nfev, elapsed))
        self.length += 1
        if self.xs is not None:
            self.xs.append(to_numpy(point.theta).copy())

    def so_far(self) -> History:
        """As it is now; what is added later is not in it."""
        return copy(self)  # the lists are shared, the length is its own

    def __getitem__(self, name: str) -> np.ndarray:
        if name == "x" and self.xs is not None:
            return np.stack(self.xs[: self.length])
        if name not in self.NAMES:
            raise KeyError(name)
        column = self.NAMES.index(name)
        return np.array([row[column] for row in self.rows[: self.length]], dtype=np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES if self.xs is None else (*self.NAMES, "x"))

    def __len__(self) -> int:
        return len(self.NAMES) + (self.xs is not None)

    def __repr__(self) -> str:
        return f"History({self.length} iterates; {', '.join(self)})"


def _asks_to_stop(callback: Callable[[Result[Any, Any]], Any], so_far: Result[Any, Any]) -> bool:
    """True and StopIteration mean stop, as in SciPy."""
    try:
        return bool(callback(so_far))
    except StopIteration:
        return True


def _result(
    problem: Problem, method: Method, point: Point, nit: int, status: Status, history: Mapping[str, np.ndarray]
) -> Result[Any, Any]:
    """What is known at ``point``: to a callback while it runs, and to the caller at the end."""
    point = method.answer(point)
    optimality, values = method.optimality(point), problem.report(point)
    counts = {"nfev": problem.nfev, "njev": problem.njev, "nhev": problem.nhev}
    average = getattr(method.state, "average", None)
    x, *y = problem.variables.write(point.theta.copy())  # what a callback does to them is its own
    return Result(
        x=x,
        y=y[0] if y else None,
        nit=nit,
        status=status,
        optimality=optimality,
        history=history,
        average=None if average is None else problem.variables.show(average)[0],
        **values,
        **counts,
    )


def _bar(total: int | None, progress: bool) -> Any:
    if not progress:
        return nullcontext()
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'minigrad-autodiff[examples]'") from error
    return tqdm(total=total, unit="it")
