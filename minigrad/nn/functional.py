"""Layers and losses as functions, with PyTorch's names."""

from __future__ import annotations

from typing import Any

from minigrad.arrays.backend import backend_of, move, unwrapped
from minigrad.arrays.random import generator
from minigrad.nn.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from minigrad.nn.normalization import batch_norm, group_norm, instance_norm, layer_norm
from minigrad.nn.pooling import adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d, pixel_shuffle
from minigrad.ops.activations import (
    elu,
    gelu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    threshold,
)
from minigrad.ops.elementwise import tanh
from minigrad.ops.linalg import linear
from minigrad.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    log_softmax,
    mse_loss,
    nll_loss,
    one_hot,
    softmax,
)
from minigrad.tensor import Tensor


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each entry with probability ``p`` and scale the rest by 1 / (1 - p), so that the expectation stays."""
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    mask = ((generator().random(x.shape) >= p) / (1 - p)).astype(x.dtype)  # inside vmap, the same for every example
    return x * move(mask, backend_of(unwrapped(x)).name)


def accuracy(logits: Any, labels: Any) -> float:
    """The share of rows whose largest entry is at the label."""
    return float((logits.argmax(axis=-1) == labels).mean())


__all__ = [
    "accuracy",
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "group_norm",
    "hard_tanh",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pixel_shuffle",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
    "threshold",
]
