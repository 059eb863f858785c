"""NumPy's OpenBLAS, told how small networks use it: one thread inside a kernel, and idle threads that sleep soon.

OpenBLAS's threads spin for 26 ms after each call in the hope of another, and fight with a kernel's own threads for the
cores. They are sent to sleep after 0.3 ms: longer than the pauses between a network's products, and short enough for
others. ``OPENBLAS_THREAD_TIMEOUT``, where it is set, is respected: the clock cycles until a thread sleeps are 2 to its
power. Where NumPy has another BLAS, nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["sleep_soon"]


def _openblas() -> Any:
    """The library in NumPy's wheel, which is loaded already; None where NumPy has another."""
    for path in (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*"):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            _ = library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
            return library
    return None


def sleep_soon(cycles: int = 20) -> bool:
    """Let OpenBLAS's idle threads sleep after 2^cycles clock cycles; whether it was possible.

    It reads this from the environment, when its threads start: so they are stopped here, and the next product starts
    them anew. Nothing is done where other threads run, one of which might be in the middle of a product.
    """
    library, name = one_thread.library, "OPENBLAS_THREAD_TIMEOUT"
    if library is None or name in os.environ or threading.active_count() > 1:
        return False
    try:
        read, stop = library.openblas_read_env, library.blas_thread_shutdown_
    except AttributeError:
        return False
    os.environ[name] = str(cycles)
    try:
        read()
        stop()
    finally:
        del os.environ[name]
    return True


class _OneBlasThread:
    """Inside the block NumPy's OpenBLAS uses one thread; nothing happens where its library is not found."""

    def __init__(self) -> None:
        self.lock, self.depth, self.before = threading.Lock(), 0, 1
        self.get: Callable[[], int] | None = None
        self.set: Callable[[int], Any] = lambda n: None
        self.library = _openblas()
        if self.library is not None:
            self.get = self.library.scipy_openblas_get_num_threads64_
            self.set = self.library.scipy_openblas_set_num_threads64_

    def __enter__(self) -> None:
        with self.lock:
            if self.depth == 0 and self.get is not None:
                self.before = self.get()
                self.set(1)
            self.depth += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.depth -= 1
            if self.depth == 0 and self.get is not None:
                self.set(self.before)


one_thread = _OneBlasThread()


def _forget() -> None:
    """A forked child has none of its parent's threads, so none of them is inside a kernel."""
    one_thread.depth = 0
    one_thread.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
