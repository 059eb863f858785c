"""The table of operations. Each file is a chapter: functions, and above each the rules of its derivatives."""

from minigrad.core.table import NUMPY, TABLE
from minigrad.ops import (
    activations,
    choices,
    convolution,
    elementwise,
    indexing,
    linalg,
    losses,
    normalization,
    pooling,
    reductions,
    shapes,
)

__all__ = [
    "NUMPY",
    "TABLE",
    "activations",
    "choices",
    "convolution",
    "elementwise",
    "indexing",
    "linalg",
    "losses",
    "normalization",
    "pooling",
    "reductions",
    "shapes",
]
