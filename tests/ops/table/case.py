"""What a row of the op table is, and what rows have in common: how inputs are drawn, and the mistakes that many share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
MATRICES = hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=3)
#: (a call of the operation that is a mistake, the error, a regular expression that its message matches)
Wrong = tuple[Callable[[Callable[..., Any]], Any], type[Exception], str]


@dataclass
class Case:
    """``draw`` is a strategy of (arrays, positional tail, keywords): the operation is called f(*arrays, *tail, **keywords).

    ``errors`` has mistakes one could make with this operation: a primitive's message begins with its name.
    """

    name: str
    reference: Callable[..., Any]
    draw: Any
    errors: tuple[Wrong, ...] = ()
    order: int = 2  # 0: not differentiable
    sequence: bool = False  # the arrays are passed as one list


CASES: dict[str, Case] = {}


def case(name: str, reference: Any, draw: Any, **options: Any) -> None:
    CASES[name] = Case(name, reference, draw, **options)


def drawn(names: Iterable[str]) -> Callable[[Callable[..., None]], Any]:
    """Run a property for each operation, with arguments drawn by hypothesis."""

    def decorate(prop: Callable[..., None]) -> Any:
        @pytest.mark.parametrize("name", names)
        def test(name):
            case = CASES[name]

            @given(case.draw)
            def run(drawn):
                prop(case, *drawn)

            run()

        test.__name__, test.__doc__ = prop.__name__, prop.__doc__
        return test

    return decorate


# ------------------------------------------------------------------------------------------------------ common mistakes
ones = mg.ones


def too_many(takes: str) -> tuple[Wrong, ...]:
    """An argument more than the operation takes, and one of another name."""
    n = takes.count(",") + 2
    return (
        (lambda f: f(*[ones(2)] * n), TypeError, rf"takes \({takes}\), not {n} arguments$"),
        (lambda f: f(ones(2), out=ones(2)), TypeError, rf"takes \({takes}\), not out$"),
    )


TEXT: Wrong = (lambda f: f(np.array(["a"])), TypeError, r"of \(1,\): ufunc .* not supported for the input types")
#: shapes that do not broadcast, and a third argument (``where`` and ``out`` are NumPy's)
PAIR: tuple[Wrong, ...] = (
    (lambda f: f(ones(2, 3), ones(4)), ValueError, r"of \(2, 3\) and \(4,\): operands could not be broadcast"),
    *too_many("a, b"),
)
#: the mean of each row, which wants to be a column
ROWS: Wrong = (
    lambda f: f(ones(2, 3), ones(2, 3).mean(axis=1)),
    ValueError,
    r"of \(2, 3\) and \(2,\).*add a trailing axis with expand_dims\(\.\.\., -1\)",
)
AXIS: Wrong = (lambda f: f(ones(2, 3), axis=5), ValueError, r"of \(2, 3\): axis 5 is out of bounds .* dimension 2")
TWICE: Wrong = (lambda f: f(ones(2, 3), axis=(0, 0)), ValueError, r"of \(2, 3\): duplicate value in 'axis'")
EMPTY: Wrong = (lambda f: f(ones(0, 3), axis=0), ValueError, r"of \(0, 3\): zero-size array to reduction")
DIM: Wrong = (lambda f: f(ones(2, 3), dim=1), TypeError, r"takes \(x, axis, keepdims\), not dim$")


def unexpected(name: str, word: str) -> Wrong:
    """What Python says of a keyword that a composite does not take."""
    call = lambda f: f(ones(2, 3), **{word: 1})
    return call, TypeError, rf"{name}\(\) got an unexpected keyword argument '{word}'"


def surplus(name: str, takes: int) -> Wrong:
    """What Python says of an argument more than a composite takes."""
    return lambda f: f(*[ones(2)] * (takes + 1)), TypeError, rf"{name}\(\) takes .*{takes} positional argument"


# ------------------------------------------------------------------------------------------------------ drawing numbers
def smooth(shape: tuple[int, ...], low: float, high: float) -> Any:
    """Any values in [low, high], on a grid of a thousandth: hypothesis repeats some and likes the ends."""
    return hnp.arrays(np.float64, shape, elements=st.integers(0, 1000).map(lambda k: low + (high - low) * k / 1000))


def distinct(shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Any:
    """Values at least 1/300 of the range apart from each other and from kinks at integers and halves."""
    n = math.prod(shape)
    grid = low + (high - low) * (np.arange(300) + 0.37) / 300
    places = st.lists(st.integers(0, 299), min_size=n, max_size=n, unique=True)
    return places.map(lambda p: grid[p].reshape(shape) if n else np.zeros(shape))


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


def shaped(build: Callable[[tuple[int, ...]], Any], shapes: Any = FULL_SHAPES) -> Any:
    """Arguments whose positional tail depends on the shape."""
    return shapes.flatmap(lambda s: arguments(smooth(s, -2, 2), tail=build(s)))


def axis_of(shape: tuple[int, ...]) -> Any:
    return st.integers(-len(shape), len(shape) - 1)
