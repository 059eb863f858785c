"""From data to arrays: which dtype Python numbers get, and what may become a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from minigrad.arrays.backend import Array, backend_of, current, find_backend, move, unwrapped

__all__ = ["DType", "as_array", "as_operand", "get_default_dtype", "set_default_dtype"]

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

DType: TypeAlias = "DTypeLike | None"  # float, "float32", np.float32, ...; None for the one that fits
_default_dtype: np.dtype = np.dtype(np.float32)


def set_default_dtype(dtype: DTypeLike) -> None:
    """The dtype given to Python floats, and to zeros, randn, ... where none is named (float32 at first).

    Raises:
        TypeError: not a real floating-point dtype.
    """
    global _default_dtype
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"the default dtype must be a real floating-point one, such as float32, not {dtype}")
    _default_dtype = dtype


def get_default_dtype() -> np.dtype:
    """The dtype that ``set_default_dtype`` set."""
    return _default_dtype


def as_operand(x: Any, like: Any = None) -> Any:
    """``x`` itself if it is an array or a Tensor; NumPy scalars, Python numbers and lists as arrays beside ``like``."""
    return x if hasattr(x, "__array_function__") else move(np.asarray(x), backend_of(unwrapped(like)).name)


def as_array(data: Any, dtype: DType = None) -> Array:
    """``data`` as an array: NumPy data goes to the current backend, Python floats get the default dtype."""
    if hasattr(data, "tracked"):  # a Tensor
        data = data.array
    if not hasattr(data, "dtype"):
        if isinstance(data, (list, tuple)) and any(hasattr(x, "tracked") for x in data):
            raise TypeError(
                "a list of tensors is not an array; join them with minigrad.stack, which keeps their gradients"
            )
        data = np.asarray(data)
        if dtype is None and data.dtype == np.float64:
            dtype = _default_dtype
    elif find_backend(data) is None and not hasattr(data, "levels"):  # another library's array
        data = np.asarray(data)
    if isinstance(data, (np.ndarray, np.generic)):
        if data.dtype.kind not in "biuf":
            raise TypeError(
                f"a tensor holds real numbers or bools; this data has dtype {data.dtype} (is it ragged, or text?)"
            )
        data = current().asarray(data)
    return data if dtype is None or data.dtype == dtype else data.astype(dtype)
