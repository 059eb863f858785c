"""The time of ``import minigrad`` in a fresh process, against importing NumPy and scipy.linalg."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.harness import Row


def rows() -> Iterator[Row]:
    ours, theirs, ratios = [], [], []
    for _ in range(15):
        ours.append(_time("import minigrad"))
        theirs.append(_time("import numpy, scipy.linalg"))
        ratios.append(ours[-1] / theirs[-1])
    low, middle, high = statistics.quantiles(ratios, n=4)
    mine, base = statistics.median(ours), statistics.median(theirs)
    yield Row("imports", "import minigrad", "numpy + scipy", mine, base, middle, low, high, 1.3)


def _time(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start
