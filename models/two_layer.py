"""Networks with one hidden layer, as theory likes them: teacher and student, the NTK's scaling, patches."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from minigrad.arrays.dtypes import DType
from minigrad.arrays.random import generator
from minigrad.core.modes import no_grad
from minigrad.models.mlp import Activation, choose_activation
from minigrad.nn.module import Buffer, Module, Parameter
from minigrad.tensor import Tensor

__all__ = ["PatchCNN", "TwoLayer", "teach"]


class TwoLayer(Module):
    """f(x) = scale * sum over r of a_r phi(w_r . x), a number for each example.

    Args:
        scaling: "ntk" for 1/sqrt(k) with a_r = +-1 and w_r ~ N(0, I), which the neural tangent kernel's limit needs;
            "mean" for 1/k (mean field); "sum" for 1, with w_r ~ N(0, I / d).
        train_outer: whether the a_r are learned; otherwise they are a buffer.
        outer: the a_r, +-1 at random by default.

    Raises:
        ValueError: another scaling.
    """

    def __init__(
        self,
        d: int,
        k: int,
        activation: Activation = "relu",
        scaling: Literal["ntk", "mean", "sum"] = "ntk",
        train_outer: bool = False,
        outer: Any = None,
        dtype: DType = None,
    ) -> None:
        factors = {"ntk": 1 / np.sqrt(k), "mean": 1 / k, "sum": 1.0}
        if scaling not in factors:
            raise ValueError(f"TwoLayer: scaling must be one of {', '.join(factors)}, not {scaling!r}")
        self.scale = float(factors[scaling])
        scale = 1.0 if scaling != "sum" else 1 / np.sqrt(d)
        self.weight = Parameter(scale * generator().standard_normal((k, d)), dtype=dtype)
        a = generator().choice([-1.0, 1.0], k) if outer is None else np.asarray(outer, float)
        self.outer = Parameter(a, dtype=dtype) if train_outer else Buffer(a, dtype=dtype)
        self.activation = choose_activation(activation)()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x @ self.weight.T) @ self.outer * self.scale


class PatchCNN(Module):
    """f(x) = (1/k) sum over patches of phi(w . x_i), times a_i if there is an outer layer: k patches share w.

    The one-filter convolutional network whose landscape is known in closed form (Brutzkus & Globerson 2017; Du et al.
    2018; rows Q6 to Q11). Patches do not overlap; parameters are d, or d + k, rather than k d.

    Args:
        d: numbers in a patch.
        k: patches.
        outer: learn a weight a_i for every patch; the sum is then not divided by k.
    """

    def __init__(
        self, d: int, k: int, activation: Activation = "relu", outer: bool = False, dtype: DType = None
    ) -> None:
        self.d, self.k = d, k
        self.weight = Parameter(generator().standard_normal(d), dtype=dtype)
        self.outer = Parameter(generator().standard_normal(k), dtype=dtype) if outer else None
        self.activation = choose_activation(activation)()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.d * self.k:
            raise ValueError(
                f"PatchCNN: {self.k} patches of {self.d} numbers make {self.d * self.k}, not {x.shape[-1]}"
            )
        z = self.activation(x.reshape((*x.shape[:-1], self.k, self.d)) @ self.weight)
        return z.mean(axis=-1) if self.outer is None else z @ self.outer


def teach(teacher: Module, n: int, d: int, dtype: DType = None) -> tuple[Tensor, Tensor]:
    """n Gaussian inputs of d numbers, and what the teacher answers: a problem whose global minimum is 0."""
    x = Tensor(generator().standard_normal((n, d)), dtype=dtype or next(teacher.parameters()).dtype)
    with no_grad():
        return x, teacher(x)
