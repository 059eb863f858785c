"""One update of many parameters in many tensors, against PyTorch's defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load
from minigrad import optim


def _resnet_20() -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = [(16, 3, 3, 3), (16,), (16,)]
    for n_in, n_out, count in ((16, 16, 6), (16, 32, 1), (32, 32, 5), (32, 64, 1), (64, 64, 5)):
        shapes += [(n_out, n_in, 3, 3), (n_out,), (n_out,)] * count
    return [*shapes, (10, 64), (10,)]


MODELS = {  # name: shapes, and Adam's bar
    "1e4 in 4 tensors": ([(100, 50), (50,), (96, 50), (150,)], None),
    "2.7e5 in 59 tensors (ResNet-20)": (_resnet_20(), 0.35),
    "6.7e5 in 6 tensors (MLP)": ([(512, 784), (512,), (512, 512), (512,), (10, 512), (10,)], 1.1),
    "4.9e6 in 73 tensors": ([*[(256, 256), (256,)] * 36, (2540, 1000)], 1.25),
    "1e7 in 2 tensors": ([(3000, 3000), (1000, 1000)], None),
}


def rows() -> Iterator[Row]:
    torch = load("torch")
    if not torch:
        return
    for name, (shapes, bar) in MODELS.items():
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(s).astype(np.float32) for s in shapes]
        assert sum(math.prod(s) for s in shapes) > 9000
        for method in ("Adam", "SGD"):
            settings: dict[str, Any] = {"lr": 1e-6, **({"momentum": 0.9} if method == "SGD" else {})}
            ours = getattr(optim, method)(
                [_with_gradient(mg.tensor(a, requires_grad=True), mg.Tensor) for a in arrays], **settings
            )
            theirs = getattr(torch.optim, method)(
                [_with_gradient(torch.tensor(a, requires_grad=True), torch.tensor) for a in arrays], **settings
            )
            yield from compare(
                "optimizers",
                f"{method}, {name}",
                ours.step,
                {"torch": theirs.step},
                {"torch": bar} if bar and method == "Adam" else {},
            )


def _with_gradient(parameter: Any, make: Any) -> Any:
    parameter.grad = make(np.full(tuple(parameter.shape), 0.01, np.float32))
    return parameter
