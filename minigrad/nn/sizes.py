"""Sizes as users write them: a number for all axes, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Size", "sizes"]

Size = int | Sequence[int]


def sizes(name: str, what: str, value: Any, axes: int = 2, least: int = 1) -> tuple[int, ...]:
    """``value`` as one whole number per axis.

    Raises:
        ValueError: it is something else, or less than ``least``.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes or any(int(v) != v or v < least for v in values):
        wanted = "a number" if axes == 1 else "a number or a pair"
        raise ValueError(f"{name}: {what} must be {wanted} of at least {least}, not {value!r}")
    return tuple(int(v) for v in values)
