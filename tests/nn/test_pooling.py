"""Pooling and resampling against loops; shapes, derivatives, errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.testing import check_grads

x = np.random.default_rng(0).permutation(2 * 3 * 7 * 6).reshape(2, 3, 7, 6) / 50.0  # no ties


def loop(x, kernel, stride, padding, reduce):
    """reduce(entries of the window that lie inside) at every place."""
    size = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True)]
    y = np.zeros((*x.shape[:2], *size))
    for n, c, h, w in np.ndindex(*y.shape):
        rows = [
            r for r in range(h * stride[0] - padding[0], h * stride[0] - padding[0] + kernel[0]) if 0 <= r < x.shape[2]
        ]
        columns = [
            v for v in range(w * stride[1] - padding[1], w * stride[1] - padding[1] + kernel[1]) if 0 <= v < x.shape[3]
        ]
        y[n, c, h, w] = reduce(x[n, c][np.ix_(rows, columns)])
    return y


pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))


@given(pairs(1, 3), pairs(1, 3), st.data())
def test_windows_against_a_loop(kernel, stride, data):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    size = kernel[0] * kernel[1]
    for ours, reduce in (
        (F.max_pool2d(mg.Tensor(x), kernel, stride, padding), np.max),
        (F.avg_pool2d(mg.Tensor(x), kernel, stride, padding), lambda window: window.sum() / size),
        (F.avg_pool2d(mg.Tensor(x), kernel, stride, padding, count_include_pad=False), np.mean),
    ):
        np.testing.assert_allclose(ours.numpy(), loop(x, kernel, stride, padding, reduce), atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, (7, 6), (3, 4), (9, 8)])
def test_adaptive_average(size):
    rows, columns = (size, size) if isinstance(size, int) else size
    y = F.adaptive_avg_pool2d(mg.Tensor(x), size).numpy()
    assert y.shape == (2, 3, rows, columns)
    for h, w in np.ndindex(rows, columns):
        part = x[:, :, h * 7 // rows : -(-(h + 1) * 7 // rows), w * 6 // columns : -(-(w + 1) * 6 // columns)]
        np.testing.assert_allclose(y[:, :, h, w], part.mean(axis=(2, 3)), atol=1e-12)


def test_interpolation():
    t = mg.Tensor(x)
    np.testing.assert_array_equal(F.interpolate(t, scale_factor=2).numpy(), x.repeat(2, axis=2).repeat(2, axis=3))
    np.testing.assert_array_equal(F.interpolate(t, (7, 3)).numpy(), x[:, :, :, ::2])
    plane = mg.Tensor(2.0 * np.arange(5)[:, None] - 3.0 * np.arange(4) + 1.0)[None]
    stretched = F.interpolate(plane, (9, 7), mode="bilinear", align_corners=True).numpy()[0]
    np.testing.assert_allclose(
        stretched, 2.0 * np.linspace(0, 4, 9)[:, None] - 3.0 * np.linspace(0, 3, 7) + 1, atol=1e-12
    )
    doubled = F.interpolate(plane, scale_factor=2, mode="bilinear").numpy()[0]
    at = np.clip((np.arange(10) + 0.5) / 2 - 0.5, 0, 4)
    np.testing.assert_allclose(doubled[:, 0], 2.0 * at + 1, atol=1e-12)


def test_pixel_shuffle_by_index():
    z = np.arange(2 * 8 * 3 * 2.0).reshape(2, 8, 3, 2)
    y = F.pixel_shuffle(mg.Tensor(z), 2).numpy()
    assert y.shape == (2, 2, 6, 4)
    for n, c, h, w in np.ndindex(*y.shape):
        assert y[n, c, h, w] == z[n, 4 * c + 2 * (h % 2) + w % 2, h // 2, w // 2]


@pytest.mark.parametrize("f", [
    lambda z: F.max_pool2d(z, 2), lambda z: F.max_pool2d(z, 3, 2, 1), lambda z: F.avg_pool2d(z, 3, 2, 1), lambda z: F.adaptive_avg_pool2d(z, (3, 2)),
    lambda z: F.interpolate(z, (9, 4), mode="bilinear"), lambda z: F.interpolate(z, scale_factor=2), lambda z: F.pixel_shuffle(z[:, :1].reshape((1, -1, 1, 1))[:, :4], 2),
])  # fmt: skip
def test_derivatives_and_vmap(f):
    check_grads(lambda z: f(z) ** 2, x[:1], order=2)
    whole = mg.vmap(lambda z: f(z[None])[0])(mg.Tensor(x)).numpy()
    np.testing.assert_allclose(whole[1], f(mg.Tensor(x[1:])).numpy()[0], atol=1e-12)


def test_a_single_image_and_float32():
    one = mg.Tensor(x[0].astype(np.float32))
    for y in (F.max_pool2d(one, 2), F.avg_pool2d(one, 2), F.adaptive_avg_pool2d(one, 1), F.interpolate(one, 3)):
        assert y.ndim == 3
        assert y.dtype == np.float32


def test_padding_never_wins():
    negative = mg.Tensor(-1 - x)
    assert float(F.max_pool2d(negative, 3, 1, 1).max()) <= -1


def test_layers():
    t = mg.Tensor(x)
    assert nn.MaxPool2d(3, 2, 1)(t).shape == (2, 3, 4, 3)
    assert nn.AvgPool2d(2)(t).shape == (2, 3, 3, 3)
    assert nn.AdaptiveAvgPool2d(1)(t).shape == (2, 3, 1, 1)
    assert nn.Upsample(scale_factor=2, mode="bilinear")(t).shape == (2, 3, 14, 12)
    assert nn.PixelShuffle(2)(mg.randn(1, 4, 2, 2)).shape == (1, 1, 4, 4)
    assert "stride=2" in repr(nn.MaxPool2d(2))
    assert all(repr(layer) for layer in (nn.AdaptiveAvgPool2d(1), nn.Upsample(2), nn.PixelShuffle(2)))


@pytest.mark.parametrize(("call", "message"), [
    (lambda t: F.max_pool2d(t, 9), r"a kernel of 9 does not fit into 7 \+ 2 x 0 = 7"), (lambda t: F.max_pool2d(t, 2, padding=2), "padding 2 is more than half of the kernel 2"),
    (lambda t: F.avg_pool2d(t[0, 0], 2), r"needs \(N, C, H, W\) or \(C, H, W\)"), (lambda t: F.avg_pool2d(t, (1, 2, 3)), "kernel_size must be a number or a pair"),
    (lambda t: F.interpolate(t), "either size= or scale_factor="), (lambda t: F.interpolate(t, 2, mode="cubic"), "'nearest' or 'bilinear', not 'cubic'"),
    (lambda t: F.pixel_shuffle(t, 2), "3 channels cannot be split into groups of 2 x 2 = 4"), (lambda t: F.adaptive_avg_pool2d(t, 0), "output_size must be"),
])  # fmt: skip
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(mg.Tensor(x))


@pytest.mark.parametrize("size", [2, 16, 20])
def test_equal_maxima_share_the_gradient(size):
    """Also where they are more than a byte counts."""
    t = mg.zeros(2, 3, size, size, requires_grad=True)
    F.max_pool2d(t, size).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), 1 / size**2, rtol=1e-6)


def test_a_global_average_keeps_its_digits_under_vmap():
    x = np.random.default_rng(0).random((2, 1, 1, 224, 224)).astype(np.float32)
    y = mg.vmap(lambda x: F.avg_pool2d(x, 224))(x)
    np.testing.assert_allclose(y.numpy().reshape(2), x.mean(axis=(1, 2, 3, 4), dtype=np.float64), rtol=4e-7)
