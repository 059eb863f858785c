"""Residual networks (He et al. 2016): for CIFAR with 6n + 2 layers, the ImageNet ones, and what they are compared with.

A block computes z -> phi(F(z) + S(z)): F is two or three convolutions with normalization, S a shortcut, the identity
where the shapes allow it. ``plain=True`` leaves the shortcut out, and the same network no longer trains when it is deep
(notes, section 4.4). Parameters have torchvision's names: conv1, bn1, layer1.0.conv1, ..., downsample, fc.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from minigrad import nn
from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.ops.shapes import pad
from minigrad.tensor import Tensor

__all__ = [
    "NORMS", "SHORTCUTS", "BasicBlock", "Bottleneck", "ResNet", "ZeroPadding", "resnet18", "resnet20", "resnet32",
    "resnet34", "resnet44", "resnet50", "resnet56", "resnet110",
]  # fmt: skip

Norm = Callable[[int], Module]
NormName = Literal["batch", "layer", "group", "none"]
Shortcut = Literal["identity", "projection", "pooling"]

NORMS: dict[NormName, Norm] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),  # over channels and positions of each image
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
    "none": lambda channels: nn.Identity(),
}
SHORTCUTS = get_args(Shortcut)


def _conv(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size (up to the stride); without bias, as a normalization follows. He's scale."""
    layer = nn.Conv2d(n_in, n_out, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class ZeroPadding(Module):
    """The shortcut without parameters: every ``stride``-th pixel, and zeros for the new channels (option A)."""

    def __init__(self, n_in: int, n_out: int, stride: int, pool: bool = False) -> None:
        self.added, self.stride, self.pool = n_out - n_in, stride, pool

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride) if self.pool else x[:, :, :: self.stride, :: self.stride]
        before = self.added // 2
        y = pad(x.transpose((0, 2, 3, 1)), ((0, 0), (0, 0), (0, 0), (before, self.added - before)))
        return y.transpose((0, 3, 1, 2))  # channels last in memory, as the convolutions like them

    def extra_repr(self) -> str:
        return f"stride={self.stride}, {self.added} channels added" + (", pool=True" if self.pool else "")


class BasicBlock(Module):
    """conv 3x3, norm, relu, conv 3x3, norm, plus the shortcut, relu; or with the norms and relus first (``pre``)."""

    expansion = 1

    def __init__(
        self, n_in: int, width: int, stride: int, norm: Norm, shortcut: Shortcut, plain: bool = False, pre: bool = False
    ) -> None:
        n_out = width * self.expansion
        self.plain, self.pre = plain, pre
        self.build(n_in, width, stride, norm)
        if plain or (stride == 1 and n_in == n_out):
            self.downsample: Module | None = None
        elif shortcut == "projection":
            self.downsample = nn.Sequential(_conv(n_in, n_out, 1, stride), norm(n_out))
        else:
            self.downsample = ZeroPadding(n_in, n_out, stride, pool=shortcut == "pooling")

    def build(self, n_in: int, width: int, stride: int, norm: Norm) -> None:
        """The residual's layers."""
        self.conv1 = _conv(n_in, width, 3, stride)
        self.bn1 = norm(n_in if self.pre else width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = norm(width)

    def layers(self) -> list[tuple[Module, Module]]:
        """(convolution, its normalization), in order."""
        return [(self.conv1, self.bn1), (self.conv2, self.bn2)]

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        z, layers = x, self.layers()
        for i, (conv, norm) in enumerate(layers):
            if self.pre:
                z = conv(F.relu(norm(z)))
            else:
                z = norm(conv(z))
                z = F.relu(z) if i < len(layers) - 1 else z
        z = z if self.plain else z + kept
        return z if self.pre else F.relu(z)


class Bottleneck(BasicBlock):
    """conv 1x1, conv 3x3, conv 1x1 to four times the width."""

    expansion = 4

    def build(self, n_in: int, width: int, stride: int, norm: Norm) -> None:
        self.conv1 = _conv(n_in, width, 1)
        self.bn1 = norm(n_in if self.pre else width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = norm(width)
        self.conv3 = _conv(width, width * self.expansion, 1)
        self.bn3 = norm(width if self.pre else width * self.expansion)

    def layers(self) -> list[tuple[Module, Module]]:
        return [*super().layers(), (self.conv3, self.bn3)]


class ResNet(Module):
    """A stem, stages of blocks at falling resolution, the mean over positions, a linear classifier.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        depths: blocks per stage.
        widths: channels per stage.
        imagenet: a stem of 7x7 with stride 2 and max-pooling, instead of 3x3.
        shortcut: where a block changes the shape: "identity" (subsampled, zeros for new channels), "projection" (1x1),
            or "pooling" (averaged, zeros for new channels).
        norm: "batch", "layer", "group" or "none".
        plain: no shortcuts.
        pre: normalization and relu before each convolution (He et al. 2016b), and once more at the end.

    Raises:
        ValueError: another shortcut or norm.
    """

    def __init__(
        self,
        block: type[BasicBlock],
        depths: Sequence[int],
        widths: Sequence[int],
        classes: int = 10,
        channels: int = 3,
        imagenet: bool = False,
        shortcut: Shortcut = "identity",
        norm: NormName = "batch",
        plain: bool = False,
        pre: bool = False,
    ) -> None:
        if shortcut not in SHORTCUTS or norm not in NORMS:
            raise ValueError(
                f"ResNet: shortcut must be one of {', '.join(SHORTCUTS)} and norm one of {', '.join(NORMS)}, not "
                f"{shortcut!r} and {norm!r}"
            )
        make = NORMS[norm]
        self.imagenet, self.pre, self.stages = imagenet, pre, len(depths)
        self.conv1 = _conv(channels, widths[0], 7 if imagenet else 3, 2 if imagenet else 1)
        self.bn1: Module = nn.Identity() if pre else make(widths[0])
        n_in = widths[0]
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks: list[Any] = []
            for k in range(depth):
                stride = 2 if i > 0 and k == 0 else 1
                blocks.append(block(n_in, width, stride, make, shortcut, plain, pre))
                n_in = width * block.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.last: Module = make(n_in) if pre else nn.Identity()
        self.fc = nn.Linear(n_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv1(x)
        if not self.pre:
            z = F.relu(self.bn1(z))
        if self.imagenet:
            z = F.max_pool2d(z, 3, 2, 1)
        for i in range(self.stages):
            z = getattr(self, f"layer{i + 1}")(z)
        if self.pre:
            z = F.relu(self.last(z))
        return self.fc(F.adaptive_avg_pool2d(z, 1)[:, :, 0, 0])


def _cifar(n: int, options: dict[str, Any]) -> ResNet:
    return ResNet(BasicBlock, (n, n, n), (16, 32, 64), **options)


def resnet20(**options: Any) -> ResNet:
    """20 layers for 32x32 images: three stages of 3 blocks, 16, 32, 64 channels. Options are :class:`ResNet`'s."""
    return _cifar(3, options)


def resnet32(**options: Any) -> ResNet:
    """32 layers for 32x32 images."""
    return _cifar(5, options)


def resnet44(**options: Any) -> ResNet:
    """44 layers for 32x32 images."""
    return _cifar(7, options)


def resnet56(**options: Any) -> ResNet:
    """56 layers for 32x32 images."""
    return _cifar(9, options)


def resnet110(**options: Any) -> ResNet:
    """110 layers for 32x32 images."""
    return _cifar(18, options)


def _imagenet(block: type[BasicBlock], depths: Sequence[int], options: dict[str, Any]) -> ResNet:
    given = {"classes": 1000, "shortcut": "projection", **options}
    return ResNet(block, depths, (64, 128, 256, 512), imagenet=True, **given)


def resnet18(**options: Any) -> ResNet:
    """18 layers for 224x224 images and 1,000 classes. Options are :class:`ResNet`'s."""
    return _imagenet(BasicBlock, (2, 2, 2, 2), options)


def resnet34(**options: Any) -> ResNet:
    """34 layers for 224x224 images."""
    return _imagenet(BasicBlock, (3, 4, 6, 3), options)


def resnet50(**options: Any) -> ResNet:
    """50 layers, of bottleneck blocks, for 224x224 images."""
    return _imagenet(Bottleneck, (3, 4, 6, 3), options)
