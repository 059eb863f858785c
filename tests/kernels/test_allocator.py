"""Freed memory is kept, and training does not need more and more of it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.kernels import allocator as memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("MINIGRAD_KEEP_MEMORY", "0")
    assert memory.keep_freed_memory() is False


FAULTS = """
import resource
import numpy as np
import minigrad
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(400_000)  # 3.2 MB, some 800 pages: the first one is paid for
before = faults()
for _ in range(20):
    np.ones(400_000)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_a_freed_array_makes_room_for_the_next():
    """Counted in page faults: some 800 for each array whose predecessor was handed back to the system."""
    result = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 800


LOOP = """
import numpy as np, minigrad as mg
from minigrad import optim
from minigrad.models import MLP
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
model = MLP((64, 128, 10)); opt = optim.Adam(model.parameters())
x, t = mg.randn(128, 64), np.arange(128) % 10
for k in range(2000):
    opt.zero_grad(); mg.cross_entropy(model(x), t).backward(); opt.step()
    if k == 50: start = resident()
print(resident() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads resident memory from /proc")
def test_resident_memory_is_flat_over_2000_steps():
    result = subprocess.run(
        [sys.executable, "-c", LOOP],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MINIGRAD_BACKEND": "numpy"},
    )
    assert int(result.stdout) < 2048, "kilobytes"
