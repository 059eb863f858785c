"""Forward + backward, and whole training steps, of MLPs: three layers of one width, ten classes, cross entropy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load
from minigrad import nn, optim
from minigrad.models import MLP

SIZES = [(batch, width) for batch in (1, 32, 256) for width in (8, 64, 256, 1024)]


def rows() -> Iterator[Row]:
    torch, autograd = load("torch"), load("autograd")
    for batch, width in SIZES:
        name = f"batch {batch}, width {width}"
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, width)).astype(np.float32)
        labels = rng.integers(0, 10, batch)
        widths = (width, width, width, 10)
        model = MLP(widths)
        ours = {"step": minigrad_step(model, x, labels, None), "adam": minigrad_step(model, x, labels, optim.Adam)}
        if torch:
            theirs = torch_steps(torch, model, widths, x, labels)
            yield from compare(
                "mlp", f"forward + backward, {name}", ours["step"], {"torch": theirs["step"]}, {"torch": 0.75}
            )
            yield from compare(
                "mlp", f"training step (Adam), {name}", ours["adam"], {"torch": theirs["adam"]}, {"torch": 0.80}
            )
        if autograd:
            peer = autograd_step(model, x, labels)
            yield from compare(
                "mlp", f"forward + backward, {name}", ours["step"], {"autograd": peer}, {"autograd": 0.25}, rounds=3
            )


def minigrad_step(model: nn.Module, x: np.ndarray, labels: np.ndarray, optimizer: Any) -> Any:
    X = mg.Tensor(x)
    opt = optimizer(model.parameters(), lr=1e-5) if optimizer else None

    def step() -> Any:
        model.zero_grad()
        loss = nn.functional.cross_entropy(model(X), labels)
        loss.backward()
        if opt:
            opt.step()
        return loss

    return step


def torch_steps(
    torch: Any, model: nn.Module, widths: tuple[int, ...], x: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    layers = []
    for n_in, n_out in zip(widths, widths[1:], strict=False):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    peer = torch.nn.Sequential(*layers[:-1])
    peer.load_state_dict({k: torch.from_numpy(v) for k, v in model.state_dict().items()})
    X, t = torch.from_numpy(x), torch.from_numpy(labels)
    adam = torch.optim.Adam(peer.parameters(), lr=1e-5)

    def make(opt: Any) -> Any:
        def step() -> Any:
            peer.zero_grad()
            loss = torch.nn.functional.cross_entropy(peer(X), t)
            loss.backward()
            if opt:
                opt.step()
            return loss

        return step

    return {"step": make(None), "adam": make(adam)}


def autograd_step(model: nn.Module, x: np.ndarray, labels: np.ndarray) -> Any:
    import autograd
    import autograd.numpy as anp

    params = list(model.state_dict().values())
    one_hot = np.eye(10, dtype=np.float32)[labels]

    def loss(params: list[np.ndarray]) -> Any:
        h = x
        for k in range(0, len(params), 2):
            h = anp.dot(h, params[k].T) + params[k + 1]
            if k + 2 < len(params):
                h = anp.maximum(h, 0)
        z = h - anp.max(h, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - anp.sum(z * one_hot, axis=1))

    value_and_grad = autograd.value_and_grad(loss)
    return lambda: value_and_grad(params)
