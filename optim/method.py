"""Method: one way of going from a point to the next.

Most methods are a *direction* (where to) and a *search* (how far). The same object serves two masters: the functions
``minimize``, ``least_squares``, ``minimax``, ``root`` and ``fixed_point``, which run it to the end, and the user's own
training loop, which calls ``step(closure)`` as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.optim.problems.minimization import Minimization
from minigrad.optim.problems.problem import Point, Problem
from minigrad.optim.problems.variables import Owned, Variables
from minigrad.optim.result import OptimizationError, Status
from minigrad.tensor import Tensor

__all__ = ["Direction", "DirectionSearch", "Method", "Stateful", "Steepest", "Step", "Stuck", "TrainingMethod"]


class Step(NamedTuple):
    """What a method did: the point it went to, how far it reached (learning rate, step length, radius), and a status
    where it cannot go on.

    >>> import minigrad as mg
    >>> x = mg.tensor([4.0], requires_grad=True)
    >>> method = mg.optim.GD([x], lr=0.25)
    >>> step = method.attempt(method.problem(lambda: (x * x).sum()).at(np.array([4.0])))
    >>> step.point.theta, step.size, step.status
    (array([2.]), 0.25, None)
    """

    point: Point
    size: float
    status: Status | None = None


class TrainingMethod(Protocol):
    """What a training loop asks of a method: an optimizer of the familiar kind, a :class:`Method`, or one of yours.

    >>> import minigrad as mg
    >>> x = mg.tensor(4.0, requires_grad=True)
    >>> train = lambda method: [method.step(lambda: 2 * x * x).item() for _ in range(2)]
    >>> train(mg.optim.SGD([x], lr=0.125)), train(mg.optim.Newton([x]))
    ([32.0, 8.0], [2.0, 0.0])
    """

    def step(self, closure: Callable[[], Tensor], /) -> Tensor | None:
        """One iteration; the closure computes the loss (or the residual, or the payoff), which is differentiated."""

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on, besides the parameters."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on from what :meth:`state_dict` gave."""


class Stuck(Exception):
    """Raised by a direction that does not exist at this point; :meth:`Method.attempt` makes it a status.

    >>> import minigrad as mg
    >>> class Nowhere(Direction):
    ...     def __call__(self, point):
    ...         raise Stuck(Status.SINGULAR)
    >>> method = DirectionSearch([mg.tensor(1.0, requires_grad=True)], Nowhere(), mg.optim.Constant(1.0))
    >>> method.attempt(None).status.name
    'SINGULAR'

    Args:
        status: why.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


class Stateful:
    """Something that remembers. ``state`` is a dataclass of arrays, numbers, strings and None, or None itself."""

    state: Any = None

    def save_state(self) -> dict[str, Any]:
        """The state as a dict of NumPy copies and plain values."""
        values = {} if self.state is None else vars(self.state)
        return {name: v if _plain(v) else to_numpy(v).copy() for name, v in values.items()}

    def restore_state(self, saved: dict[str, Any], home: str) -> None:
        """What :meth:`save_state` gave, its arrays on the backend ``home``."""
        for name, value in saved.items():
            setattr(self.state, name, value if _plain(value) else move(np.array(value), home))


class Method(Stateful):
    """Base class: a subclass goes from one point to the next in :meth:`advance`.

    >>> import minigrad as mg
    >>> class Polyak(Method):  # t = f / |grad f|^2, where the minimum is 0
    ...     def advance(self, point):
    ...         t = point.value / float(point.field @ point.field)
    ...         return Step(point.problem.at(point.theta - t * point.field), t)
    >>> x = mg.tensor(8.0, requires_grad=True)
    >>> [Polyak([x]).step(lambda: x * x).item() for _ in range(3)]  # x = 8, 4, 2
    [64.0, 16.0, 4.0]

    Args:
        params: tensors or (name, tensor) pairs that a closure reads, as for every PyTorch optimizer; or
            :class:`Variables`.

    Attributes:
        parts: the objects, besides the method itself, whose ``state`` has to be saved.
        status: why the last ``step`` could not go on; None if it can.
    """

    kind: type[Problem] = Minimization
    derivatives: int | None = None  # the highest derivative it asks for, where that is less than the second

    def __init__(self, *params: Any) -> None:
        if len(params) == 1 and isinstance(params[0], Variables):
            self.variables = params[0]
        else:
            self.variables = Variables(*(Owned(p) for p in params))
        self.status: Status | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint of the method holds the state of."""
        owned = {name: getattr(self, name) for name in ("direction", "search", "rule") if hasattr(self, name)}
        return {"method": self, **owned}

    def needs(self) -> dict[str, Any]:
        """What the method will ask of a problem's points, as options of the problem's constructor."""
        return {} if self.derivatives is None else {"derivatives": self.derivatives}

    def problem(self, fun: Callable[..., Any], **options: Any) -> Problem:
        """The problem this method solves."""
        return self.kind(fun, self.variables, **self.needs(), **options)

    def advance(self, point: Point) -> Step:
        """Go on from ``point``.

        Raises:
            Stuck: there is no step from here.
        """
        raise NotImplementedError

    def attempt(self, point: Point) -> Step:
        """:meth:`advance`, where being stuck is a status."""
        try:
            return self.advance(point)
        except Stuck as stuck:
            return Step(point, 0.0, stuck.status)

    def answer(self, point: Point) -> Any:
        """The point to return, when the last one is ``point``."""
        return point

    @property
    def constrained(self) -> bool:
        """Whether it stays in a set."""
        return False

    def project(self, theta: Array) -> Array:
        """The nearest point of the set that it stays in."""
        return theta

    def optimality(self, point: Point) -> float:
        """How far ``point`` is from stationary: the norm of the field, or whatever the problem takes.

        In a set with projection P it is abs(theta - P(theta - F)), or the distance to the set if that is larger: 0
        where the field F points out of the set.
        """
        if not self.constrained:
            return point.optimality
        inside = self.project(point.theta)
        steps = (inside - self.project(inside - point.field), inside - point.theta)
        return max(float(np.linalg.norm(step)) for step in steps)

    def converged(self, point: Point, tol: float) -> Status | None:
        """Whether ``point`` is stationary."""
        if not self.optimality(point) <= tol:
            return None
        return point.problem.stationary if point.optimality <= tol else Status.CONSTRAINED

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
            made = self.attempt(point)
        failed = made.status in _FATAL
        self.variables.write(before if failed else made.point.theta)
        self.status = made.status
        if failed and made.status is not None:
            raise OptimizationError(made.status, f"{type(self).__name__}.step:")
        return Tensor(point.value, dtype=before.dtype)

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
            "state": {name: part.save_state() for name, part in self.parts.items()},
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
        home = backend_of(self.variables.like).name
        for name, part in self.parts.items():
            part.restore_state(dict(state["state"][name]), home)

    def __repr__(self) -> str:
        parts = ", ".join(repr(part) for part in self.parts.values() if part is not self)
        return f"{type(self).__name__}({parts})  # {self.variables.p:,} parameters"


_FATAL = {Status.NON_FINITE, Status.NOT_DESCENT, Status.INDEFINITE, Status.SINGULAR}


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


# ------------------------------------------------------------------------------------- direction and search
class DirectionSearch(Method):
    """A direction and a search along it.

    ``direction(point)`` is a vector d, ``search(point, d)`` the :class:`Step` to theta + t d.

    >>> import minigrad as mg
    >>> x = mg.tensor([4.0, 1.0], requires_grad=True)
    >>> method = DirectionSearch([x], Steepest(), mg.optim.Exact())
    >>> method.step(lambda: (x * x).sum()).item(), (x * x).sum().item()  # before and after
    (17.0, 0.0)

    Args:
        params: as of :class:`Method`.
        direction: a :class:`Direction`.
        search: a :class:`~minigrad.optim.Search`.
    """

    def __init__(self, params: Any, direction: Any, search: Any) -> None:
        super().__init__(params)
        self.direction, self.search = direction, search

    def advance(self, point: Point) -> Step:
        step = self.search(point, self.direction(point))
        if step.point is not point:
            self.direction.moved(point, step.point)
        return step


class Direction(Stateful):
    """Where to go from a point: ``direction(point)`` is a vector d, (p,), along which a search then goes.

    >>> import minigrad as mg
    >>> class SteepestEntry(Direction):
    ...     def __call__(self, point):
    ...         g = point.field
    ...         return np.where(abs(g) == abs(g).max(), -g, 0.0)
    >>> x = mg.tensor([4.0, 1.0], requires_grad=True)
    >>> method = DirectionSearch([x], SteepestEntry(), mg.optim.Exact())
    >>> [method.step(lambda: (x * x).sum()).item() for _ in range(3)]  # first the one, then the other
    [17.0, 1.0, 0.0]

    Raises (when called):
        Stuck: there is no direction here.
    """

    def __call__(self, point: Point) -> Array:
        raise NotImplementedError

    def moved(self, old: Point, new: Point) -> None:
        """Learn from the step that was taken."""


class Steepest(Direction):
    """d = -D F: against the field, by a preconditioner D, a vector (diagonal) or a matrix (notes, section 9.2.1)."""

    def __init__(self, preconditioner: Any = None) -> None:
        self.D = preconditioner

    def __call__(self, point: Point) -> Array:
        if self.D is None:
            return -point.field
        D = move(np.asarray(self.D, dtype=point.theta.dtype), backend_of(point.theta).name)
        return -(D * point.field if D.ndim == 1 else D @ point.field)
