"""Layers besides convolutions, forward and backward with autograd, against PyTorch in NCHW."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load
from minigrad.core.backward import walk
from minigrad.nn import functional as F

SHAPES = [(32, 16, 32, 32), (32, 64, 8, 8), (128, 16, 32, 32), (128, 64, 8, 8)]


def rows() -> Iterator[Row]:
    torch = load("torch")
    if not torch:
        return
    tf = torch.nn.functional
    for shape in SHAPES:
        channels = shape[1]
        one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        cases: list[tuple[str, Callable[..., Any], Callable[..., Any], float | None]] = [
            ("max_pool2d 2", lambda x: F.max_pool2d(x, 2), lambda x: tf.max_pool2d(x, 2), 0.8),
            ("avg_pool2d 2", lambda x: F.avg_pool2d(x, 2), lambda x: tf.avg_pool2d(x, 2), 0.8),
            ("global average", lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: tf.adaptive_avg_pool2d(x, 1), 0.8),
            ("max_pool2d 3 stride 2", lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: tf.max_pool2d(x, 3, 2, 1), None),
            ("nearest upsampling 2", lambda x: F.interpolate(x, None, 2), lambda x: tf.interpolate(x, None, 2), None),
            ("batch_norm", _batch_norm(F, mg.Tensor, one, zero), _batch_norm(tf, torch.from_numpy, one, zero), None),
            ("relu", F.relu, tf.relu, None),
        ]
        for name, ours, theirs, bar in cases:
            yield from _rows(torch, name, shape, ours, theirs, bar)


def _batch_norm(functional: Any, tensor: Any, one: Any, zero: Any) -> Callable[..., Any]:
    mean, var, weight, bias = (tensor(v.copy()) for v in (zero, one, one, zero))
    return lambda x: functional.batch_norm(x, mean, var, weight, bias, training=True)


def _rows(torch: Any, name: str, shape: Any, ours: Any, theirs: Any, bar: float | None) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    # as the layers around it would hand them over: channels last in memory, and contiguous for PyTorch
    last = lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    a = rng.standard_normal(shape, np.float32)
    x, tx = mg.Tensor(last(a), requires_grad=True) * 1, torch.from_numpy(a).requires_grad_() * 1  # not leaves
    g = rng.standard_normal(ours(x).shape, np.float32)
    mine, other = last(g), torch.from_numpy(g)

    def step() -> Any:
        return walk([(ours(x), mine)], [x])[x.node]

    def torch_step() -> Any:
        return torch.autograd.grad(theirs(tx), tx, other)[0]

    assert np.abs(step() - torch_step().numpy()).max() < 1e-3
    size = "x".join(map(str, shape))
    yield from compare(
        "layers", f"{name}, {size}", step, {"torch": torch_step}, {} if bar is None else {"torch": bar}, 5
    )
