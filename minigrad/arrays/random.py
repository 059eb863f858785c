"""The seeded generator behind initialization, dropout and ``randn``.

Numbers are drawn on the host and then moved, so that one seed gives the same network on every backend.
"""

from __future__ import annotations

import numpy as np

__all__ = ["generator", "manual_seed"]

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator behind initialization, dropout and ``minigrad.randn``; returns it.

    Raises:
        TypeError, ValueError: ``seed`` is not a non-negative integer.
    """
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def generator() -> np.random.Generator:
    """The host generator that ``manual_seed`` seeds."""
    return _generator
