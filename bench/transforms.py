"""Per-example gradients and the Hessian of a 385-parameter MLP on 1,000 examples, against torch.func."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import minigrad as mg
from bench.harness import Row, compare, load
from minigrad import nn

N, WIDTHS = 1000, (8, 16, 12, 3)  # 8*16 + 16 + 16*12 + 12 + 12*3 + 1 = 385 with a single shared output bias


def rows() -> Iterator[Row]:
    torch, jax = load("torch"), load("jax")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 8)).astype(np.float32)
    labels = rng.integers(0, 3, N)
    shapes = [(16, 8), (16,), (12, 16), (12,), (3, 12), (1,)]
    params = [(0.3 * rng.standard_normal(s)).astype(np.float32) for s in shapes]
    assert sum(p.size for p in params) == 385
    sizes = [p.size for p in params]
    theta = np.concatenate([p.ravel() for p in params])

    def network(lib, p, x):
        h = lib.tanh(x @ p[0].T + p[1])
        h = lib.tanh(h @ p[2].T + p[3])
        return h @ p[4].T + p[5]

    def unflatten(theta):
        cuts = np.cumsum([0, *sizes])
        return [theta[a:b].reshape(s) for a, b, s in zip(cuts[:-1], cuts[1:], shapes, strict=True)]

    tensors, X = [mg.Tensor(p) for p in params], mg.Tensor(x)
    one = lambda p, x, t: nn.functional.cross_entropy(network(mg, p, x), t)
    total = lambda theta: nn.functional.cross_entropy(network(mg, unflatten(theta), X), labels)
    per_example = mg.vmap(mg.grad(one), in_axes=(None, 0, 0))
    hessian = mg.hessian(total)
    Theta, T = mg.Tensor(theta), mg.Tensor(labels)
    gradients, curvature = {}, {}
    if torch:
        from torch.nn.functional import cross_entropy

        tp, tx, tt, ttheta = (
            [torch.from_numpy(p) for p in params],
            torch.from_numpy(x),
            torch.from_numpy(labels),
            torch.from_numpy(theta),
        )
        torch_grads = torch.func.vmap(
            torch.func.grad(lambda p, x, t: cross_entropy(network(torch, p, x), t)), (None, 0, 0)
        )
        torch_hessian = torch.func.hessian(lambda theta: cross_entropy(network(torch, unflatten(theta), tx), tt))
        np.testing.assert_allclose(per_example(tensors, X, T)[0].numpy(), torch_grads(tp, tx, tt)[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(hessian(Theta).numpy(), torch_hessian(ttheta).numpy(), atol=1e-4)
        gradients["torch.func"] = lambda: torch_grads(tp, tx, tt)
        curvature["torch.func"] = lambda: torch_hessian(ttheta)
    if jax:
        jp, jx, jt, jtheta = (
            [jax.numpy.asarray(p) for p in params],
            jax.numpy.asarray(x),
            jax.numpy.asarray(labels),
            jax.numpy.asarray(theta),
        )

        def jax_loss(p, x, t):
            return -(jax.nn.log_softmax(network(jax.numpy, p, x)) * jax.nn.one_hot(t, 3)).sum(-1).mean()

        jitted = jax.jit(jax.vmap(jax.grad(jax_loss), (None, 0, 0)))
        jitted_hessian = jax.jit(jax.hessian(lambda theta: jax_loss(unflatten(theta), jx, jt)))
        gradients["jax.jit"] = lambda: jax.block_until_ready(jitted(jp, jx, jt))
        curvature["jax.jit"] = lambda: jax.block_until_ready(jitted_hessian(jtheta))
    name = f"of 385 parameters, {N} examples"
    yield from compare(
        "transforms",
        f"per-example gradients {name}",
        lambda: per_example(tensors, X, T),
        gradients,
        {"torch.func": 1.2},
    )
    yield from compare(
        "transforms", f"Hessian {name}", lambda: hessian(Theta), curvature, {"torch.func": 1.0}, rounds=5, duration=1.0
    )
