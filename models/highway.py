"""Highway networks: each unit has a gate that says how much of the layer it lets in (Srivastava et al. 2015)."""

from __future__ import annotations

from minigrad import nn
from minigrad.arrays.dtypes import DType
from minigrad.models.mlp import Activation, choose_activation
from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["Highway", "HighwayBlock"]


class HighwayBlock(Module):
    """g H(x) + (1 - g) x with H = phi(W x + b) and the gate g = sigmoid(V x + c) (notes, remark 4.12).

    Args:
        gate_bias: c at the start; negative, so that layers begin almost closed, near the identity.
    """

    def __init__(
        self, width: int, activation: Activation = "relu", gate_bias: float = -2.0, dtype: DType = None
    ) -> None:
        self.transform, self.gate = nn.Linear(width, width, dtype=dtype), nn.Linear(width, width, dtype=dtype)
        self.activation = choose_activation(activation)()
        nn.init.kaiming_normal_(self.transform.weight, nonlinearity="relu")
        for bias, value in ((self.transform.bias, 0.0), (self.gate.bias, gate_bias)):
            assert bias is not None
            nn.init.constant_(bias, value)

    def forward(self, x: Tensor) -> Tensor:
        g = F.sigmoid(self.gate(x))
        return x + g * (self.activation(self.transform(x)) - x)


class Highway(Module):
    """An affine map and an activation, ``blocks`` times :class:`HighwayBlock`, an affine map."""

    def __init__(
        self,
        n_in: int,
        width: int,
        n_out: int,
        blocks: int,
        activation: Activation = "relu",
        gate_bias: float = -2.0,
        dtype: DType = None,
    ) -> None:
        self.stem = nn.Sequential(nn.Linear(n_in, width, dtype=dtype), choose_activation(activation)())
        self.blocks = nn.Sequential(*(HighwayBlock(width, activation, gate_bias, dtype) for _ in range(blocks)))
        self.head = nn.Linear(width, n_out, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))
