"""Least squares: minimize 1/2 |r|^2 for a vector of residuals r."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.arrays.dtypes import as_array
from minigrad.core.errors import GraphError
from minigrad.optim.problems.problem import Point, Problem, check_tracked
from minigrad.optim.problems.variables import Variables
from minigrad.tensor import Tensor
from minigrad.transforms.linearization import Linearization, PerExample
from minigrad.transforms.recording import pull

__all__ = ["JacobianForm", "LeastSquares", "LeastSquaresPoint"]

#: What a method makes of the Jacobian: its triangular factor, the matrix as it is, or products with it alone.
JacobianForm = Literal["triangle", "matrix", "products"]


class LeastSquaresPoint(Point):
    """A point of 1/2 |r(theta)|^2: the residual r, its Jacobian J, and products with it."""

    problem: LeastSquares

    @cached_property
    def residual(self) -> Array:
        """r, as one vector of length n."""
        return self.graph()[1][0].array.reshape(-1)

    @cached_property
    def value(self) -> float:
        r = self.residual
        return 0.5 * float(r @ r)

    @cached_property
    def field(self) -> Array:
        """J^T r, the gradient."""
        if self.problem.form == "products":
            return self.vjp(self.residual)
        A, z = self.linear_model
        return move(z @ A, backend_of(self.theta).name)

    @property
    def optimality(self) -> float:
        """The largest cosine between r and a column of J (MINPACK's gtol), free of everybody's units; where J is never
        formed, the norm of the gradient.
        """
        if self.problem.form == "products":
            return super().optimality
        A, z = self.linear_model
        norm = float(np.sqrt(2 * self.value))
        lengths = np.linalg.norm(A, axis=0)
        return float(np.max(np.abs(z @ A) / np.where(lengths > 0, lengths, 1))) / norm if norm else 0.0

    @cached_property
    def linearization(self) -> Linearization:
        """J, as a linear map."""
        leaves, (r, _) = self.graph()
        return Linearization(leaves, [r])

    def vjp(self, u: Array) -> Array:
        """J^T u."""
        if self.problem.jac is not None:
            return u @ self.jacobian
        self.graph()
        self.problem.njev += 1
        return self.linearization.vjp(u)

    def jvp(self, v: Array) -> Array:
        """J v."""
        if self.problem.jac is not None:
            return self.jacobian @ v
        self.graph()
        self.problem.njev += 1
        return self.linearization.jvp(v)

    @cached_property
    def jacobian(self) -> Array:
        """J, (n, p)."""
        blocks = [J for J, _ in self.row_blocks()]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def row_blocks(self) -> Iterator[tuple[Array, Array]]:
        """J and r, so many rows at a time: (block of J, block of r)."""
        problem, variables = self.problem, self.problem.variables
        r = self.residual  # checks the function first
        problem.njev += 1
        if problem.jac is not None:
            J = as_array(variables.call(problem.jac, variables.leaves(self.theta), *self.examples))
            if J.size != r.size * variables.p:
                raise ValueError(
                    f"jac returned shape {tuple(J.shape)} for {r.size} residuals of {variables.p} variables"
                )
            yield J.reshape(r.size, variables.p), r
            return
        leaves, (_, batches) = self.graph()
        if not batches:
            yield self.linearization.matrix(problem.chunk), r
        done = 0
        for batch in batches:
            J = batch.jacobian(leaves)
            yield J, r[done : done + len(J)]
            done += len(J)

    @cached_property
    def linear_model(self) -> tuple[np.ndarray, np.ndarray]:
        """(A, z) on the host with |J d + r|^2 = |A d + z|^2 + const for every d: all a Gauss-Newton method needs.

        In the form "matrix", (J, r) themselves. In the form "triangle", A is upper triangular with min(n, p) rows, from
        the QR factorization of [J r], which does not square J's condition number; J comes block by block and is folded
        into A, so that it never exists as a whole.
        """
        p = self.problem.variables.p
        if self.problem.form == "matrix":
            return to_numpy(self.jacobian), to_numpy(self.residual)
        R: Any = np.zeros((0, p + 1), dtype=self.theta.dtype)
        for J, r in self.row_blocks():
            below = np.concatenate([to_numpy(J), to_numpy(r)[:, None]], axis=1)
            stacked = np.concatenate([R, below]) if len(R) else below
            if not np.isfinite(stacked).all():
                return np.full((p, p), np.nan), np.full(p, np.nan)
            R = np.linalg.qr(stacked, mode="r")
        return R[:p, :p], R[:p, p]


class LeastSquares(Problem):
    """Minimize 1/2 |r|^2 for a residual r(variables), a tensor of any shape but a scalar's.

    >>> problem = LeastSquares(lambda x: x * np.array([1.0, 2.0]) - 5, Variables(np.ones(2)), form="matrix")
    >>> point = problem.at(np.array([2.0, 3.0]))
    >>> point.residual, point.value, point.jacobian.tolist(), point.field
    (array([-3.,  1.]), 5.0, [[1.0, 0.0], [0.0, 2.0]], array([-3.,  2.]))

    Args:
        jac: returns the Jacobian, (n, p), where it is known; by default it is computed.
        examples: arrays whose first axes count examples. Then ``fun(variables, *example)`` is the residual of *one*
            example, and the Jacobian takes one sweep over all: the way to train a network.
        chunk: how many rows of the Jacobian to compute at a time; of examples, also how many of its rows ever
            exist at once.
        form: what of the Jacobian the method will ask for.

    Raises (when evaluated):
        GraphError: the function returns a scalar, or no tensor.
        ValueError: a Jacobian of another shape than (n, p).
    """

    point = LeastSquaresPoint

    def __init__(
        self,
        fun: Callable[..., Any],
        variables: Variables,
        examples: Sequence[Any] = (),
        jac: Callable[..., Any] | None = None,
        chunk: int | None = None,
        form: JacobianForm = "triangle",
    ) -> None:
        super().__init__(fun, variables, examples)
        if jac is not None and not callable(jac):
            raise TypeError(
                f"jac is a function that returns the Jacobian, not {jac!r}; without it, it is computed exactly"
            )
        if chunk is not None and chunk < 1:
            raise ValueError(f"jacobian_chunk must be a positive number of rows, not {chunk}")
        self.jac, self.chunk, self.form = jac, chunk, form

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> tuple[Tensor, list[PerExample]]:
        """The residual at ``leaves``, recorded; of examples, with what was recorded for each chunk of them."""
        if not examples:
            return _check_residual(self.variables.call(self.fun, leaves), 0), []
        n = len(examples[0])
        chunk = self.chunk or n
        one = lambda *example: _check_residual(self.variables.call(self.fun, leaves, *example), 1)
        batches = [PerExample(one, [x[i : i + chunk] for x in examples]) for i in range(0, n, chunk)]
        outputs: Any = [batch.outputs for batch in batches]
        whole: Any = np.concatenate(outputs) if len(outputs) > 1 else outputs[0]
        return whole, batches

    def stationarity(self, leaves: list[Tensor]) -> list[Tensor]:
        r, _ = self.evaluate(leaves, self.examples)
        return pull([(r, r)], leaves, True, True)  # J^T r

    def outcome(self, leaves: list[Tensor]) -> dict[str, Any]:
        r, _ = self.evaluate(leaves, self.examples)
        return {"fun": r.reshape(-1), "cost": (r * r).sum() / 2}

    def report(self, point: Any) -> dict[str, Any]:
        return {"fun": to_numpy(point.residual).copy(), "cost": point.value}


def _check_residual(r: Any, least: int) -> Tensor:
    if not isinstance(r, Tensor):
        raise GraphError(f"least squares needs a function that returns a tensor of residuals, not a {type(r).__name__}")
    if r.ndim == 0 and not least:
        raise GraphError(
            "least squares needs a function that returns the residual vector, but this one returned a scalar: the sum "
            "of squares is taken by the method. Return the residuals themselves, or use optim.minimize"
        )
    return check_tracked(r, "the residual")
