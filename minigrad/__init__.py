"""minigrad: reverse-mode automatic differentiation on NumPy or, at the flip of one flag, on CuPy.

>>> import minigrad as mg
>>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> y = (x * x).sum()
>>> y.backward()
>>> x.grad
Tensor([2., 4., 6.])
"""

import os as _os
import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from minigrad import data, kernels, nn, readers  # kernels and readers enter their variants in the table of operations
from minigrad.arrays.backend import BackendError, use
from minigrad.arrays.dtypes import get_default_dtype, set_default_dtype
from minigrad.arrays.random import manual_seed
from minigrad.core.errors import GraphError, NonFiniteError
from minigrad.core.graph import Op
from minigrad.core.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad
from minigrad.creation import (
    arange,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randn,
    tensor,
    zeros,
    zeros_like,
)
from minigrad.kernels.allocator import keep_freed_memory
from minigrad.kernels.blas import sleep_soon
from minigrad.ops.activations import (
    elu,
    gelu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    threshold,
)
from minigrad.ops.choices import (
    absolute,
    ceil,
    clip,
    equal,
    floor,
    floor_divide,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    not_equal,
    remainder,
    round,
    sign,
    where,
)
from minigrad.ops.elementwise import (
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    astype,
    copy,
    cos,
    cosh,
    divide,
    erf,
    exp,
    expm1,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    multiply,
    negative,
    power,
    reciprocal,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
)
from minigrad.ops.indexing import take, take_along_axis
from minigrad.ops.linalg import (
    cholesky,
    det,
    dot,
    einsum,
    inv,
    linear,
    matmul,
    outer,
    slogdet,
    solve,
    tensordot,
)
from minigrad.ops.losses import binary_cross_entropy_with_logits, cross_entropy, log_softmax, one_hot, softmax
from minigrad.ops.reductions import (
    all,
    any,
    argmax,
    argmin,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    std,
    sum,
    var,
)
from minigrad.ops.shapes import (
    broadcast_to,
    concatenate,
    diagonal,
    expand_dims,
    flip,
    moveaxis,
    pad,
    ravel,
    repeat,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    trace,
    transpose,
    tril,
    triu,
)
from minigrad.serialization import CheckpointError, load, save
from minigrad.tensor import Tensor
from minigrad.transforms import curvature
from minigrad.transforms.autodiff import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.transforms.custom import custom_jvp, custom_vjp
from minigrad.transforms.flat import ravel_tree
from minigrad.transforms.rematerialization import checkpoint
from minigrad.transforms.vmap import vmap

if TYPE_CHECKING:  # editors and type checkers see these at once, ...
    from minigrad import models as models
    from minigrad import optim as optim
    from minigrad import testing as testing
    from minigrad import train as train
    from minigrad import viz as viz
else:  # ... and Python loads each on first use. (Type checkers that saw __getattr__ would believe in any name.)
    _LATER = ("models", "optim", "testing", "train", "viz")

    def __getattr__(name):
        if name in _LATER:
            return _import_module(f"minigrad.{name}")
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}", name=name, obj=_sys.modules[__name__])

    def __dir__():
        return sorted({*globals(), *_LATER})


# In a checkout, models and optim lie beside this folder, and in it are links to them. Where the checkout has no links
# (Windows, or an archive that lost them), Python looks for them where they lie. Installed, they are folders in here.
_here = _os.path.dirname(__file__)
if not _os.path.isdir(_os.path.join(_here, "optim")):
    __path__.append(_os.path.dirname(_here))

abs = absolute
keep_freed_memory()
sleep_soon()
__version__ = "0.1.0"

# To type checkers, a name that is only imported is private.
__all__ = [
    "BackendError",
    "CheckpointError",
    "GraphError",
    "NonFiniteError",
    "Op",
    "Tensor",
    "abs",
    "absolute",
    "add",
    "all",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "astype",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "ceil",
    "checkpoint",
    "cholesky",
    "clip",
    "concatenate",
    "copy",
    "cos",
    "cosh",
    "cross_entropy",
    "cumsum",
    "curvature",
    "custom_jvp",
    "custom_vjp",
    "data",
    "det",
    "detect_anomaly",
    "diagonal",
    "divide",
    "dot",
    "einsum",
    "elu",
    "enable_grad",
    "equal",
    "erf",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "flip",
    "floor",
    "floor_divide",
    "from_dlpack",
    "full",
    "full_like",
    "gelu",
    "get_default_dtype",
    "grad",
    "gradients",
    "greater",
    "greater_equal",
    "hard_tanh",
    "hessian",
    "hvp",
    "inv",
    "is_grad_enabled",
    "isfinite",
    "isinf",
    "isnan",
    "jacobian",
    "jvp",
    "keep_freed_memory",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "linspace",
    "load",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "manual_seed",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "norm",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "power",
    "prod",
    "rand",
    "randn",
    "ravel",
    "ravel_tree",
    "reciprocal",
    "relu",
    "remainder",
    "repeat",
    "reshape",
    "roll",
    "round",
    "save",
    "selu",
    "set_default_dtype",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "sleep_soon",
    "slogdet",
    "softmax",
    "softplus",
    "solve",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensor",
    "tensordot",
    "threshold",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
    "use",
    "value_and_grad",
    "var",
    "vjp",
    "vmap",
    "where",
    "zeros",
    "zeros_like",
]
