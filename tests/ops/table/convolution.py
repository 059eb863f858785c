"""Convolution and pooling, against loops over every product."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.ops.convolution import Geometry
from tests.ops.table.case import Wrong, case, distinct, ones, smooth


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


PLAIN = Geometry((1, 1), (0, 0, 0, 0), (1, 1), 1)
case(
    "conv",
    loop_conv,
    convolutions("conv"),
    errors=(
        (
            lambda f: f(ones(1, 1, 2, 2), ones(1, 1, 3, 3), PLAIN),
            ValueError,
            r"of \(1, 1, 2, 2\) and \(1, 1, 3, 3\): .*reaches over dilation 1 x \(3 - 1\) \+ 1 = 3 rows.*2 \+ 0 \+ 0 = 2",
        ),
        (
            lambda f: f(ones(1, 1, 4, 2), ones(1, 1, 3, 3), PLAIN),
            ValueError,
            r"of \(1, 1, 4, 2\) and \(1, 1, 3, 3\): .*= 3 columns",
        ),
        (lambda f: f(ones(1, 1, 4, 4), ones(1, 1, 3, 3), PLAIN, 1), TypeError, r"takes \(x, w, geometry\), not 4 arg"),
        (
            lambda f: f(ones(1, 1, 4, 4), ones(1, 1, 3, 3), stride=1),
            TypeError,
            r"takes \(x, w, geometry\), not stride$",
        ),
    ),
)
case(
    "conv_input",
    loop_conv_input,
    convolutions("conv_input"),
    errors=(
        (
            lambda f: f(ones(1, 1, 4, 4), ones(1, 1, 3, 3), output_padding=1),
            TypeError,
            r"takes \(y, w, shape, geometry\), not output_padding$",
        ),
    ),
)
case(
    "conv_weight",
    loop_conv_weight,
    convolutions("conv_weight"),
    errors=(
        (
            lambda f: f(ones(1, 1, 4, 4), ones(1, 1, 2, 2), shape=(1, 1, 3, 3)),
            TypeError,
            r"takes \(x, y, kernel, geometry\), not shape$",
        ),
    ),
)


# -------------------------------------------------------------------------------------------------------------- pooling
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


INTEGER_KERNEL: Wrong = (
    lambda f: f(ones(1, 1, 2, 2), kernel=2, stride=2),
    TypeError,
    r"of \(1, 1, 2, 2\): 'int' object is not iterable",
)
case(
    "window_max",
    lambda x, kernel, stride: loop_windows(x, kernel, stride, np.max),
    pooled("window_max"),
    errors=(
        INTEGER_KERNEL,
        (lambda f: f(ones(1, 1, 2, 2), padding=1), TypeError, r"takes \(x, kernel, stride\), not padding$"),
    ),
)
case(
    "window_sum",
    lambda x, kernel, stride, scale: scale * loop_windows(x, kernel, stride, np.sum),
    pooled("window_sum"),
    errors=(
        INTEGER_KERNEL,
        (lambda f: f(ones(1, 1, 2, 2), padding=1), TypeError, r"takes \(x, kernel, stride, scale\), not padding$"),
    ),
)
case(
    "window_spread",
    loop_window_spread,
    pooled("window_spread"),
    errors=(
        (
            lambda f: f(ones(1, 2, 2, 2), shape=(1, 1, 2, 2), kernel=(1, 1), stride=(1, 1)),
            ValueError,
            r"of \(1, 2, 2, 2\): could not broadcast input array from shape \(1,2,2,2\)",
        ),
        (
            lambda f: f(ones(1, 1, 2, 2), size=(4, 4)),
            TypeError,
            r"takes \(y, shape, kernel, stride, scale\), not size$",
        ),
    ),
)
