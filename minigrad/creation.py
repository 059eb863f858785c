"""New tensors, on the current backend and with the default dtype unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.arrays.dtypes import DType, get_default_dtype
from minigrad.arrays.random import generator
from minigrad.core.graph import wrap
from minigrad.core.table import NUMPY
from minigrad.tensor import Tensor

__all__ = [
    "arange", "eye", "from_dlpack", "full", "full_like", "linspace", "ones", "ones_like", "rand", "randn", "tensor",
    "zeros", "zeros_like",
]  # fmt: skip


def tensor(data: Any, dtype: DType = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data`` (the class :class:`Tensor` shares it).

    Raises:
        TypeError: the data is not real numbers, or ``requires_grad`` is asked of integers or bools.
    """
    x = Tensor(data, dtype=dtype)
    return Tensor(x.array.copy(), requires_grad)


def _new(array: np.ndarray, dtype: Any, requires_grad: bool) -> Tensor:
    return Tensor(array, requires_grad, dtype or get_default_dtype())


def zeros(*shape: int | Sequence[int], dtype: DType = None, requires_grad: bool = False) -> Tensor:
    """All zeros; the shape as numbers or as one tuple."""
    return _new(np.zeros(_shape(shape)), dtype, requires_grad)


def ones(*shape: int | Sequence[int], dtype: DType = None, requires_grad: bool = False) -> Tensor:
    """All ones; the shape as numbers or as one tuple."""
    return _new(np.ones(_shape(shape)), dtype, requires_grad)


def full(shape: int | Sequence[int], fill_value: float, dtype: DType = None, requires_grad: bool = False) -> Tensor:
    """All ``fill_value``."""
    return _new(np.full(shape, fill_value), dtype, requires_grad)


def eye(n: int, m: int | None = None, dtype: DType = None) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix."""
    return _new(np.eye(n, m), dtype, False)


def arange(*args: float, dtype: DType = None) -> Tensor:
    """start, start + step, ... before stop; integers give integers, as in NumPy."""
    x = np.arange(*args)
    return Tensor(x, dtype=dtype or (get_default_dtype() if x.dtype.kind == "f" else x.dtype))


def linspace(start: float, stop: float, num: int = 50, dtype: DType = None) -> Tensor:
    """``num`` points from ``start`` to ``stop``, both included."""
    return _new(np.linspace(start, stop, num), dtype, False)


def rand(*shape: int | Sequence[int], dtype: DType = None, requires_grad: bool = False) -> Tensor:
    """Uniform on [0, 1), from the generator of ``manual_seed``."""
    return _new(generator().random(_shape(shape)), dtype, requires_grad)


def randn(*shape: int | Sequence[int], dtype: DType = None, requires_grad: bool = False) -> Tensor:
    """Standard normal, from the generator of ``manual_seed``."""
    return _new(generator().standard_normal(_shape(shape)), dtype, requires_grad)


def from_dlpack(x: Any) -> Tensor:
    """A tensor that shares the memory of another library's array (PyTorch, JAX, CuPy, ...), through DLPack."""
    on_gpu = x.__dlpack_device__()[0] not in (1, 3)  # kDLCPU, kDLCUDAHost
    if on_gpu:
        from minigrad.arrays.backend import get_backend

        get_backend("cupy")
        import cupy

        return wrap(cupy.from_dlpack(x))
    return wrap(np.from_dlpack(x))


def _shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape


def _filled_like(function: Callable[..., Any]) -> Callable[..., Tensor]:
    def filled(x: Any, *args: Any, **kwargs: Any) -> Tensor:
        return wrap(function(x.array if isinstance(x, Tensor) else x, *args, **kwargs))

    filled.__name__, filled.__doc__ = function.__name__, f"A constant tensor, as ``numpy.{function.__name__}``."
    return filled


zeros_like, ones_like, full_like = (_filled_like(f) for f in (np.zeros_like, np.ones_like, np.full_like))


def _size(x: Any, axis: int | None = None) -> int:
    return x.size if axis is None else x.shape[axis]


NUMPY.update(
    {
        np.zeros_like: zeros_like,
        np.ones_like: ones_like,
        np.full_like: full_like,
        np.shape: lambda x: x.shape,
        np.ndim: lambda x: x.ndim,
        np.size: _size,
    }
)
