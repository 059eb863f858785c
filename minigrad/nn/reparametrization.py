"""Weights that are functions of other parameters: weight normalization and spectral normalization.

``weight_norm(layer)`` replaces the parameter ``layer.weight`` by parameters it is computed from, whenever it is read.
They live in ``layer.parametrizations`` under the names that ``torch.nn.utils.parametrizations`` gives them, so state
dicts are interchangeable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minigrad.arrays.backend import to_numpy
from minigrad.arrays.random import generator
from minigrad.core.graph import array_of
from minigrad.core.modes import no_grad
from minigrad.nn.conv import _Transposed
from minigrad.nn.module import Buffer, Module, Parameter, evaluating
from minigrad.tensor import Tensor

__all__ = ["SpectralNorm", "WeightNorm", "remove_parametrizations", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def _norm(v: Any, dim: int | None) -> Any:
    """The norm of each slice of v along ``dim``, with axes kept; of all of v for None."""
    if dim is None:
        return (v * v).sum() ** 0.5
    return (v * v).sum(axis=tuple(i for i in range(v.ndim) if i != dim), keepdims=True) ** 0.5


class WeightNorm(Module):
    """w = g v / |v|: length and direction apart (Salimans & Kingma 2016; notes, remark 4.9).

    Attributes:
        original0: g, one length per slice of the weight along ``dim``.
        original1: v, of the weight's shape.
    """

    def __init__(self, weight: Tensor, dim: int | None = 0) -> None:
        if dim is not None:
            dim = dim % weight.ndim
        self.dim = dim
        if not array_of(_norm(weight.detach(), dim)).all():
            raise ValueError("weight_norm: the weight has a slice that is all zeros, which has no direction")
        self.original0 = Parameter(_norm(weight.detach(), dim).array)
        self.original1 = Parameter(weight.array.copy())

    def forward(self) -> Tensor:
        return self.original1 * (self.original0 / _norm(self.original1, self.dim))


class SpectralNorm(Module):
    """w / sigma(w), with sigma the largest singular value: a layer with Lipschitz constant 1 (Miyato et al. 2018).

    The singular vectors u and v are followed by power iteration, a step each time the weight is read in training, and
    held constant in the gradient: d sigma = u^T dw v.
    """

    def __init__(self, weight: Tensor, iterations: int = 1, eps: float = 1e-12, dim: int = 0) -> None:
        if iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations must be at least 1, not {iterations}")
        if weight.ndim < 2:
            raise ValueError(f"spectral_norm needs a weight of at least 2 axes, not shape {weight.shape}")
        self.iterations, self.eps, self.dim = iterations, eps, dim % weight.ndim
        self.original = Parameter(weight.array.copy())
        state = Module()
        for name, n in zip(("_u", "_v"), self._matrix(self.original).shape, strict=True):
            setattr(state, name, Buffer(self._unit(generator().standard_normal(n)), dtype=weight.dtype))
        setattr(self, "0", state)
        with no_grad():
            for _ in range(15):
                self._iterate(state)

    def _matrix(self, weight: Any) -> Any:
        order = (self.dim, *(i for i in range(weight.ndim) if i != self.dim))
        return weight.transpose(order).reshape((weight.shape[self.dim], -1))

    def _unit(self, x: Any) -> Any:
        return x / max(float(np.linalg.norm(to_numpy(x))), self.eps)

    def _iterate(self, state: Any) -> None:
        matrix = self._matrix(self.original.array)
        state._u.assign_(self._unit(matrix @ state._v.array))
        state._v.assign_(self._unit(matrix.T @ state._u.array))

    def forward(self) -> Tensor:
        state = vars(self)["0"]
        if self.training:
            for _ in range(self.iterations):
                self._iterate(state)
        # copies: the next reading moves the buffers, and this one's graph may still be needed
        u, v = (Tensor(array_of(x).copy()) for x in (state._u, state._v))
        sigma = (u * (self._matrix(self.original) @ v)).sum()
        return self.original / sigma


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Apply :class:`WeightNorm` to a layer's parameter; returns the layer.

    Args:
        dim: the axis along which each slice has a length of its own, the outputs' by default; None for one length.

    Raises:
        ValueError: the module has no such parameter, or has a reparametrization already, or a slice is zero.
    """
    return _replace(module, name, lambda weight: WeightNorm(weight, dim))


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Apply :class:`SpectralNorm` to a layer's parameter; returns the layer.

    Args:
        dim: the outputs' axis: 1 of transposed convolutions and 0 of others, by default.

    Raises:
        ValueError: the module has no such parameter, or has a reparametrization already.
    """
    outputs = (1 if isinstance(module, _Transposed) else 0) if dim is None else dim
    return _replace(module, name, lambda weight: SpectralNorm(weight, n_power_iterations, eps, outputs))


def remove_parametrizations(module: M, name: str = "weight") -> M:
    """Make the computed weight a parameter again, with its present value; returns the layer.

    Raises:
        ValueError: that name is not reparametrized.
    """
    parts = vars(module).get("parametrizations")
    if parts is None or name not in vars(parts):
        raise ValueError(f"{type(module).__name__}.{name} is not reparametrized")
    with no_grad(), evaluating(module):  # in training, a reading moves the singular vectors
        value = Parameter(getattr(module, name).array.copy())
    delattr(parts, name)
    if not list(parts.children()):
        del module.parametrizations
    setattr(module, name, value)
    return module


def _replace(module: M, name: str, make: Callable[[Parameter], Module]) -> M:
    weight = vars(module).get(name)
    parts = vars(module).get("parametrizations")
    if parts is not None and name in vars(parts):
        raise ValueError(
            f"{type(module).__name__}.{name} is reparametrized already, by {type(vars(parts)[name]).__name__}"
        )
    if not isinstance(weight, Parameter):
        raise ValueError(
            f"{type(module).__name__} has no parameter {name!r}; it has "
            f"{', '.join(key for key, value in vars(module).items() if isinstance(value, Parameter)) or 'none'}"
        )
    made = make(weight)
    made.train(module.training)
    delattr(module, name)
    if parts is None:
        parts = module.parametrizations = Module()
    setattr(parts, name, made)
    return module
