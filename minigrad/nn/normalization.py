"""Batch, layer, instance and group normalization: one operation, over different axes.

    =============  ======================================  =====================
    layer          mean and variance over                  of (N, C, H, W)
    =============  ======================================  =====================
    BatchNorm      the batch and all positions             N, H, W
    LayerNorm      the last axes, in each example          (C,) H, W
    InstanceNorm   the positions of each image's channel   H, W
    GroupNorm      a group of channels, in each example    some C, H, W
    =============  ======================================  =====================

Each then multiplies by a learned gamma (``weight``) and adds a learned beta (``bias``), so that nothing is lost: gamma
= the standard deviation and beta = the mean give the input back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.arrays.backend import ArrayProtocol
from minigrad.arrays.dtypes import DType, get_default_dtype
from minigrad.core.graph import array_of
from minigrad.nn.module import Buffer, Module, Parameter
from minigrad.ops.normalization import mean_and_variance, normalize
from minigrad.tensor import Tensor

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm2d", "LayerNorm", "batch_norm", "group_norm",
    "instance_norm", "layer_norm",
]  # fmt: skip


def batch_norm(
    x: ArrayProtocol,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: ArrayProtocol | None = None,
    bias: ArrayProtocol | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel of (N, C, ...) over the batch and all positions (Ioffe & Szegedy 2015).

    In training with the batch's mean and (biased) variance; the running statistics, if given, move towards the batch's
    mean and *unbiased* variance: r <- (1 - momentum) r + momentum s. Otherwise with the running statistics.

    Raises:
        ValueError: training on a single value per channel, whose normalization is 0 whatever it is; evaluation without
            running statistics.
    """
    if x.ndim < 2:
        raise ValueError(f"batch_norm needs (N, C) or (N, C, ...), not shape {tuple(x.shape)}")
    axes = (0, *range(2, x.ndim))
    if training:
        n = x.size // max(x.shape[1], 1)
        if n < 2:
            raise ValueError(
                f"batch_norm: in training each channel needs more than one value, and shape {tuple(x.shape)} has {n}: "
                "its normalization would be 0 and so would its gradient. Use a larger batch, or module.eval()"
            )
        known = mean_and_variance(array_of(x), axes)
        if running_mean is not None and running_var is not None:
            for running, now in ((running_mean, known[0]), (running_var, n / (n - 1) * known[1])):
                running.assign_((1 - momentum) * running.array + momentum * now.reshape(-1))
        return normalize(x, _aligned(weight, x), _aligned(bias, x), axes=axes, eps=eps, known=known)
    if running_mean is None or running_var is None:
        raise ValueError("batch_norm: evaluation needs running_mean and running_var; or pass training=True")
    scale = 1 / np.sqrt(running_var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    shape = (-1, *[1] * (x.ndim - 2))
    return x * scale.reshape(shape) + shift.reshape(shape)


def layer_norm(
    x: ArrayProtocol,
    normalized_shape: int | Sequence[int],
    weight: ArrayProtocol | None = None,
    bias: ArrayProtocol | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize over the last axes, which have the shape ``normalized_shape`` (Ba et al. 2016).

    Raises:
        ValueError: they have another.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(f"layer_norm: the last axes of {tuple(x.shape)} are not {shape}")
    return normalize(x, weight, bias, axes=tuple(range(x.ndim - len(shape), x.ndim)), eps=eps)


def group_norm(
    x: ArrayProtocol,
    num_groups: int,
    weight: ArrayProtocol | None = None,
    bias: ArrayProtocol | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize ``num_groups`` groups of the channels of (N, C, ...), in each example (Wu & He 2018).

    Raises:
        ValueError: the groups do not divide the channels.
    """
    n, channels, *rest = x.shape
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: num_groups={num_groups} must divide the {channels} channels")
    y = normalize(x.reshape((n, num_groups, channels // num_groups * math.prod(rest))), axes=(2,), eps=eps)
    y = y.reshape(x.shape)
    y = y if weight is None else y * _aligned(weight, x)
    return y if bias is None else y + _aligned(bias, x)


def instance_norm(
    x: ArrayProtocol, weight: ArrayProtocol | None = None, bias: ArrayProtocol | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalize each channel of each image of (N, C, ...) over its positions (Ulyanov et al. 2016).

    Raises:
        ValueError: channels of a single position.
    """
    if math.prod(x.shape[2:]) < 2:
        raise ValueError(f"instance_norm: each channel needs more than one position, and shape is {tuple(x.shape)}")
    return normalize(x, _aligned(weight, x), _aligned(bias, x), axes=tuple(range(2, x.ndim)), eps=eps)


def _aligned(v: Any, x: ArrayProtocol) -> Any:
    """A vector with one entry for each channel, in a shape that broadcasts against x (N, C, ...)."""
    return None if v is None else v.reshape((-1, *[1] * (x.ndim - 2)))


# ------------------------------------------------------------------------------------------------------ layers
class _Normalization(Module):
    """gamma and beta, and how they are printed."""

    def __init__(self, shape: Any, eps: float, affine: bool, dtype: Any) -> None:
        dtype = dtype or get_default_dtype()
        self.eps = eps
        self.weight = Parameter(np.ones(shape, dtype)) if affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if affine else None

    def extra_repr(self) -> str:
        return f"eps={self.eps}" + ("" if self.weight is not None else ", affine=False")


class _BatchNorm(_Normalization):
    """:func:`batch_norm` with learned gamma and beta, and running statistics as buffers.

    In training mode the batch's statistics are used; in evaluation the running ones, where they are tracked.

    Args:
        momentum: the weight of the newest batch in the running statistics; None for their plain average.
        track_running_stats: False to use the batch's statistics in evaluation, too.
    """

    axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: DType = None,
    ) -> None:
        super().__init__(num_features, eps, affine, dtype)
        self.num_features, self.momentum, self.track_running_stats = num_features, momentum, track_running_stats
        dtype = dtype or get_default_dtype()
        self.running_mean = Buffer(np.zeros(num_features, dtype)) if track_running_stats else None
        self.running_var = Buffer(np.ones(num_features, dtype)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.array(0)) if track_running_stats else None

    def forward(self, x: ArrayProtocol) -> Tensor:
        if x.ndim not in self.axes or x.shape[1] != self.num_features:
            wanted = " or ".join("(N, C, H, W)" if n == 4 else "(N, C, L)" if n == 3 else "(N, C)" for n in self.axes)
            raise ValueError(
                f"{type(self).__name__} needs {wanted} with C = {self.num_features}, but was given {tuple(x.shape)}"
            )
        training = self.training or not self.track_running_stats
        momentum = self.momentum
        if training and self.num_batches_tracked is not None:
            self.num_batches_tracked.assign_(self.num_batches_tracked.array + 1)
            if momentum is None:
                momentum = 1 / int(self.num_batches_tracked.item())
        return batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training, momentum or 0.0, self.eps
        )

    def extra_repr(self) -> str:
        return f"{self.num_features}, {super().extra_repr()}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalization of features (N, C) or signals (N, C, L); see :func:`batch_norm`."""

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of images (N, C, H, W); see :func:`batch_norm`."""

    axes = (4,)


class LayerNorm(_Normalization):
    """:func:`layer_norm` with learned gamma and beta of the normalized shape."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        dtype: DType = None,
    ) -> None:
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        super().__init__(self.normalized_shape, eps, elementwise_affine, dtype)

    def forward(self, x: ArrayProtocol) -> Tensor:
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, {super().extra_repr()}"


class GroupNorm(_Normalization):
    """:func:`group_norm` with learned gamma and beta per channel."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, dtype: DType = None
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        super().__init__(num_channels, eps, affine, dtype)
        self.num_groups = num_groups

    def forward(self, x: ArrayProtocol) -> Tensor:
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {super().extra_repr()}"


class InstanceNorm2d(_Normalization):
    """:func:`instance_norm` of images; without gamma and beta unless ``affine``, as in PyTorch."""

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = False, dtype: DType = None) -> None:
        super().__init__(num_features, eps, affine, dtype)
        self.num_features = num_features

    def forward(self, x: ArrayProtocol) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"InstanceNorm2d needs (N, {self.num_features}, H, W), but was given {tuple(x.shape)}")
        return instance_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, {super().extra_repr()}"
