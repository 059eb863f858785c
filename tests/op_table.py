"""The op table: for every operation, inputs inside its domain and an independent reference.

A case says how to draw arguments; the properties in test_ops.py do the rest. An operation without a case fails the suite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.ops.convolution import Geometry

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
MATRICES = hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=3)


@dataclass
class Case:
    """``draw`` is a strategy of (arrays, positional tail, keywords): the operation is called f(*arrays, *tail, **keywords)."""

    name: str
    reference: Callable[..., Any]
    draw: Any
    order: int = 2  # 0: not differentiable
    sequence: bool = False  # the arrays are passed as one list
    per_example: bool = True  # means the same inside vmap
    float32_tolerance: float = 1e-4


CASES: dict[str, Case] = {}


def case(name: str, reference: Any, draw: Any, **options: Any) -> None:
    CASES[name] = Case(name, reference, draw, **options)


# ---------------------------------------------------------------------------------------------- drawing numbers
def smooth(shape: tuple[int, ...], low: float, high: float) -> Any:
    """Any values in [low, high], on a grid of a thousandth: hypothesis repeats some and likes the ends."""
    return hnp.arrays(np.float64, shape, elements=st.integers(0, 1000).map(lambda k: low + (high - low) * k / 1000))


def distinct(shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Any:
    """Values at least 1/300 of the range apart from each other and from kinks at integers and halves."""
    n = math.prod(shape)
    grid = low + (high - low) * (np.arange(300) + 0.37) / 300
    return st.permutations(range(300)).map(lambda p: grid[list(p[:n])].reshape(shape))


def arguments(*arrays: Any, tail: Any = st.just(()), keywords: Any = st.just({})) -> Any:  # noqa: B008 - strategies are immutable
    return st.tuples(st.tuples(*arrays).map(list), tail, keywords)


def unary(low: float, high: float, values: Callable[..., Any] = smooth, shapes: Any = SHAPES, **kw: Any) -> Any:
    return shapes.flatmap(lambda shape: arguments(values(shape, low, high), **kw))


def binary(low: float, high: float, low2: float | None = None, high2: float | None = None) -> Any:
    """Two arguments whose shapes broadcast."""
    pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)
    low2, high2 = (low if low2 is None else low2), (high if high2 is None else high2)
    return pairs.flatmap(
        lambda p: arguments(smooth(p.input_shapes[0], low, high), smooth(p.input_shapes[1], low2, high2))
    )


def axes_of(ndim: int, several: bool = True) -> Any:
    if ndim == 0:
        return st.none()
    one = st.integers(-ndim, ndim - 1)
    many = st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True).map(tuple)
    return st.one_of(st.none(), one, many) if several else one


def reduced(
    values: Callable[..., Any] = smooth,
    shapes: Any = SHAPES,
    low: float = -2.0,
    high: float = 2.0,
    several: bool = True,
) -> Any:
    def build(shape: tuple[int, ...]) -> Any:
        keywords = st.fixed_dictionaries({"axis": axes_of(len(shape), several), "keepdims": st.booleans()})
        return arguments(values(shape, low, high), keywords=keywords)

    return shapes.flatmap(build)


# -------------------------------------------------------------------------------------------------- element-wise
for name, low, high in [
    ("negative", -3, 3), ("square", -3, 3), ("sqrt", 0.1, 4), ("reciprocal", 0.3, 3), ("exp", -3, 3), ("expm1", -3, 3),
    ("log", 0.1, 5), ("log1p", -0.8, 5), ("log2", 0.1, 5), ("log10", 0.1, 5), ("sin", -4, 4), ("cos", -4, 4), ("tan", -1.2, 1.2),
    ("arcsin", -0.9, 0.9), ("arccos", -0.9, 0.9), ("arctan", -3, 3), ("sinh", -3, 3), ("cosh", -3, 3), ("tanh", -3, 3),
    ("arcsinh", -3, 3), ("arccosh", 1.2, 4), ("arctanh", -0.9, 0.9),
]:  # fmt: skip
    case(name, getattr(np, name), unary(low, high))
for name in ("absolute", "sign", "floor", "ceil"):
    case(name, getattr(np, name), unary(-3, 3, distinct))
case("round", np.round, unary(-3, 3, distinct, keywords=st.fixed_dictionaries({"decimals": st.just(0)})))
case("erf", scipy.special.erf, unary(-3, 3))
for name in ("add", "subtract", "multiply", "logaddexp"):
    case(name, getattr(np, name), binary(-3, 3))
case("divide", np.divide, binary(-3, 3, 0.4, 3))
for name in ("remainder", "floor_divide"):
    case(name, getattr(np, name), SHAPES.flatmap(lambda s: arguments(distinct(s), smooth(s, 2.5, 3))))
case("power", np.power, binary(0.3, 2, -2, 3))
case("arctan2", np.arctan2, binary(0.3, 2, 0.3, 2))
for name in ("maximum", "minimum"):
    pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=1, max_side=3)
    case(
        name,
        getattr(np, name),
        pairs.flatmap(
            lambda p: arguments(
                distinct(p.input_shapes[0]), distinct(p.input_shapes[1]).map(lambda x: np.asarray(x + 1e-3))
            )
        ),
    )
for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    case(name, getattr(np, name), binary(-2, 2), order=0)
bools = SHAPES.flatmap(lambda s: arguments(hnp.arrays(np.bool_, s), hnp.arrays(np.bool_, s)))
case("logical_and", np.logical_and, bools, order=0)
case("logical_or", np.logical_or, bools, order=0)
case("logical_not", np.logical_not, SHAPES.flatmap(lambda s: arguments(hnp.arrays(np.bool_, s))), order=0)
with_specials = SHAPES.flatmap(
    lambda s: arguments(hnp.arrays(np.float64, s, elements=st.sampled_from([0.0, 1.5, np.nan, np.inf, -np.inf])))
)
for name in ("isfinite", "isnan", "isinf"):
    case(name, getattr(np, name), with_specials, order=0)
case(
    "where", np.where, SHAPES.flatmap(lambda s: arguments(hnp.arrays(np.bool_, s), smooth(s, -2, 2), smooth(s, -2, 2)))
)
case("clip", np.clip, unary(-2, 2, distinct, tail=st.sampled_from([(-0.5, 1.0), (None, 0.5), (-1.0, None)])))
case("copy", np.copy, unary(-2, 2))
case("astype", lambda x, dtype: x.astype(dtype), unary(-2, 2, tail=st.just((np.float64,))))

# --------------------------------------------------------------------------------------------------- activations
sigmoid = scipy.special.expit
case("relu", lambda x: np.maximum(x, 0), unary(-2, 2, distinct))
case(
    "leaky_relu",
    lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    unary(-2, 2, distinct, keywords=st.fixed_dictionaries({"negative_slope": st.sampled_from([0.01, 0.3])})),
)
case(
    "elu",
    lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    unary(-2, 2, distinct, keywords=st.fixed_dictionaries({"alpha": st.sampled_from([1.0, 0.7])})),
)
case(
    "selu",
    lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    unary(-2, 2, distinct),
)
case(
    "softplus",
    lambda x, beta=1.0: np.log1p(np.exp(beta * x)) / beta,
    unary(-3, 3, distinct, keywords=st.fixed_dictionaries({"beta": st.sampled_from([1.0, 2.0])})),
)
case("sigmoid", sigmoid, unary(-3, 3, distinct))
case("log_sigmoid", lambda x: np.log(sigmoid(x)), unary(-3, 3, distinct))
case(
    "gelu",
    lambda x, approximate="none": (
        x * scipy.special.ndtr(x)
        if approximate == "none"
        else 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
    unary(-3, 3, keywords=st.fixed_dictionaries({"approximate": st.sampled_from(["none", "tanh"])})),
)
case("silu", lambda x: x * sigmoid(x), unary(-3, 3, distinct))
case("hard_tanh", lambda x: np.clip(x, -1, 1), unary(-3, 3, distinct))
case("threshold", lambda x, t, v: np.where(x > t, x, v), unary(-2, 2, distinct, tail=st.just((0.5, 3.0))))

# ---------------------------------------------------------------------------------------------------- reductions
case("sum", np.sum, reduced())
case("mean", np.mean, reduced(shapes=FULL_SHAPES))
case("max", np.max, reduced(distinct, FULL_SHAPES))
case("min", np.min, reduced(distinct, FULL_SHAPES))
case("prod", np.prod, reduced())
case("var", np.var, reduced(shapes=FULL_SHAPES))
case("std", np.std, reduced(distinct, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=3)))
case("logsumexp", scipy.special.logsumexp, reduced(shapes=FULL_SHAPES))
case("norm2", np.linalg.norm, reduced(distinct, hnp.array_shapes(min_dims=1, max_dims=2, min_side=1)))
case(
    "norm",
    np.linalg.norm,
    FULL_SHAPES.flatmap(
        lambda s: arguments(
            distinct(s),
            keywords=st.fixed_dictionaries(
                {"ord": st.sampled_from([None, 1, 2, 3, np.inf]), "axis": axes_of(len(s), False)}
            ),
        )
    ),
)
case(
    "cumsum",
    np.cumsum,
    SHAPES.flatmap(
        lambda s: arguments(
            smooth(s, -2, 2), keywords=st.fixed_dictionaries({"axis": st.one_of(st.none(), axes_of(len(s), False))})
        )
    ),
)
for name in ("argmax", "argmin"):
    case(name, getattr(np, name), reduced(distinct, FULL_SHAPES, several=False), order=0)
for name in ("all", "any"):
    case(name, getattr(np, name), reduced(lambda s, low, high: hnp.arrays(np.bool_, s)), order=0)


# --------------------------------------------------------------------------------------------------------- shapes
def shaped(build: Callable[[tuple[int, ...]], Any], shapes: Any = FULL_SHAPES) -> Any:
    """Arguments whose positional tail depends on the shape."""
    return shapes.flatmap(lambda s: arguments(smooth(s, -2, 2), tail=build(s)))


def axis_of(shape: tuple[int, ...]) -> Any:
    return st.integers(-len(shape), len(shape) - 1)


case(
    "reshape",
    np.reshape,
    shaped(
        lambda s: st.sampled_from([((-1,),), ((math.prod(s), 1),), (s[::-1],), ((1, *s),)]),
        SHAPES.filter(lambda s: 0 not in s),
    ),
)
case("ravel", np.ravel, unary(-2, 2))
case(
    "transpose",
    np.transpose,
    shaped(lambda s: st.one_of(st.just(()), st.permutations(range(len(s))).map(lambda p: (tuple(p),)))),
)
case("swapaxes", np.swapaxes, shaped(lambda s: st.tuples(axis_of(s), axis_of(s))))
case("moveaxis", np.moveaxis, shaped(lambda s: st.tuples(axis_of(s), axis_of(s))))
case(
    "expand_dims",
    np.expand_dims,
    shaped(lambda s: st.one_of(st.integers(-len(s) - 1, len(s)), st.just((0, -1))).map(lambda a: (a,))),
)
case("squeeze", np.squeeze, shaped(lambda s: st.sampled_from([(), *[(k,) for k, n in enumerate(s) if n == 1]])))
case(
    "broadcast_to",
    np.broadcast_to,
    shaped(lambda s: st.sampled_from([((2, *s),), (tuple(3 if n == 1 else n for n in s),)])),
)
case("flip", np.flip, shaped(lambda s: axes_of(len(s)).map(lambda a: (a,))))
case("roll", np.roll, shaped(lambda s: st.tuples(st.integers(-4, 4), axes_of(len(s)))))
case("tril", np.tril, shaped(lambda s: st.tuples(st.integers(-2, 2)), MATRICES))
case("triu", np.triu, shaped(lambda s: st.tuples(st.integers(-2, 2)), MATRICES))
case(
    "pad",
    np.pad,
    FULL_SHAPES.flatmap(
        lambda s: arguments(
            smooth(s, -2, 2),
            tail=st.sampled_from([(1,), (((0, 2),) * len(s),)]),
            keywords=st.fixed_dictionaries({"constant_values": st.sampled_from([0, 1.5])}),
        )
    ),
)
case("tile", np.tile, shaped(lambda s: st.sampled_from([(2,), ((1, 2),), ((2, 1, 2, 1),)])))
case("repeat", np.repeat, shaped(lambda s: st.sampled_from([(2,), (2, 0), (3, -1), (np.arange(s[0]), 0)])))
case("diagonal", np.diagonal, shaped(lambda s: st.tuples(st.integers(-2, 2), st.just(-2), st.just(-1)), MATRICES))
case("trace", np.trace, shaped(lambda s: st.tuples(st.integers(-1, 1), st.just(-2), st.just(-1)), MATRICES))
case(
    "split",
    lambda x, cuts, axis: tuple(np.split(x, cuts, axis)),
    shaped(lambda s: st.sampled_from([(s[0], 0), ([1], 0), (s[-1], -1), ([0, 1], -1)])),
)
same = FULL_SHAPES.flatmap(
    lambda s: st.integers(1, 3).flatmap(
        lambda n: arguments(*[smooth(s, -2, 2)] * n, keywords=st.fixed_dictionaries({"axis": axis_of(s)}))
    )
)
case("concatenate", np.concatenate, same, sequence=True)
case("stack", np.stack, same, sequence=True)


# -------------------------------------------------------------------------------------------------------- indexing
def indices(shape: tuple[int, ...]) -> Any:
    """Slices, integers, new axes, dots, integer arrays with duplicates, and masks."""
    n = shape[0]
    integers = hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3), elements=st.integers(-n, n - 1)
    )
    mask = hnp.arrays(np.bool_, (n,))
    last = hnp.arrays(np.int64, (2,), elements=st.integers(0, shape[-1] - 1))
    choices = [
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
        integers,
        mask,
        integers.map(lambda i: (i, Ellipsis)),
        integers.map(lambda i: (i, None)),
        last.map(lambda i: (Ellipsis, i)),
    ]
    if len(shape) == 3:
        choices += [last.map(lambda i: (0, slice(None), i)), last.map(lambda i: (slice(None), i % shape[1], i))]
    return st.one_of(choices)


def getitem(x: np.ndarray, index: Any) -> np.ndarray:
    return x[index]


case(
    "getitem",
    getitem,
    FULL_SHAPES.flatmap(
        lambda s: arguments(
            smooth(s, -2, 2),
            keywords=st.fixed_dictionaries({"index": indices(s).map(lambda i: i if isinstance(i, tuple) else (i,))}),
        )
    ),
)


def add_at(g: np.ndarray, index: Any, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape)
    np.add.at(out, index, g)
    return out


def scattered(shape: tuple[int, ...]) -> Any:
    return (
        indices(shape)
        .map(lambda i: i if isinstance(i, tuple) else (i,))
        .flatmap(
            lambda index: arguments(
                smooth(np.zeros(shape)[index].shape, -2, 2), keywords=st.just({"index": index, "shape": shape})
            )
        )
    )


case("add_at", add_at, FULL_SHAPES.flatmap(scattered))
case(
    "take",
    np.take,
    shaped(lambda s: hnp.arrays(np.int64, (2, 2), elements=st.integers(0, s[0] - 1)).map(lambda i: (i, 0))),
)
case(
    "take_along_axis",
    np.take_along_axis,
    shaped(lambda s: hnp.arrays(np.int64, (*s[:-1], 2), elements=st.integers(0, s[-1] - 1)).map(lambda i: (i, -1))),
)

# -------------------------------------------------------------------------------------------------- linear algebra
MATMUL = st.sampled_from(
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((1, 3), (3, 2)),
        ((4, 1), (1, 3)),
        ((2, 2, 3), (3, 2)),
        ((2, 3), (4, 3, 2)),
        ((2, 1, 2, 3), (4, 3, 1)),
        ((2, 2, 3), (3,)),
        ((3,), (2, 3, 4)),
        ((2, 0), (0, 3)),
        ((0, 2), (2, 3)),
    ]
)
products = MATMUL.flatmap(lambda p: arguments(smooth(p[0], -2, 2), smooth(p[1], -2, 2)))
case("matmul", np.matmul, products)
case(
    "dot",
    np.dot,
    st.one_of(
        products.filter(lambda a: a[0][0].ndim < 3 and a[0][1].ndim < 4),
        arguments(smooth((2, 3), -2, 2), smooth((4, 3, 2), -2, 2)),
    ),
)
case("outer", np.outer, arguments(smooth((3,), -2, 2), smooth((2, 2), -2, 2)))
case(
    "tensordot",
    np.tensordot,
    st.sampled_from(
        [((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2, 3, 4), (4, 3), ((1, 2), (1, 0))), ((2,), (3,), 0)]
    ).flatmap(lambda p: arguments(smooth(p[0], -2, 2), smooth(p[1], -2, 2), keywords=st.just({"axes": p[2]}))),
)
case(
    "linear",
    lambda x, W, b=None: x @ W.T + (0 if b is None else b),
    st.sampled_from([(4,), (1, 4), (3, 4), (2, 3, 4), (0, 4)]).flatmap(
        lambda s: st.one_of(
            arguments(smooth(s, -2, 2), smooth((5, 4), -2, 2), smooth((5,), -2, 2)),
            arguments(smooth(s, -2, 2), smooth((5, 4), -2, 2)),
        )
    ),
)
EINSUMS = [("ij,jk->ik", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("i,j", (2,), (3,)), ("ij,ij->i", (2, 3), (2, 3)),
           ("...i,...i->...", (2, 3), (3,)), ("bij,bjk", (2, 2, 3), (2, 3, 2)), ("ij,k->i", (2, 3), (4,)), ("iij,j->ij", (2, 2, 3), (3,)), ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
           ("...ij->...ji", (2, 3, 2))]  # fmt: skip


def einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


case(
    "einsum",
    einsum,
    st.sampled_from(EINSUMS).flatmap(
        lambda e: arguments(*[smooth(s, -2, 2) for s in e[1:]], keywords=st.just({"subscripts": e[0]}))
    ),
)


def regular(shape: tuple[int, ...]) -> Any:
    """Well-conditioned square matrices."""
    return smooth(shape, -1, 1).map(lambda A: A + 4 * np.eye(shape[-1]))


SQUARE = st.sampled_from([(1, 1), (3, 3), (2, 2, 2), (2, 1, 3, 3)])
for name in ("inv", "det"):
    case(name, getattr(np.linalg, name), SQUARE.flatmap(lambda s: arguments(regular(s))))
case("slogdet", lambda A: tuple(np.linalg.slogdet(A)), SQUARE.flatmap(lambda s: arguments(regular(s))))
case("logabsdet", lambda A: np.linalg.slogdet(A)[1], SQUARE.flatmap(lambda s: arguments(regular(s))))
case("detsign", lambda A: np.linalg.slogdet(A)[0], SQUARE.flatmap(lambda s: arguments(regular(s))), order=0)
case(
    "solve",
    np.linalg.solve,
    st.sampled_from(
        [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)), ((2, 3, 3), (3,)), ((3, 3), (2, 3, 1))]
    ).flatmap(lambda p: arguments(regular(p[0]), smooth(p[1], -2, 2))),
)


def cholesky(A: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(A)


case("cholesky", cholesky, SQUARE.flatmap(lambda s: arguments(regular(s).map(lambda A: A @ A.swapaxes(-1, -2)))))

# ----------------------------------------------------------------------------------------------------------- losses
case(
    "softmax",
    scipy.special.softmax,
    FULL_SHAPES.flatmap(lambda s: arguments(smooth(s, -3, 3), keywords=st.fixed_dictionaries({"axis": axis_of(s)}))),
)
case(
    "log_softmax",
    scipy.special.log_softmax,
    FULL_SHAPES.flatmap(lambda s: arguments(smooth(s, -3, 3), keywords=st.fixed_dictionaries({"axis": axis_of(s)}))),
)


def cross_entropy(z: np.ndarray, t: np.ndarray, reduction: str = "mean", label_smoothing: float = 0.0) -> Any:
    """From the definition, with a loop over the examples."""
    axis = min(1, z.ndim - 1)
    z = np.moveaxis(z, axis, -1)
    K = z.shape[-1]
    t = np.moveaxis(t, axis, -1) if t.dtype.kind == "f" else np.eye(K)[t]
    t = (1 - label_smoothing) * t + label_smoothing / K
    losses = np.zeros(z.shape[:-1])
    for n in np.ndindex(*losses.shape):
        losses[n] = -np.sum(t[n] * np.log(np.exp(z[n]) / np.sum(np.exp(z[n]))))
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SMOOTHED = st.fixed_dictionaries({"reduction": REDUCTIONS, "label_smoothing": st.sampled_from([0.0, 0.2])})
case(
    "cross_entropy",
    cross_entropy,
    st.sampled_from([((3,), ()), ((2, 3), (2,)), ((4, 2), (4,)), ((2, 3, 2), (2, 2))]).flatmap(
        lambda p: st.one_of(
            arguments(
                smooth(p[0], -3, 3),
                tail=hnp.arrays(np.int64, p[1], elements=st.integers(0, p[0][min(1, len(p[0]) - 1)] - 1)).map(
                    lambda t: (t,)
                ),
                keywords=SMOOTHED,
            ),
            arguments(smooth(p[0], -3, 3), smooth(p[0], 0.1, 1), keywords=SMOOTHED),
        )
    ),
)


def bce(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return -t * np.log(sigmoid(z)) - (1 - t) * np.log(1 - sigmoid(z))


case("bce_with_logits", bce, SHAPES.flatmap(lambda s: arguments(distinct(s), smooth(s, 0, 1))))
case(
    "binary_cross_entropy_with_logits",
    lambda z, t, reduction: {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](bce(z, t)),
    FULL_SHAPES.flatmap(
        lambda s: arguments(distinct(s), smooth(s, 0, 1), keywords=st.fixed_dictionaries({"reduction": REDUCTIONS}))
    ),
)


# ------------------------------------------------------------------------------------------------------ convolution
def windows(shape: tuple[int, ...], w_shape: tuple[int, ...], geometry: Geometry) -> Any:
    """(output index, kernel index, input index) of every product of one image: from the definition, with loops."""
    _, height, width = shape
    outputs, per_group, kh, kw = w_shape
    (sh, sw), (top, _, left, _), (dh, dw), groups = geometry
    ho, wo = geometry.output((height, width), (kh, kw))
    for o, h, v, c, i, j in np.ndindex(outputs, ho, wo, per_group, kh, kw):
        row, column = h * sh + i * dh - top, v * sw + j * dw - left
        if 0 <= row < height and 0 <= column < width:
            yield (o, h, v), (o, c, i, j), (o // (outputs // groups) * per_group + c, row, column)


def loop_conv(x: np.ndarray, w: np.ndarray, geometry: Geometry) -> np.ndarray:
    y = np.zeros((len(x), len(w), *geometry.output(x.shape[2:], w.shape[2:])))
    for out, kernel, pixel in windows(x.shape[1:], w.shape, geometry):
        y[(slice(None), *out)] += w[kernel] * x[(slice(None), *pixel)]
    return y


def loop_conv_input(y: np.ndarray, w: np.ndarray, shape: tuple[int, ...], geometry: Geometry) -> np.ndarray:
    x = np.zeros(shape)
    for out, kernel, pixel in windows(shape[1:], w.shape, geometry):
        x[(slice(None), *pixel)] += w[kernel] * y[(slice(None), *out)]
    return x


def loop_conv_weight(x: np.ndarray, y: np.ndarray, kernel: tuple[int, int], geometry: Geometry) -> np.ndarray:
    w = np.zeros((y.shape[1], x.shape[1] // geometry.groups, *kernel))
    for out, entry, pixel in windows(x.shape[1:], w.shape, geometry):
        w[entry] += np.sum(y[(slice(None), *out)] * x[(slice(None), *pixel)])
    return w


@st.composite
def convolutions(draw: Any, kind: str) -> Any:
    """Odd sizes: no images, one pixel, a kernel as large as the image, strides beyond the kernel, any padding."""
    small = lambda low, high: draw(st.integers(low, high))
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    n, c, o, kh, kw = small(0, 2), groups * small(1, 2), groups * small(1, 2), small(1, 3), small(1, 3)
    geometry = Geometry(
        (small(1, 3), small(1, 3)),
        (small(0, 2), small(-1, 2), small(0, 2), small(-1, 2)),  # negative at the end: output_padding
        (draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 1, 2]))),
        groups,
    )
    top, bottom, left, right = geometry.padding
    height = max(1, geometry.dilation[0] * (kh - 1) + 1 - top - bottom) + small(0, 2)
    width = max(1, geometry.dilation[1] * (kw - 1) + 1 - left - right) + small(0, 2)
    x, w = (n, c, height, width), (o, c // groups, kh, kw)
    y = (n, o, *geometry.output((height, width), (kh, kw)))
    shapes, keywords = {
        "conv": ((x, w), {}),
        "conv_input": ((y, w), {"shape": x}),
        "conv_weight": ((x, y), {"kernel": (kh, kw)}),
    }[kind]
    return [draw(smooth(s, -2, 2)) for s in shapes], (), {**keywords, "geometry": geometry}


case("conv", loop_conv, convolutions("conv"))
case("conv_input", loop_conv_input, convolutions("conv_input"))
case("conv_weight", loop_conv_weight, convolutions("conv_weight"))


# ---------------------------------------------------------------------------------------------------- normalization
def loop_normalize(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, axes: tuple[int, ...], eps: float
) -> np.ndarray:
    """Group by group."""
    y, kept = np.empty_like(x), [a for a in range(x.ndim) if a not in axes]
    for index in np.ndindex(*(x.shape[a] for a in kept)):
        where: list[Any] = [slice(None)] * x.ndim
        for a, i in zip(kept, index, strict=True):
            where[a] = i
        group = x[tuple(where)]
        y[tuple(where)] = (group - group.sum() / group.size) / math.sqrt(
            ((group - group.mean()) ** 2).sum() / group.size + eps
        )
    return y * weight + bias


case(
    "normalize",
    loop_normalize,
    st.sampled_from(
        [
            ((4, 3), (0,), (1, 3)),
            ((2, 3, 4), (0, 2), (1, 3, 1)),
            ((3, 2, 2, 3), (0, 2, 3), (1, 2, 1, 1)),
            ((2, 5), (1,), (5,)),
            ((3, 1), (0, 1), (1,)),
        ]
    ).flatmap(
        lambda p: arguments(
            distinct(p[0]), smooth(p[2], -2, 2), smooth(p[2], -2, 2), keywords=st.just({"axes": p[1], "eps": 0.1})
        )
    ),
)


# ---------------------------------------------------------------------------------------------------------- pooling
def loop_windows(x: np.ndarray, kernel: Any, stride: Any, reduce: Any) -> np.ndarray:
    (kh, kw), (sh, sw) = kernel, stride
    y = np.zeros((*x.shape[:2], (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1))
    for n, c, h, v in np.ndindex(*y.shape):
        y[n, c, h, v] = reduce(x[n, c, h * sh : h * sh + kh, v * sw : v * sw + kw])
    return y


def loop_window_spread(y: np.ndarray, shape: tuple[int, ...], kernel: Any, stride: Any, scale: float) -> np.ndarray:
    x = np.zeros(shape)
    for n, c, h, v in np.ndindex(*y.shape):
        top, left = h * stride[0], v * stride[1]
        x[n, c, top : top + kernel[0], left : left + kernel[1]] += scale * y[n, c, h, v]
    return x


@st.composite
def pooled(draw: Any, kind: str) -> Any:
    small = lambda low, high: draw(st.integers(low, high))
    kernel, stride, out = (small(1, 3), small(1, 3)), (small(1, 3), small(1, 3)), (small(1, 2), small(1, 2))
    rows, columns = ((m - 1) * s + k + small(0, s - 1) for k, s, m in zip(kernel, stride, out, strict=True))
    x = (small(0, 2), small(1, 2), rows, columns)
    keywords = {"kernel": kernel, "stride": stride}
    if kind != "window_max":
        keywords["scale"] = draw(st.sampled_from([1.0, 0.25]))
    if kind == "window_spread":
        return [draw(smooth((*x[:2], *out), -2, 2))], (), {**keywords, "shape": x}
    return [draw(distinct(x) if kind == "window_max" else smooth(x, -2, 2))], (), keywords


case("window_max", lambda x, kernel, stride: loop_windows(x, kernel, stride, np.max), pooled("window_max"))
case(
    "window_sum",
    lambda x, kernel, stride, scale: scale * loop_windows(x, kernel, stride, np.sum),
    pooled("window_sum"),
)
case("window_spread", loop_window_spread, pooled("window_spread"))
