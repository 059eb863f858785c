"""Convolution, and the two operations that are its derivatives: each one's rules call the other two.

conv(x, w) is linear in both arguments, so its cotangents are the transposes of two linear maps: ``conv_input`` (with w
fixed; by itself the transposed convolution of generative networks) and ``conv_weight`` (with x fixed). The three are
closed under differentiation, whatever the order.

Here they stand as kh kw shifted matrix products, in NumPy functions that find their own way to any array; how NumPy
computes them fast is in kernels/unfolding.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.core.table import op

__all__ = ["Geometry", "conv", "conv_input", "conv_weight"]


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


@op(
    lambda g, y, x, w, geometry: conv_input(g, w, shape=x.shape, geometry=geometry),
    lambda g, y, x, w, geometry: conv_weight(x, g, kernel=w.shape[2:], geometry=geometry),
)
def conv(x: Any, w: Any, geometry: Geometry) -> Any:
    """y[n, o, h, w] = sum over c, i, j of w[o, c, i, j] x[n, c, h sh + i dh - top, w sw + j dw - left], zero outside x.

    Args:
        x: images (N, C, H, W).
        w: weights (O, C / groups, kh, kw).
        geometry: strides (sh, sw), padding (top, bottom, left, right), dilations (dh, dw), groups.

    Returns:
        (N, O, HO, WO), with HO = (H + top + bottom - dh (kh - 1) - 1) // sh + 1, and WO likewise.

    Raises:
        ValueError: the kernel does not fit into the padded image; the arithmetic is shown.

    >>> import minigrad as mg
    >>> from minigrad.ops.convolution import Geometry, conv
    >>> difference = mg.tensor([[[[-1.0, 1.0]]]])  # of neighbors in a row
    >>> conv(mg.tensor([[[[1.0, 4.0, 9.0, 16.0]]]]), difference, Geometry((1, 1), (0, 0, 0, 0), (1, 1), 1))
    Tensor([[[[3., 5., 7.]]]])
    """
    kh, kw = w.shape[2:]
    out = geometry.output(x.shape[2:], (kh, kw))
    x = _pad(x, geometry.padding)
    y: Any = 0
    for i in range(kh):
        for j in range(kw):
            y = y + _entry(w, i, j, geometry.groups) @ _shifted(x, i, j, geometry, out)
    return y.reshape((x.shape[0], w.shape[0], *out))


@op(
    lambda g, x, y, w, shape, geometry: conv(g, w, geometry=geometry),
    lambda g, x, y, w, shape, geometry: conv_weight(g, y, kernel=w.shape[2:], geometry=geometry),
)
def conv_input(y: Any, w: Any, shape: tuple[int, ...], geometry: Geometry) -> Any:
    """The transpose of :func:`conv` in its input: x of ``shape`` (N, C, H, W) from y (N, O, HO, WO).

    <conv(x, w), y> = <x, conv_input(y, w)>. It is itself a convolution: of y, spread out by the stride, with the
    flipped kernel.

    >>> import minigrad as mg
    >>> from minigrad.ops.convolution import Geometry, conv_input
    >>> twice = Geometry((1, 2), (0, 0, 0, 0), (1, 1), 1)  # each number is laid down as a pair
    >>> conv_input(mg.tensor([[[[1.0, 2.0]]]]), mg.tensor([[[[1.0, 10.0]]]]), shape=(1, 1, 1, 4), geometry=twice)
    Tensor([[[[ 1., 10.,  2., 20.]]]])
    """
    (sh, sw), (dh, dw), groups = geometry.stride, geometry.dilation, geometry.groups
    (top, _, left, _), (kh, kw) = geometry.padding, w.shape[2:]
    n, outputs, ho, wo = y.shape
    if sh > 1 or sw > 1:
        y = np.pad(y.reshape((n, outputs, ho, 1, wo, 1)), ((0, 0),) * 3 + ((0, sh - 1), (0, 0), (0, sw - 1)))
        y = y.reshape((n, outputs, ho * sh, wo * sw))[:, :, : (ho - 1) * sh + 1, : (wo - 1) * sw + 1]
    # enough zeros around y that x can be read off in place
    above, before = dh * (kh - 1) - top, dw * (kw - 1) - left
    below = shape[2] - (y.shape[2] + above - dh * (kh - 1))
    after = shape[3] - (y.shape[3] + before - dw * (kw - 1))
    y = _pad(y, (above, below, before, after))
    channels = w.shape[1]
    flipped = np.flip(w.reshape((groups, outputs // groups, channels, kh, kw)), axis=(3, 4)).swapaxes(1, 2)
    flipped = flipped.reshape((groups * channels, outputs // groups, kh, kw))
    return conv(y, flipped, Geometry((1, 1), (0, 0, 0, 0), (dh, dw), groups))


@op(
    lambda g, w, x, y, kernel, geometry: conv_input(y, g, shape=x.shape, geometry=geometry),
    lambda g, w, x, y, kernel, geometry: conv(x, g, geometry=geometry),
)
def conv_weight(x: Any, y: Any, kernel: tuple[int, int], geometry: Geometry) -> Any:
    """The transpose of :func:`conv` in its weights: w (O, C / groups, *kernel) from x (N, C, H, W), y (N, O, HO, WO).

    <conv(x, w), y> = <w, conv_weight(x, y)>: each weight's number is the sum of all products that it took part in.

    >>> import minigrad as mg
    >>> from minigrad.ops.convolution import Geometry, conv_weight
    >>> plain = Geometry((1, 1), (0, 0, 0, 0), (1, 1), 1)
    >>> conv_weight(mg.tensor([[[[1.0, 2.0, 3.0]]]]), mg.tensor([[[[1.0, 1.0]]]]), kernel=(1, 2), geometry=plain)
    Tensor([[[[3., 5.]]]])
    """
    out, groups = y.shape[2:], geometry.groups
    x = _pad(x, geometry.padding)
    n, outputs = y.shape[:2]
    y = y.reshape((n, groups, outputs // groups, out[0] * out[1]))
    entries = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            part = (y @ _shifted(x, i, j, geometry, out).swapaxes(-1, -2)).sum(axis=0)
            entries.append(np.expand_dims(part.reshape((outputs, x.shape[1] // groups)), 2))
    return np.concatenate(entries, axis=2).reshape((outputs, x.shape[1] // groups, *kernel))


# ------------------------------------------------------------------------------------------ shifts and padding
def _shifted(x: Array, i: int, j: int, geometry: Geometry, out: tuple[int, int]) -> Array:
    """What kernel entry (i, j) reads of the padded x, as (N, groups, C / groups, positions)."""
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    rows = slice(i * dh, i * dh + sh * (out[0] - 1) + 1, sh)
    columns = slice(j * dw, j * dw + sw * (out[1] - 1) + 1, sw)
    part = x[:, :, rows, columns]
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
        x = x[:, :, rows, columns]
    return x


def _entry(w: Array, i: int, j: int, groups: int) -> Array:
    """(groups, O / groups, C / groups): kernel entry (i, j)."""
    return w[:, :, i, j].reshape((groups, w.shape[0] // groups, w.shape[1]))
