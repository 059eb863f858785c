"""Convolutions and transposed convolutions in one and two dimensions: functions with PyTorch's arguments, and layers.

Both dimensions are one: a signal of length W is an image of one row.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from minigrad.arrays.backend import ArrayProtocol
from minigrad.arrays.dtypes import DType, get_default_dtype
from minigrad.nn import init
from minigrad.nn.module import Module, Parameter
from minigrad.nn.sizes import Size, sizes
from minigrad.ops.convolution import Geometry, conv, conv_input
from minigrad.tensor import Tensor

__all__ = [
    "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "conv1d", "conv2d", "conv_transpose1d",
    "conv_transpose2d",
]  # fmt: skip


def conv1d(
    input: ArrayProtocol,
    weight: ArrayProtocol,
    bias: ArrayProtocol | None = None,
    stride: Size = 1,
    padding: Size | Literal["same", "valid"] = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of signals (N, C, W) or (C, W) with (O, C / groups, k); see :func:`conv2d`."""
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: ArrayProtocol,
    weight: ArrayProtocol,
    bias: ArrayProtocol | None = None,
    stride: Size = 1,
    padding: Size | Literal["same", "valid"] = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, o, h, w] = bias[o] + sum over c, i, j of weight[o, c, i, j] input[n, c, h s + i d - p, w s + j d - p].

    Args:
        input: (N, C, H, W) or (C, H, W); zero outside.
        weight: (O, C / groups, kh, kw).
        bias: (O,).
        stride, dilation: s and d, a number or a pair (rows, columns).
        padding: p, a number or a pair; "valid" for none, "same" for an output of the input's size (stride 1).
        groups: the channels are split into so many groups that do not meet.

    Raises:
        ValueError: shapes that do not fit; the message shows the arithmetic.
    """
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: ArrayProtocol,
    weight: ArrayProtocol,
    bias: ArrayProtocol | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv1d`; see :func:`conv_transpose2d`."""
    return _transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: ArrayProtocol,
    weight: ArrayProtocol,
    bias: ArrayProtocol | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv2d` as a linear map of its input, which enlarges: (N, C, H, W) to (N, O, H', W').

    H' = (H - 1) s - 2 p + d (kh - 1) + output_padding + 1.

    Args:
        weight: (C, O / groups, kh, kw): that of the convolution from H' to H.
        output_padding: rows and columns added at the end, for convolutions whose stride does not divide; less than the
            stride or the dilation.

    Raises:
        ValueError: shapes that do not fit, or a size that would not be positive.
    """
    return _transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _convolve(
    name: str, dims: int, x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    strides, dilations = _pair(name, "stride", stride, dims), _pair(name, "dilation", dilation, dims)
    x, w, single = _as_images(name, dims, x, w)
    _check_groups(name, x.shape[1], w.shape[0], w.shape[1], groups)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{name}: padding must be a number, a pair, 'same' or 'valid', not {padding!r}")
        if padding == "same" and strides != (1, 1):
            raise ValueError(f"{name}: padding='same' needs stride 1, not {strides}: give the padding in numbers")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, w.shape[2:], strict=True)]
        top, left = (n // 2 for n in total)
        sides = (top, total[0] - top, left, total[1] - left)
    else:
        p, q = _pair(name, "padding", padding, dims, least=0, filler=0)
        sides = (p, p, q, q)
    y = conv(x, w, geometry=Geometry(strides, sides, dilations, groups))
    return _finish(y, bias, dims, single)


def _transpose(
    name: str, dims: int, x: Any, w: Any, bias: Any, stride: Any, padding: Any, extra: Any, groups: int, dilation: Any
) -> Tensor:
    strides, dilations = _pair(name, "stride", stride, dims), _pair(name, "dilation", dilation, dims)
    p, q = _pair(name, "padding", padding, dims, least=0, filler=0)
    extras = _pair(name, "output_padding", extra, dims, least=0, filler=0)
    x, w, single = _as_images(name, dims, x, w)
    if x.shape[1] != w.shape[0] or groups < 1 or x.shape[1] % groups:
        raise ValueError(
            f"{name}: the input has {x.shape[1]} channels, so the weight must be ({x.shape[1]}, outputs / groups, ...) "
            f"with groups dividing {x.shape[1]}; it is {w.shape} and groups is {groups}"
        )
    size = []
    for n, k, s, d, pad, more in zip(x.shape[2:], w.shape[2:], strides, dilations, (p, q), extras, strict=True):
        if more >= max(s, d):
            raise ValueError(f"{name}: output_padding {more} must be less than the stride {s} or the dilation {d}")
        size.append((n - 1) * s - 2 * pad + d * (k - 1) + more + 1)
        if size[-1] < 1:
            raise ValueError(
                f"{name}: the output would have ({n} - 1) {s} - 2 x {pad} + {d} ({k} - 1) + {more} + 1 = {size[-1]} "
                "entries along an axis"
            )
    shape = (x.shape[0], w.shape[1] * groups, *size)
    # the convolution back from this size does not read what output_padding adds: negative padding at the end
    geometry = Geometry(strides, (p, p - extras[0], q, q - extras[1]), dilations, groups)
    y = conv_input(x, w, shape=shape, geometry=geometry)
    return _finish(y, bias, dims, single)


def _as_images(name: str, dims: int, x: Any, w: Any) -> tuple[Any, Any, bool]:
    """Input and weight as (N, C, H, W) and (O, C, kh, kw), and whether the input was a single example."""
    axes = "(N, C, H, W) or (C, H, W)" if dims == 2 else "(N, C, W) or (C, W)"
    if x.ndim not in (dims + 1, dims + 2) or w.ndim != dims + 2:
        raise ValueError(
            f"{name} needs an input {axes} and a weight of {dims + 2} axes, but was given shapes {tuple(x.shape)} and "
            f"{tuple(w.shape)}"
        )
    single = x.ndim == dims + 1
    if single:
        x = x[None]
    if dims == 1:
        x, w = x[:, :, None], w[:, :, None]
    return x, w, single


def _finish(y: Any, bias: Any, dims: int, single: bool) -> Tensor:
    if bias is not None:
        y = y + bias.reshape((-1, 1, 1))
    if dims == 1:
        y = y[:, :, 0]
    return y[0] if single else y


def _check_groups(name: str, channels: int, outputs: int, per_group: int, groups: int) -> None:
    if groups < 1 or channels % groups or outputs % groups:
        raise ValueError(f"{name}: groups={groups} must divide the {channels} input and the {outputs} output channels")
    if channels // groups != per_group:
        raise ValueError(
            f"{name}: the input has {channels} channels, so with groups={groups} each kernel must have "
            f"{channels} / {groups} = {channels // groups}; the weight's have {per_group}"
        )


def _pair(name: str, what: str, value: Any, dims: int, least: int = 1, filler: int = 1) -> tuple[int, int]:
    """(rows, columns); a signal has one row."""
    numbers = sizes(name, what, value, dims, least)
    return (filler, numbers[0]) if dims == 1 else (numbers[0], numbers[1])


# ------------------------------------------------------------------------------------------------------ layers
class _Convolution(Module):
    """What the four layers share.

    Attributes:
        weight: (O, C / groups, *kernel_size); of a transposed convolution (C, O / groups, *kernel_size).
        bias: (O,), or None.
    """

    dims = 2
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | Literal["same", "valid"] = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: DType = None,
    ) -> None:
        name, dims = type(self).__name__, self.dims
        if in_channels < 1 or out_channels < 1:
            raise ValueError(f"{name} needs at least one channel in and out, not {in_channels} and {out_channels}")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        kernel = sizes(name, "kernel_size", kernel_size, dims)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding: Any = padding
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        dtype = dtype or get_default_dtype()
        self.weight = Parameter(np.empty((first, second // groups, *kernel), dtype))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None
        bound = 1 / math.sqrt(second // groups * math.prod(kernel))  # PyTorch's, also for transposed ones
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        settings = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
        named = [f"{k}={v}" for k, default in settings.items() if (v := getattr(self, k, default)) != default]
        named += ["bias=False"] if self.bias is None else []
        return ", ".join([f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}", *named])


class Conv2d(_Convolution):
    """:func:`conv2d` with learned weights, which start uniform on +- 1 / sqrt(C / groups kh kw), as in PyTorch."""

    def forward(self, x: ArrayProtocol) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv1d(_Convolution):
    """:func:`conv1d` with learned weights; see :class:`Conv2d`."""

    dims = 1

    def forward(self, x: ArrayProtocol) -> Tensor:
        return conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class _Transposed(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        dtype: DType = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype)
        self.output_padding = output_padding


class ConvTranspose2d(_Transposed):
    """:func:`conv_transpose2d` with learned weights."""

    def forward(self, x: ArrayProtocol) -> Tensor:
        return conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose1d(_Transposed):
    """:func:`conv_transpose1d` with learned weights."""

    dims = 1

    def forward(self, x: ArrayProtocol) -> Tensor:
        return conv_transpose1d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
