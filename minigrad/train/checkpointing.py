"""Where a run is saved, how often, and whether to go on from there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from minigrad.serialization import safetensors_library, save

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """Write the run to a file after each epoch, and go on from it.

    Args:
        path: the file. It is complete at every moment: a new one is written beside it, and then takes its place.
        every: write also after every so many steps, which shortens what a killed run has to do again.
        resume: go on from the file, if it is there: the run ends as if it had never been interrupted. A finished
            run goes further where there are more epochs now, or more patience.

    Raises:
        ValueError: ``every`` is below 1.
        TypeError: ``path`` is no path, or ``every`` no number.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from minigrad import data, nn, optim
    >>> from minigrad.train import fit
    >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
    >>> model, batches = nn.Linear(1, 1, dtype="float64"), data.DataLoader((x, 2 * x), 16)
    >>> optimizer = optim.SGD(model.parameters(), 0.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(os.path.join(folder, "run.safetensors"), resume=True)
    ...     for epochs in (2, 5):  # the second call takes three epochs more
    ...         history = fit(model, nn.functional.mse_loss, batches, optimizer, epochs, checkpoint=checkpoint)
    >>> len(history)
    5
    """

    path: str | os.PathLike[str]
    every: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)):
            raise TypeError(f"Checkpoint: the path must be a string or a Path, not {self.path!r}")
        if self.every is not None and not isinstance(self.every, Real):
            raise TypeError(f"Checkpoint: every is a number of steps, not {self.every!r}")
        if self.every is not None and self.every < 1:
            raise ValueError(
                f"Checkpoint: every counts steps from one writing to the next, at least 1, not {self.every}"
            )

    @classmethod
    def of(cls, given: Checkpoint | str | os.PathLike[str] | None) -> Checkpoint | None:
        """``given`` itself; of a path, the checkpoint there; of None, None.

        Raises:
            TypeError: something else was given.

        >>> Checkpoint.of("run.safetensors")
        Checkpoint(path='run.safetensors', every=None, resume=False)
        """
        if given is None or isinstance(given, cls):
            return given
        if isinstance(given, (str, os.PathLike)):
            return cls(given)
        what = f"the class {given.__name__}" if isinstance(given, type) else f"{given!r}"
        raise TypeError(f"fit: checkpoint= takes a path or a Checkpoint(path, ...), not {what}")

    def check(self) -> None:
        """Find out, before hours of training, whether the file can be written at all.

        Raises:
            FileNotFoundError, NotADirectoryError: there is no such folder.
            IsADirectoryError: the path is a folder.
            ImportError: safetensors is not installed.
        """
        path = Path(self.path)
        folder = path.parent
        if not folder.exists():
            raise FileNotFoundError(
                f"fit: there is no folder {os.fspath(folder)!r} for the checkpoint {os.fspath(path)!r}. Make it first: "
                f"os.makedirs({os.fspath(folder)!r})"
            )
        if not folder.is_dir():
            raise NotADirectoryError(
                f"fit: the checkpoint {os.fspath(path)!r} would be in {os.fspath(folder)!r}, which is a file"
            )
        if path.is_dir():
            raise IsADirectoryError(
                f"fit: the checkpoint is one file, and {os.fspath(path)!r} is a folder: name a file in it"
            )
        safetensors_library()

    def due(self, step: int) -> bool:
        """Whether to write after so many steps."""
        return self.every is not None and step % self.every == 0

    def found(self) -> bool:
        """Whether there is a file to go on from, and it was asked for."""
        return bool(self.resume) and Path(self.path).exists()

    def write(self, state: Any) -> None:
        """Save ``state``."""
        save(state, self.path)
