"""Convolutional networks without shortcuts: LeNet-5, and a small one in today's manner."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad import nn
from minigrad.nn.module import Module

__all__ = ["CNN", "LeNet"]


class LeNet(nn.Sequential):
    """LeNet-5 (LeCun et al. 1998): two convolutions 5x5 with average pooling, three affine maps.

    Args:
        size: rows and columns of the square images, 28 or 32 in its day.
        activation: tanh in its day.

    Raises:
        ValueError: images too small for two convolutions 5x5 with pooling.
    """

    def __init__(
        self, classes: int = 10, channels: int = 1, size: int = 28, activation: type[Module] = nn.Tanh
    ) -> None:
        side = (size // 2 - 4) // 2  # the first convolution keeps the size
        if side < 1:
            raise ValueError(f"LeNet: images of {size} x {size} leave ({size} // 2 - 4) // 2 = {side} rows; it needs 1")
        super().__init__(
            nn.Conv2d(channels, 6, 5, padding=2), activation(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), activation(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(16 * side * side, 120), activation(), nn.Linear(120, 84), activation(), nn.Linear(84, classes),
        )  # fmt: skip


class CNN(nn.Sequential):
    """Stages of (convolution 3x3, batch normalization, relu, max-pooling 2x2), then an affine map.

    Args:
        widths: channels of each stage; each halves the resolution.
        size: rows and columns of the square images.
        norm: whether there is batch normalization.
        dropout: of the features that the affine map reads.

    Raises:
        ValueError: more stages than the images can be halved.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 1,
        size: int = 28,
        widths: Sequence[int] = (32, 64),
        norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        layers: list[Module] = []
        side, n_in = size, channels
        for width in widths:
            if side < 2:
                raise ValueError(f"CNN: {len(widths)} stages halve images of {size} x {size} below one pixel")
            layers += [nn.Conv2d(n_in, width, 3, padding=1, bias=not norm)]
            nn.init.kaiming_normal_(layers[-1].weight, nonlinearity="relu")
            layers += [nn.BatchNorm2d(width)] if norm else []
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
            side, n_in = side // 2, width
        layers += [nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
        super().__init__(*layers, nn.Linear(n_in * side * side, classes))
