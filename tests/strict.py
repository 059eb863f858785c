"""A strict device array: it speaks the NumPy protocols as CuPy does, and refuses what CuPy refuses.

It raises on any implicit conversion to NumPy, on any operation mixed with a host array, on functions outside ``numpy`` and
``numpy.linalg``, and on ``ufunc.at``. What works on it follows its arrays, and so would work on a GPU.
"""

import operator
from types import SimpleNamespace

import numpy as np
import scipy.special

from minigrad.arrays.backend import Backend, register

SCALARS = (bool, int, float, np.bool_, np.integer, np.floating, type(None), str, slice, type(Ellipsis), np.dtype, type)


class HostError(TypeError):
    """A host array met a device array, or a device array would have been copied to the host."""


def unwrap(x):
    if isinstance(x, StrictArray):
        return x._host
    if isinstance(x, (list, tuple)):
        return type(x)(unwrap(item) for item in x)
    if isinstance(x, np.ndarray) or not isinstance(x, SCALARS):
        raise HostError(f"a {type(x).__name__} met a device array")
    return x


def wrap(x):
    if isinstance(x, (np.ndarray, np.generic)):
        return StrictArray(np.asarray(x))
    return tuple(wrap(item) for item in x) if isinstance(x, tuple) else x


class StrictArray:
    def __init__(self, host):
        assert isinstance(host, np.ndarray)
        self._host = host

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or getattr(np, ufunc.__name__, None) is not ufunc:
            return NotImplemented
        if not all(isinstance(x, (StrictArray, *SCALARS, np.ndarray)) for x in inputs):
            return NotImplemented
        out = kwargs.pop("out", None)
        result = ufunc(*unwrap(inputs), **kwargs, **({"out": unwrap(out)} if out else {}))
        return out[0] if out else wrap(result)

    def __array_function__(self, func, types, args, kwargs):
        if func.__module__ not in ("numpy", "numpy.linalg") or not all(t in (StrictArray, np.ndarray) for t in types):
            return NotImplemented
        if func is np.linalg.solve and args[0].shape[:-1] != args[1].shape[:-1]:
            raise ValueError("solve on the device does not broadcast")
        out = kwargs.pop("out", None)
        result = func(
            *unwrap(args),
            **{k: unwrap(v) for k, v in kwargs.items()},
            **({"out": unwrap(out)} if out is not None else {}),
        )
        return out if out is not None else wrap(result)

    def __array__(self, *args, **kwargs):
        raise HostError("implicit conversion to a NumPy array")

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: self._host.flags)
    base = property(lambda self: self._host.base)
    T = property(lambda self: wrap(self._host.T))

    def __getitem__(self, index):
        return wrap(self._host[unwrap(index)])

    def __setitem__(self, index, value):
        self._host[unwrap(index)] = unwrap(value)

    def __len__(self):
        return len(self._host)

    def __bool__(self):
        return bool(self._host)

    def __float__(self):
        return float(self._host)

    def __int__(self):
        return int(self._host)

    def item(self):
        return self._host.item()


def _method(name):
    return lambda self, *args, **kwargs: wrap(
        getattr(self._host, name)(*unwrap(args), **{k: unwrap(v) for k, v in kwargs.items()})
    )


for name in (
    "sum",
    "max",
    "min",
    "mean",
    "reshape",
    "swapaxes",
    "transpose",
    "astype",
    "copy",
    "all",
    "any",
    "ravel",
    "nonzero",
):
    setattr(StrictArray, name, _method(name))


def _binary(function, reflected):
    def forward(self, other):
        if not isinstance(other, (StrictArray, *SCALARS, np.ndarray)):
            return NotImplemented
        a, b = unwrap(self), unwrap(other)
        return wrap(function(b, a) if reflected else function(a, b))

    return forward


def _in_place(function):
    def forward(self, other):
        self._host = function(self._host, unwrap(other))
        return self

    return forward


for name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    setattr(StrictArray, f"__{name}__", _binary(getattr(operator, name), False))
    setattr(StrictArray, f"__r{name}__", _binary(getattr(operator, name), True))
    setattr(StrictArray, f"__i{name}__", _in_place(getattr(operator, "i" + name)))
for name in ("lt", "le", "gt", "ge", "eq", "ne", "and_", "or_"):
    setattr(StrictArray, f"__{name.rstrip('_')}__", _binary(getattr(operator, name), False))
StrictArray.__neg__ = lambda self: wrap(-self._host)
StrictArray.__invert__ = lambda self: wrap(~self._host)
StrictArray.__hash__ = None

special = SimpleNamespace(erf=lambda x: wrap(scipy.special.erf(unwrap(x))))


def _add_at(array, index, values):
    np.add.at(array._host, unwrap(index), unwrap(values))


def _asarray(x):
    return x if isinstance(x, StrictArray) else StrictArray(np.array(x))


register(Backend("strict", StrictArray, _asarray, lambda x: x._host.copy(), _add_at, "tests.strict_special"))
