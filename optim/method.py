"""Method: one way of going from a point to the next, and the loop around it.

Most methods are a *direction* (where to) and a *search* (how far). The same object serves three masters: the functions
``minimize``, ``least_squares`` and ``minimax``, which run it to the end, and the user's own training loop, which calls
``step(closure)`` as in PyTorch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import Array, home_of, move, to_numpy
from minigrad.optim.problems import LeastSquares, Minimax, Minimization, Problem
from minigrad.optim.result import OptimizationError, Result, Status
from minigrad.optim.variables import Owned, Variables
from minigrad.tensor import Tensor


class Step(NamedTuple):
    """What a method did: the point it went to, how far it reached (learning rate, step length, radius), and a status
    where it cannot go on.
    """

    point: Any
    size: float
    status: Status | None = None


class Stuck(Exception):
    """Raised by a direction that does not exist at this point."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


class Method:
    """Base class.

    Args:
        params: tensors or (name, tensor) pairs that a closure reads, as for every PyTorch optimizer; or
            :class:`Variables`.

    Attributes:
        parts: the objects, besides the method itself, whose ``state`` has to be saved.
        status: why the last ``step`` could not go on; None if it can.
    """

    kind: type[Problem] = Minimization
    second_order = True  # asks for more than the gradient

    def __init__(self, *params: Any) -> None:
        if len(params) == 1 and isinstance(params[0], Variables):
            self.variables = params[0]
        else:
            self.variables = Variables(*(Owned(p) for p in params))
        self.state: dict[str, Any] = {}
        self.status: Status | None = None

    @property
    def parts(self) -> dict[str, Any]:
        return {"method": self}

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        """The problem this method solves."""
        problem = self.kind(fun, self.variables, **options)
        problem.keep_graph = self.second_order
        return problem

    def advance(self, point: Any) -> Step:
        """Go on from ``point``."""
        raise NotImplementedError

    def answer(self, point: Any) -> Any:
        """The point to return, when the last one is ``point``."""
        return point

    def converged(self, point: Any, tol: float) -> Status | None:
        """Whether ``point`` is stationary."""
        return Status.GRADIENT if point.optimality <= tol else None

    # --------------------------------------------------------------------------------- the user's training loop
    def step(self, closure: Callable[[], Any], **options: Any) -> Tensor:
        """One iteration on the parameters.

        Args:
            closure: computes and returns the scalar loss (for Gauss-Newton and Levenberg-Marquardt the residual vector,
                for a game the payoff). ``step`` differentiates it itself, and calls it as often as it needs.

        Returns:
            the value before the step: the loss, the payoff, or 1/2 |residual|^2.

        Raises:
            OptimizationError: the step does not exist (say, an indefinite Hessian); its ``status`` says why. The
                parameters are unchanged.
            GraphError: the closure returns the wrong thing.
        """
        before = self.variables.read()
        point = self.problem(closure, **options).at(before)
        with np.errstate(all="ignore"):
            if not np.isfinite(point.value):
                raise OptimizationError(Status.NON_FINITE, f"{type(self).__name__}.step:")
            made = self.advance(point)
        failed = made.status in _FATAL
        self.variables.write(before if failed else made.point.theta)
        self.status = made.status
        if failed and made.status is not None:
            raise OptimizationError(made.status, f"{type(self).__name__}.step:")
        return Tensor(point.value, dtype=self.variables.arguments[0].arrays()[0].dtype)

    def zero_grad(self) -> None:
        """Forget the parameters' gradients (``step`` neither needs nor fills them)."""
        for argument in self.variables.arguments:
            for x in argument.tensors:
                x.grad = None

    # -------------------------------------------------------------------------------------------- checkpoints
    def state_dict(self) -> dict[str, Any]:
        """A snapshot of everything the next step depends on, besides the parameters: NumPy copies and plain values."""
        return {
            "class": type(self).__name__,
            "p": self.variables.p,
            "state": {
                name: {k: v if _plain(v) else to_numpy(v).copy() for k, v in part.state.items()}
                for name, part in self.parts.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ValueError: it belongs to another method, or to another number of parameters.
        """
        mine = (type(self).__name__, self.variables.p, set(self.parts))
        given = (state["class"], state["p"], set(state["state"]))
        if mine != given:
            raise ValueError(
                f"this state belongs to {given[0]} of {given[1]} parameters (parts {sorted(given[2])}), not to "
                f"{mine[0]} of {mine[1]} ({sorted(mine[2])})"
            )
        home = home_of(self.variables.arguments[0].arrays()[0]).name
        for name, part in self.parts.items():
            part.state = {k: v if _plain(v) else move(np.array(v), home) for k, v in state["state"][name].items()}

    def __repr__(self) -> str:
        parts = ", ".join(repr(part) for part in self.parts.values() if part is not self)
        return f"{type(self).__name__}({parts})  # {self.variables.p:,} parameters"


_FATAL = {Status.NON_FINITE, Status.NOT_DESCENT, Status.INDEFINITE, Status.SINGULAR}


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


# ---------------------------------------------------------------------------------------------------- the loop
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
            try:
                made = method.advance(point)
            except Stuck as stuck:
                made = Step(point, 0.0, stuck.status)
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
                if callback is not None and bool(callback(_current(problem, point, nit, history))):
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


def _current(problem: Problem, point: Any, nit: int, history: _History) -> Result:
    """What a callback sees: the result so far."""
    pieces = [Tensor(a) for a in problem.variables.pieces(point.theta)]
    return Result(
        x=pieces[0] if len(pieces) == 1 else pieces,
        fun=point.value,
        nit=nit,
        nfev=problem.nfev,
        njev=problem.njev,
        nhev=problem.nhev,
        status=Status.CALLBACK,
        optimality=point.optimality,
        history={name: np.array([row[i] for row in history.rows[-1:]]) for i, name in enumerate(history.NAMES)},
    )


def _result(
    problem: Problem, point: Any, status: Status, nit: int, history: dict[str, np.ndarray], method: Method
) -> Result:
    value, optimality, counts = point.value, point.optimality, (problem.nfev, problem.njev, problem.nhev)
    squares = isinstance(problem, LeastSquares)
    residual = to_numpy(point.residual) if squares else None
    average = method.state.get("average")
    given = None if average is None else problem.variables.write(average)[0]
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
        average=given,
    )


def _bar(total: int, progress: bool) -> Any:
    if not progress:
        return nullcontext()
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'minigrad-autodiff[examples]'") from error
    return tqdm(total=total, unit="it")


# ------------------------------------------------------------------------------------- direction and search
class DirectionSearch(Method):
    """A direction and a search along it.

    ``direction(point)`` is a vector d, ``search(point, d)`` the :class:`Step` to theta + t d.
    """

    def __init__(self, params: Any, direction: Any, search: Any) -> None:
        super().__init__(params)
        self.direction, self.search = direction, search

    @property
    def parts(self) -> dict[str, Any]:
        return {"method": self, "direction": self.direction, "search": self.search}

    def advance(self, point: Any) -> Step:
        try:
            d = self.direction(point)
        except Stuck as stuck:
            return Step(point, 0.0, stuck.status)
        step = self.search(point, d)
        if step.point is not point:
            self.direction.moved(point, step.point)
        return step


class Direction:
    """Where to go from a point. ``state`` holds what it remembers."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __call__(self, point: Any) -> Array:
        raise NotImplementedError

    def moved(self, old: Any, new: Any) -> None:
        """Learn from the step that was taken."""


class Steepest(Direction):
    """d = -D F: against the field, by a preconditioner D, a vector (diagonal) or a matrix (notes, section 9.2.1)."""

    def __init__(self, preconditioner: Any = None) -> None:
        super().__init__()
        self.D = preconditioner

    def __call__(self, point: Any) -> Array:
        if self.D is None:
            return -point.field
        D = move(np.asarray(self.D, dtype=point.theta.dtype), home_of(point.theta).name)
        return -(D * point.field if D.ndim == 1 else D @ point.field)
