"""Tensor: an array that remembers how it was computed.

The engine needs five facts of a tensor: its array, whether it is tracked, its gradient, its node, its version. This
file adds how a tensor is made, written to, converted and found by NumPy; its arithmetic is in operators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arrays import backend as _backend
from minigrad.arrays.backend import Array, unwrapped
from minigrad.arrays.dtypes import DType, as_array, get_default_dtype
from minigrad.core.backward import walk
from minigrad.core.errors import GraphError, check_differentiable, nan_loss, no_rule, not_a_scalar, not_recorded
from minigrad.core.graph import apply, array_of, levels, outputs_are, wrap
from minigrad.core.modes import is_grad_enabled
from minigrad.core.table import NUMPY, op, primitive
from minigrad.operators import Operators
from minigrad.ops.elementwise import astype
from minigrad.ops.indexing import getitem

__all__ = ["Tensor", "bare_index", "seed_of", "to"]

_getitem = primitive(getitem)


class Tensor(Operators):
    """An array on some backend, and its place in the graph of the computation that made it.

    Args:
        data: an array (shared, not copied), a number, or nested lists of numbers.
        requires_grad: record what is computed from it, so that ``backward`` can fill ``grad``.
        dtype: cast to this; by default the array's own, and for Python floats the default dtype.

    Attributes:
        grad: after ``backward``, the derivative of the loss by this tensor; on leaves only.

    Raises:
        TypeError: the data is not real numbers, or ``requires_grad`` is asked of integers or bools.
    """

    __slots__ = ()

    grad: Tensor | None

    def __init__(self, data: Any, requires_grad: bool = False, dtype: DType = None) -> None:
        self.array = as_array(data, dtype)
        self.grad, self.node, self.tracked = None, None, False
        self.version = data.version if isinstance(data, Tensor) and data.array is self.array else [0]
        if requires_grad:
            self.requires_grad = True

    # ------------------------------------------------------------------------------------------- description
    @property
    def data(self) -> Array:
        """The bare array. ``t.data -= x`` and ``t.data = x`` are noticed by the graph; ``t.data[...] = x`` is not."""
        return self.array

    @data.setter
    def data(self, value: Any) -> None:
        value = as_array(value)
        if self.tracked:
            check_differentiable(value.dtype)
        self.array = value
        self.version[0] += 1

    @property
    def requires_grad(self) -> bool:
        """Whether gradients by it may be asked for; settable on leaves."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value:
            check_differentiable(self.dtype)
        if not value and self.node is not None:
            raise GraphError("only a leaf can stop requiring gradients; take .detach() of a computed tensor")
        self.tracked = value

    def requires_grad_(self, value: bool = True) -> Tensor:
        """Set ``requires_grad``; returns the tensor."""
        self.requires_grad = value
        return self

    @property
    def is_leaf(self) -> bool:
        """Not the result of a recorded operation: made by the user, or computed from constants."""
        return self.node is None

    @property
    def backend(self) -> str:
        """The name of the array library that holds the numbers."""
        return _backend.backend_of(unwrapped(self)).name

    def __repr__(self) -> str:
        if levels(self):
            return f"Tensor(one of a vmap's examples, shape={self.shape}, dtype={self.dtype})"
        name = type(self).__name__
        text = np.array2string(
            _backend.to_numpy(self.array), separator=", ", prefix=name + "(", threshold=100, precision=4
        )
        notes = [f"dtype={self.dtype}"] if self.dtype not in (get_default_dtype(), np.int64, np.bool_) else []
        notes += [f"backend={self.backend!r}"] if self.backend != "numpy" else []
        notes += [f"from {self.node.op.name}"] if self.node else ["requires_grad=True"] if self.tracked else []
        return f"{name}({', '.join([text, *notes])})"

    # ----------------------------------------------------------------------------------------- differentiation
    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the ``grad`` of every leaf that requires it.

        Args:
            gradient: the cotangent of this tensor, of its shape; 1 for a scalar.
            retain_graph: keep the graph, for a second backward.
            create_graph: record the gradients' own computation, so that they can be differentiated again.

        Raises:
            GraphError: nothing was recorded, no gradient was given for a tensor that is not a scalar, the graph was
                freed, or a value in it was overwritten since.
            NonFiniteError: the scalar is NaN.
        """
        seed = seed_of(self, gradient, create_graph)
        if gradient is None and not levels(self) and bool((self.array != self.array).all()):  # NaN
            raise nan_loss()
        for leaf, g in walk([(self, seed)], None, create_graph, retain_graph).items():
            if isinstance(g, Tensor):
                g = g.copy()  # one tensor may be the cotangent of several leaves
            else:
                g = wrap(g.copy() if g is seed else g)  # the seed, where this tensor is itself a leaf
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    def detach(self) -> Tensor:
        """The same numbers (the same memory), as a constant."""
        y = wrap(self.array)
        y.version = self.version
        return y

    def assign_(self, value: Any) -> Tensor:
        """Overwrite the numbers in place, as an optimizer does; a graph that still needs the old ones will say so.

        Raises:
            GraphError: this tensor is the result of a recorded operation.
            ValueError: the shapes differ.
        """
        if self.node is not None:
            raise GraphError(
                f"the result of {self.node.op.name} is part of a graph and cannot be overwritten; take .detach()"
            )
        value = as_array(value)
        if value.shape != self.shape:
            raise ValueError(f"assign_: a tensor of shape {self.shape} cannot take a value of shape {value.shape}")
        self.array[...] = _backend.move(value, _backend.backend_of(self.array).name)
        self.version[0] += 1
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.node is not None or (self.tracked and is_grad_enabled()):
            raise GraphError(
                "item assignment is not differentiable. Build the tensor with where, concatenate or stack; or, to set "
                "numbers that are no part of a graph, do it inside minigrad.no_grad()"
            )
        if isinstance(value, Tensor):
            value = value.array
        self.array[bare_index(index, self)] = value
        self.version[0] += 1

    # ----------------------------------------------------------------------------------------- to other things
    def numpy(self) -> np.ndarray:
        """The numbers as a NumPy array: a read-only view on NumPy's backend, a copy from elsewhere."""
        if levels(self):
            raise TypeError("inside vmap a value cannot become a NumPy array: it stands for many examples at once")
        array = _backend.to_numpy(self.array)
        if array is self.array:
            array = array.view()
            array.flags.writeable = False  # writing here would go unnoticed by the graph
        return array

    def item(self) -> float:
        """The only entry, as a Python number."""
        if levels(self):
            raise TypeError("inside vmap a value is not one number: it stands for many examples at once")
        if self.size != 1:
            raise ValueError(f"item: a tensor of shape {self.shape} is not one number")
        return self.array.item()

    def astype(self, dtype: Any) -> Tensor:
        """The same numbers with another dtype; the gradient is cast back."""
        return self if self.dtype == dtype else astype(self, dtype)

    def to(self, backend: str) -> Tensor:
        """This tensor on another backend; gradients find their way back.

        Raises:
            BackendError: the backend is unknown or not installed.
        """
        _backend.get_backend(backend)
        return self if backend == self.backend else to(self, name=backend)

    def __array__(self, *args: Any, **kwargs: Any) -> None:  # None, so that no type checker believes in it
        raise TypeError(
            "a tensor is not converted to an array silently, because that would cut the graph: say .numpy()"
        )

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.tracked:
            raise BufferError("a tensor that requires gradients cannot be exported: take .detach() first")
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __reduce__(self) -> Any:
        if self.node is not None:
            raise GraphError(
                f"only leaves can be pickled or deep-copied; this is the result of {self.node.op.name}: take .detach()"
            )
        return _rebuild, (type(self), _backend.to_numpy(self.array), self.tracked, self.backend)

    def __deepcopy__(self, memo: Any = None) -> Tensor:
        build, (cls, array, tracked, home) = self.__reduce__()
        return build(cls, array.copy(), tracked, home)

    __copy__ = __deepcopy__

    # --------------------------------------------------------------------------------------- NumPy's protocols
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            what = f"{ufunc.__name__}.{method}" if method != "__call__" else f"{ufunc.__name__} with {sorted(kwargs)}"
            raise TypeError(f"numpy.{what} is not supported on tensors")
        return _numpys(ufunc)(*inputs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if func in (np.arange, np.asarray, np.eye, np.ones):  # asked for like=tensor: an array of its kind
            return func(*args, like=self.array, **kwargs)
        return _numpys(func)(*args, **kwargs)

    # ------------------------------------------------------------------------------------------------ indexing
    def __getitem__(self, index: Any) -> Tensor:
        return apply(_getitem, (self, *bare_index(index, self)))


outputs_are(Tensor)  # not as a decorator: editors would lose the class's type


def seed_of(y: Tensor, gradient: Any, create_graph: bool) -> Any:
    """The cotangent that a backward walk from ``y`` starts with, checked."""
    if not y.tracked:
        raise not_recorded()
    if gradient is None and y.size != 1:
        raise not_a_scalar(y.shape)
    if gradient is not None and np.shape(gradient) != y.shape:
        raise GraphError(f"the gradient has shape {np.shape(gradient)} but the tensor {y.shape}; they must agree")
    if create_graph and isinstance(gradient, Tensor):
        return gradient
    seed = np.ones_like(y.array) if gradient is None else as_array(gradient, y.dtype)
    return wrap(seed) if create_graph else seed


def bare_index(index: Any, x: Tensor) -> tuple[Any, ...]:
    """``index`` as a tuple in which tensors, lists and host arrays are arrays on the backend of ``x``."""
    entries = index if isinstance(index, tuple) else (index,)
    return tuple(_index_entry(entry, x) if hasattr(entry, "__len__") else entry for entry in entries)


def _index_entry(entry: Any, x: Tensor) -> Any:
    entry = array_of(entry)
    return _backend.move(entry, _backend.backend_of(unwrapped(x)).name) if isinstance(entry, np.ndarray) else entry


def _rebuild(cls: type[Tensor], array: np.ndarray, tracked: bool, home: str) -> Tensor:
    x = cls.__new__(cls)
    x.array, x.grad, x.node, x.tracked, x.version = _backend.move(array, home), None, None, tracked, [0]
    return x


@op(lambda g, y, x, name: to(g, name=_backend.backend_of(unwrapped(x)).name))
def to(x: Any, name: str) -> Any:
    """``x`` on the backend ``name``; the gradient travels back to where x lives."""
    return _backend.move(x, name)


def _numpys(function: Any) -> Callable[..., Any]:
    """Our operation for NumPy's ``function``."""
    if function not in NUMPY:
        raise no_rule(function)
    return NUMPY[function]
