"""Checking derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.tensor import Tensor
from minigrad.transforms.autodiff import jvp, vjp
from minigrad.transforms.tree import flatten

__all__ = ["GradientError", "check_grads"]


class GradientError(AssertionError):
    """A derivative differs from the finite difference."""


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    eps: float = 1e-5,
    seed: int = 0,
) -> None:
    """Check the derivatives of ``f`` at ``args``, forward and reverse, up to ``order``.

    For random directions u (one argument at a time) and v, the number <v, J u> is computed three ways: by a central
    difference (f(x + eps u) - f(x - eps u)) / 2 eps, in reverse as <v^T J, u>, and forward as <v, J u>. The same is
    then asked of x -> v^T J, whose derivatives are those of the next order. So a few evaluations test every entry of
    every derivative; an error of 0.1 % in one rule is found.

    Args:
        f: of arrays or nested lists, tuples and dicts of them; may return several tensors.
        args: floating-point entries are cast to float64 and differentiated, the others passed on.
        rtol, atol: two values may differ by rtol times the larger plus atol.

    Raises:
        GradientError: the message says which order and argument differ, and by how much.
    """
    rng = np.random.default_rng(seed)
    leaves, rebuild = flatten(args)
    leaves = [_host(x) for x in leaves]
    moving = [i for i, x in enumerate(leaves) if x.dtype.kind == "f"]

    def flat(*xs: Any) -> list[Tensor]:
        full: list[Any] = [Tensor(x) for x in leaves]
        for i, x in zip(moving, xs, strict=True):
            full[i] = x
        outputs = flatten(f(*rebuild(full)))[0]
        return [y for y in outputs if isinstance(y, Tensor) and y.dtype.kind == "f"]

    _check(flat, [leaves[i].astype(np.float64) for i in moving], order, 1, rng, (rtol, atol, eps))


def _host(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _check(
    f: Callable[..., list[Tensor]],
    xs: list[np.ndarray],
    order: int,
    level: int,
    rng: np.random.Generator,
    tolerances: tuple[float, float, float],
) -> None:
    rtol, atol, eps = tolerances
    tensors = [Tensor(x) for x in xs]
    outputs, pullback = vjp(f, *tensors)
    vs = [rng.standard_normal(y.shape) for y in outputs]
    vJ = pullback([Tensor(v) for v in vs])
    for i, x in enumerate(xs):
        us = [rng.standard_normal(z.shape) if k == i else np.zeros(z.shape) for k, z in enumerate(xs)]
        ahead, behind = (
            [y.numpy() for y in f(*(Tensor(z + s * eps * u) for z, u in zip(xs, us, strict=True)))] for s in (1, -1)
        )
        numeric = sum(float(np.sum(v * (a - b))) for v, a, b in zip(vs, ahead, behind, strict=True)) / (2 * eps)
        reverse = float(np.sum(vJ[i].numpy() * us[i]))
        Ju = jvp(f, tensors, [Tensor(u) for u in us])[1]
        forward = sum(float(np.sum(v * y.numpy())) for v, y in zip(vs, Ju, strict=True))
        for name, value in (("reverse", reverse), ("forward", forward)):
            if not abs(value - numeric) <= rtol * max(abs(value), abs(numeric)) + atol:
                raise GradientError(
                    f"derivative of order {level} by argument {i} of shape {x.shape}: {name} mode gives {value:.10g} "
                    f"along a random direction, finite differences {numeric:.10g}"
                )
    if order > 1 and xs:
        fixed = [Tensor(v) for v in vs]
        _check(lambda *zs: list(vjp(f, *zs)[1](fixed)), xs, order - 1, level + 1, rng, tolerances)
