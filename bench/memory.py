"""Peak memory of training, in MiB: the resident set of a process of its own, above that before the first step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.harness import Row, load

PROGRAM = """
import sys
import numpy as np
batch, width, lib = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
x, t = np.random.default_rng(0).standard_normal((batch, width)).astype("f"), np.arange(batch) % 10
def status(field):
    return int(next(line for line in open("/proc/self/status") if line.startswith(field)).split()[1]) / 1024
if lib == "torch":
    import torch
    from torch import nn
    hidden = [layer for _ in range(2) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(width, 10))
    opt, x, t = torch.optim.Adam(model.parameters()), torch.from_numpy(x), torch.from_numpy(t)
    loss = nn.functional.cross_entropy
else:
    import minigrad as mg
    from minigrad import optim
    from minigrad.models import MLP
    model = MLP((width, width, width, 10))
    opt, x, loss = optim.Adam(model.parameters()), mg.Tensor(x), mg.cross_entropy
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
for _ in range(30):
    opt.zero_grad(); loss(model(x), t).backward(); opt.step()
print(status("VmHWM") - before)
"""


def rows() -> Iterator[Row]:
    if not load("torch") or not Path("/proc/self/clear_refs").exists():
        return
    for batch, width in ((128, 512), (1024, 1024), (4096, 512)):
        ours, theirs = (_peak(batch, width, lib) for lib in ("minigrad", "torch"))
        ratio = ours / theirs
        name = f"MLP training, batch {batch}, width {width}"
        yield Row("memory", name, "torch", ours, theirs, ratio, ratio, ratio, unit="MiB")


def _peak(batch: int, width: int, lib: str) -> float:
    command = [sys.executable, "-c", PROGRAM, str(batch), str(width), lib]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
