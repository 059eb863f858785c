"""Losses as modules: ``loss(prediction, target)``, with a ``reduction`` of "mean", "sum" or "none"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.ops.losses import Reduction
from minigrad.tensor import Tensor

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "KLDivLoss", "L1Loss", "Loss", "MSELoss",
    "NLLLoss",
]  # fmt: skip


class Loss(Module):
    """A loss function with its settings remembered."""

    function: Callable[..., Tensor]

    def __init__(self, reduction: Reduction = "mean", **settings: Any) -> None:
        self.settings = {"reduction": reduction, **settings}

    def forward(self, prediction: Any, target: Any) -> Tensor:
        return type(self).function(prediction, target, **self.settings)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items())


class MSELoss(Loss):
    """The squared error; see :func:`minigrad.nn.functional.mse_loss`."""

    function = staticmethod(F.mse_loss)


class L1Loss(Loss):
    """The absolute error."""

    function = staticmethod(F.l1_loss)


class HuberLoss(Loss):
    """Quadratic near the target, linear far from it."""

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction, delta=delta)


class CrossEntropyLoss(Loss):
    """Cross entropy of logits against class indices or probabilities; see :func:`~minigrad.cross_entropy`."""

    function = staticmethod(F.cross_entropy)

    def __init__(self, reduction: Reduction = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(reduction, label_smoothing=label_smoothing)


class NLLLoss(Loss):
    """Minus the log-probability of the label."""

    function = staticmethod(F.nll_loss)


class BCELoss(Loss):
    """Binary cross entropy of probabilities; on logits prefer :class:`BCEWithLogitsLoss`."""

    function = staticmethod(F.binary_cross_entropy)


class BCEWithLogitsLoss(Loss):
    """Binary cross entropy of logits."""

    function = staticmethod(F.binary_cross_entropy_with_logits)


class KLDivLoss(Loss):
    """KL(target || prediction) of log-probabilities; ``reduction="batchmean"`` is the divergence per example."""

    function = staticmethod(F.kl_div)

    def __init__(self, reduction: Reduction | Literal["batchmean"] = "mean") -> None:
        self.settings = {"reduction": reduction}
