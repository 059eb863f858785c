"""Which array library holds the numbers: NumPy on the CPU, or CuPy on a GPU.

One flag decides where *new* tensors are made::

    minigrad.use("cupy")            # from here on
    with minigrad.use("cupy"): ...  # inside the block
    MINIGRAD_BACKEND=cupy python script.py

Operations never ask: they follow the arrays they are given, because NumPy's own functions reach CuPy
through the ``__array_ufunc__`` and ``__array_function__`` protocols.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = [
    "Array", "ArrayProtocol", "Backend", "BackendError", "TensorLike", "backend_of", "current", "find_backend",
    "for_each_backend", "get_backend", "move", "register", "to_numpy", "unwrapped", "use",
]  # fmt: skip

Array = Any  # an array to compute with: NumPy's annotations ask for a numpy.ndarray, and would refuse all others


class ArrayProtocol(Protocol):
    """What an array type must offer, besides operators, for NumPy's functions and the rules of operations to reach it.

    ``numpy.ndarray`` and ``cupy.ndarray`` do, the batches of ``vmap``, and tensors themselves.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def size(self) -> int:
        """The number of entries."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""

    @property
    def T(self) -> Array:
        """The axes reversed."""

    def reshape(self, shape: Any, /) -> Array:
        """The same entries in another shape."""

    def swapaxes(self, axis1: int, axis2: int, /) -> Array:
        """Two axes exchanged."""

    def astype(self, dtype: Any, /) -> Array:
        """The same numbers with another dtype."""

    def copy(self) -> Array:
        """The same numbers in memory of their own."""

    def sum(self, axis: Any = None) -> Array:
        """The sum over ``axis``."""

    def max(self, axis: Any = None) -> Array:
        """The largest entry along ``axis``."""

    def __getitem__(self, index: Any, /) -> Array: ...
    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, /, *inputs: Any, **kwargs: Any) -> Any: ...
    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any, /) -> Any: ...


TensorLike = ArrayProtocol | np.generic | float | list[Any] | tuple[Any, ...]  # what stands beside a tensor in a sum


class BackendError(TypeError):
    """An array library is unknown, missing, or mixed with another in one operation."""


@dataclass(frozen=True)
class Backend:
    """An array library: how to make one of its arrays, and how to bring one back to the host."""

    name: str
    array_type: type[ArrayProtocol]
    asarray: Callable[..., Array]
    to_numpy: Callable[[Array], np.ndarray]
    add_at: Callable[..., None]  # ufunc.at and special functions are what the protocols do not carry
    special: str  # the module of its special functions


_loaded: dict[str, Backend] = {
    "numpy": Backend("numpy", np.ndarray, np.asarray, np.asarray, np.add.at, "scipy.special"),
}


_entering: list[Callable[[Backend], Any]] = []


def register(backend: Backend) -> None:
    """Add an array library that speaks the NumPy protocols, under ``backend.name``."""
    _loaded[backend.name] = backend
    for enter in _entering:
        enter(backend)


def for_each_backend(enter: Callable[[Backend], Any]) -> None:
    """Call ``enter(backend)`` for every array library: those loaded already now, others when they are."""
    _entering.append(enter)
    for backend in list(_loaded.values()):
        enter(backend)


def get_backend(name: str) -> Backend:
    """The backend called ``name``; CuPy is imported here, the first time it is asked for.

    Raises:
        BackendError: the name is unknown, or the library behind it is not installed.
    """
    if name == "cupy" and name not in _loaded:
        try:
            cupy = importlib.import_module("cupy")
        except ImportError as error:
            raise BackendError(
                "the backend 'cupy' needs CuPy, which is not installed. Install the wheel that matches your CUDA: "
                "pip install 'minigrad-autodiff[cuda12]' or pip install 'minigrad-autodiff[cuda13]'"
            ) from error
        register(Backend("cupy", cupy.ndarray, cupy.asarray, cupy.asnumpy, cupy.add.at, "cupyx.scipy.special"))
    if name not in _loaded:
        known = ", ".join(repr(known) for known in sorted({*_loaded, "cupy"}))
        raise BackendError(f"unknown backend {name!r}; choose one of {known}")
    return _loaded[name]


_current: ContextVar[str] = ContextVar("minigrad_backend", default=os.environ.get("MINIGRAD_BACKEND") or "numpy")


def current() -> Backend:
    """The backend that new tensors are made on."""
    return get_backend(_current.get())


class use:
    """Make new tensors on the backend ``name``: from now on, or inside a ``with`` block.

    The choice belongs to the current thread (it is a context variable). Tensors that already exist stay where
    they are: move them with ``tensor.to(name)`` and ``module.to(name)``.

    Raises:
        BackendError: the name is unknown, or the library behind it is not installed.
    """

    def __init__(self, name: str) -> None:
        get_backend(name)
        self._token = _current.set(name)

    def __enter__(self) -> use:
        return self

    def __exit__(self, *exception: object) -> None:
        _current.reset(self._token)


def unwrapped(x: Any) -> Array:
    """The array inside a Tensor, and inside the Batched it may hold: all the examples."""
    while hasattr(x, "array"):
        x = x.array
    return x


def find_backend(array: Array) -> Backend | None:
    """The backend that ``array`` belongs to, or None for a Python number."""
    if isinstance(array, np.ndarray):
        return _loaded["numpy"]
    for backend in _loaded.values():
        if isinstance(array, backend.array_type):
            return backend
    return None


def backend_of(array: Array) -> Backend:
    """The backend that ``array`` belongs to; NumPy's for a Python number."""
    return find_backend(array) or _loaded["numpy"]


def move(array: Array, name: str) -> Array:
    """``array`` on the backend ``name``, by way of the host; the same array where it is there already."""
    target, source = get_backend(name), find_backend(array)
    return array if source is target else target.asarray(backend_of(array).to_numpy(array))


def to_numpy(array: Array) -> np.ndarray:
    """``array`` on the host, copied only where it lives elsewhere."""
    return backend_of(array).to_numpy(array)
