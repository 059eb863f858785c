"""What an operation costs besides its arithmetic: recorded on a small tensor, against PyTorch and bare NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load

REPEAT = 20  # operations per call: one takes a microsecond


def rows() -> Iterator[Row]:
    torch = load("torch")
    x = np.linspace(0.1, 0.9, 16).reshape(4, 4).astype(np.float32)
    cases = {
        "add": (lambda lib, a: a + a, lambda a: a + a),
        "multiply": (lambda lib, a: a * a, lambda a: a * a),
        "exp": (lambda lib, a: lib.exp(a), np.exp),
        "tanh": (lambda lib, a: lib.tanh(a), np.tanh),
        "matmul": (lambda lib, a: a @ a, lambda a: a @ a),
        "sum": (lambda lib, a: a.sum(), lambda a: a.sum()),
        "reshape": (lambda lib, a: a.reshape(16), lambda a: a.reshape(16)),
        "index": (lambda lib, a: a[1], lambda a: a[1]),
    }
    ours = mg.Tensor(x, requires_grad=True)
    for name, (operation, bare) in cases.items():
        peers = {"numpy": _repeat(lambda f=bare: f(x))}
        if torch:
            theirs = torch.from_numpy(x.copy()).requires_grad_()
            peers["torch"] = _repeat(lambda f=operation, t=theirs: f(torch, t))
        yield from compare("ops", f"{name}, forward", _repeat(lambda f=operation: f(mg, ours)), peers, rounds=5)
    if torch:
        theirs = torch.from_numpy(x.copy()).requires_grad_()
        peer = {"torch": _chain(torch, theirs, 60)}
        yield from compare("ops", "chain of 60, forward + backward", _chain(mg, ours, 60), peer)


def _repeat(f: Any) -> Any:
    def run() -> None:
        for _ in range(REPEAT):
            f()

    return run


def _chain(lib: Any, x: Any, n: int) -> Any:
    def run() -> None:
        x.grad = None
        y = x
        for _ in range(n // 3):
            y = lib.tanh(y * 1.1 + 0.1)
        y.sum().backward()

    return run
