"""Recurrent cells: one step of a recurrent network, with PyTorch's names, layouts and initialization.

Each computes its gates from x W_ih^T + b_ih and h W_hh^T + b_hh; a network is a loop over the steps.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from minigrad.arrays.backend import ArrayProtocol, unwrapped
from minigrad.arrays.dtypes import DType, get_default_dtype
from minigrad.nn import init
from minigrad.nn.module import Module, Parameter
from minigrad.ops.activations import relu, sigmoid
from minigrad.ops.elementwise import tanh
from minigrad.ops.linalg import linear
from minigrad.tensor import Tensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell(Module):
    """Weights of ``gates`` gates, uniform on +- 1 / sqrt(hidden_size).

    Attributes:
        weight_ih: (gates hidden_size, input_size).
        weight_hh: (gates hidden_size, hidden_size).
        bias_ih, bias_hh: (gates hidden_size,), or None.
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, dtype: DType = None) -> None:
        if input_size < 1 or hidden_size < 1:
            raise ValueError(f"{type(self).__name__} needs positive sizes, not {input_size} and {hidden_size}")
        self.input_size, self.hidden_size = input_size, hidden_size
        dtype, rows = dtype or get_default_dtype(), self.gates * hidden_size
        self.weight_ih = Parameter(np.empty((rows, input_size), dtype))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), dtype))
        self.bias_ih = Parameter(np.empty(rows, dtype)) if bias else None
        self.bias_hh = Parameter(np.empty(rows, dtype)) if bias else None
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _sums(self, x: ArrayProtocol, h: ArrayProtocol) -> tuple[Tensor, Tensor]:
        """What the gates see of the input, and of the state."""
        if x.shape[-1] != self.input_size or h.shape[-1] != self.hidden_size:
            raise ValueError(
                f"{type(self).__name__}({self.input_size}, {self.hidden_size}) was given an input of shape "
                f"{tuple(x.shape)} and a state of shape {tuple(h.shape)}: the last axes must be {self.input_size} and "
                f"{self.hidden_size}"
            )
        return linear(x, self.weight_ih, self.bias_ih), linear(h, self.weight_hh, self.bias_hh)

    def _start(self, x: ArrayProtocol) -> Tensor:
        return Tensor(np.zeros_like(unwrapped(x), shape=(*x.shape[:-1], self.hidden_size)))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + (", bias=False" if self.bias_ih is None else "")


class RNNCell(_Cell):
    """h' = phi(W_ih x + b_ih + W_hh h + b_hh), phi = tanh or relu.

    ``cell(x, h)`` with x (N, input_size) or (input_size,); h starts at 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        dtype: DType = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def forward(self, x: ArrayProtocol, h: ArrayProtocol | None = None) -> Tensor:
        from_x, from_h = self._sums(x, self._start(x) if h is None else h)
        return (tanh if self.nonlinearity == "tanh" else relu)(from_x + from_h)


class LSTMCell(_Cell):
    """c' = f c + i g and h' = o tanh(c'), gates i, f, o = sigmoid(...), g = tanh(...) (Hochreiter & Schmidhuber 1997).

    ``cell(x, (h, c))`` returns (h', c'). The state c passes from step to step by addition: its gradient does not vanish
    where f is 1.
    """

    gates = 4

    def forward(self, x: ArrayProtocol, state: tuple[Any, Any] | None = None) -> tuple[Tensor, Tensor]:
        h, c = (self._start(x), self._start(x)) if state is None else state
        from_x, from_h = self._sums(x, h)
        i, f, g, o = (_part(from_x + from_h, k, self.hidden_size) for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


class GRUCell(_Cell):
    """h' = (1 - z) n + z h with n = tanh(W_in x + b_in + r (W_hn h + b_hn)), gates r, z = sigmoid(...) (Cho 2014)."""

    gates = 3

    def forward(self, x: ArrayProtocol, h: ArrayProtocol | None = None) -> Tensor:
        h = self._start(x) if h is None else h
        from_x, from_h = self._sums(x, h)
        r, z = (sigmoid(_part(from_x, k, self.hidden_size) + _part(from_h, k, self.hidden_size)) for k in range(2))
        n = tanh(_part(from_x, 2, self.hidden_size) + r * _part(from_h, 2, self.hidden_size))
        return (1 - z) * n + z * h


def _part(x: ArrayProtocol, k: int, size: int) -> Tensor:
    """The k-th gate's share of the last axis."""
    return x[..., k * size : (k + 1) * size]
