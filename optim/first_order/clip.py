"""Gradient clipping, for losses with cliffs (notes, section 8; Pascanu et al. 2013)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.core.errors import NonFiniteError
from minigrad.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def _gradients(params: Any) -> list[Tensor]:
    params = [params] if isinstance(params, Tensor) else params
    return [x.grad for x in params if x.grad is not None]


def clip_grad_norm_(params: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0) -> float:
    """Scale all gradients together, in place, so that their joint norm is at most ``max_norm``; returns the norm
    before.

    >>> import minigrad as mg
    >>> x = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> (3 * x[0] + 4 * x[1]).backward()
    >>> clip_grad_norm_([x], max_norm=1.0), x.grad.numpy()
    (5.0, array([0.6, 0.8], dtype=float32))

    Args:
        params: tensors; those without a gradient are left out.
        norm_type: p of the p-norm; ``math.inf`` for the largest entry.

    Raises:
        ValueError: ``max_norm`` is not positive.
        NonFiniteError: the norm is NaN or infinite; scaling would spread it to every parameter.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be positive, but is {max_norm}")
    gradients = _gradients(params)
    norms = [float(np.linalg.norm(g.array.reshape(-1), norm_type)) for g in gradients]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if not math.isfinite(total):
        raise NonFiniteError(
            f"clip_grad_norm_: the gradients have norm {total}; find its source inside minigrad.detect_anomaly()"
        )
    if total > max_norm:
        for g in gradients:
            g.array *= max_norm / total
            g.version[0] += 1
    return total


def clip_grad_value_(params: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Limit every entry of every gradient, in place, to [-clip_value, clip_value].

    >>> import minigrad as mg
    >>> x = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> (0.5 * x[0] - 4 * x[1]).backward()
    >>> clip_grad_value_([x], clip_value=1.0)
    >>> x.grad.numpy()
    array([ 0.5, -1. ], dtype=float32)

    Raises:
        ValueError: ``clip_value`` is not positive.
    """
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value must be positive, but is {clip_value}")
    for g in _gradients(params):
        np.clip(g.array, -clip_value, clip_value, out=g.array)
        g.version[0] += 1
