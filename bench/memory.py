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
model, batch, width, steps, lib = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
rng = np.random.default_rng(0)
x = rng.standard_normal((batch, width) if model == "mlp" else (batch, 3, 32, 32)).astype("f")
t = np.arange(batch) % 10
def status(field):
    return int(next(line for line in open("/proc/self/status") if line.startswith(field)).split()[1]) / 1024
if lib == "torch":
    import torch
    from torch import nn
    from bench.resnet import torch_resnet20
    hidden = [layer for _ in range(2) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(width, 10)) if model == "mlp" else torch_resnet20(torch)
    opt, x, t = torch.optim.Adam(model.parameters()), torch.from_numpy(x), torch.from_numpy(t)
    loss = nn.functional.cross_entropy
else:
    import minigrad as mg
    from minigrad import models, optim
    model = models.MLP((width, width, width, 10)) if model == "mlp" else models.resnet20()
    opt, x, loss = optim.Adam(model.parameters()), mg.Tensor(x), mg.cross_entropy
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
for k in range(steps):
    opt.zero_grad(); loss(model(x), t).backward(); opt.step()
    if k == steps // 10:
        early = status("VmHWM") - before
print(early, status("VmHWM") - before)
"""


def rows() -> Iterator[Row]:
    if not load("torch") or not Path("/proc/self/clear_refs").exists():
        return
    for batch, width in ((128, 512), (1024, 1024), (4096, 512)):
        (_, ours), (_, theirs) = (_peaks("mlp", batch, width, 30, lib) for lib in ("minigrad", "torch"))
        ratio = ours / theirs
        name = f"MLP training, batch {batch}, width {width}"
        yield Row("memory", name, "torch", ours, theirs, ratio, ratio, ratio, unit="MiB")
    (early, ours), (_, theirs) = (_peaks("resnet", 128, 0, 200, lib) for lib in ("minigrad", "torch"))
    ratio = ours / theirs
    yield Row(
        "memory", "ResNet-20 training, 200 steps, batch 128", "torch", ours, theirs, ratio, ratio, ratio, 1.5, "MiB"
    )
    growth = ours / early
    name = "its peak after 200 steps, against that after 20"
    yield Row("memory", name, "itself", ours, early, growth, growth, growth, 1.02, "MiB")


def _peaks(*arguments: object) -> tuple[float, float]:
    """The peak after a tenth of the steps, and after all."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    early, late = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(early), float(late)
