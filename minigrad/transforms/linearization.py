"""The Jacobian of what has been recorded, as a linear map between vectors.

One :class:`Linearization` serves gradients of gradients (the Hessian is the Jacobian of the gradient), least squares
(the Jacobian of the residual) and games (that of the field): products from either side, one or many at a time, or the
whole matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, unwrapped
from minigrad.core.modes import enable_grad
from minigrad.creation import zeros_like
from minigrad.tensor import Tensor
from minigrad.transforms.autodiff import chunk_that_fits, pull_many, unit_vectors
from minigrad.transforms.flat import Layout
from minigrad.transforms.recording import pull
from minigrad.transforms.vmap import HiddenAxis

__all__ = ["Linearization", "PerExample"]


class Linearization:
    """J = d outputs / d variables at a point: an (n, p) matrix, where all outputs form one vector, and all variables.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True, dtype=float)
    >>> J = Linearization([x], [x * x])
    >>> J.jvp(np.ones(2)), J.matrix()
    (array([2., 4.]), array([[2., 0.],
           [0., 4.]]))

    Args:
        variables: tracked tensors.
        outputs: what was computed from them, with recording on.
    """

    def __init__(self, variables: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.variables, self.outputs = list(variables), list(outputs)
        self.columns, self.rows = Layout([x.shape for x in variables]), Layout([y.shape for y in outputs])

    def vjp(self, u: Array) -> Array:
        """u J for a vector u of length n, or for each row of a matrix of them.

        Raises:
            ValueError: u has another length.
        """
        return self._product(self.outputs, self.variables, self.rows, self.columns, u)

    def jvp(self, v: Array) -> Array:
        """J v for a vector v of length p, or for each row of a matrix of them.

        Raises:
            ValueError: v has another length.
        """
        us, uJ = self._transposed
        return self._product(uJ, us, self.columns, self.rows, v)

    @cached_property
    def _transposed(self) -> tuple[list[Tensor], list[Tensor]]:
        """u, and the recorded u J: linear in u, so that pulling back through it multiplies by J, as in ``jvp``."""
        with enable_grad():
            us = [zeros_like(y) for y in self.outputs]
            for u in us:
                u.tracked = True
            roots = [(y, u) for y, u in zip(self.outputs, us, strict=True) if y.tracked]
            return us, pull(roots, self.variables, True, True)

    @staticmethod
    def _product(roots: list[Tensor], wanted: list[Tensor], given: Layout, found: Layout, v: Array) -> Array:
        """The cotangents ``v`` of ``roots`` pulled back to ``wanted``, both as vectors (or rows of a matrix)."""
        pairs = [(y, part) for y, part in zip(roots, given.split(v), strict=True) if y.tracked]
        if v.ndim == 1:
            return found.join([g.array for g in pull(pairs, wanted, False, True)])
        return found.join([g.array for g in pull_many(pairs, wanted, v.shape[0])], v.shape[:1])

    def matrix(self, chunk: int | None = None) -> Array:
        """J itself, by rows or by columns, whichever are fewer.

        Args:
            chunk: how many to compute at a time; by default so many that what is needed in between stays in cache.
        """
        n, p = self.rows.size, self.columns.size
        if not (n and p):
            return np.zeros_like(unwrapped(self.variables[0]), shape=(n, p))
        if 2 * p < n:  # a column takes a sweep through two graphs
            sources: Sequence[Tensor] = [g for g in self._transposed[1] if g.tracked] or self.outputs
            return self._rows(self.jvp, p, sources, chunk).T
        return self._rows(self.vjp, n, self.outputs, chunk)

    def _rows(self, product: Any, count: int, sources: Sequence[Tensor], chunk: int | None) -> Array:
        like = unwrapped(self.variables[0])
        chunk = chunk or chunk_that_fits(sources, count)
        starts = range(0, count, chunk)
        return np.concatenate([product(unit_vectors(i, min(chunk, count - i), count, like)) for i in starts])


class PerExample:
    """A function of one example, evaluated at many at once, and its Jacobian: each output depends on its own example.

    So one sweep serves a whole column of outputs: the cotangent of example i goes through example i alone.

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> examples = PerExample(lambda x: w @ x, [mg.Tensor(np.eye(2))])
    >>> examples.outputs, examples.jacobian([w]).tolist()
    (Tensor([1., 2.], dtype=float64, from leave), [[1.0, 0.0], [0.0, 1.0]])

    Args:
        fun: of one example (a row of each of ``examples``), returns a tensor.
        examples: tensors whose first axes count the examples.

    Raises:
        ValueError: they count differently.
    """

    def __init__(self, fun: Callable[..., Any], examples: Sequence[Tensor]) -> None:
        self.axis = HiddenAxis(len(examples[0]))
        self.one = fun(*[self.axis.enter(x) for x in examples])

    @property
    def outputs(self) -> Tensor:
        """The outputs of all examples, along a first axis."""
        return self.axis.leave(self.one)

    def jacobian(self, variables: Sequence[Tensor]) -> Array:
        """Of all outputs by all variables, (n k, p), where each of n examples has k outputs."""
        n, k, layout, columns = self.axis.size, self.one.size, Layout([x.shape for x in variables]), []
        if not k:
            return np.zeros_like(unwrapped(self.one), shape=(0, layout.size))
        for j in range(k):
            one_hot = np.zeros_like(unwrapped(self.one), shape=(n, k))
            one_hot[:, j] = 1
            seed = self.axis.enter(one_hot.reshape((n, *self.one.shape)))
            found = pull([(self.one, seed)] if self.one.tracked else [], variables, False, True)
            columns.append(layout.join([self.axis.leave(g).array for g in found], (n,)))
        return columns[0] if k == 1 else np.stack(columns, axis=1).reshape(n * k, layout.size)
