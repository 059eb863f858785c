"""Convolution kernels: plain NumPy, in channels-last memory, as matrix products on windows that are never copied.

A convolution and its derivatives are two sums over windows: y[window] = sum over k of x[window, k] w[k], and
w[k] = sum over windows of x[window, k] y[window]. A :class:`Sum` computes either, or both in one sweep. It unfolds rows
only: U[n, h, w, i] is the padded row of x that kernel row i reads at output row h, so a window of kh x kw x C numbers
is one contiguous run of U, and windows that overlap along the width are overlapping views. Blocks of images keep U in a
core's cache, and a few threads share them out.

At the end the three sums are entered in the table, for convolutions without groups and dilations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigrad.core.table import variant
from minigrad.kernels import threads
from minigrad.ops.convolution import Geometry, conv, conv_input, conv_weight

__all__ = ["FIRST", "LAST", "Sum", "Windows", "correlate", "correlate_weights", "fold"]

BLOCK_BYTES = 3_000_000  # of U: in cache, yet large, for between NumPy's calls the threads wait for one another
SMALL = 1_000_000  # multiplications in a product below which OpenBLAS does not pack: fastest for thin matrices
WORTHWHILE = 10_000_000  # multiplications in all from which a second thread is worth waking
THIN = 4  # channels up to which whole planes are unfolded: copying so few numbers at a time is slow

Pair = tuple[int, int]


class Windows(NamedTuple):
    """Where windows lie: the one at output (h, w) begins at input row h sh - top and column w sw - left.

    ``kernel`` and ``stride`` are (rows, columns); ``before`` is (top, left), negative to skip; ``out`` is the number of
    windows in a column and in a row.
    """

    kernel: Pair
    stride: Pair
    before: Pair
    out: Pair

    @property
    def reach(self) -> Pair:
        """Rows and columns from the first window's first entry to the last one's last."""
        (kh, kw), (sh, sw), _, (ho, wo) = self
        return (ho - 1) * sh + kh, (wo - 1) * sw + kw

    def inside(self, axis: int, k: int, size: int) -> tuple[slice, slice]:
        """(outputs, inputs): the windows whose entry k lies in 0 .. size along ``axis``, and what they read there."""
        step, offset, windows = self.stride[axis], k - self.before[axis], self.out[axis]
        first = min(windows, max(0, -(offset // step)))
        last = max(first, min(windows, (size - 1 - offset) // step + 1))
        start = first * step + offset
        return slice(first, last), slice(start, start + max(0, (last - first - 1) * step + 1), step)

    def within(self, axis: int, size: int) -> tuple[slice, slice]:
        """(of the reach, of the input): where an input of ``size`` lies in what the windows reach along ``axis``."""
        first, reach = self.before[axis], self.reach[axis]
        a = min(max(0, first), reach)
        b = max(a, min(reach, first + size))
        return slice(a, b), slice(a - first, b - first)


class Sum:
    """Sums over the windows of images x (N, H, W, C), which are zero outside.

    Args:
        shape: of x.
        w: (kh, kw, C, O), for outputs y.
    """

    def __init__(self, shape: tuple[int, ...], at: Windows, w: np.ndarray | None = None) -> None:
        (kh, kw), (ho, wo), channels = at.kernel, at.out, shape[3]
        self.at, self.channels = at, channels
        self.work = ho * wo * kh * kw * channels  # multiplications for each image and output channel
        # how a block is unfolded, in what order kernel rows (0), columns (1) and channels (2) lie there, its size
        if at.kernel == (1, 1) and all(at.inside(a, 0, shape[a + 1])[0] == slice(0, at.out[a]) for a in (0, 1)):
            self.unfolded, self.order, self.size = _pixels, (0, 1, 2), ho * wo * channels
        elif channels <= THIN:
            self.unfolded, self.order, self.size = _planes, (2, 0, 1), self.work
        else:
            self.unfolded, self.order, self.size = _rows, (1, 0, 2), ho * at.reach[1] * kh * channels
        self.w = None if w is None else np.ascontiguousarray(w.transpose(*self.order, 3)).reshape(-1, w.shape[3])

    def block(self, x: np.ndarray, y: np.ndarray | None = None, other: np.ndarray | None = None) -> np.ndarray | None:
        """The sums over the windows of a few images.

        Args:
            y: (N, HO, WO, O), overwritten with the sum over (i, j) of x[n, h sh + i - top, w sw + j - left] @ w[i, j].
                May be a view with gaps, but not along its last axis.
            other: (N, HO, WO, M), contiguous, for the result.

        Returns:
            None without ``other``, else (entries of a window in the order of ``self.order``, M): the sum over n, h, w
            of the window outer other[n, h, w].
        """
        return self.unfolded(x, self.at, self.w, y, other)

    def entries(self, total: np.ndarray) -> np.ndarray:
        """The result of :meth:`block`, or a sum of such, as (kh, kw, C, M)."""
        shape = (*self.at.kernel, self.channels)
        total = total.reshape(*(shape[axis] for axis in self.order), total.shape[-1])
        return total.transpose(*np.argsort(self.order), 3)


def _shared_out(work: Callable[[slice], Any], n: int, plan: Sum, outputs: int, itemsize: int) -> Any:
    """work(images) for blocks of the n images, on several threads where it is worth it; the sum of the results."""
    if plan.unfolded is _pixels:  # a plain matrix product of any size: BLAS cuts it up, and has threads of its own
        return work(slice(0, n))
    size = BLOCK_BYTES // max(1, plan.size * itemsize)
    results = threads.over(work, n, size, n * plan.work * outputs >= WORTHWHILE)
    return None if results[0] is None else sum(results[1:], results[0])


# --------------------------------------------------------------- one block of images; w is (entries of a window, O)
def _pixels(x: np.ndarray, at: Windows, w: Any, y: Any, other: Any) -> np.ndarray | None:
    """A 1 x 1 kernel without padding: windows are pixels, and no copy is needed but for the stride."""
    (_, rows), (_, columns) = at.inside(0, 0, x.shape[1]), at.inside(1, 0, x.shape[2])
    pixels = np.ascontiguousarray(x[:, rows, columns]).reshape(-1, x.shape[3])
    if y is not None:
        _product(pixels, w, y)
    return None if other is None else (other.reshape(len(pixels), -1).T @ pixels).T  # faster than the other way round


def _planes(x: np.ndarray, at: Windows, w: Any, y: Any, other: Any) -> np.ndarray | None:
    """Few channels: for each entry of the window, the plane of all that it reads."""
    n, height, width, channels = x.shape
    (sh, sw), (down, rows), (right, columns) = at.stride, at.within(0, height), at.within(1, width)
    padded = np.zeros((n, channels, *at.reach), x.dtype)
    padded[:, :, down, right] = x[:, rows, columns].transpose(0, 3, 1, 2)
    U = threads.scratch((n, channels, *at.kernel, *at.out), x.dtype)
    s = padded.strides
    U[...] = as_strided(padded, U.shape, (*s, sh * s[2], sw * s[3]))
    entries = U.reshape(n, -1, at.out[0] * at.out[1])
    if y is not None:
        _product(entries.swapaxes(1, 2), w, y)
    return None if other is None else (entries @ other.reshape(n, -1, other.shape[3])).sum(axis=0)


def _rows(x: np.ndarray, at: Windows, w: Any, y: Any, other: Any) -> np.ndarray | None:
    """The general case: kh shifted copies of x, in which every window is contiguous."""
    n, height, width, channels = x.shape
    (kh, kw), (ho, wo) = at.kernel, at.out
    U = threads.scratch((n, ho, at.reach[1], kh, channels), x.dtype)
    right, columns = at.within(1, width)
    U[:, :, : right.start] = 0
    U[:, :, right.stop :] = 0
    for i in range(kh):
        down, rows = at.inside(0, i, height)
        U[:, : down.start, right, i] = 0
        U[:, down.stop :, right, i] = 0
        U[:, down, right, i] = x[:, rows, columns]
    size = kh * kw * channels
    row, column, number = U.strides[1], at.stride[1] * U.strides[2], U.itemsize
    if y is not None:
        m = _images_at_once(n, ho, size * w.shape[1], y)
        s = y.strides
        windows = as_strided(U, (n // m, wo, m * ho, size), (m * ho * row, column, row, number))
        np.matmul(windows, w, out=as_strided(y, (n // m, wo, m * ho, w.shape[1]), (m * s[0], s[2], s[1], s[3])))
    if other is None:
        return None
    windows = as_strided(U, (wo, n * ho, size), (column, row, number))
    return np.matmul(other.reshape(n * ho, wo, -1).transpose(1, 2, 0), windows).sum(axis=0).T


def _images_at_once(n: int, rows: int, per_row: int, y: np.ndarray) -> int:
    """How many images' columns to put into one product, so that it has some 32 rows and stays small."""
    m = max(1, min(32, SMALL // per_row) // rows)
    while n % m:
        m -= 1
    return m if rows * y.strides[1] == y.strides[0] else 1


def _product(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> None:
    """y = a @ b, in place where y is contiguous."""
    if y.flags.c_contiguous:
        np.matmul(a, b, out=y.reshape(*a.shape[:-1], b.shape[1]))
    else:
        y[...] = (a @ b).reshape(y.shape)


# ------------------------------------------------------- the three sums, channels last; no array may be empty
def correlate(x: np.ndarray, w: np.ndarray, stride: Pair, before: Pair, out: Pair) -> np.ndarray:
    """The correlation (N, HO, WO, O) of x (N, H, W, C) with w (kh, kw, C, O)."""
    plan = Sum(x.shape, Windows(w.shape[:2], stride, before, out), w)
    y = np.empty((len(x), *out, w.shape[3]), np.result_type(x, w))
    if plan.unfolded is _rows:
        x = np.ascontiguousarray(x)
    _shared_out(lambda images: plan.block(x[images], y[images]), len(x), plan, y.shape[3], x.itemsize)
    return y


def correlate_weights(x: np.ndarray, g: np.ndarray, kernel: Pair, stride: Pair, before: Pair) -> np.ndarray:
    """The transpose of :func:`correlate` in w: (kh, kw, C, O) from x (N, H, W, C) and g (N, HO, WO, O)."""
    plan = Sum(x.shape, Windows(kernel, stride, before, g.shape[1:3]))
    if plan.unfolded is _rows:
        x = np.ascontiguousarray(x)
    g = np.ascontiguousarray(g)
    total = _shared_out(lambda images: plan.block(x[images], other=g[images]), len(x), plan, g.shape[3], x.itemsize)
    return plan.entries(total)


def fold(
    g: np.ndarray, w: np.ndarray, stride: Pair, before: Pair, shape: tuple[int, ...], x: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The transpose of :func:`correlate` in x, of ``shape``; and given x that in w too, in the same sweep.

    It is a correlation of g with flipped weights for every phase of the stride. If there is only one, its windows serve
    for both: dw[i, j] = sum of x[h + i - top, w + j - left] outer g[h, w] is a sum over the windows of g as well.
    """
    g, x = np.ascontiguousarray(g), None if x is None else np.ascontiguousarray(x)
    phases = _phases(g.shape, w, stride, before, shape)
    everywhere = len(phases) == min(stride[0], shape[1]) * min(stride[1], shape[2])
    dx = (np.empty if everywhere else np.zeros)(shape, np.result_type(g, w))
    weights = Sum(shape, Windows(w.shape[:2], stride, before, g.shape[1:3])) if stride != (1, 1) else None

    def work(images: slice) -> np.ndarray | None:
        dw = None  # with stride 1 from the only phase
        for rows, columns, plan in phases:
            dw = plan.block(g[images], dx[images, rows, columns], None if x is None or weights else x[images])
        return weights.block(x[images], other=g[images]) if weights and x is not None else dw

    plan = weights or phases[0][2]  # where the stride is 1 every x is read
    outputs = (w.shape[3] if weights else shape[3]) * (1 if x is None else 2)
    dw = _shared_out(work, len(g), plan, outputs, g.itemsize)
    if x is None:
        return dx, None
    dw = plan.entries(dw)
    return dx, dw if weights else dw[::-1, ::-1].swapaxes(2, 3)


def _phases(
    g_shape: tuple[int, ...], w: np.ndarray, stride: Pair, before: Pair, shape: tuple[int, ...]
) -> list[tuple[slice, slice, Sum]]:
    """(rows, columns, sum) of x for each phase of the stride that is read at all."""
    (kh, kw), (sh, sw), (top, left) = w.shape[:2], stride, before
    phases = []
    for a in range(min(sh, shape[1])):
        for b in range(min(sw, shape[2])):
            i = [k for k in range(kh) if (a + top - k) % sh == 0][::-1]
            j = [k for k in range(kw) if (b + left - k) % sw == 0][::-1]
            if i and j:
                first = -((a + top - i[0]) // sh), -((b + left - j[0]) // sw)
                out = len(range(a, shape[1], sh)), len(range(b, shape[2], sw))
                plan = Sum(g_shape, Windows((len(i), len(j)), (1, 1), first, out), w[i][:, j].swapaxes(2, 3))
                phases.append((slice(a, None, sh), slice(b, None, sw), plan))
    return phases


# ------------------------------------------------- variants of the operations, on (N, C, H, W) and (O, C, kh, kw)
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # (N, C, H, W) to channels last, and back
WEIGHTS, BACK = (2, 3, 1, 0), (3, 2, 0, 1)  # (O, C, kh, kw) to (kh, kw, C, O), and back


def _serves(geometry: Geometry, *arrays: np.ndarray) -> bool:
    return geometry.groups == 1 and geometry.dilation == (1, 1) and all(a.size for a in arrays)


@variant(conv, np.ndarray)
def _conv(x: np.ndarray, w: np.ndarray, geometry: Geometry) -> Any:
    if not _serves(geometry, x, w):
        return NotImplemented
    out = geometry.output(x.shape[2:], w.shape[2:])
    y = correlate(x.transpose(LAST), w.transpose(WEIGHTS), geometry.stride, geometry.before, out)
    return y.transpose(FIRST)


@variant(conv_input, np.ndarray)
def _conv_input(y: np.ndarray, w: np.ndarray, shape: tuple[int, ...], geometry: Geometry) -> Any:
    if not _serves(geometry, y, w) or 0 in shape:
        return NotImplemented
    n, channels, height, width = len(y), *shape[1:]
    x, _ = fold(y.transpose(LAST), w.transpose(WEIGHTS), geometry.stride, geometry.before, (n, height, width, channels))
    return x.transpose(FIRST)


@variant(conv_weight, np.ndarray)
def _conv_weight(x: np.ndarray, y: np.ndarray, kernel: Pair, geometry: Geometry) -> Any:
    if not _serves(geometry, x, y):
        return NotImplemented
    w = correlate_weights(x.transpose(LAST), y.transpose(LAST), kernel, geometry.stride, geometry.before)
    return w.transpose(BACK)


@variant(conv, np.ndarray, of="vjp")
def _conv_cotangents(
    asked: Sequence[int], g: np.ndarray, y: np.ndarray, x: np.ndarray, w: np.ndarray, geometry: Geometry
) -> Any:
    """Both cotangents in one sweep over g, where both are asked for."""
    if len(asked) < 2 or not _serves(geometry, g, x):
        return NotImplemented
    x = x.transpose(LAST)
    gx, gw = fold(g.transpose(LAST), w.transpose(WEIGHTS), geometry.stride, geometry.before, x.shape, x)
    assert gw is not None
    return gx.transpose(FIRST), gw.transpose(BACK)
