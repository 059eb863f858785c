"""What a run brought, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["History"]


class History:
    """What each epoch brought: ``history["loss"]`` is a list with a number per epoch.

    Attributes:
        epochs: a dict per epoch.
        stopped: why training ended: "epochs", "patience" or "callback"; "" before that.

    Raises:
        KeyError: a name that was not recorded; the message has those that were.

    >>> history = History([{"loss": 0.5, "seconds": 2.0}, {"loss": 0.25, "seconds": 1.0}])
    >>> history["loss"]
    [0.5, 0.25]
    >>> history
    History(2 epochs; loss 0.25, seconds 1)
    """

    def __init__(self, epochs: Sequence[dict[str, float]] = (), stopped: str = "") -> None:
        self.epochs, self.stopped = list(epochs), stopped

    def __getitem__(self, name: str) -> list[float]:
        if self.epochs and name not in self.epochs[-1]:
            raise KeyError(f"{name!r} was not recorded; there is {', '.join(self.epochs[-1])}")
        return [epoch[name] for epoch in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.epochs[-1].items()) if self.epochs else "nothing yet"
        return f"History({len(self)} epochs; {last})"
