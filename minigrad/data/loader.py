"""Batches of examples, splits, and standardization that never looks at the test set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from minigrad.arrays.backend import Array, ArrayProtocol
from minigrad.data.augment import Augmentation
from minigrad.tensor import Tensor

__all__ = ["DataLoader", "Standardize", "train_test_split"]

A = TypeVar("A", bound=ArrayProtocol)
X = TypeVar("X", np.ndarray, Tensor)


def _lengths(name: str, arrays: Sequence[Any]) -> int:
    lengths = {len(a) for a in arrays}
    if len(lengths) != 1:
        raise ValueError(f"{name}: the arrays must be of one length, but have {[len(a) for a in arrays]}")
    return lengths.pop()


class DataLoader:
    """Iterate over batches of one or several arrays, in step: tuples of tensors on the current backend.

    Each iteration is an epoch; with ``shuffle`` its order depends on ``seed`` and on how many epochs came before, so a
    run can be repeated exactly.

    Args:
        arrays: one array or a sequence of arrays of the same length.
        drop_last: leave out a last batch that is not full.
        seed: of the shuffling and the augmentation; None draws one.
        augment: changes the first array of each batch: a function of it and a random generator, which depends on the
            seed, the epoch and the batch alone; see :mod:`minigrad.data.augment`.

    Raises:
        ValueError: arrays of different lengths, or a batch size below 1.
    """

    def __init__(
        self,
        arrays: ArrayProtocol | Sequence[ArrayProtocol],
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
        augment: Augmentation | None = None,
    ) -> None:
        self.arrays: list[Array] = list(arrays) if isinstance(arrays, (tuple, list)) else [arrays]
        self.n = _lengths("DataLoader", self.arrays)
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be at least 1, but is {batch_size}")
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.seed = int(np.random.SeedSequence().entropy % 2**32) if seed is None else seed  # type: ignore[operator]
        self.epoch, self.augment = 0, augment

    def __len__(self) -> int:
        return self.n // self.batch_size if self.drop_last else -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The next epoch, from its batch number ``start`` on."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = np.random.default_rng((self.seed, epoch)).permutation(self.n) if self.shuffle else None
        for k in range(start, len(self)):
            part = slice(k * self.batch_size, min((k + 1) * self.batch_size, self.n))
            index = part if order is None else order[part]
            batch = [array[index] for array in self.arrays]
            if self.augment is not None:
                batch[0] = self.augment(batch[0], np.random.default_rng((self.seed, epoch, k)))
            yield tuple(Tensor(array) for array in batch)

    def state_dict(self) -> dict[str, int]:
        """Where the sequence of epochs stands."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from there."""
        self.seed, self.epoch = int(state["seed"]), int(state["epoch"])


def train_test_split(*arrays: A, test_size: float | int = 0.25, seed: int | None = None) -> list[A]:
    """Shuffle and split: [a_train, a_test, b_train, b_test, ...]; ``test_size`` is a share, or a number of examples.

    Raises:
        ValueError: arrays of different lengths, or a part that would be empty.
    """
    n = _lengths("train_test_split", arrays)
    held_out = round(n * test_size) if isinstance(test_size, float) else test_size
    if not 0 < held_out < n:
        raise ValueError(
            f"train_test_split: of {n} examples, test_size={test_size} would leave {n - held_out} and {held_out}"
        )
    order = np.random.default_rng(seed).permutation(n)
    return [array[part] for array in arrays for part in (order[:-held_out], order[-held_out:])]


class Standardize:
    """(x - mean) / std per feature, with the statistics of the training part alone.

    >>> scale = Standardize.fit(x_train)            # doctest: +SKIP
    >>> x_train, x_test = scale(x_train), scale(x_test)  # doctest: +SKIP

    A feature that never varies in the training part is only centered.
    """

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        self.mean, self.std = mean, std

    @classmethod
    def fit(cls, x: np.ndarray, axis: int | tuple[int, ...] = 0) -> Standardize:
        """Measure ``x`` over ``axis``: 0 for a mean per feature, (0, 2, 3) for one per image channel."""
        std = x.std(axis=axis, keepdims=True, dtype=np.float64)
        mean = x.mean(axis=axis, keepdims=True, dtype=np.float64)
        return cls(mean.astype(x.dtype), np.where(std == 0, 1, std).astype(x.dtype))

    def __call__(self, x: X) -> X:
        return (x - self.mean) / self.std

    def inverse(self, x: X) -> X:
        """The original units."""
        return x * self.std + self.mean
