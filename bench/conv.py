"""Convolutions of ResNet-20, forward and backward, against PyTorch in NCHW; without autograd on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.harness import Row, compare, load
from minigrad.core.table import primitive
from minigrad.ops.convolution import Geometry, conv, conv_weight

SHAPES = [  # batch, channels in, channels out, size, kernel, stride
    (32, 16, 16, 32, 3, 1),
    (32, 32, 32, 16, 3, 1),
    (32, 64, 64, 8, 3, 1),
    (128, 16, 16, 32, 3, 1),
    (128, 32, 32, 16, 3, 1),
    (128, 64, 64, 8, 3, 1),
    (32, 16, 32, 32, 3, 2),
    (32, 32, 64, 16, 3, 2),
    (32, 3, 16, 32, 3, 1),
    (128, 3, 16, 32, 3, 1),
    (32, 16, 32, 32, 1, 2),
    (32, 64, 64, 8, 1, 1),
]


def rows() -> Iterator[Row]:
    torch = load("torch")
    if not torch:
        return
    backward = torch.ops.aten.convolution_backward
    for n, c, o, size, k, s in SHAPES:
        rng = np.random.default_rng(0)
        p = k // 2
        geometry = Geometry((s, s), (p, p, p, p), (1, 1), 1)
        x, w = rng.standard_normal((n, c, size, size), np.float32), rng.standard_normal((o, c, k, k), np.float32)
        y = conv(_last(x), w, geometry=geometry)
        g = _last(rng.standard_normal(y.shape, np.float32))
        tx, tw, tg = torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(np.ascontiguousarray(g))
        needs_input = c != 3  # the first layer, whose images come as they are
        x = _last(x) if needs_input else x

        def ours(x: Any = x, w: Any = w, g: Any = g, geometry: Any = geometry, needs: bool = needs_input) -> Any:
            y = conv(x, w, geometry=geometry)
            if not needs:
                return y, None, conv_weight(x, g, kernel=w.shape[2:], geometry=geometry)
            return y, *primitive(conv).vjp((0, 1), g, y, x, w, geometry)

        def theirs(x: Any = tx, w: Any = tw, g: Any = tg, s: int = s, p: int = p, needs: bool = needs_input) -> Any:
            y = torch.nn.functional.conv2d(x, w, stride=s, padding=p)
            mask = [needs, True, False]
            gx, gw, _ = backward(g, x, w, None, [s, s], [p, p], [1, 1], False, [0, 0], 1, mask)
            return y, gx, gw

        with torch.no_grad():
            for a, b in zip(ours(), theirs(), strict=True):
                if a is not None:
                    assert np.abs(a - b.numpy()).max() <= 1e-4 * np.abs(a).max()
            name = f"{k}x{k} stride {s}, {c}->{o} channels, {n} images of {size}x{size}"
            peers: dict[str, Callable[[], Any]] = {"torch": theirs}
            yield from compare("conv", name, ours, peers, {"torch": 0.7} if k == 1 else {}, rounds=5)


def _last(x: np.ndarray) -> np.ndarray:
    """The same array with the channels last in memory, as the layer before would hand it over."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
