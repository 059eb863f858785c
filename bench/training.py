"""The same training in minigrad and in PyTorch: accuracy and time per epoch. Minutes to an hour, so run by itself:

    python -m bench.training fashion FOLDER [--epochs 5] [--seeds 0] [--model cnn]
    python -m bench.training cifar FILE.npz [--epochs 30] [--seeds 0 1] [--model resnet20]

Both start from the same weights and see the same batches in the same order (examples/train_images.py's recipe); they
take turns, epoch by epoch, so that both meet the same moods of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from bench.harness import load
from bench.resnet import torch_resnet20
from examples.train_images import batches, network, pictures, schedule
from minigrad import data, nn, optim
from minigrad.core.modes import no_grad
from minigrad.nn import functional as F

LR, MOMENTUM, DECAY = 0.1, 0.9, 5e-4


def torch_network(torch: Any, model: nn.Module, dataset: data.Dataset) -> Any:
    """The same network, with the same weights."""
    tn = torch.nn
    if not isinstance(model, nn.Sequential):
        theirs = torch_resnet20(torch)
        channels = dataset.x_train.shape[1]
        if channels != 3:
            theirs.conv1 = tn.Conv2d(channels, 16, 3, 1, 1, bias=False)
    else:
        layers = []
        for layer in model:
            if isinstance(layer, nn.Conv2d):
                outputs, inputs = layer.weight.shape[:2]
                layers.append(tn.Conv2d(inputs, outputs, 3, padding=1, bias=layer.bias is not None))
            elif isinstance(layer, nn.BatchNorm2d):
                layers.append(tn.BatchNorm2d(layer.num_features))
            elif isinstance(layer, nn.Linear):
                layers.append(tn.Linear(layer.weight.shape[1], layer.weight.shape[0]))
            else:
                layers.append(
                    {"ReLU": tn.ReLU, "Flatten": tn.Flatten}.get(type(layer).__name__, lambda: tn.MaxPool2d(2))()
                )
        theirs = tn.Sequential(*layers)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in model.state_dict().items()})
    return theirs


class Ours:
    """minigrad's side."""

    def __init__(self, model: nn.Module, steps: int) -> None:
        self.model = model
        self.optimizer = optim.SGD(model.parameters(), LR, momentum=MOMENTUM, weight_decay=DECAY)
        self.schedule = optim.Scheduler(self.optimizer, schedule(steps))

    def step(self, x: Any, y: Any) -> float:
        loss = F.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        with no_grad(), nn.evaluating(self.model):
            right = [F.accuracy(self.model(a), b) * len(b) for a, b in data.DataLoader((x, y), 500)]
        return sum(right) / len(y)


class Theirs:
    """PyTorch's side."""

    def __init__(self, torch: Any, model: Any, steps: int) -> None:
        self.torch, self.model = torch, model
        self.optimizer = torch.optim.SGD(model.parameters(), LR, momentum=MOMENTUM, weight_decay=DECAY)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, schedule(steps))

    def step(self, x: Any, y: Any) -> float:
        a, b = self.torch.from_numpy(x.array), self.torch.from_numpy(y.array)
        loss = self.torch.nn.functional.cross_entropy(self.model(a), b)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        self.model.eval()
        with self.torch.no_grad():
            right = [
                (self.model(self.torch.from_numpy(x[i : i + 500])).argmax(1).numpy() == y[i : i + 500]).sum()
                for i in range(0, len(x), 500)
            ]
        self.model.train()
        return float(sum(right)) / len(y)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=("fashion", "cifar"))
    parser.add_argument("root")
    parser.add_argument("--model", choices=("cnn", "resnet20"))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    args = parser.parse_args()
    torch = load("torch")
    dataset = pictures({"fashion": "fashion-mnist", "cifar": "cifar10"}[args.task], args.root)
    name = args.model or {"fashion": "cnn", "cifar": "resnet20"}[args.task]
    epochs = args.epochs or {"fashion": 5, "cifar": 30}[args.task]
    for seed in args.seeds:
        model, loader = network(name, dataset, seed), batches(dataset, seed)
        steps = epochs * len(loader)
        sides: dict[str, Any] = {"minigrad": Ours(model, steps)}
        if torch:
            sides["torch"] = Theirs(torch, torch_network(torch, model, dataset), steps)
        times: dict[str, list[float]] = {side: [] for side in sides}
        for epoch in range(epochs):
            for side, player in sides.items():
                loader.epoch, start = epoch, time.perf_counter()
                losses = [player.step(x, y) for x, y in loader]
                times[side].append(time.perf_counter() - start)
                test = player.accuracy(dataset.x_test, dataset.y_test)
                print(
                    f"{args.task} {name} seed {seed} epoch {epoch + 1:<3}{side:<9} loss {np.mean(losses):.4f}  "
                    f"test {test:.4f}  {times[side][-1]:.1f} s",
                    flush=True,
                )
        for side, player in sides.items():
            train, test = (
                player.accuracy(x, y) for x, y in ((dataset.x_train, dataset.y_train), (dataset.x_test, dataset.y_test))
            )
            print(
                f"{args.task} {name} seed {seed} after {epochs} epochs, {side}: train {train:.4f}, test {test:.4f}, "
                f"{statistics.median(times[side]):.1f} s an epoch"
            )
        if torch:
            ratios = [a / b for a, b in zip(times["minigrad"], times["torch"], strict=True)]
            print(f"{args.task} {name} seed {seed}: time per epoch {statistics.median(ratios):.2f} of PyTorch's")


if __name__ == "__main__":
    main()
