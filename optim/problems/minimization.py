"""What is optimized: here a value to minimize; in squares.py a residual, in payoffs.py a game between two players.

``problem.at(theta)`` is a point. A point knows its value, its field (what a first-order method follows downhill: the
gradient, or for a game each player's own), its curvature, its residual: each computed when first asked for, once, and
counted. Methods evaluate through points alone, so the counts are honest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from minigrad.arrays.backend import Array, move
from minigrad.core.backward import walk
from minigrad.core.errors import GraphError
from minigrad.core.graph import wrap
from minigrad.core.modes import enable_grad, is_grad_enabled, no_grad
from minigrad.optim.problems.variables import Variables
from minigrad.tensor import Tensor
from minigrad.transforms.autodiff import pull, rows
from minigrad.transforms.tree import adopt
from minigrad.transforms.vmap import enter, leave, next_level


class Problem:
    """A function and its variables; ``at(theta)`` evaluates.

    Args:
        fun: of the variables' structure (and of ``examples``, where given).
        examples: further arguments of ``fun``; arrays become tensors.
    """

    point: ClassVar[type[Point]]

    def __init__(self, fun: Callable[..., Any], variables: Variables, examples: Sequence[Any] = ()) -> None:
        self.fun, self.variables = fun, variables
        self.examples = tuple(adopt(Tensor, list(examples)))
        self.nfev = self.njev = self.nhev = 0
        self.keep_graph = True  # a method that asks for the gradient alone can do without it
        self.stochastic = False  # then a field that happens to vanish proves nothing

    def at(self, theta: Array) -> Any:
        """The point ``theta``, not evaluated yet."""
        return self.point(self, theta)


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
            self._forget_derivatives()
            with enable_grad():
                leaves = variables.leaves(self.theta)
                output = self.problem.evaluate(leaves, self.examples)
            self.problem.nfev += 1
            self._graph, self._stamp = (leaves, output), variables.stamp
        return self._graph

    def _forget_derivatives(self) -> None:
        self.__dict__.pop("field_graph", None)

    def flat(self, found: Sequence[Tensor]) -> Array:
        """Gradients, one per leaf, as one vector."""
        return self.problem.variables.vector([g.array for g in found])

    def tangents(self, v: Array) -> list[Array]:
        """A vector of R^p as one piece per leaf."""
        return self.problem.variables.pieces(v)

    # --------------------------------------------------------------------------- what each kind of point defines
    @property
    def value(self) -> float:
        """What the method makes small, or for a game what the players pay."""
        raise NotImplementedError

    @property
    def field(self) -> Array:
        """The gradient; for a game (d/dx f, -d/dy f)."""
        raise NotImplementedError

    @property
    def optimality(self) -> float:
        """The norm of the field: 0 at a stationary point."""
        return float(np.linalg.norm(self.field))

    @property
    def finite(self) -> bool:
        """Whether value and field are finite numbers."""
        return bool(np.isfinite(self.value)) and bool(np.isfinite(self.field).all())

    # ------------------------------------------------------------------------------- derivatives of the field
    @cached_property
    def field_graph(self) -> list[Tensor]:
        """The field, one piece per leaf, recorded so that it can be differentiated in turn."""
        raise NotImplementedError

    def curvature(self, v: Array) -> Array:
        """J^T v, with J the field's Jacobian: for a minimization H v, with H the Hessian."""
        leaves, _ = self.graph()
        self.problem.nhev += 1
        roots = [(g, v) for g, v in zip(self.field_graph, self.tangents(v), strict=True) if g.tracked]
        return self.flat(pull(roots, leaves, False, True))


class MinimizationPoint(Point):
    """A point of a scalar function."""

    problem: Minimization

    @cached_property
    def value(self) -> float:
        return self.graph()[1].item()

    @cached_property
    def field(self) -> Array:
        if "field_graph" in self.__dict__ and self._stamp == self.problem.variables.stamp:
            return self.flat(self.field_graph)
        leaves, y = self.graph()
        self.problem.njev += 1
        found = walk([(y, np.ones_like(y.array))], leaves, retain_graph=self.problem.keep_graph)
        self.value  # noqa: B018 - while the graph is there
        if not self.problem.keep_graph:
            self._graph = None
        return self.problem.variables.vector([found[x] if x in found else np.zeros_like(x.array) for x in leaves])

    @cached_property
    def field_graph(self) -> list[Tensor]:
        leaves, y = self.graph()
        self.problem.njev += "field" not in self.__dict__
        return pull([(y, wrap(np.ones_like(y.array)))], leaves, True, True)

    @cached_property
    def hessian(self) -> Array:
        """All second derivatives, (p, p): a batch of Hessian-vector products."""
        leaves, _ = self.graph()
        self.problem.nhev += 1
        with enable_grad():
            g: Any = np.concatenate([g.reshape(-1) for g in self.field_graph])
        H = side_by_side(rows(g, leaves), self.problem.variables.p)
        return (H + H.T) / 2  # the two triangles differ by rounding


class Minimization(Problem):
    """Minimize a scalar function.

    Raises (when evaluated):
        GraphError: the function returns no scalar tensor, or one that does not depend on the variables.
    """

    point = MinimizationPoint

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> Tensor:
        """The value at ``leaves``, recorded."""
        y = self.variables.call(self.fun, leaves, *examples)
        return check_scalar(y, "a function to minimize", "or minimize the sum of its squares with optim.least_squares")

    def values(self, thetas: Array) -> Array:
        """The values at many points, (q, p) -> (q,), in one sweep where the function can be batched."""
        self.nfev += len(thetas)
        if any(argument.in_place for argument in self.variables.arguments):  # a closure reads its parameters itself
            with no_grad():
                return np.stack([self.evaluate(self.variables.leaves(theta), self.examples).array for theta in thetas])
        with no_grad():
            level = next_level()
            leaves = [enter(wrap(a), level=level, axis=0) for a in self.variables.pieces(thetas)]
            y = self.evaluate(leaves, self.examples)
            return leave(y, level=level, axis=0, size=len(thetas)).array


class FiniteSum(Minimization):
    """Minimize the mean of F over examples, seeing ``batch_size`` of them at a time: fun(variables, *batch).

    Args:
        order: "random" draws each batch anew, with replacement; "shuffled" goes through all in a new order per epoch;
            "cyclic" in their own order (the incremental gradient method).
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        variables: Variables,
        examples: Sequence[Any],
        batch_size: int = 1,
        order: str = "shuffled",
        seed: int = 0,
    ) -> None:
        super().__init__(fun, variables, examples)
        if not self.examples:
            raise ValueError("a stochastic method needs examples=(array, ...), whose first axes count the examples")
        self.n = len(self.examples[0])
        if order not in ("random", "shuffled", "cyclic"):
            raise ValueError(f"order must be 'random', 'shuffled' or 'cyclic', not {order!r}")
        if not 1 <= batch_size <= self.n:
            raise ValueError(f"batch_size must lie between 1 and {self.n}, the number of examples, not be {batch_size}")
        self.batch_size, self.order, self.drawn, self.stochastic = batch_size, order, 0, True
        self.rng = np.random.default_rng(seed)
        self.permutation = np.arange(self.n)

    def at(self, theta: Array) -> Any:
        point = super().at(theta)
        if self.order == "random":
            chosen = self.rng.integers(self.n, size=self.batch_size)
        else:
            start = self.drawn % self.n
            if start == 0 and self.order == "shuffled":
                self.permutation = self.rng.permutation(self.n)
            chosen = self.permutation[start : start + self.batch_size]
            self.drawn += len(chosen)
        point.examples = tuple(Tensor(x.array[move(chosen, x.backend)]) for x in self.examples)
        return point


def check_scalar(y: Any, what: str, otherwise: str) -> Tensor:
    """``y`` itself; GraphError unless it is a scalar tensor that depends on the variables."""
    if not isinstance(y, Tensor):
        raise GraphError(f"{what} must return a tensor, but this one returned a {type(y).__name__}")
    if y.shape != ():
        raise GraphError(
            f"{what} must return one scalar, but this one returned shape {y.shape}. "
            f"Reduce it with .mean() or .sum(), {otherwise}"
        )
    return check_tracked(y, what)


def check_tracked(y: Tensor, what: str) -> Tensor:
    """``y`` itself; GraphError unless it depends on the variables."""
    if is_grad_enabled() and not y.tracked:
        raise GraphError(
            f"{what} must be computed from the variables, but this one does not depend on them (was it computed with "
            "NumPy arrays taken out of the tensors, inside no_grad, or from other tensors?)"
        )
    return y


def side_by_side(found: Sequence[Tensor], n: int) -> Array:
    """Gradients of n rows, one tensor per leaf, side by side."""
    blocks = [g.array.reshape(n, -1) for g in found]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
