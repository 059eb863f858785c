"""A problem and its points: all that methods see of a function.

``problem.at(theta)`` is a point. A point knows its value, its field (what a first-order method follows downhill: the
gradient, or for a game each player's own), its curvature, its residual: each computed when first asked for, once, and
counted. Methods evaluate through points alone, so the counts are honest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.core.errors import GraphError
from minigrad.core.graph import levels, reachable
from minigrad.core.modes import enable_grad, is_grad_enabled
from minigrad.nn.module import Parameter
from minigrad.optim.problems.variables import Variables
from minigrad.optim.result import Status
from minigrad.tensor import Tensor
from minigrad.transforms.linearization import Linearization
from minigrad.transforms.tree import adopt, flatten

__all__ = ["BatchedValue", "Point", "Problem", "check_scalar", "check_tracked"]


class Problem:
    """A function and its variables; ``at(theta)`` evaluates.

    Args:
        fun: of the variables' structure (and of ``examples``, where given).
        examples: further arguments of ``fun``; arrays become tensors.
        derivatives: the highest derivative that will be asked for. With 1, the graph is freed as the gradient is taken.
    """

    point: ClassVar[type[Point]]
    stationary: ClassVar[Status] = Status.GRADIENT  # what it means that a point's optimality vanishes
    symmetric: ClassVar[bool] = True  # is the derivative of what vanishes there?
    stochastic = False  # if so, a field that happens to vanish proves nothing

    def __init__(
        self, fun: Callable[..., Any], variables: Variables, examples: Sequence[Any] = (), derivatives: int = 2
    ) -> None:
        self.fun, self.variables, self.derivatives = fun, variables, derivatives
        self.examples = tuple(adopt(Tensor, list(examples)))
        self.nfev = self.njev = self.nhev = 0
        self.looked = 0  # how many evaluations there were
        self.reads: set[Any] | None = None  # the tracked leaves that the function reads besides its variables

    def at(self, theta: Array) -> Any:
        """The point ``theta``, not evaluated yet."""
        return self.point(self, theta)

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> Any:
        """What the function makes of the variables ``leaves``, recorded."""
        raise NotImplementedError

    def look_at(self, output: Any, leaves: list[Tensor]) -> None:
        """Note what else the function has read, at its evaluations 1, 2, 4, 8, ...: it may come to read more.

        Raises:
            BatchedValue: a value stands for all examples of a vmap.
            GraphError: the training of a module reads what is differentiated by.
        """
        self.looked += 1
        if self.looked & (self.looked - 1):
            return
        tensors = [y for y in flatten(output)[0] if isinstance(y, Tensor)]
        found = reachable([*tensors, *self.examples])[1] - set(leaves)  # a batch is cut off from the examples
        self.reads = found if self.reads is None else self.reads | found
        hidden = {level: y for y in tensors for level in levels(y)}
        if hidden:
            level = max(hidden)
            raise BatchedValue(level, hidden[level].array)
        if self.variables.modules and is_grad_enabled() and not all(isinstance(x, Parameter) for x in self.reads):
            raise GraphError(
                "a module is trained in place, so nothing can be differentiated through its training, but its loss "
                "reads a tensor that requires gradients. Optimize its parameters as a dict: fun = lambda p: "
                "loss(functional_call(model, p, x)), x0 = {name: p.detach() for name, p in model.named_parameters()}; "
                "or detach() the tensor"
            )

    def stationarity(self, leaves: list[Tensor]) -> list[Tensor]:
        """What vanishes at a solution, recorded: one tensor for each of the variables ``leaves``."""
        raise NotImplementedError

    def outcome(self, leaves: list[Tensor]) -> dict[str, Any]:
        """What :meth:`report` says of a point, as tensors that depend on ``leaves``."""
        raise NotImplementedError

    def report(self, point: Point) -> dict[str, Any]:
        """What a Result says of the function at ``point``, as numbers and arrays."""
        return {"fun": point.value}

    def tolerance(self, first: Point, default: float) -> float:
        """The optimality that counts as stationary where nobody says otherwise; ``first`` is the first point."""
        return default

    def verdict(self, at_first: float, point: Point, status: Status) -> Status:
        """``status`` at the last point, unless it means something else for this problem.

        Args:
            at_first: the optimality of the first point.
        """
        return status


class BatchedValue(Exception):
    """A number that decides what a method does is one for each example of a vmap: of ``level``, as ``batch`` is."""

    def __init__(self, level: int, batch: Any) -> None:
        super().__init__(
            "inside vmap there is a loss for each example, and a step(closure) needs one number: reduce it over the "
            "examples outside of vmap, or let optim.minimize and its kin solve for each example"
        )
        self.level, self.size = level, int(batch.array.shape[batch.levels.index(level)])


class Point:
    """What is known about one theta."""

    def __init__(self, problem: Any, theta: Array) -> None:
        self.problem, self.theta = problem, theta
        self.examples = problem.examples
        self._graph: tuple[list[Tensor], Any] | None = None
        self._stamp = -1

    def graph(self) -> tuple[list[Tensor], Any]:
        """The variables as leaves, and what the function made of them; recorded again where the graph is lost."""
        variables = self.problem.variables
        if self._graph is None or self._stamp != variables.stamp:
            for stale in ("field_graph", "linearization"):
                self.__dict__.pop(stale, None)
            with enable_grad():
                leaves = variables.leaves(self.theta)
                output = self.problem.evaluate(leaves, self.examples)
            self.problem.look_at(output, leaves)
            self.problem.nfev += 1
            self._graph, self._stamp = (leaves, output), variables.stamp
        return self._graph

    def has(self, name: str) -> bool:
        """Whether this derivative has been computed already, on the graph as it is."""
        return name in self.__dict__ and self._stamp == self.problem.variables.stamp

    def join(self, found: Sequence[Tensor]) -> Array:
        """Gradients, one per leaf, as one vector."""
        return self.problem.variables.join([g.array for g in found])

    # --------------------------------------------------------------------------- what each kind of point defines
    @property
    def value(self) -> float:
        """What the method makes small, or for a game what the players pay."""
        raise NotImplementedError

    @property
    def field(self) -> Array:
        """The gradient; for a game (d/dx f, -d/dy f)."""
        raise NotImplementedError

    @cached_property
    def field_graph(self) -> list[Tensor]:
        """The field, one part per leaf, recorded so that it can be differentiated in turn."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------ what follows from those
    @property
    def optimality(self) -> float:
        """The norm of the field: 0 at a stationary point."""
        return float(np.linalg.norm(self.field))

    @property
    def finite(self) -> bool:
        """Whether value and field are finite numbers."""
        return bool(np.isfinite(self.value)) and bool(np.isfinite(self.field).all())

    @cached_property
    def linearization(self) -> Linearization:
        """The Jacobian of the field: for a minimization the Hessian."""
        leaves, _ = self.graph()
        return Linearization(leaves, self.field_graph)

    def curvature(self, v: Array) -> Array:
        """J^T v, with J the field's Jacobian: for a minimization H v, with H the Hessian."""
        self.graph()
        self.problem.nhev += 1
        return self.linearization.vjp(v)


def check_scalar(y: Any, what: str, otherwise: str, tracked: bool = True) -> Tensor:
    """``y`` itself; GraphError unless it is a scalar tensor and, if ``tracked``, depends on the variables."""
    if not isinstance(y, Tensor):
        raise GraphError(f"{what} must return a tensor, but this one returned a {type(y).__name__}")
    if y.shape != ():
        raise GraphError(
            f"{what} must return one scalar, but this one returned shape {y.shape}. "
            f"Reduce it with .mean() or .sum(), {otherwise}"
        )
    return check_tracked(y, what) if tracked else y


def check_tracked(y: Tensor, what: str) -> Tensor:
    """``y`` itself; GraphError unless it depends on the variables."""
    if is_grad_enabled() and not y.tracked:
        raise GraphError(
            f"{what} must be computed from the variables, but this one does not depend on them (was it computed with "
            "NumPy arrays taken out of the tensors, inside no_grad, or from other tensors?)"
        )
    return y
