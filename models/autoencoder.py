"""Autoencoders: through a bottleneck and back."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.arrays.dtypes import DType
from minigrad.models.mlp import MLP, Activation
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["Autoencoder"]


class Autoencoder(Module):
    """decoder(encoder(x)), two MLPs that mirror each other.

    Without an activation ("identity") and with the mean squared error, the best code of q numbers spans the first q
    principal components (Baldi & Hornik 1989).

    Args:
        sizes: from the input's width to the code's: (784, 128, 32).
        output_activation: of the decoder, such as "sigmoid" for pixels.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation = "relu",
        output_activation: Activation | None = None,
        dtype: DType = None,
    ) -> None:
        self.encoder = MLP(sizes, activation, dtype=dtype)
        self.decoder = MLP(tuple(reversed(sizes)), activation, output_activation=output_activation, dtype=dtype)

    def encode(self, x: Tensor) -> Tensor:
        """The code, (N, sizes[-1])."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """What a code stands for."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
