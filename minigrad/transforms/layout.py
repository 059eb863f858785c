"""Several tensors as one: how they lie behind each other in a vector, for operations, which have one result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from minigrad.ops.shapes import concatenate

__all__ = ["Layout"]


class Layout:
    """The shapes and dtypes of some arrays or tensors, as pieces of a vector; one alone is left as it is.

    >>> import minigrad as mg
    >>> from minigrad.transforms.layout import Layout
    >>> xs = mg.tensor([[1.0, 2.0]]), mg.tensor(3.0)
    >>> Layout(xs).join(xs)
    Tensor([1., 2., 3.])
    >>> Layout(xs).split(mg.tensor([4.0, 5.0, 6.0]))
    [Tensor([[4., 5.]]), Tensor(6.)]
    """

    def __init__(self, xs: Sequence[Any]) -> None:
        self.shapes = [tuple(x.shape) for x in xs]
        self.dtypes = [x.dtype for x in xs]
        self.size = sum(math.prod(shape) for shape in self.shapes)

    def join(self, xs: Sequence[Any]) -> Any:
        """The vector, of the dtype that holds all."""
        if len(xs) == 1:
            return xs[0]
        dtype = np.result_type(*self.dtypes)
        return concatenate([x.reshape(-1).astype(dtype) for x in xs])

    def split(self, vector: Any) -> list[Any]:
        """The pieces of ``vector`` in their shapes and dtypes: the inverse of ``join``."""
        if len(self.shapes) == 1:
            return [vector]
        ends = list(accumulate(math.prod(shape) for shape in self.shapes))
        pieces = [vector[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        return [x.reshape(s).astype(t) for x, s, t in zip(pieces, self.shapes, self.dtypes, strict=True)]
