"""Initializations: random weights that neither explode nor vanish through the layers.

Each fills a tensor in place, drawing from the generator of ``minigrad.manual_seed`` on the host, and returns it. For a
layer h = W z with i.i.d. mean-0 entries, Var(h) = fan_in Var(W) E[z^2], and backwards fan_out takes fan_in's place:
Xavier (Glorot & Bengio 2010) balances the two, Kaiming (He et al. 2015) adds the activation's gain. Which serves what:

    =====================================  ==========================================================================
    ``xavier_*``                           tanh networks keep their signal; linear ones up to depth/width (N31 - N34)
    ``kaiming_*``                          relu networks do (N30); where they are deep, Xavier's fade away (T9)
    ``orthogonal_``, ``delta_orthogonal_``  norms kept exactly by any depth of (convolutional) linear layers (N43 - N45)
    ``residual_``                          z + W z stays bounded by e whatever the depth (N71)
    ``fixup_``                             deep residual networks train without normalization (N73)
    ``lsuv_``                              any network, by measuring
    =====================================  ==========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from minigrad.arrays.random import generator
from minigrad.core.modes import no_grad
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = [
    "BY_NAME", "InitializationName", "calculate_gain", "constant_", "delta_orthogonal_", "fans", "fixup_",
    "kaiming_normal_", "kaiming_uniform_", "lsuv_", "normal_", "ones_", "orthogonal_", "residual_", "uniform_",
    "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

Fan = Literal["fan_in", "fan_out", "fan_avg"]
Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"]
M = TypeVar("M", bound=Module)


def calculate_gain(nonlinearity: Nonlinearity, param: float | None = None) -> float:
    """The factor that keeps an activation's output variance: sqrt(2) for relu, 5/3 for tanh, ...

    Raises:
        ValueError: an unknown activation.
    """
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in gains:
        raise ValueError(f"no gain is known for {nonlinearity!r}; choose one of {', '.join([*gains, 'leaky_relu'])}")
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs an output sums, and how many outputs an input reaches.

    Raises:
        ValueError: fewer than two axes, which have no fans.
    """
    if tensor.ndim < 2:
        raise ValueError(
            f"fan_in and fan_out need a weight of at least 2 axes (out, in, ...), not shape {tensor.shape}"
        )
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def _fan(tensor: Tensor, mode: Fan) -> float:
    fan_in, fan_out = fans(tensor)
    choices = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode not in choices:
        raise ValueError(f"mode must be one of {', '.join(choices)}, not {mode!r}")
    return choices[mode]


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Every entry ``value``."""
    return tensor.assign_(np.full(tensor.shape, value, tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """All zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """All ones."""
    return constant_(tensor, 1.0)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Independent N(mean, std^2) entries."""
    return tensor.assign_(generator().normal(mean, std, tensor.shape))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Independent entries, uniform on [a, b)."""
    return tensor.assign_(generator().uniform(a, b, tensor.shape))


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, gain^2 * 2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, gain / math.sqrt(_fan(tensor, "fan_avg")))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform with the variance of :func:`xavier_normal_`: on +- gain * sqrt(6 / (fan_in + fan_out))."""
    bound = gain * math.sqrt(3 / _fan(tensor, "fan_avg"))
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: Fan = "fan_in", nonlinearity: Nonlinearity = "leaky_relu"
) -> Tensor:
    """N(0, gain^2 / fan), with the gain of ``nonlinearity`` (``a`` is leaky_relu's slope) and fan_in, fan_out or
    fan_avg.
    """
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: Fan = "fan_in", nonlinearity: Nonlinearity = "leaky_relu"
) -> Tensor:
    """Uniform with the variance of :func:`kaiming_normal_`."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound)


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A random matrix with orthonormal rows or columns (whichever are fewer), times ``gain``: it keeps norms exactly.

    Trailing axes are flattened into the columns. Haar-distributed: the Q of a Gaussian's QR, with the signs of R's
    diagonal (Mezzadri 2007; Saxe et al. 2014).
    """
    fans(tensor)
    return tensor.assign_(gain * _orthonormal(tensor.shape[0], math.prod(tensor.shape[1:])).reshape(tensor.shape))


def _orthonormal(rows: int, cols: int) -> np.ndarray:
    q, r = np.linalg.qr(generator().standard_normal((max(rows, cols), min(rows, cols))))
    q = q * np.sign(np.diagonal(r))
    return q if rows >= cols else q.T


def delta_orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A convolution that keeps norms: an orthogonal matrix between channels at the kernel's center, zeros elsewhere.

    So signals pass any number of convolutional layers without growing or fading (Xiao et al. 2018; notes, section
    3.4.1).

    Raises:
        ValueError: not a convolution's weight, fewer outputs than inputs (no map keeps all norms then), or a kernel
            without a center.
    """
    outputs, inputs, *kernel = (*tensor.shape, 0, 0)[: max(tensor.ndim, 2)]
    if not kernel or outputs < inputs or any(k % 2 == 0 for k in kernel):
        raise ValueError(
            f"delta_orthogonal_ needs a convolution's weight (outputs, inputs, *odd kernel) with outputs >= inputs, "
            f"not shape {tuple(tensor.shape)}"
        )
    center: Any = (slice(None), slice(None), *(k // 2 for k in kernel))
    w = np.zeros(tensor.shape)
    w[center] = gain * _orthonormal(outputs, inputs)
    return tensor.assign_(w)


# ------------------------------------------------------------------------------------------- residual networks
def residual_(tensor: Tensor, depth: int, gain: float = 1.0) -> Tensor:
    """N(0, gain^2 / (fan_in L)): for the L branches of z <- z + W z, so that E|y|^2 = (1 + 1/L)^L |x|^2 < e |x|^2.

    With Xavier's scale, 1 / fan_in, it is 2^L |x|^2 (notes, section 5.2; rows N68 to N71).

    Raises:
        ValueError: a depth below 1.
    """
    if depth < 1:
        raise ValueError(f"residual_: the depth must be at least 1, not {depth}")
    return normal_(tensor, 0.0, gain / math.sqrt(_fan(tensor, "fan_in") * depth))


def fixup_(branches: Sequence[Sequence[Tensor]], head: Tensor | None = None) -> None:
    """Fixup (Zhang et al. 2019): train residual networks without normalization (row N73).

    In each of the L branches, of m weights: He's initialization times L^(-1 / (2m - 2)), and zero for the last. So the
    network starts as the identity, and each step changes its output by as much whatever its depth.

    Args:
        branches: the weights of each residual branch, in order.
        head: the classifier's weight, which is set to zero too.

    Raises:
        ValueError: a branch of fewer than two weights; see :func:`residual_`.
    """
    depth = len(branches)
    for weights in branches:
        if len(weights) < 2:
            raise ValueError(f"fixup_ needs branches of at least two weights, not {len(weights)}; see residual_")
        for weight in weights[:-1]:
            kaiming_normal_(weight, nonlinearity="relu")
            weight.assign_(weight.array * depth ** (-1 / (2 * len(weights) - 2)))
        zeros_(weights[-1])
    if head is not None:
        zeros_(head)


def lsuv_(model: M, x: Any, tol: float = 0.01, max_iter: int = 10) -> M:
    """Layer-sequential unit variance (Mishkin & Matas 2016): measure instead of calculating.

    Every weight is made orthogonal, and then, layer by layer in the order in which the model uses them, divided by the
    standard deviation of the layer's output on the batch x until that is 1 to within ``tol``. Biases become zero.

    Raises:
        ValueError: the model has no linear or convolutional layer, or an output has no variance, or not within
            ``max_iter``.
    """
    layers: list[Any] = [
        m for m in model.modules() if isinstance(vars(m).get("weight"), Tensor) and vars(m)["weight"].ndim > 1
    ]
    if not layers:
        raise ValueError(f"lsuv_: {type(model).__name__} has no layer with a weight matrix")
    for layer in layers:
        orthogonal_(layer.weight)
        if vars(layer).get("bias") is not None:
            zeros_(layer.bias)
    done: set[int] = set()

    def scaled(layer: Any, forward: Any) -> Any:
        def run(*inputs: Any) -> Any:
            y = forward(*inputs)
            if id(layer) in done:
                return y
            for _ in range(max_iter):
                std = float(y.std().item())
                if not 0 < std < math.inf:
                    raise ValueError(f"lsuv_: an output of {type(layer).__name__} has standard deviation {std}")
                if abs(std - 1) <= tol:
                    break
                layer.weight.assign_(layer.weight.array / std)
                y = forward(*inputs)
            else:
                raise ValueError(f"lsuv_: {type(layer).__name__} is not within {tol} after {max_iter} rounds")
            done.add(id(layer))
            return y

        return run

    try:
        for layer in layers:
            object.__setattr__(layer, "forward", scaled(layer, layer.forward))
        with no_grad():
            model(x)
    finally:
        for layer in layers:
            del layer.forward
    return model


InitializationName = Literal[
    "xavier_normal", "xavier_uniform", "kaiming_normal", "kaiming_uniform", "orthogonal", "normal", "uniform", "zeros",
    "ones",
]  # fmt: skip
BY_NAME: dict[str, Callable[[Tensor], Tensor]] = {
    f.__name__.rstrip("_"): f
    for f in (
        xavier_normal_,
        xavier_uniform_,
        kaiming_normal_,
        kaiming_uniform_,
        orthogonal_,
        normal_,
        uniform_,
        zeros_,
        ones_,
    )
}
