"""The best epoch: by which number, whether to stop when there is no better one, whether to go back to it.

:class:`EarlyStopping` is what was asked for, and never changes, so that several runs can share one.
:class:`BestEpoch` is what one run has seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from minigrad.nn.module import Module

__all__ = ["BestEpoch", "EarlyStopping"]


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stop when there is no better epoch any more, or go back to the best one, or both.

    Args:
        patience: stop after so many epochs without a better one; 1 stops at the first that is not better, 0 after the
            first of all. None, the default, never stops: then only the best epoch is remembered.
        monitor: the number that tells epochs apart, "val_loss" by default, or "loss" without validation.
        mode: "min" or "max", whichever is better; needed where the number's name does not say so, as "loss", "mse",
            "accuracy" and "f1" do.
        restore_best: end with the weights of the best epoch. They are copied whenever there is a better one.

    Raises:
        ValueError: a negative patience, or another mode.
        TypeError: a patience that is no number.

    >>> import numpy as np
    >>> from minigrad import data, nn, optim
    >>> from minigrad.train import fit
    >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
    >>> model, batches = nn.Linear(1, 1, dtype="float64"), data.DataLoader((x, 2 * x), 16)
    >>> optimizer = optim.SGD(model.parameters(), 0.5)
    >>> stopping = EarlyStopping(patience=2, monitor="loss", restore_best=True)
    >>> fit(model, nn.functional.mse_loss, batches, optimizer, 1000, early_stopping=stopping).stopped
    'patience'
    """

    patience: int | None = None
    monitor: str | None = None
    mode: str | None = None
    restore_best: bool = False

    def __post_init__(self) -> None:
        if self.patience is not None and not isinstance(self.patience, Real):
            raise TypeError(f"EarlyStopping: patience is a number of epochs, not {self.patience!r}")
        if self.patience is not None and not self.patience >= 0:
            raise ValueError(
                f"EarlyStopping: patience={self.patience} would be fewer than no epochs. patience=1 stops at the first "
                "epoch that is not better; patience=None never stops"
            )
        if self.mode not in (None, "min", "max"):
            raise ValueError(
                f"EarlyStopping: mode must be 'min' or 'max', not {self.mode!r}; without it, losses and errors are "
                "better when smaller, and accuracies and scores when larger"
            )


#: What names of numbers say of them, as far as they say it.
SMALLER = (
    "loss",
    "err",
    "mse",
    "mae",
    "mape",
    "rmse",
    "nll",
    "perplexity",
    "entropy",
    "distance",
    "divergence",
    "energy",
)
LARGER = ("acc", "auc", "f1", "precision", "recall", "score", "r2", "iou", "dice", "correct", "reward")


def _better(monitor: str) -> str:
    """Which values of a number are the better ones, by its name."""
    smaller, larger = (any(word in monitor.lower() for word in words) for words in (SMALLER, LARGER))
    if smaller == larger:
        raise ValueError(
            f"EarlyStopping: the name {monitor!r} does not say whether smaller values are better: say mode='min' or "
            "mode='max'"
        )
    return "min" if smaller else "max"


class BestEpoch:
    """The best epoch of one run so far, by the number that ``settings`` name.

    Args:
        recorded: the names of the numbers that there are after each epoch.

    Attributes:
        monitor: the name of the number.
        best: its smallest value so far, times ``sign``, which is -1 where larger is better.
        since: epochs since then.
        weights: the model's, where they are to be restored.

    Raises:
        ValueError: the monitored number is not recorded, or neither its name nor ``mode`` says which values are better.

    >>> seen = BestEpoch(EarlyStopping(patience=1), ["loss"])
    >>> for value in (3.0, 1.0, 2.0):
    ...     seen.update({"loss": value}, Module())
    >>> seen.value, seen.since, seen.out_of_patience
    (1.0, 1, True)
    """

    def __init__(self, settings: EarlyStopping, recorded: Sequence[str]) -> None:
        self.settings = settings
        self.monitor = settings.monitor or ("val_loss" if "val_loss" in recorded else "loss")
        if self.monitor not in recorded:
            hint = "; what begins with val_ needs validation=" if self.monitor.startswith("val_") else ""
            raise ValueError(f"fit: monitor={self.monitor!r} is not recorded; there is {', '.join(recorded)}{hint}")
        self.sign = 1 if (settings.mode or _better(self.monitor)) == "min" else -1
        self.best, self.since = math.inf, 0
        self.weights: dict[str, Any] | None = None

    @property
    def value(self) -> float:
        """The best value of the monitored number."""
        return self.sign * self.best

    @property
    def out_of_patience(self) -> bool:
        """Whether there were too many epochs without a better one."""
        return self.settings.patience is not None and self.since >= self.settings.patience

    def update(self, record: Mapping[str, float], model: Module) -> None:
        """See what an epoch brought, and remember it if it is the best."""
        if self._is_best(record[self.monitor]):
            self.weights = model.state_dict() if self.settings.restore_best else None

    def _is_best(self, value: float) -> bool:
        self.since += 1
        if not self.sign * value < self.best:  # also where it is NaN
            return False
        self.best, self.since = self.sign * value, 0
        return True

    def restore(self, model: Module) -> None:
        """Give the model the best epoch's weights, where that was asked for."""
        if self.settings.restore_best and self.weights is not None:
            model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""
        return {"best": self.best, "since_best": self.since, "best_weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave, and the run's history, which counts where another number was
        monitored then.
        """
        self.best, self.since, self.weights = math.inf, 0, None
        for record in state["history"]:
            self._is_best(record.get(self.monitor, math.nan))
        if (self.best, self.since) == (state["best"], state["since_best"]):
            self.weights = state["best_weights"]
