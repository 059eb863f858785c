"""Random changes of images that keep their labels: functions of (images, rng), for ``DataLoader(augment=...)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["Augmentation", "compose", "pad_crop", "random_flip"]

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def pad_crop(padding: int = 4) -> Augmentation:
    """Shift each image of (N, C, H, W) by up to ``padding`` pixels: a random crop of the image with zeros around it.

    Raises:
        ValueError: a negative padding.
    """
    if padding < 0:
        raise ValueError(f"pad_crop: the padding must not be negative, but is {padding}")

    def shift(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check("pad_crop", x)
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        crops = sliding_window_view(padded, x.shape[2:], axis=(2, 3))
        rows, columns = rng.integers(2 * padding + 1, size=(2, len(x)))
        return np.ascontiguousarray(crops[np.arange(len(x)), :, rows, columns])

    return shift


def random_flip(p: float = 0.5) -> Augmentation:
    """Mirror each image of (N, C, H, W), left to right, with probability ``p``.

    Raises:
        ValueError: p outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"random_flip: the probability must lie in [0, 1], but is {p}")

    def flip(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check("random_flip", x)
        chosen = rng.random(len(x)) < p
        y = x.copy()
        y[chosen] = x[chosen, :, :, ::-1]
        return y

    return flip


def compose(*augmentations: Augmentation) -> Augmentation:
    """One after the other."""

    def all_of_them(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for augmentation in augmentations:
            x = augmentation(x, rng)
        return x

    return all_of_them


def _check(name: str, x: Any) -> None:
    if x.ndim != 4:
        raise ValueError(f"{name} needs images (N, C, H, W), not shape {x.shape}")
