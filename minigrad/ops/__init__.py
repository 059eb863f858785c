"""The table of operations. Each file is a chapter: a forward and its rules, side by side."""

from minigrad.ops import (
    activations,
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
from minigrad.ops.table import NUMPY, TABLE, composite, op

__all__ = [
    "NUMPY",
    "TABLE",
    "activations",
    "composite",
    "convolution",
    "elementwise",
    "indexing",
    "linalg",
    "losses",
    "normalization",
    "op",
    "pooling",
    "reductions",
    "shapes",
]
