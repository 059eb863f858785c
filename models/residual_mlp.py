"""Residual networks of fully connected layers: z <- alpha (z + beta F(z)) (notes, sections 4.4 and 5.2)."""

from __future__ import annotations

from typing import Literal

from minigrad import nn
from minigrad.arrays.dtypes import DType
from minigrad.models.mlp import Activation, choose_activation
from minigrad.nn.init import InitializationName
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["ResidualBlock", "ResidualMLP"]


class ResidualBlock(Module):
    """alpha (z + beta F(z)), or F(z) alone where ``plain``.

    F is a chain of affine maps W_m phi(... phi(W_1 z)), each with batch normalization if wanted. A single map has its
    activation behind it, phi(W z), or before it, W phi(z), with ``pre``.
    """

    def __init__(
        self,
        width: int,
        layers: int = 1,
        activation: Activation = "relu",
        alpha: float = 1.0,
        beta: float = 1.0,
        norm: bool = False,
        plain: bool = False,
        pre: bool = False,
        dtype: DType = None,
    ) -> None:
        self.alpha, self.beta, self.plain = alpha, beta, plain
        phi = choose_activation(activation)
        parts: list[Module] = []
        for i in range(layers):
            affine = [nn.Linear(width, width, dtype=dtype), *([nn.BatchNorm1d(width, dtype=dtype)] if norm else [])]
            parts += [phi(), *affine] if pre else [*affine, phi()]
            last = i == layers - 1
            if last and layers > 1 and not pre and not plain:
                parts.pop()  # the sum decides the sign
        self.residual = nn.Sequential(*parts)

    def forward(self, z: Tensor) -> Tensor:
        f = self.residual(z)
        if self.plain:
            return f
        z = z + (f if self.beta == 1 else self.beta * f)
        return z if self.alpha == 1 else self.alpha * z

    def weights(self) -> list[Tensor]:
        """Of the affine maps, in order."""
        return [layer.weight for layer in self.residual if isinstance(layer, nn.Linear)]

    def extra_repr(self) -> str:
        return "plain" if self.plain else f"alpha={self.alpha}, beta={self.beta}"


class ResidualMLP(Module):
    """An affine map and an activation, ``blocks`` times :class:`ResidualBlock`, an affine map.

    Args:
        layers: affine maps in a block: 1 for z + phi(W z), 2 for z + W_2 phi(W_1 z).
        alpha, beta: factors of the sum and of the residual; alpha = 1/sqrt(2), or beta = 1/sqrt(L), keep the variance
            (Balduzzi et al. 2017; row N72).
        norm: batch normalization after every affine map of the blocks.
        plain: no shortcuts: the same network as it was before (row N62).
        init: "kaiming_normal", ..., as of :class:`MLP`, for the blocks' weights; "residual" (scaled by 1/L) or "fixup".

    Raises:
        ValueError: an unknown activation or initialization.
    """

    def __init__(
        self,
        n_in: int,
        width: int,
        n_out: int,
        blocks: int,
        layers: int = 1,
        activation: Activation = "relu",
        alpha: float = 1.0,
        beta: float = 1.0,
        norm: bool = False,
        plain: bool = False,
        pre: bool = False,
        init: InitializationName | Literal["residual", "fixup"] = "kaiming_normal",
        dtype: DType = None,
    ) -> None:
        phi = choose_activation(activation)
        self.stem = nn.Sequential(nn.Linear(n_in, width, dtype=dtype), phi())
        made = [ResidualBlock(width, layers, activation, alpha, beta, norm, plain, pre, dtype) for _ in range(blocks)]
        self.blocks = nn.Sequential(*made)
        self.head = nn.Linear(width, n_out, dtype=dtype)
        self._initialize(init, made)

    def _initialize(self, name: str, blocks: list[ResidualBlock]) -> None:
        fills = {
            **nn.init.BY_NAME,
            "residual": lambda weight: nn.init.residual_(weight, len(blocks), gain=2**0.5),
            "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        }
        if name not in fills and name != "fixup":
            raise ValueError(f"unknown init {name!r}; choose one of {', '.join([*fills, 'fixup'])}")
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                fills.get(name, nn.init.kaiming_normal_)(module.weight)
                nn.init.zeros_(module.bias)
        if name == "fixup":
            nn.init.fixup_([block.weights() for block in blocks], self.head.weight)
        elif name == "residual":  # these two belong to no block
            for layer in (self.stem[0], self.head):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))
