"""Minimize a mean over examples, seeing a few of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np

from minigrad.arrays.backend import Array, move
from minigrad.optim.problems.minimization import Minimization
from minigrad.optim.problems.variables import Variables
from minigrad.tensor import Tensor

__all__ = ["FiniteSum", "Order"]

#: How the next batch is chosen: anew each time, through all in a new order per epoch, or in their own order.
Order = Literal["random", "shuffled", "cyclic"]


class FiniteSum(Minimization):
    """Minimize the mean of F over examples, seeing ``batch_size`` of them at a time: fun(variables, *batch).

    Args:
        order: "random" draws each batch anew, with replacement; "shuffled" goes through all in a new order
            per epoch; "cyclic" in their own order (the incremental gradient method).
    """

    stochastic = True

    def __init__(
        self,
        fun: Callable[..., Any],
        variables: Variables,
        examples: Sequence[Any],
        batch_size: int = 1,
        order: Order = "shuffled",
        seed: int = 0,
    ) -> None:
        super().__init__(fun, variables, examples, derivatives=1)
        if not self.examples:
            raise ValueError("a stochastic method needs examples=(array, ...), whose first axes count the examples")
        self.n = len(self.examples[0])
        if order not in get_args(Order):
            raise ValueError(f"order must be 'random', 'shuffled' or 'cyclic', not {order!r}")
        if not 1 <= batch_size <= self.n:
            raise ValueError(f"batch_size must lie between 1 and {self.n}, the number of examples, not be {batch_size}")
        self.batch_size, self.order, self.drawn = batch_size, order, 0
        self.rng = np.random.default_rng(seed)
        self.permutation = np.arange(self.n)

    def tolerance(self, first: Any, default: float) -> float:
        return 0.0  # a batch's gradient says nothing of the whole

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
