"""Convolution, and the two operations that are its derivatives: each one's rules call the other two.

conv(x, w) is linear in both arguments, so its cotangents are the transposes of two linear maps: ``conv_input`` (with w
fixed; by itself the transposed convolution of generative networks) and ``conv_weight`` (with x fixed). The three are
closed under differentiation, whatever the order.

NumPy arrays go to the kernels of convolution.py. Everything else (a batch of ``vmap``, a device array, dilated or
grouped convolutions) goes the plain way: kh kw shifted matrix products, in NumPy functions that find their own way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad import convolution, gather
from minigrad.backend import Array
from minigrad.batched import Batched, expand_dims, levels_of
from minigrad.engine import Op
from minigrad.ops.table import TABLE


class Geometry(NamedTuple):
    """How windows lie: strides, padding (top, bottom, left, right), dilations, groups; pairs are (rows, columns)."""

    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    def output(self, size: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the output for an input of ``size``.

        Raises:
            ValueError: the kernel does not fit; the arithmetic is shown.
        """
        top, bottom, left, right = self.padding
        out = []
        for axis, n, k, s, d, p, q in zip(
            ("rows", "columns"), size, kernel, self.stride, self.dilation, (top, left), (bottom, right), strict=True
        ):
            reach = d * (k - 1) + 1
            if n + p + q < reach:
                raise ValueError(
                    f"convolution: the kernel reaches over dilation {d} x ({k} - 1) + 1 = {reach} {axis}, but the "
                    f"padded input has only {n} + {p} + {q} = {n + p + q}"
                )
            out.append((n + p + q - reach) // s + 1)
        return out[0], out[1]

    @property
    def before(self) -> tuple[int, int]:
        """The padding above and to the left."""
        return self.padding[0], self.padding[2]

    @property
    def fast(self) -> bool:
        """Whether the kernels of convolution.py apply."""
        return self.groups == 1 and self.dilation == (1, 1)


LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # (N, C, H, W) to channels last, and back


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    n, channels, height, width = shape
    return n, height, width, channels


def _kernels_apply(*arrays: Any) -> bool:
    return all(type(a) is np.ndarray for a in arrays)


# ------------------------------------------------------------------------------------------------- the plain way
def _shifted(x: Array, i: int, j: int, geometry: Geometry, out: tuple[int, int]) -> Array:
    """What kernel entry (i, j) reads of the padded x, as (N, groups, C / groups, positions)."""
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    rows = slice(i * dh, i * dh + sh * (out[0] - 1) + 1, sh)
    columns = slice(j * dw, j * dw + sw * (out[1] - 1) + 1, sw)
    part = gather.getitem(x, (slice(None), slice(None), rows, columns))
    n, channels = x.shape[:2]
    return part.reshape((n, geometry.groups, channels // geometry.groups, out[0] * out[1]))


def _pad(x: Array, padding: tuple[int, int, int, int]) -> Array:
    """Zeros around the images; then negative padding cuts off."""
    added = [max(0, n) for n in padding]
    if any(added):
        x = np.pad(x, ((0, 0), (0, 0), (added[0], added[1]), (added[2], added[3])))
    if min(padding) < 0:
        top, bottom, left, right = (max(0, -n) for n in padding)
        rows, columns = slice(top, x.shape[2] - bottom), slice(left, x.shape[3] - right)
        x = gather.getitem(x, (slice(None), slice(None), rows, columns))
    return x


def _entry(w: Array, i: int, j: int, groups: int) -> Array:
    """(groups, O / groups, C / groups): kernel entry (i, j)."""
    entry = gather.getitem(w, (slice(None), slice(None), i, j))
    return entry.reshape((groups, w.shape[0] // groups, w.shape[1]))


def _plain_conv(x: Array, w: Array, geometry: Geometry) -> Array:
    kh, kw = w.shape[2:]
    out = geometry.output(x.shape[2:], (kh, kw))
    x = _pad(x, geometry.padding)
    y: Any = 0
    for i in range(kh):
        for j in range(kw):
            y = y + _entry(w, i, j, geometry.groups) @ _shifted(x, i, j, geometry, out)
    return y.reshape((x.shape[0], w.shape[0], *out))


def _plain_weight(x: Array, y: Array, kernel: tuple[int, int], geometry: Geometry) -> Array:
    out, groups = y.shape[2:], geometry.groups
    x = _pad(x, geometry.padding)
    n, outputs = y.shape[:2]
    y = y.reshape((n, groups, outputs // groups, out[0] * out[1]))
    entries = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            part = (y @ _shifted(x, i, j, geometry, out).swapaxes(-1, -2)).sum(axis=0)
            entries.append(expand_dims(part.reshape((outputs, x.shape[1] // groups)), 2))
    return np.concatenate(entries, axis=2).reshape((outputs, x.shape[1] // groups, *kernel))


def _plain_input(y: Array, w: Array, shape: tuple[int, ...], geometry: Geometry) -> Array:
    """A convolution of y, spread out by the stride, with the flipped kernel."""
    (sh, sw), (dh, dw), groups = geometry.stride, geometry.dilation, geometry.groups
    (top, _, left, _), (kh, kw) = geometry.padding, w.shape[2:]
    n, outputs, ho, wo = y.shape
    if sh > 1 or sw > 1:
        y = np.pad(y.reshape((n, outputs, ho, 1, wo, 1)), ((0, 0),) * 3 + ((0, sh - 1), (0, 0), (0, sw - 1)))
        y = gather.getitem(
            y.reshape((n, outputs, ho * sh, wo * sw)),
            (slice(None), slice(None), slice(0, (ho - 1) * sh + 1), slice(0, (wo - 1) * sw + 1)),
        )
    # enough zeros around y that x can be read off in place
    above, before = dh * (kh - 1) - top, dw * (kw - 1) - left
    below = shape[2] - (y.shape[2] + above - dh * (kh - 1))
    after = shape[3] - (y.shape[3] + before - dw * (kw - 1))
    y = _pad(y, (above, below, before, after))
    channels = w.shape[1]
    flipped = np.flip(w.reshape((groups, outputs // groups, channels, kh, kw)), axis=(3, 4)).swapaxes(1, 2)
    flipped = flipped.reshape((groups * channels, outputs // groups, kh, kw))
    return _plain_conv(y, flipped, Geometry((1, 1), (0, 0, 0, 0), (dh, dw), groups))


# ------------------------------------------------------------------------------------------------ the operations
def _conv(x: Any, w: Any, geometry: Geometry) -> Any:
    if isinstance(x, Batched) and not levels_of(w):  # examples that share the weights are more images
        images = x.array.reshape((-1, *x.shape[1:]))
        y = _conv(images, w, geometry)
        return Batched(y.reshape(x.array.shape[: len(x.levels) + 1] + y.shape[1:]), x.levels)
    if not (_kernels_apply(x, w) and geometry.fast):
        return _plain_conv(x, w, geometry)
    out = geometry.output(x.shape[2:], w.shape[2:])
    if not (x.size and w.size):
        return np.zeros((len(x), len(w), *out), np.result_type(x, w))
    y = convolution.correlate(x.transpose(LAST), w.transpose(2, 3, 1, 0), geometry.stride, geometry.before, out)
    return y.transpose(FIRST)


def _conv_input(y: Any, w: Any, shape: tuple[int, ...], geometry: Geometry) -> Any:
    if isinstance(y, Batched) and not levels_of(w):
        images = y.array.reshape((-1, *y.shape[1:]))
        x = _conv_input(images, w, (len(images), *shape[1:]), geometry)
        return Batched(x.reshape((*y.array.shape[: len(y.levels) + 1], *shape[1:])), y.levels)
    shape = (y.shape[0], *shape[1:])
    if not (_kernels_apply(y, w) and geometry.fast):
        return _plain_input(y, w, shape, geometry)
    if not (y.size and w.size and math.prod(shape)):
        return np.zeros(shape, np.result_type(y, w))
    x, _ = convolution.spread(
        y.transpose(LAST), w.transpose(2, 3, 1, 0), geometry.stride, geometry.before, _last(shape)
    )
    return x.transpose(FIRST)


def _conv_weight(x: Any, y: Any, kernel: tuple[int, int], geometry: Geometry) -> Any:
    if not (_kernels_apply(x, y) and geometry.fast):
        return _plain_weight(x, y, kernel, geometry)
    if not (x.size and y.size):
        return np.zeros((y.shape[1], x.shape[1], *kernel), np.result_type(x, y))
    w = convolution.correlate_weights(x.transpose(LAST), y.transpose(LAST), kernel, geometry.stride, geometry.before)
    return w.transpose(3, 2, 0, 1)


def _conv_rules(asked: Sequence[int], g: Any, y: Any, x: Any, w: Any, geometry: Geometry) -> tuple[Any, Any]:
    """Both cotangents in one sweep over g, where both are asked for."""
    if len(asked) == 2 and _kernels_apply(g, x, w) and geometry.fast and g.size and x.size:
        gx, gw = convolution.spread(
            g.transpose(LAST),
            w.transpose(2, 3, 1, 0),
            geometry.stride,
            geometry.before,
            _last(x.shape),
            x.transpose(LAST),
        )
        assert gw is not None
        return gx.transpose(FIRST), gw.transpose(3, 2, 0, 1)
    return (
        conv_input(g, w, shape=x.shape, geometry=geometry) if 0 in asked else None,
        conv_weight(x, g, kernel=w.shape[2:], geometry=geometry) if 1 in asked else None,
    )


conv = Op(
    "conv",
    lambda x, w, geometry: _conv(x, w, geometry),
    jointly=_conv_rules,
    doc="y[n, o, h, w] = sum of w[o, c, i, j] x[n, c, h sh + i dh - top, w sw + j dw - left], zero outside x.",
)
conv_input: Op = Op(
    "conv_input",
    lambda y, w, shape, geometry: _conv_input(y, w, shape, geometry),
    lambda g, x, y, w, shape, geometry: conv(g, w, geometry=geometry),
    lambda g, x, y, w, shape, geometry: conv_weight(g, y, kernel=w.shape[2:], geometry=geometry),
    doc="The transpose of ``conv`` in its input: x, of ``shape``, from y.",
)
conv_weight: Op = Op(
    "conv_weight",
    lambda x, y, kernel, geometry: _conv_weight(x, y, kernel, geometry),
    lambda g, w, x, y, kernel, geometry: conv_input(y, g, shape=x.shape, geometry=geometry),
    lambda g, w, x, y, kernel, geometry: conv(x, g, geometry=geometry),
    doc="The transpose of ``conv`` in its weights.",
)
TABLE.update(conv=conv, conv_input=conv_input, conv_weight=conv_weight)
