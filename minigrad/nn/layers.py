"""The elementary layers, and the containers that chain them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np

from minigrad.arrays.backend import ArrayProtocol, TensorLike, unwrapped
from minigrad.arrays.dtypes import DType, get_default_dtype
from minigrad.core.graph import array_of
from minigrad.nn import init
from minigrad.nn.functional import dropout
from minigrad.nn.module import Module, Parameter
from minigrad.ops.linalg import linear
from minigrad.tensor import Tensor

__all__ = ["Dropout", "Embedding", "Flatten", "Identity", "Linear", "ModuleList", "Sequential"]

M = TypeVar("M", bound=Module)


class Linear(Module):
    """x -> x W^T + b, for x of shape (..., in_features).

    Weights and bias start uniform on +- 1 / sqrt(in_features), as in PyTorch.

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,), or None.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: DType = None) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear needs at least one input and one output, not {in_features} and {out_features}")
        dtype = dtype or get_default_dtype()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), dtype))
        self.bias = Parameter(np.empty(out_features, dtype)) if bias else None
        bound = 1 / math.sqrt(in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: ArrayProtocol) -> Tensor:
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + (", bias=False" if self.bias is None else "")


class Embedding(Module):
    """A learned vector for each of ``num_embeddings`` integers: ``layer(indices)`` is weight[indices].

    The vectors start standard normal, as in PyTorch.

    Attributes:
        weight: (num_embeddings, embedding_dim).

    Raises (when called):
        IndexError: an index outside 0 .. num_embeddings - 1.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: DType = None) -> None:
        if num_embeddings < 1 or embedding_dim < 1:
            raise ValueError(f"Embedding needs positive sizes, not {num_embeddings} and {embedding_dim}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), dtype or get_default_dtype()))
        init.normal_(self.weight)

    def forward(self, indices: TensorLike) -> Tensor:
        numbers = unwrapped(array_of(indices))
        if numbers.dtype.kind not in "iu":
            raise TypeError(f"Embedding needs integers, not {numbers.dtype}")
        if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= self.num_embeddings):
            raise IndexError(
                f"Embedding: the indices run from {int(numbers.min())} to {int(numbers.max())}, but there are vectors "
                f"for 0 .. {self.num_embeddings - 1}"
            )
        return self.weight[indices]

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Flatten(Module):
    """All axes from ``start_dim`` on as one: (N, C, H, W) -> (N, C H W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(self.start_dim, self.end_dim)


class Identity(Module):
    """x -> x."""

    def forward(self, x: Any) -> Tensor:
        return x


class Dropout(Module):
    """In training, zero each entry with probability ``p`` and scale the rest by 1 / (1 - p); otherwise the identity."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability between 0 and 1, not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Sequential(Module):
    """Modules applied one after the other; indexed and named by position."""

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential takes modules, but argument {i} is a {type(module).__name__}")
            setattr(self, str(i), module)

    def forward(self, x: Any) -> Tensor:
        for _, module in self.children():
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.children())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        picked = list(self)[index]
        return Sequential(*picked) if isinstance(picked, list) else picked


class ModuleList(Module, Generic[M]):
    """A list of modules whose parameters are found; of one class, type checkers know what calling them returns."""

    def __init__(self, modules: Iterable[M] = ()) -> None:
        for module in modules:
            self.append(module)

    def append(self, module: M) -> Self:
        """Add a module at the end; returns the list."""
        if not isinstance(module, Module):
            raise TypeError(f"ModuleList holds modules, not a {type(module).__name__}")
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[M]:
        return (module for _, module in self.children())  # type: ignore[misc]

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList[M]: ...
    def __getitem__(self, index: int | slice) -> M | ModuleList[M]:
        picked = list(self)[index]
        return ModuleList(picked) if isinstance(picked, list) else picked
