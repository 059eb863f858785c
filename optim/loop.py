"""The one loop around every method: test, step, record, until a test says stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arrays.backend import to_numpy
from minigrad.optim.method import Method
from minigrad.optim.problems.minimization import Problem
from minigrad.optim.problems.payoffs import Minimax
from minigrad.optim.problems.squares import LeastSquares
from minigrad.optim.result import Result, Status


@dataclass
class Stopping:
    """When to stop; None switches a test off.

    Args:
        tol: the optimality of a point that counts as stationary.
        xtol: a step shorter than ``xtol * (xtol + |theta|)``.
        ftol: a change of the value smaller than ``ftol * |value|``.
        target: a value this low.
        maxiter, maxfev: so many iterations, or evaluations of the function.
        maxtime: so many seconds.
    """

    tol: float
    xtol: float | None = None
    ftol: float | None = None
    target: float | None = None
    maxiter: int = 1000
    maxfev: int | None = None
    maxtime: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and name != "target" and not value >= 0:
                raise ValueError(f"{name} must not be negative, but is {value}")


def run(
    problem: Problem,
    method: Method,
    stopping: Stopping,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
    keep_x: bool = False,
) -> Result:
    """The loop of every method: test, step, record, until a test says stop."""
    start = time.perf_counter()
    point = problem.at(problem.variables.read())
    history = _History(keep_x, start)
    nit, status = 0, None
    # An overflow is what NON_FINITE reports; NumPy need not warn of it too.
    with np.errstate(all="ignore"), _bar(stopping.maxiter, progress) as bar:
        if not point.finite:
            status = Status.NON_FINITE
        history.add(point, np.nan, np.nan)
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
                history.add(point, length, made.size)
                if bar is not None:
                    bar.update()
                    bar.set_postfix_str(f"value {point.value:.4g}, optimality {point.optimality:.2g}")
                if callback is not None and _asked_to_stop(callback, problem, point, nit, history):
                    status = status or Status.CALLBACK
        point = method.answer(point)
        assert status is not None
        return _result(problem, point, status, nit, history.arrays(), method)


def _test(problem: Problem, method: Method, s: Stopping, point: Any, nit: int, start: float) -> Status | None:
    if s.target is not None and point.value <= s.target:
        return Status.TARGET
    if not problem.stochastic and (s.tol > 0 or point.optimality == 0):
        status = method.converged(point, s.tol)
        if status is not None:
            return status
    if nit >= s.maxiter:
        return Status.MAX_ITERATIONS
    if s.maxfev is not None and problem.nfev >= s.maxfev:
        return Status.MAX_EVALUATIONS
    if s.maxtime is not None and time.perf_counter() - start >= s.maxtime:
        return Status.MAX_TIME
    return None


def _small(s: Stopping, old: Any, new: Any, length: float) -> Status | None:
    if s.xtol is not None and length <= s.xtol * (s.xtol + float(np.linalg.norm(new.theta))):
        return Status.STEP
    if s.ftol is not None and abs(new.value - old.value) <= s.ftol * abs(new.value):
        return Status.VALUE
    return None


class _History:
    NAMES = ("fun", "optimality", "step", "size", "nfev", "time")

    def __init__(self, keep_x: bool, start: float) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.xs: list[np.ndarray] | None = [] if keep_x else None
        self.start = start

    def add(self, point: Any, length: float, size: float) -> None:
        elapsed = time.perf_counter() - self.start
        self.rows.append((point.value, point.optimality, length, size, point.problem.nfev, elapsed))
        if self.xs is not None:
            self.xs.append(to_numpy(point.theta).copy())

    def arrays(self) -> dict[str, np.ndarray]:
        columns = dict(zip(self.NAMES, np.array(self.rows, dtype=np.float64).T, strict=True))
        return columns if self.xs is None else {**columns, "x": np.stack(self.xs)}


def _asked_to_stop(callback: Callable[[Any], Any], problem: Problem, point: Any, nit: int, history: _History) -> bool:
    """Show the callback the result so far; True and StopIteration mean stop, as in SciPy."""
    shown = problem.variables.show(point.theta)
    so_far = Result(
        x=shown[0],
        y=shown[1] if len(shown) > 1 else None,
        fun=point.value,
        nit=nit,
        nfev=problem.nfev,
        njev=problem.njev,
        nhev=problem.nhev,
        status=Status.CALLBACK,
        optimality=point.optimality,
        history={name: np.array([value]) for name, value in zip(history.NAMES, history.rows[-1], strict=True)},
    )
    try:
        return bool(callback(so_far))
    except StopIteration:
        return True


def _result(
    problem: Problem, point: Any, status: Status, nit: int, history: dict[str, np.ndarray], method: Method
) -> Result:
    value, optimality, counts = point.value, point.optimality, (problem.nfev, problem.njev, problem.nhev)
    squares = isinstance(problem, LeastSquares)
    residual = to_numpy(point.residual) if squares else None
    average = method.state.get("average")
    shown = None if average is None else problem.variables.show(average)[0]
    written = problem.variables.write(point.theta)
    return Result(
        x=written[0],
        y=written[1] if isinstance(problem, Minimax) else None,
        fun=residual if squares else value,
        cost=value if squares else None,
        nit=nit,
        nfev=counts[0],
        njev=counts[1],
        nhev=counts[2],
        status=status,
        optimality=optimality,
        history=history,
        average=shown,
    )


def _bar(total: int, progress: bool) -> Any:
    if not progress:
        return nullcontext()
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'minigrad-autodiff[examples]'") from error
    return tqdm(total=total, unit="it")
