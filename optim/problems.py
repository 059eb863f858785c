"""What is optimized: a value to minimize, a residual to make small, or a game between two players.

``problem.at(theta)`` is a point. A point knows its value, its field (what a first-order method follows downhill: the
gradient, or for a game each player's own), its curvature, its residual: each computed when first asked for, once, and
counted. Methods evaluate through points alone, so the counts are honest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from minigrad import batched
from minigrad.arrays import as_array
from minigrad.backend import Array, innermost, move, to_numpy
from minigrad.creation import zeros_like
from minigrad.engine import apply, enable_grad, is_grad_enabled, no_grad, walk, wrap
from minigrad.errors import GraphError
from minigrad.optim.variables import Variables
from minigrad.tensor import Tensor
from minigrad.transforms import chunk_that_fits, pull, rows
from minigrad.tree import adopt
from minigrad.vmap import enter, leave, next_level


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
        raise NotImplementedError

    @property
    def field(self) -> Array:
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
        H = _matrix(rows(g, leaves), self.problem.variables.p)
        return (H + H.T) / 2  # the two triangles differ by rounding


class Minimization(Problem):
    """Minimize a scalar function.

    Raises (when evaluated):
        GraphError: the function returns no scalar tensor, or one that does not depend on the variables.
    """

    point = MinimizationPoint

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> Tensor:
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
            leaves = [apply(enter, (wrap(a),), {"level": level, "axis": 0}) for a in self.variables.pieces(thetas)]
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


# ---------------------------------------------------------------------------------------------- least squares
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
        if not self.problem.matrix_free:
            self.jacobian  # noqa: B018 - it is needed anyway, and makes the product cheap
        return self.vjp(self.residual)

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
        problem, variables = self.problem, self.problem.variables
        self.residual  # noqa: B018 - checks the function first
        problem.njev += 1
        if problem.jac is not None:
            J = as_array(variables.call(problem.jac, variables.leaves(self.theta), *self.examples))
            if J.size != self.residual.size * variables.p:
                raise ValueError(
                    f"jac returned shape {tuple(J.shape)} for {self.residual.size} residuals of {variables.p} variables"
                )
            return J.reshape(self.residual.size, variables.p)
        leaves, r, batch = self.graph()
        if batch is not None:
            return self._per_example(leaves, batch)
        if 2 * variables.p < r.size:
            return self._by_columns(r.size)
        return _matrix(rows(r.reshape(-1), leaves, problem.chunk), r.size)

    def _per_example(self, leaves: list[Tensor], batch: Any) -> Array:
        """One sweep gives a row for every example: each residual depends on its own example alone."""
        blocks = []
        for y, level, n in batch:
            k = y.size  # residuals per example
            by_residual = []
            for j in range(k):
                one_hot = np.zeros_like(innermost(y), shape=(n, k))
                one_hot[:, j] = 1
                seed = batched.enter(one_hot.reshape((n, *y.shape)), level)
                found = pull([(y, seed)] if y.tracked else [], leaves, False, True)
                by_residual.append(_matrix([leave(g, level=level, axis=0, size=n) for g in found], n))
            blocks.append(by_residual[0] if k == 1 else np.stack(by_residual, axis=1).reshape(n * k, -1))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

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
        condition number; (J, r) themselves where the method will not factorize.
        """
        J, r = to_numpy(self.jacobian), to_numpy(self.residual)
        p = J.shape[1]
        if not self.problem.factorized:
            return J, r
        if not (np.isfinite(J).all() and np.isfinite(r).all()):
            return np.full((p, p), np.nan), np.full(p, np.nan)
        R: Any = np.linalg.qr(np.concatenate([J, r[:, None]], axis=1), mode="r")
        return R[:p, :p], R[:p, p]


class LeastSquares(Problem):
    """Minimize 1/2 |r|^2 for a residual r(variables), a tensor of any shape but a scalar's.

    Args:
        jac: returns the Jacobian, (n, p), where it is known; by default it is computed.
        examples: arrays whose first axes count examples. Then ``fun(variables, *example)`` is the residual of *one*
            example, and the Jacobian takes one sweep over all: the way to train a network.
        chunk: how many rows (examples, or residuals) of the Jacobian to compute at a time.

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
        if not examples:
            r = self.variables.call(self.fun, leaves)
            return _check_residual(r, 0), None
        n = len(examples[0])
        chunk = self.chunk or n
        parts: list[Any] = []
        joined: list[Any] = []
        for start in range(0, n, chunk):
            level, m = next_level(), min(chunk, n - start)
            one = [apply(enter, (x[start : start + m],), {"level": level, "axis": 0}) for x in examples]
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
    return _check_tracked(r, "the residual")


# ------------------------------------------------------------------------------------------------------ games
class MinimaxPoint(Point):
    """A point (x, y) of a game; its field is (df/dx, -df/dy): both players go against it."""

    problem: Minimax

    @cached_property
    def value(self) -> float:
        """The payoff to the second player."""
        return self.graph()[1][0].item()

    def _field(self, create_graph: bool) -> list[Tensor]:
        leaves, (cost_x, cost_y) = self.graph()
        k, one = self.problem.variables.counts[0], np.ones_like(cost_x.array)
        if cost_y is None:  # zero sum: one walk serves both
            found = pull([(cost_x, wrap(one) if create_graph else one)], leaves, create_graph, True)
            return [*found[:k], *(-g for g in found[k:])]
        mine = pull([(cost_x, wrap(one) if create_graph else one)], leaves[:k], create_graph, True)
        return [*mine, *pull([(cost_y, wrap(one) if create_graph else one)], leaves[k:], create_graph, True)]

    @cached_property
    def field(self) -> Array:
        if "field_graph" in self.__dict__ and self._stamp == self.problem.variables.stamp:
            return self.flat(self.field_graph)
        self.problem.njev += 1
        return self.flat(self._field(False))

    @cached_property
    def field_graph(self) -> list[Tensor]:
        self.problem.njev += "field" not in self.__dict__
        with enable_grad():
            return self._field(True)


class Minimax(Problem):
    """min over x, max over y of payoff(x, y).

    ``payoff`` returns the scalar that the first player pays the second; or a pair of scalars, one for each player to
    minimize, where the game is not zero-sum (the non-saturating GAN).
    """

    point = MinimaxPoint

    def evaluate(self, leaves: list[Tensor], examples: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
        out = self.variables.call(self.fun, leaves, *examples)
        pair = out if isinstance(out, tuple) else (out, None)
        for cost in pair:
            if cost is not None:
                check_scalar(cost, "a payoff", "or a pair of them")
        return pair


def check_scalar(y: Any, what: str, otherwise: str) -> Tensor:
    """``y`` itself; GraphError unless it is a scalar tensor that depends on the variables."""
    if not isinstance(y, Tensor):
        raise GraphError(f"{what} must return a tensor, but this one returned a {type(y).__name__}")
    if y.shape != ():
        raise GraphError(
            f"{what} must return one scalar, but this one returned shape {y.shape}. "
            f"Reduce it with .mean() or .sum(), {otherwise}"
        )
    return _check_tracked(y, what)


def _check_tracked(y: Tensor, what: str) -> Tensor:
    if is_grad_enabled() and not y.tracked:
        raise GraphError(
            f"{what} must be computed from the variables, but this one does not depend on them (was it computed with "
            "NumPy arrays taken out of the tensors, inside no_grad, or from other tensors?)"
        )
    return y


def _matrix(found: Sequence[Tensor], n: int) -> Array:
    """Gradients of n rows, one tensor per leaf, side by side."""
    blocks = [g.array.reshape(n, -1) for g in found]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
