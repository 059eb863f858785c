"""Least squares: minimize 1/2 |r|^2 for a vector of residuals r."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy, unwrapped
from minigrad.arrays.dtypes import as_array
from minigrad.core.errors import GraphError
from minigrad.core.modes import enable_grad
from minigrad.creation import zeros_like
from minigrad.optim.problems.minimization import Point, Problem, check_tracked, side_by_side
from minigrad.optim.problems.variables import Variables
from minigrad.readers import batched
from minigrad.tensor import Tensor
from minigrad.transforms.autodiff import chunk_that_fits, pull, rows
from minigrad.transforms.vmap import enter, leave, next_level


class LeastSquaresPoint(Point):
    """A point of 1/2 |r(theta)|^2: the residual r, its Jacobian J, and products with it."""

    problem: LeastSquares

    @cached_property
    def residual(self) -> Array:
        """r, as one vector of length n."""
        return self.graph()[1].array.reshape(-1)

    def graph(self) -> Any:
        leaves, (r, batch) = super().graph()
        return leaves, r, batch

    @cached_property
    def value(self) -> float:
        r = self.residual
        return 0.5 * float(r @ r)

    @cached_property
    def field(self) -> Array:
        """J^T r, the gradient."""
        if self.problem.matrix_free:
            return self.vjp(self.residual)
        R, z = self.triangle
        return move(z @ R, backend_of(self.theta).name)

    @property
    def optimality(self) -> float:
        """The largest cosine between r and a column of J (MINPACK's gtol), free of everybody's units; where J is never
        formed, the norm of the gradient.
        """
        if self.problem.matrix_free:
            return super().optimality
        R, z = self.triangle
        norm = float(np.sqrt(2 * self.value))
        lengths = np.linalg.norm(R, axis=0)
        return float(np.max(np.abs(z @ R) / np.where(lengths > 0, lengths, 1))) / norm if norm else 0.0

    def vjp(self, u: Array) -> Array:
        """J^T u."""
        if "jacobian" in self.__dict__:
            return u @ self.jacobian
        leaves, r, _ = self.graph()
        self.problem.njev += 1
        return self.flat(pull([(r, u.reshape(r.shape))] if r.tracked else [], leaves, False, True))

    def jvp(self, v: Array) -> Array:
        """J v."""
        if "jacobian" in self.__dict__:
            return self.jacobian @ v
        self.problem.njev += 1
        u, uJ = self._transposed()
        roots = [(g, t) for g, t in zip(uJ, self.tangents(v), strict=True) if g.tracked]
        return pull(roots, [u], False, True)[0].array.reshape(-1)

    def _transposed(self) -> tuple[Tensor, list[Tensor]]:
        """u, and the recorded u^T J: linear in u, so pulling back through it multiplies by J (see transforms.jvp)."""
        leaves, r, _ = self.graph()
        with enable_grad():
            u = zeros_like(r)
            u.tracked = True
            return u, pull([(r, u)] if r.tracked else [], leaves, True, True)

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
        leaves, output, batch = self.graph()
        if batch is not None:
            done = 0
            for y, level, n in batch:
                yield self._per_example(leaves, y, level, n), r[done : done + n * y.size]
                done += n * y.size
        elif 2 * variables.p < r.size:
            yield self._by_columns(r.size), r
        else:
            yield side_by_side(rows(output.reshape(-1), leaves, problem.chunk), r.size), r

    def _per_example(self, leaves: list[Tensor], y: Tensor, level: int, n: int) -> Array:
        """One sweep gives a row for every example: each residual depends on its own example alone."""
        k, by_residual = y.size, []  # residuals per example
        for j in range(k):
            one_hot = np.zeros_like(unwrapped(y), shape=(n, k))
            one_hot[:, j] = 1
            seed = batched.enter(one_hot.reshape((n, *y.shape)), level)
            found = pull([(y, seed)] if y.tracked else [], leaves, False, True)
            by_residual.append(side_by_side([leave(g, level=level, axis=0, size=n) for g in found], n))
        return by_residual[0] if k == 1 else np.stack(by_residual, axis=1).reshape(n * k, -1)

    def _by_columns(self, n: int) -> Array:
        """J v for all unit vectors v together: fewer sweeps than rows where there are more residuals than variables."""
        variables = self.problem.variables
        u, uJ = self._transposed()
        p, blocks = variables.p, []
        chunk = self.problem.chunk or chunk_that_fits([g for g in uJ if g.tracked] or [u], p)
        for start in range(0, p, chunk):
            m, level = min(chunk, p - start), next_level()
            basis = np.eye(m, p, start, dtype=self.theta.dtype, like=self.theta)
            seeds = [batched.enter(piece, level) for piece in variables.pieces(basis)]
            roots = [(g, seed) for g, seed in zip(uJ, seeds, strict=True) if g.tracked]
            columns = leave(pull(roots, [u], False, True)[0], level=level, axis=0, size=m)
            blocks.append(columns.array.reshape(m, n))
        return np.concatenate(blocks).T

    @cached_property
    def triangle(self) -> tuple[np.ndarray, np.ndarray]:
        """(R, z) on the host with |J d + r|^2 = |R d + z|^2 + const for every d: all a Gauss-Newton method needs.

        R is upper triangular with min(n, p) rows, from the QR factorization of [J r], which does not square J's
        condition number. J comes block by block and is folded into R, so that it never exists as a whole. Where the
        method will not factorize, (J, r) themselves.
        """
        p = self.problem.variables.p
        if not self.problem.factorized:
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

    Args:
        jac: returns the Jacobian, (n, p), where it is known; by default it is computed.
        examples: arrays whose first axes count examples. Then ``fun(variables, *example)`` is the residual of *one*
            example, and the Jacobian takes one sweep over all: the way to train a network.
        chunk: how many rows of the Jacobian to compute at a time ; of examples, also how many of its rows ever
            exist at once.

    Raises (when evaluated):
        GraphError: the function returns a scalar, or no tensor.
    """

    point = LeastSquaresPoint

    def __init__(
        self,
        fun: Callable[..., Any],
        variables: Variables,
        examples: Sequence[Any] = (),
        jac: Callable[..., Any] | None = None,
        chunk: int | None = None,
    ) -> None:
        super().__init__(fun, variables, examples)
        if chunk is not None and chunk < 1:
            raise ValueError(f"jacobian_chunk must be a positive number of rows, not {chunk}")
        self.jac, self.chunk = jac, chunk
        self.matrix_free = False  # a method that never forms the Jacobian says so,
        self.factorized = True  # and one that forms it but does without its QR factorization

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> tuple[Any, Any]:
        """The residual at ``leaves``, recorded."""
        if not examples:
            r = self.variables.call(self.fun, leaves)
            return _check_residual(r, 0), None
        n = len(examples[0])
        chunk = self.chunk or n
        parts: list[Any] = []
        joined: list[Any] = []
        for start in range(0, n, chunk):
            level, m = next_level(), min(chunk, n - start)
            one = [enter(x[start : start + m], level=level, axis=0) for x in examples]
            y = self.variables.call(self.fun, leaves, *one)
            _check_residual(y, 1)
            parts.append((y, level, m))
            joined.append(leave(y, level=level, axis=0, size=m))
        return (np.concatenate(joined) if len(joined) > 1 else joined[0]), parts


def _check_residual(r: Any, least: int) -> Tensor:
    if not isinstance(r, Tensor):
        raise GraphError(f"least squares needs a function that returns a tensor of residuals, not a {type(r).__name__}")
    if r.ndim == 0 and not least:
        raise GraphError(
            "least squares needs a function that returns the residual vector, but this one returned a scalar: the sum "
            "of squares is taken by the method. Return the residuals themselves, or use optim.minimize"
        )
    return check_tracked(r, "the residual")
