"""Time per operation must not grow with depth: each row compares a long chain, per operation, with one of 1,000."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

import minigrad as mg
from bench.harness import Row
from minigrad import nn
from minigrad.models import MLP

DEPTHS = (10_000, 100_000)


def rows() -> Iterator[Row]:
    for depth in DEPTHS:
        yield _row("chain, backward", depth, 1_000, _chain_backward, 1.5)
    for depth in (100, 1_000):
        yield _row("MLP of width 16, forward + backward", depth, 10, _deep_mlp, 1.5)
    for width in (256, 1024):
        yield _row("MLP, time per weight, of width", width, 64, _wide_mlp, None)


def _row(name: str, n: int, base: int, measure: object, bar: float | None) -> Row:
    """The median ratio of the time per unit at ``n`` to that at ``base``, alternating."""
    long, short, ratios = [], [], []
    for _ in range(5):
        repeats = max(1, n // base)
        short.append(statistics.median(measure(base) for _ in range(min(repeats, 20))))  # type: ignore[operator]
        long.append(measure(n))  # type: ignore[operator]
        ratios.append(long[-1] / short[-1])
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Row(
        "scaling",
        f"{name} {n}",
        f"at {base}",
        statistics.median(long),
        statistics.median(short),
        middle,
        low,
        high,
        bar,
    )


def _chain_backward(n: int) -> float:
    x = mg.Tensor(np.ones(4, np.float32), requires_grad=True)
    y = x
    for _ in range(n):
        y = y * 1.0
    y = y.sum()
    start = time.perf_counter()
    y.backward()
    return (time.perf_counter() - start) / n


def _deep_mlp(depth: int) -> float:
    model = MLP((16,) * (depth + 1), "tanh")
    x = mg.randn(8, 16)
    start = time.perf_counter()
    model(x).sum().backward()
    return (time.perf_counter() - start) / depth


def _wide_mlp(width: int) -> float:
    model = MLP((width, width, 10))
    x, t = mg.randn(32, width), np.zeros(32, np.int64)
    nn.functional.cross_entropy(model(x), t).backward()
    start = time.perf_counter()
    nn.functional.cross_entropy(model(x), t).backward()
    return (time.perf_counter() - start) / width**2
