"""Modes: what happens besides computing. Each belongs to the current context, and is restored whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager  # a context and a decorator

__all__ = ["Mode", "current_mode", "detect_anomaly", "enable_grad", "is_grad_enabled", "mode", "no_grad"]


class Mode(NamedTuple):
    """Whether operations are recorded, and whether every result is checked for NaN and infinity."""

    record: bool = True
    anomaly: bool = False


_current: ContextVar[Mode] = ContextVar("minigrad_mode", default=Mode())  # noqa: B039 - a Mode is immutable
current_mode = _current.get


@contextmanager
def mode(**changes: Any) -> Iterator[None]:
    """Change the mode inside a ``with`` block, and restore it whatever happens there."""
    token = _current.set(_current.get()._replace(**changes))
    try:
        yield
    finally:
        _current.reset(token)


def no_grad() -> _GeneratorContextManager[None]:
    """Record nothing inside the block (or the decorated function): evaluation, parameter updates."""
    return mode(record=False)


def enable_grad() -> _GeneratorContextManager[None]:
    """Record again, inside a ``no_grad`` block."""
    return mode(record=True)


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are being recorded."""
    return current_mode().record


def detect_anomaly() -> _GeneratorContextManager[None]:
    """Inside the block, the first NaN or infinity raises :class:`NonFiniteError` with the operation's name and the
    line of your program that called it, forward and backward. Slow: for hunting bugs."""
    return mode(anomaly=True)
