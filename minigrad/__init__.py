"""minigrad: reverse-mode automatic differentiation on NumPy or, at the flip of one flag, on CuPy.

>>> import minigrad as mg
>>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> y = (x * x).sum()
>>> y.backward()
>>> x.grad
Tensor([2., 4., 6.])
"""

from minigrad import data, nn
from minigrad.arrays import get_default_dtype, set_default_dtype
from minigrad.backend import BackendError, use
from minigrad.checkpoint import CheckpointError, load, save
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
from minigrad.engine import Op, detect_anomaly, enable_grad, is_grad_enabled, no_grad
from minigrad.errors import GraphError, NonFiniteError
from minigrad.memory import keep_freed_memory
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
from minigrad.ops.elementwise import (
    absolute,
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    astype,
    ceil,
    clip,
    copy,
    cos,
    cosh,
    divide,
    equal,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    reciprocal,
    remainder,
    round,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    where,
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
from minigrad.parallel import sleep_soon
from minigrad.random import manual_seed
from minigrad.tensor import Tensor
from minigrad.transforms import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.vmap import vmap

abs = absolute
keep_freed_memory()
sleep_soon()
__version__ = "0.1.0"
