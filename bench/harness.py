"""Fair ratios on a noisy machine: contestants alternate in one process, and only medians are compared.

Each contestant runs in bursts. Thread pools spin for some milliseconds after a call and would slow the next
contestant, so a burst begins with a pause and an untimed stretch. A row's ratio is the median over rounds of (ours /
peer), each round measuring the two back to back.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

Contestant = Callable[[], Any]

PAUSE = 0.04  # seconds: idle worker threads have gone to sleep by then
WARM_UP = 0.03


@dataclass
class Row:
    """One measurement: seconds of ours and of the peer (medians), and the median ratio with its quartiles."""

    suite: str
    name: str
    peer: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    bar: float | None = None
    unit: str = "s"

    def __str__(self) -> str:
        verdict = "" if self.bar is None else f"  bar {self.bar:.2f} {'ok' if self.ratio <= self.bar else 'MISSED'}"
        return (
            f"{self.suite:<11}{self.name:<56}{self.peer:<14}{self.show(self.ours):>10}{self.show(self.theirs):>10}"
            f"  {self.ratio:6.3f} [{self.low:.3f}, {self.high:.3f}]{verdict}"
        )

    def show(self, value: float) -> str:
        return seconds(value) if self.unit == "s" else f"{value:.3g} {self.unit}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def seconds(t: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if t >= scale or unit == "us":
            return f"{t / scale:.3g} {unit}"
    return ""


def burst(f: Contestant, duration: float) -> float:
    """The median time of a call, in one burst."""
    time.sleep(PAUSE)
    end = time.perf_counter() + WARM_UP
    while True:
        f()
        if time.perf_counter() > end:
            break
    times = []
    end = time.perf_counter() + duration
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare(
    suite: str,
    name: str,
    ours: Contestant,
    peers: dict[str, Contestant],
    bars: dict[str, float] | None = None,
    rounds: int = 7,
    duration: float = 0.05,
) -> Iterator[Row]:
    """A row per peer: ours against each, in alternation."""
    for peer, theirs in peers.items():
        mine, other = [], []
        for _ in range(rounds):
            mine.append(burst(ours, duration))
            other.append(burst(theirs, duration))
        ratios = [a / b for a, b in zip(mine, other, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        yield Row(
            suite,
            name,
            peer,
            statistics.median(mine),
            statistics.median(other),
            middle,
            low,
            high,
            (bars or {}).get(peer),
        )


def load(name: str) -> Any:
    """A peer library, or None (after a line that says so) where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: its rows are skipped (pip install 'minigrad-autodiff[bench]')")
        return None
    if name == "torch":
        module.set_num_threads(2)
    return module
