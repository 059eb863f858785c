"""Operations for which many examples are simply a larger array: batches fold the examples in, and out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.core.backward import sum_rows
from minigrad.core.table import variant
from minigrad.ops.convolution import Geometry, conv, conv_input
from minigrad.ops.elementwise import erf
from minigrad.ops.losses import row_totals
from minigrad.ops.pooling import window_max, window_spread, window_sum
from minigrad.readers.batched import Batched, levels_of

__all__: list[str] = []  # what is here is entered in the table


@variant(erf, Batched)
def _erf(x: Batched) -> Batched:
    return Batched(erf(x.array), x.levels)


@variant(sum_rows, Batched, min_size=1 << 8)
def _sum_rows(x: Batched) -> Batched:
    """As products with ones, which BLAS does faster than NumPy adds rows; of many as one matrix, for the digits."""
    if x.shape[0] > 4096:
        rows = np.moveaxis(x.array, len(x.levels), 0)
        return Batched(sum_rows(rows.reshape((len(rows), -1))).reshape(rows.shape[1:]), x.levels)
    return Batched((np.ones((1, x.shape[0]), x.dtype, like=x.array) @ x.array)[..., 0, :], x.levels)


@row_totals.variant(Batched)
def _row_totals(x: Batched, axis: int) -> Batched:
    return Batched(row_totals(x.array, axis % x.ndim - x.ndim), x.levels)


@variant(conv, Batched, mixed=True)
def _conv(x: Any, w: Any, geometry: Geometry) -> Any:
    if levels_of(w):  # images of other weights are no more images of the same
        return NotImplemented
    return _as_more_images(lambda images: conv(images, w, geometry=geometry), x)


@variant(conv_input, Batched, mixed=True)
def _conv_input(y: Any, w: Any, shape: tuple[int, ...], geometry: Geometry) -> Any:
    if levels_of(w):
        return NotImplemented
    return _as_more_images(lambda images: conv_input(images, w, shape=_all(images, shape), geometry=geometry), y)


@variant(window_sum, Batched)
def _window_sum(x: Batched, *args: Any, **options: Any) -> Batched:
    return _as_more_images(lambda images: window_sum(images, *args, **options), x)


@variant(window_spread, Batched)
def _window_spread(y: Batched, shape: tuple[int, ...], *args: Any, **options: Any) -> Batched:
    return _as_more_images(lambda images: window_spread(images, _all(images, shape), *args, **options), y)


@variant(window_max, Batched)
def _window_max(x: Batched, *args: Any, **options: Any) -> Batched:
    return _as_more_images(lambda images: window_max(images, *args, **options), x)


def _as_more_images(compute: Callable[..., Any], x: Batched) -> Batched:
    """Examples (N, C, H, W) of one operation are more images for it."""
    y = compute(x.array.reshape((-1, *x.shape[1:])))
    return Batched(y.reshape((*x.array.shape[: len(x.levels) + 1], *y.shape[1:])), x.levels)


def _all(images: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (len(images), *shape[1:])
