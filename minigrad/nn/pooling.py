"""Pooling and resampling of images: functions with PyTorch's arguments, and layers.

Maxima and averages over windows are operations of their own. Adaptive averages and interpolation are linear along each
axis, so each is a product with one small matrix per axis, y = R x C^T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from minigrad.arrays.backend import ArrayProtocol, backend_of, move, unwrapped
from minigrad.nn.module import Module
from minigrad.nn.sizes import Size, sizes
from minigrad.ops.pooling import window_max, window_spread, window_sum
from minigrad.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d", "PixelShuffle", "Upsample", "adaptive_avg_pool2d", "avg_pool2d",
    "interpolate", "max_pool2d", "pixel_shuffle",
]  # fmt: skip

Mode = Literal["nearest", "bilinear"]  # of interpolation


# ------------------------------------------------------------------------------------------------------- maxima
def max_pool2d(x: ArrayProtocol, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """The maximum of every window of (N, C, H, W) or (C, H, W); the padding never wins.

    Where several entries of a window are largest they share the gradient (PyTorch gives it to the first).

    Args:
        stride: the kernel size by default.
        padding: at most half the kernel.

    Raises:
        ValueError: a kernel that does not fit, or more padding than half of it.
    """
    kernel, strides, pads, _ = _windows("max_pool2d", x, kernel_size, stride, padding)
    images = _padded(x, pads, -np.inf)
    y = window_max(images, kernel=kernel, stride=strides)
    return y if x.ndim == 4 else y[0]


def _padded(x: Any, pads: tuple[int, ...], value: float) -> Any:
    """(N, C, H, W) with ``value`` around each image."""
    x = x if x.ndim == 4 else x[None]
    (ph, pw) = pads
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value) if any(pads) else x


# --------------------------------------------------------------------------------------------- linear resampling
def _resampled(x: ArrayProtocol, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """rows @ x @ columns^T for every image."""
    home = backend_of(unwrapped(x)).name
    R, C = (Tensor(move(np.ascontiguousarray(m, dtype=x.dtype), home)) for m in (rows, columns.T))
    return R @ (x @ C)


def avg_pool2d(
    x: ArrayProtocol, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> Tensor:
    """The mean of every window of (N, C, H, W) or (C, H, W).

    Args:
        count_include_pad: divide by the kernel's size everywhere; otherwise by how much of it lies inside.

    Raises:
        ValueError: a kernel that does not fit, or more padding than half of it.
    """
    kernel, strides, pads, out = _windows("avg_pool2d", x, kernel_size, stride, padding)
    if count_include_pad or not any(pads):
        y = window_sum(_padded(x, pads, 0), kernel=kernel, stride=strides, scale=1 / math.prod(kernel))
        return y if x.ndim == 4 else y[0]
    rows, columns = (
        _averaging(n, m, [(i * s - p, i * s - p + k) for i in range(m)])
        for n, m, k, s, p in zip(x.shape[-2:], out, kernel, strides, pads, strict=True)
    )
    return _resampled(x, rows, columns)


def adaptive_avg_pool2d(x: ArrayProtocol, output_size: Size) -> Tensor:
    """Means of ``output_size`` bins that cover the image: entry i is over floor(i H / m) .. ceil((i + 1) H / m).

    ``adaptive_avg_pool2d(x, 1)`` is the mean of every channel.
    """
    wanted = sizes("adaptive_avg_pool2d", "output_size", output_size)
    if wanted == (1, 1) and x.ndim == 4:
        return window_sum(x, kernel=x.shape[2:], stride=(1, 1), scale=1 / max(1, math.prod(x.shape[2:])))
    rows, columns = (
        _averaging(n, m, [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)])
        for n, m in zip(x.shape[-2:], wanted, strict=True)
    )
    return _resampled(x, rows, columns)


def _averaging(n: int, m: int, spans: list[tuple[int, int]]) -> np.ndarray:
    """(m, n): row i averages those of the entries spans[i] that lie inside 0 .. n."""
    matrix = np.zeros((m, n))
    for i, (a, b) in enumerate(spans):
        inside = slice(max(a, 0), min(b, n))
        matrix[i, inside] = 1 / (inside.stop - inside.start)
    return matrix


def interpolate(
    x: ArrayProtocol,
    size: Size | None = None,
    scale_factor: int | Sequence[int] | None = None,
    mode: Mode = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """Images (N, C, H, W) or (C, H, W) at another size.

    Args:
        size: (rows, columns), or a number for both; or give ``scale_factor``, a whole number or a pair of them.
        mode: "nearest" repeats entries, "bilinear" interpolates.
        align_corners: of "bilinear": the corner pixels' centers stay, rather than the image's corners.

    Raises:
        ValueError: not exactly one of size and scale_factor, or another mode.
    """
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate needs either size= or scale_factor=, and not both")
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"interpolate: mode must be 'nearest' or 'bilinear', not {mode!r}")
    if size is None:
        factors = sizes("interpolate", "scale_factor", scale_factor)
        size = tuple(n * f for n, f in zip(x.shape[-2:], factors, strict=True))
    wanted = sizes("interpolate", "size", size)
    if mode == "nearest" and x.ndim == 4 and all(m % n == 0 for n, m in zip(x.shape[2:], wanted, strict=True)):
        factors = wanted[0] // x.shape[2], wanted[1] // x.shape[3]
        return window_spread(x, shape=(*x.shape[:2], *wanted), kernel=factors, stride=factors)
    rows, columns = (
        _nearest(n, m) if mode == "nearest" else _linear(n, m, align_corners)
        for n, m in zip(x.shape[-2:], wanted, strict=True)
    )
    return _resampled(x, rows, columns)


def _nearest(n: int, m: int) -> np.ndarray:
    matrix = np.zeros((m, n))
    matrix[np.arange(m), np.arange(m) * n // m] = 1
    return matrix


def _linear(n: int, m: int, align_corners: bool) -> np.ndarray:
    i = np.arange(m)
    if align_corners:
        at = i * (n - 1) / max(m - 1, 1)
    else:
        at = np.maximum((i + 0.5) * n / m - 0.5, 0)
    below = np.minimum(np.floor(at).astype(int), n - 1)
    share = at - below
    matrix = np.zeros((m, n))
    matrix[i, below] += 1 - share
    matrix[i, np.minimum(below + 1, n - 1)] += share
    return matrix


def pixel_shuffle(x: ArrayProtocol, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) -> (..., C, H r, W r): every r^2 channels are the r x r pixels of one (Shi et al. 2016).

    Raises:
        ValueError: r^2 does not divide the channels.
    """
    r = upscale_factor
    *lead, channels, height, width = x.shape
    if r < 1 or channels % (r * r):
        raise ValueError(f"pixel_shuffle: {channels} channels cannot be split into groups of {r} x {r} = {r * r}")
    k = len(lead)
    y = x.reshape((*lead, channels // (r * r), r, r, height, width))
    y = y.transpose((*range(k + 1), k + 3, k + 1, k + 4, k + 2))
    return y.reshape((*lead, channels // (r * r), height * r, width * r))


# ------------------------------------------------------------------------------------------------------- sizes
def _windows(
    name: str, x: ArrayProtocol, kernel_size: Any, stride: Any, padding: Any
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, strides, padding and output size, checked."""
    if x.ndim not in (3, 4):
        raise ValueError(f"{name} needs (N, C, H, W) or (C, H, W), not shape {tuple(x.shape)}")
    kernel = sizes(name, "kernel_size", kernel_size)
    strides = kernel if stride is None else sizes(name, "stride", stride)
    pads = sizes(name, "padding", padding, least=0)
    out = []
    for n, k, s, p in zip(x.shape[-2:], kernel, strides, pads, strict=True):
        if 2 * p > k:
            raise ValueError(f"{name}: padding {p} is more than half of the kernel {k}: windows would see nothing else")
        if n + 2 * p < k:
            raise ValueError(f"{name}: a kernel of {k} does not fit into {n} + 2 x {p} = {n + 2 * p} entries")
        out.append((n + 2 * p - k) // s + 1)
    return kernel, strides, pads, tuple(out)


# ------------------------------------------------------------------------------------------------------ layers
class MaxPool2d(Module):
    """:func:`max_pool2d` as a layer."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: ArrayProtocol) -> Tensor:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride or self.kernel_size}, padding={self.padding}"


class AvgPool2d(MaxPool2d):
    """:func:`avg_pool2d` as a layer."""

    def forward(self, x: ArrayProtocol) -> Tensor:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class AdaptiveAvgPool2d(Module):
    """:func:`adaptive_avg_pool2d` as a layer."""

    def __init__(self, output_size: Size) -> None:
        self.output_size = output_size

    def forward(self, x: ArrayProtocol) -> Tensor:
        return adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class Upsample(Module):
    """:func:`interpolate` as a layer."""

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: int | Sequence[int] | None = None,
        mode: Mode = "nearest",
        align_corners: bool = False,
    ) -> None:
        self.size, self.scale_factor, self.align_corners = size, scale_factor, align_corners
        self.mode: Mode = mode

    def forward(self, x: ArrayProtocol) -> Tensor:
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        return f"size={self.size}, scale_factor={self.scale_factor}, mode={self.mode!r}"


class PixelShuffle(Module):
    """:func:`pixel_shuffle` as a layer."""

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, x: ArrayProtocol) -> Tensor:
        return pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        return str(self.upscale_factor)
