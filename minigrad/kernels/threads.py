"""A few Python threads for NumPy kernels, which release the interpreter's lock while they compute.

Kernels cut their work into blocks that fit a core's cache, and :func:`run` hands the blocks out. BLAS is told to use
one thread meanwhile: each block's matrix product is small, and two teams of threads on one set of cores only wait for
each other (blas.py).

``MINIGRAD_THREADS`` sets the number of threads, and 1 turns them off.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from typing import Any, TypeVar

import numpy as np

from minigrad.kernels import blas

__all__ = ["cores", "over", "pieces", "run", "scratch"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


THREADS = int(os.environ.get("MINIGRAD_THREADS") or min(8, cores()))

_pool: ThreadPoolExecutor | None = None
_own = threading.local()  # each thread's scratch memory, and whether it is at work


def run(work: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """[work(job) for job in jobs], on several threads; each takes the next job when it has done one.

    Waking a thread takes some 50 us: worth it for jobs of 100 us or more. An exception in a job is raised here.
    """
    if THREADS == 1 or len(jobs) < 2 or getattr(_own, "inside", False):  # a job's own jobs stay on its thread
        return [work(job) for job in jobs]
    results: list[Any] = [None] * len(jobs)
    turn = count()

    def loop() -> None:
        _own.inside = True
        try:
            while (i := next(turn)) < len(jobs):  # next() of a count is atomic
                results[i] = work(jobs[i])
        finally:
            _own.inside = False

    with blas.one_thread:
        helpers = [_executor().submit(loop) for _ in range(min(THREADS, len(jobs)) - 1)]
        try:
            loop()
        finally:
            errors = [helper.exception() for helper in helpers]
    for error in errors:
        if error is not None:
            raise error
    return results


def pieces(n: int, size: int, threads: int) -> list[slice]:
    """0 .. n in slices of at most ``size``, as many for each of ``threads`` where there are enough."""
    if n <= 0:
        return []
    number = -(-n // max(1, size))
    number = min(n, -(-number // threads) * threads)
    bounds = [n * i // number for i in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(bounds)]


def over(work: Callable[[slice], Result], n: int, size: int, worthwhile: bool) -> list[Result]:
    """work(piece) for :func:`pieces` of 0 .. n, on several threads where that is ``worthwhile``."""
    if worthwhile:
        return run(work, pieces(n, size, THREADS))
    return [work(piece) for piece in pieces(n, size, 1)]


def scratch(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Uninitialized memory of this thread, valid until its next call: kept, so that it stays in the core's cache."""
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = getattr(_own, "memory", None)
    if memory is None or memory.size < needed:
        memory = _own.memory = np.empty(needed, np.uint8)
    return memory[:needed].view(dtype).reshape(shape)


def _executor() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(THREADS - 1, thread_name_prefix="minigrad")
    return _pool


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
