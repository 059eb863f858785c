"""A whole training step of ResNet-20, forward, backward and SGD with momentum, against PyTorch in NCHW."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load
from minigrad import models, optim
from minigrad.nn import functional as F


def rows() -> Iterator[Row]:
    torch = load("torch")
    if not torch:
        return
    for n in (32, 128):
        rng = np.random.default_rng(0)
        x, t = rng.standard_normal((n, 3, 32, 32), np.float32), rng.integers(0, 10, n)
        mg.manual_seed(0)
        model, theirs = models.resnet20(), torch_resnet20(torch)
        theirs.load_state_dict({k: torch.from_numpy(v) for k, v in model.state_dict().items()})
        optimizer = optim.SGD(model.parameters(), 1e-3, momentum=0.9)
        torch_optimizer = torch.optim.SGD(theirs.parameters(), 1e-3, momentum=0.9)
        images, labels = mg.Tensor(x), mg.Tensor(t)
        tx, tt = torch.from_numpy(x), torch.from_numpy(t)

        def step(m: Any = model, o: Any = optimizer, x: Any = images, t: Any = labels) -> float:
            loss = F.cross_entropy(m(x), t)
            o.zero_grad()
            loss.backward()
            o.step()
            return loss.item()

        def torch_step(m: Any = theirs, o: Any = torch_optimizer, x: Any = tx, t: Any = tt) -> float:
            loss = torch.nn.functional.cross_entropy(m(x), t)
            o.zero_grad()
            loss.backward()
            o.step()
            return loss.item()

        assert abs(step() - torch_step()) < 1e-4
        yield from compare(
            "resnet", f"ResNet-20 training step, batch {n}", step, {"torch": torch_step}, {"torch": 2.0}, 5, 1.0
        )


def torch_resnet20(torch: Any) -> Any:
    """The same network with the same names, option A shortcuts."""
    tn, tf = torch.nn, torch.nn.functional

    class Block(tn.Module):
        def __init__(self, n_in: int, n_out: int, stride: int) -> None:
            super().__init__()
            self.conv1 = tn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
            self.bn1 = tn.BatchNorm2d(n_out)
            self.conv2 = tn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
            self.bn2 = tn.BatchNorm2d(n_out)
            self.stride, self.added = stride, n_out - n_in

        def forward(self, x: Any) -> Any:
            kept = x
            if self.added:
                half = self.added // 2
                kept = tf.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.added - half))
            z = tf.relu(self.bn1(self.conv1(x)))
            return tf.relu(self.bn2(self.conv2(z)) + kept)

    class Network(tn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = tn.Conv2d(3, 16, 3, 1, 1, bias=False), tn.BatchNorm2d(16)
            self.layer1 = tn.Sequential(*[Block(16, 16, 1) for _ in range(3)])
            self.layer2 = tn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
            self.layer3 = tn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
            self.fc = tn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            z = tf.relu(self.bn1(self.conv1(x)))
            return self.fc(self.layer3(self.layer2(self.layer1(z))).mean(dim=(2, 3)))

    return Network()
