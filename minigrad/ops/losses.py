"""Softmax and the losses made of it, fused: stable, and one node of the graph instead of a dozen.

A fused rule is a formula in the operation's *arguments*, never in saved intermediates: so it can be differentiated
again.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from minigrad.arrays.backend import unwrapped
from minigrad.arrays.dtypes import DType, as_operand
from minigrad.core.graph import Tensor
from minigrad.core.kernel import Kernel
from minigrad.core.table import composite, op
from minigrad.ops.activations import sigmoid
from minigrad.ops.choices import clip
from minigrad.ops.elementwise import square
from minigrad.ops.indexing import getitem
from minigrad.ops.reductions import mean, sum
from minigrad.ops.shapes import moveaxis

__all__ = [
    "Reduction", "binary_cross_entropy", "binary_cross_entropy_with_logits", "by_class", "check_labels",
    "check_reduction", "check_same_shape", "cross_entropy", "huber_loss", "kl_div", "l1_loss", "log_softmax",
    "mse_loss", "nll_loss", "one_hot", "reduce", "row_totals", "sigmoid_cross_entropy", "softmax",
    "softmax_cross_entropy",
]  # fmt: skip

Reduction = Literal["mean", "sum", "none"]


@Kernel
def by_class(x: Any) -> Any:
    """``x``, in whatever order of memory its rows are reduced fastest."""
    return x


@Kernel
def row_totals(x: Any, axis: int) -> Any:
    """The sum over ``axis``, kept as an axis of length 1."""
    return x.sum(axis=axis, keepdims=True)


@op(lambda g, y, x, axis=-1: y * (g - row_totals(g * y, axis)))
def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along ``axis``: positive numbers that sum to 1, whatever the size of x.

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 1000.0]))
    Tensor([0., 1.])
    """
    x = by_class(x)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@op(lambda g, y, x, axis=-1: g - np.exp(y) * row_totals(g, axis))
def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)) = x - log(sum(exp(x))) along ``axis``, without underflow.

    >>> import minigrad as mg
    >>> mg.log_softmax(mg.tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    x = by_class(x)
    z = x - x.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def one_hot(labels: Any, classes: int, dtype: DType = None) -> Tensor:
    """The rows of the identity that ``labels`` (integers, any shape) choose: shape (*labels.shape, classes).

    Raises:
        ValueError: a label outside 0 .. classes - 1.
    """
    labels = as_operand(labels)
    check_labels(labels, classes)
    return _indicator(labels, classes).astype(dtype or np.float32)


def _indicator(labels: Any, classes: int) -> Any:
    """True where the class is the label: (*labels.shape, classes); its memory runs as that of :func:`by_class`."""
    k = np.arange(classes, like=labels)
    return (k[:, None] == labels).T if labels.ndim == 1 else labels[..., None] == k


def check_labels(labels: Any, classes: int) -> None:
    """Class labels must be integers in 0 .. classes - 1 (NumPy would read -1 as the last class)."""
    labels = unwrapped(labels)  # of every example of a vmap
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"class labels must be integers, not {labels.dtype}; for probabilities pass the shape of the logits"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"class labels must lie in 0..{classes - 1} for {classes} classes, but range over "
            f"{int(labels.min())}..{int(labels.max())}"
        )


def _cross_entropy_rule(g: Any, y: Any, z: Any, t: Any, smoothing: float, total: float) -> Any:
    """softmax(z) minus the target distribution."""
    K = z.shape[-1]
    target = _indicator(t, K)
    if smoothing:
        target = target * z.dtype.type(1 - smoothing) + smoothing / K
    return (softmax(z) - target) * (g / total if total else g[..., None])


@op(_cross_entropy_rule, None)
def softmax_cross_entropy(z: Any, t: Any, smoothing: float = 0.0, total: float = 0) -> Any:
    """-log softmax(z)[t], with classes on the last axis: what :func:`cross_entropy` computes for class indices.

    Args:
        z: logits (..., K).
        t: class indices (...).
        smoothing: this much of the target is spread evenly over the classes.
        total: divide the sum of the losses by it; 0 for the losses themselves, of the shape of ``t``.

    Raises:
        TypeError, ValueError: labels that are no integers, or out of range.

    >>> import minigrad as mg
    >>> from minigrad.ops.losses import softmax_cross_entropy
    >>> softmax_cross_entropy(mg.tensor([[0.0, 0.0]]), mg.tensor([1]))  # log 2
    Tensor([0.6931])
    """
    check_labels(t, z.shape[-1])
    z = by_class(z)
    z = z - z.max(axis=-1, keepdims=True)
    rows = [np.arange(n, like=t).reshape((-1,) + (1,) * (t.ndim - k - 1)) for k, n in enumerate(t.shape)]
    picked = getitem(z, *rows, t)
    losses = np.log(np.exp(z).sum(axis=-1)) - picked
    if smoothing:
        losses = losses + smoothing * (picked - z.sum(axis=-1) / z.shape[-1])
    return losses.sum() / total if total else losses


@composite()
def cross_entropy(logits: Any, target: Any, reduction: Reduction = "mean", label_smoothing: float = 0.0) -> Tensor:
    """-sum_k target_k log softmax(logits)_k, over classes on axis 1 (axis 0 of a single example), as in PyTorch.

    Args:
        logits: shape (N, K), (K,) or (N, K, d1, ...).
        target: class indices, of the shape of ``logits`` without its class axis; or probabilities, of its whole shape.
        reduction: "mean" or "sum" over the examples, or "none".
        label_smoothing: this much of the target is spread evenly over the classes.

    Raises:
        TypeError: labels that are no integers.
        ValueError: shapes that do not fit, labels out of range, an unknown reduction.

    >>> import minigrad as mg
    >>> logits = mg.tensor([[2.0, 0.0], [0.0, 0.0]])
    >>> mg.cross_entropy(logits, [0, 1], reduction="none")  # log(1 + e^-2) and log 2
    Tensor([0.1269, 0.6931])
    """
    check_reduction("cross_entropy", reduction)
    target = as_operand(target, logits)
    if logits.ndim > 2:
        logits = moveaxis(logits, 1, -1)
        target = moveaxis(target, 1, -1) if target.ndim == logits.ndim else target
    if target.shape == logits.shape:
        if label_smoothing:
            target = (1 - label_smoothing) * target + label_smoothing / logits.shape[-1]
        return reduce(-sum(target * log_softmax(logits), axis=-1), reduction)
    if target.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy: logits of shape {logits.shape} (classes last) need class indices of shape "
            f"{logits.shape[:-1]} or probabilities of shape {logits.shape}, not {target.shape}"
        )
    if reduction == "mean" and not target.size:
        raise ValueError("cross_entropy: the mean over an empty batch is not defined; use reduction='sum'")
    total = 0 if reduction == "none" else 1 if reduction == "sum" else target.size
    return softmax_cross_entropy(logits, target, smoothing=label_smoothing, total=total)


@op(lambda g, y, z, t: g * (sigmoid(z) - t), lambda g, y, z, t: -g * z)
def sigmoid_cross_entropy(z: Any, t: Any) -> Any:
    """-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)) = max(z, 0) - z t + log(1 + exp(-|z|)), entry by entry.

    >>> import minigrad as mg
    >>> from minigrad.ops.losses import sigmoid_cross_entropy
    >>> sigmoid_cross_entropy(mg.tensor([0.0, 1000.0]), mg.tensor([1.0, 1.0]))
    Tensor([0.6931, 0.    ])
    """
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))


@composite()
def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), of logits z and targets t in [0, 1] of the same shape.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.

    >>> import minigrad as mg
    >>> mg.binary_cross_entropy_with_logits(mg.tensor([2.0, -2.0]), mg.tensor([1.0, 0.0]))  # log(1 + e^-2), twice
    Tensor(0.1269)
    """
    check_reduction("binary_cross_entropy_with_logits", reduction)
    check_same_shape("binary_cross_entropy_with_logits", logits, target)
    return reduce(sigmoid_cross_entropy(logits, target), reduction)


def binary_cross_entropy(p: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """-t log p - (1 - t) log(1 - p), each logarithm kept above -100 as in PyTorch. Prefer the form on logits."""
    check_reduction("binary_cross_entropy", reduction)
    check_same_shape("binary_cross_entropy", p, target)
    log_p, log_q = clip(np.log(p), -100), clip(np.log1p(-p), -100)
    return reduce(-(target * log_p + (1 - target) * log_q), reduction)


def mse_loss(prediction: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """(prediction - target)^2, averaged over every entry."""
    check_reduction("mse_loss", reduction)
    check_same_shape("mse_loss", prediction, target)
    return reduce(square(prediction - target), reduction)


def l1_loss(prediction: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """|prediction - target|, averaged over every entry."""
    check_reduction("l1_loss", reduction)
    check_same_shape("l1_loss", prediction, target)
    return reduce(abs(prediction - target), reduction)


def huber_loss(prediction: Any, target: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Tensor:
    """Quadratic within ``delta`` of the target, linear beyond: e^2/2 or delta (|e| - delta/2)."""
    check_reduction("huber_loss", reduction)
    check_same_shape("huber_loss", prediction, target)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, not {delta}")
    e = abs(prediction - target)
    near = clip(e, None, delta)
    return reduce(near * (e - 0.5 * near), reduction)


def nll_loss(log_probabilities: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """-log_probabilities[n, target[n]], for class indices: what cross_entropy is after log_softmax."""
    check_reduction("nll_loss", reduction)
    target = as_operand(target, log_probabilities)
    if tuple(target.shape) != tuple(log_probabilities.shape[:-1]):
        raise ValueError(
            f"nll_loss: log-probabilities of shape {log_probabilities.shape} need labels of shape "
            f"{log_probabilities.shape[:-1]}, not {target.shape}"
        )
    picked = log_probabilities * one_hot(target, log_probabilities.shape[-1], log_probabilities.dtype)
    return reduce(-sum(picked, axis=-1), reduction)


def kl_div(log_q: Any, p: Any, reduction: Reduction | Literal["batchmean"] = "mean") -> Tensor:
    """p (log p - log_q), the terms of KL(p || q) from log-probabilities ``log_q``; 0 where p = 0.

    ``reduction="batchmean"`` divides the sum by the first axis, which is the mean divergence.
    """
    if reduction != "batchmean":
        check_reduction("kl_div", reduction)
    check_same_shape("kl_div", log_q, p)
    terms = p * (np.log(np.where(p > 0, p, 1)) - log_q)
    return sum(terms) / log_q.shape[0] if reduction == "batchmean" else reduce(terms, reduction)


def reduce(losses: Any, reduction: str) -> Tensor:
    """The losses themselves ("none"), their mean, or their sum."""
    return losses if reduction == "none" else mean(losses) if reduction == "mean" else sum(losses)


def check_reduction(name: str, reduction: str) -> None:
    """Raise ValueError for an unknown reduction."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', not {reduction!r}")


def check_same_shape(name: str, prediction: Any, target: Any) -> None:
    """A target of another shape would broadcast: (N, 1) against (N,) is an N x N table of wrong differences."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name}: the prediction has shape {prediction.shape} and the target {target.shape}; they must agree"
        )
