"""Convolutions as functions and layers: PyTorch's arguments, shapes, errors; values and rules are checked in the op table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.ops.convolution import Geometry
from minigrad.testing import check_grads
from tests.ops.table.convolution import loop_conv, loop_conv_input


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@given(
    st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.sampled_from([1, 2]), st.booleans()
)
def test_conv2d_against_a_loop(k, stride, padding, dilation, groups, single):
    x, w, b = draw(2, 4, 7, 6), draw(6, 4 // groups, k, 2, seed=1), draw(6, seed=2)
    expected = (
        loop_conv(x, w, Geometry((stride, 1), (padding, padding, 1, 1), (dilation, 1), groups)) + b[:, None, None]
    )
    options = {"stride": (stride, 1), "padding": (padding, 1), "dilation": (dilation, 1), "groups": groups}
    if single:
        y = F.conv2d(mg.Tensor(x[1]), mg.Tensor(w), mg.Tensor(b), **options)
        expected = expected[1]
    else:
        y = F.conv2d(mg.Tensor(x), mg.Tensor(w), mg.Tensor(b), **options)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1), st.integers(0, 1), st.sampled_from([1, 2]))
def test_conv_transpose2d_against_a_loop(k, stride, padding, extra, groups):
    if extra >= stride or (2 - 1) * stride - 2 * padding + k - 1 + extra + 1 < 1:
        return
    x, w = draw(2, 4, 3, 2), draw(4, 3, k, k, seed=1)
    size = [(n - 1) * stride - 2 * padding + k - 1 + extra + 1 for n in (3, 2)]
    geometry = Geometry((stride, stride), (padding,) * 4, (1, 1), groups)
    expected = loop_conv_input_cut(x, w, (2, 3 * groups, *size), geometry)
    y = F.conv_transpose2d(
        mg.Tensor(x), mg.Tensor(w), stride=stride, padding=padding, output_padding=extra, groups=groups
    )
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)


def loop_conv_input_cut(y, w, shape, geometry):
    assert geometry.output(shape[2:], w.shape[2:]) == y.shape[2:]
    return loop_conv_input(y, w, shape, geometry)


def test_the_transpose_is_the_transpose():
    x, w = mg.Tensor(draw(2, 3, 6, 5)), mg.Tensor(draw(4, 3, 3, 2, seed=1))
    y = F.conv2d(x, w, stride=2, padding=1)
    v = mg.Tensor(draw(*y.shape, seed=2))
    back = F.conv_transpose2d(v, w, stride=2, padding=1, output_padding=(1, 1))
    assert back.shape == x.shape
    assert float((y * v).sum()) == pytest.approx(float((x * back).sum()))


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_same_keeps_the_size(k, dilation):
    x, w = mg.Tensor(draw(1, 2, 9, 11)), mg.Tensor(draw(3, 2, k, k, seed=1))
    y = F.conv2d(x, w, padding="same", dilation=dilation)
    assert y.shape == (1, 3, 9, 11)
    total = dilation * (k - 1)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), *((total // 2, total - total // 2),) * 2))
    np.testing.assert_allclose(
        y.numpy(), F.conv2d(mg.Tensor(padded), w, dilation=dilation, padding="valid").numpy(), atol=1e-12
    )


def test_signals_are_images_of_one_row():
    x, w, b = draw(2, 4, 9), draw(6, 2, 3, seed=1), draw(6, seed=2)
    y = F.conv1d(mg.Tensor(x), mg.Tensor(w), mg.Tensor(b), stride=2, padding=1, groups=2)
    expected = loop_conv(x[:, :, None], w[:, :, None], Geometry((1, 2), (0, 0, 1, 1), (1, 1), 2))[:, :, 0] + b[:, None]
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)
    back = F.conv_transpose1d(y, mg.Tensor(w), stride=2, padding=1, groups=2)
    assert back.shape == (2, 4, 9)
    assert F.conv1d(mg.Tensor(x[0]), mg.Tensor(w), groups=2).shape == (6, 7)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 5)])
def test_derivatives_of_the_layers(size):
    def f(x, w, b):
        y = F.conv2d(x, w, b, padding=1)
        return F.conv_transpose2d(mg.tanh(y), w, stride=2)

    check_grads(f, draw(2, 2, *size), draw(3, 2, 3, 3, seed=1), draw(3, seed=2), order=2, atol=1e-6)


def test_per_example_gradients_are_those_of_each_example():
    x, w = mg.Tensor(draw(3, 2, 5, 5)), mg.Tensor(draw(4, 2, 3, 3, seed=1))
    loss = lambda w, x: (mg.tanh(F.conv2d(x, w, padding=1)) ** 2).sum()
    together = mg.vmap(mg.grad(loss), in_axes=(None, 0))(w, x)
    for i in range(3):
        np.testing.assert_allclose(together.numpy()[i], mg.grad(loss)(w, x[i]).numpy(), atol=1e-12)


def test_layers():
    mg.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    assert layer.weight.shape == (6, 2, 3, 3)
    assert abs(layer.weight.numpy()).max() <= 1 / np.sqrt(18)
    assert layer(mg.randn(2, 4, 8, 8)).shape == (2, 6, 4, 4)
    assert "stride=2, padding=1, groups=2" in repr(layer)
    assert nn.Conv2d(1, 1, (1, 3), bias=False).bias is None
    up = nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1)
    assert up.weight.shape == (6, 4, 4, 4)
    assert up(mg.randn(2, 6, 4, 4)).shape == (2, 4, 8, 8)
    assert nn.Conv1d(2, 3, 5, padding="same")(mg.randn(1, 2, 7)).shape == (1, 3, 7)
    assert nn.ConvTranspose1d(3, 2, 2, stride=2)(mg.randn(1, 3, 7)).shape == (1, 2, 14)
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_a_convolution_is_trained():
    """It finds an edge detector from pictures of its responses."""
    mg.manual_seed(0)
    sobel = mg.tensor([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]])
    x = mg.randn(16, 1, 8, 8)
    layer = nn.Conv2d(1, 1, 3, padding=1)
    optimizer = optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.step(lambda: ((layer(x) - F.conv2d(x, sobel, padding=1)) ** 2).mean())
    np.testing.assert_allclose(layer.weight.numpy(), sobel.numpy(), atol=1e-2)


@pytest.mark.parametrize(("call", "message"), [
    (lambda x, w: F.conv2d(x[0, 0], w), r"needs an input \(N, C, H, W\) or \(C, H, W\)"),
    (lambda x, w: F.conv2d(x, w, groups=3), "groups=3 must divide the 4 input and the 6 output channels"),
    (lambda x, w: F.conv2d(x, w, groups=2), "each kernel must have 4 / 2 = 2; the weight's have 4"),
    (lambda x, w: F.conv2d(x, w, dilation=4), r"dilation 4 x \(3 - 1\) \+ 1 = 9 rows, but the padded input has only 5 \+ 0 \+ 0 = 5"),
    (lambda x, w: F.conv2d(x, w, stride=2, padding="same"), "needs stride 1, not"),
    (lambda x, w: F.conv2d(x, w, padding="full"), "'same' or 'valid', not 'full'"),
    (lambda x, w: F.conv2d(x, w, stride=0), "stride must be a number or a pair of at least 1, not 0"),
    (lambda x, w: F.conv2d(x, w, padding=(1, 2, 3)), "padding must be a number or a pair"),
    (lambda x, w: F.conv_transpose2d(x, w), "so the weight must be"),
    (lambda x, w: F.conv_transpose2d(x, w[:4], output_padding=1), "output_padding 1 must be less than the stride 1"),
    (lambda x, w: F.conv_transpose2d(x[:, :, :1, :1], w[:4], padding=2), r"\(1 - 1\) 1 - 2 x 2 \+ 1 \(3 - 1\) \+ 0 \+ 1 = -1 entries"),
    (lambda x, w: nn.Conv2d(4, 6, 3, groups=4), "groups=4 must divide in_channels=4 and out_channels=6"),
    (lambda x, w: nn.Conv2d(0, 6, 3), "at least one channel"),
])  # fmt: skip
def test_errors_show_the_arithmetic(call, message):
    with pytest.raises(ValueError, match=message):
        call(mg.Tensor(draw(2, 4, 5, 5)), mg.Tensor(draw(6, 4, 3, 3)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [2, 6])
def test_mixed_precision(stride, channels):
    """float32 images with float64 weights: computed and returned in float64, each gradient in its own dtype."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, channels, 9, 8)).astype(np.float32), rng.standard_normal((4, channels, 3, 3))
    a, b = mg.Tensor(x, requires_grad=True), mg.Tensor(w, requires_grad=True)
    y = F.conv2d(a, b, stride=stride, padding=1)
    expected = F.conv2d(mg.Tensor(x.astype(float)), b, stride=stride, padding=1)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)
    y.sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)
    c = mg.Tensor(x.astype(float), requires_grad=True)
    F.conv2d(c, mg.Tensor(w), stride=stride, padding=1).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), c.grad.numpy(), atol=1e-4)
