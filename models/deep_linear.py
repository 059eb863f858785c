"""Deep linear networks: W_L ... W_1, whose loss is not convex though the function is linear (notes, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from minigrad import nn
from minigrad.arrays.dtypes import DType
from minigrad.models.mlp import Initialization
from minigrad.nn.init import BY_NAME as INITIALIZATIONS
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["DeepLinear"]


class DeepLinear(Module):
    """x -> x W_1^T ... W_L^T, with weights of ``nn.Linear``'s layout and no biases.

    Args:
        sizes: the widths, input and output included.
        init: a name from ``nn.init`` without the underscore ("orthogonal" makes the training time independent of the
            depth: Saxe et al. 2014, row N44), or a function that fills a weight in place.

    Raises:
        ValueError: fewer than two sizes, or an unknown initialization.
    """

    def __init__(self, sizes: Sequence[int], init: Initialization = "xavier_normal", dtype: DType = None) -> None:
        if len(sizes) < 2:
            raise ValueError(f"DeepLinear needs at least an input and an output size, not {list(sizes)}")
        if not callable(init) and init not in INITIALIZATIONS:
            raise ValueError(f"unknown init {init!r}; choose one of {', '.join(INITIALIZATIONS)}")
        fill = init if callable(init) else INITIALIZATIONS[init]
        self.layers = nn.Sequential(
            *(nn.Linear(a, b, bias=False, dtype=dtype) for a, b in zip(sizes, sizes[1:], strict=False))
        )
        for weight in self.weights():
            fill(weight)

    def weights(self) -> list[Tensor]:
        """W_1, ..., W_L."""
        return [layer.weight for layer in self.layers]

    def product(self) -> Tensor:
        """W_L ... W_1, the matrix that the network is."""
        return reduce(lambda product, weight: weight @ product, self.weights())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
