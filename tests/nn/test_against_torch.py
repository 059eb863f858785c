"""Values and gradients of convolutions, pooling and normalization against PyTorch, where it is installed (extra: bench)."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.nn import functional as F
from tests import host_only

pytestmark = [host_only, pytest.mark.peers]
torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'minigrad-autodiff[bench]')")
TF = torch.nn.functional
CONFIGURATIONS = 300


def conv2d(rng):
    groups = int(rng.choice([1, 1, 2, 3]))
    kernel, dilation = rng.integers(1, 5, 2), rng.choice([1, 1, 2], 2)
    padding = rng.integers(0, 3, 2)
    size = np.maximum(1, dilation * (kernel - 1) + 1 - 2 * padding) + rng.integers(0, 7, 2)
    inputs, outputs = groups * rng.integers(1, 5, 2)
    shapes = [(rng.integers(1, 5), inputs, *size), (outputs, inputs // groups, *kernel), (outputs,)]
    options = {
        "stride": pair(rng.integers(1, 4, 2)),
        "padding": pair(padding),
        "dilation": pair(dilation),
        "groups": groups,
    }
    return shapes, lambda lib, x, w, b: lib.conv2d(x, w, b, **options)


def conv_transpose2d(rng):
    groups = int(rng.choice([1, 1, 2]))
    kernel, stride, dilation = rng.integers(1, 5, 2), rng.integers(1, 4, 2), rng.choice([1, 1, 2], 2)
    reach = dilation * (kernel - 1)
    padding = np.minimum(rng.integers(0, 3, 2), reach // 2)
    extra = np.minimum(rng.integers(0, 3, 2), np.maximum(stride, dilation) - 1)
    inputs, outputs = groups * rng.integers(1, 5), rng.integers(1, 4)
    shapes = [(rng.integers(1, 4), inputs, *rng.integers(1, 6, 2)), (inputs, outputs, *kernel), (outputs * groups,)]
    options = {
        "stride": pair(stride),
        "padding": pair(padding),
        "output_padding": pair(extra),
        "groups": groups,
        "dilation": pair(dilation),
    }
    return shapes, lambda lib, x, w, b: lib.conv_transpose2d(x, w, b, **options)


def pooling(rng):
    kernel = rng.integers(1, 5, 2)
    padding = [int(rng.integers(0, k // 2 + 1)) for k in kernel]
    shape = (rng.integers(1, 4), rng.integers(1, 4), *(kernel + rng.integers(0, 7, 2)))
    windows = (pair(kernel), pair(rng.integers(1, 4, 2)), pair(padding))
    size, kind = pair(rng.integers(1, 7, 2)), int(rng.integers(5))
    functions = [
        lambda lib, x: lib.max_pool2d(x, *windows),
        lambda lib, x: lib.avg_pool2d(x, *windows),
        lambda lib, x: lib.avg_pool2d(x, *windows, count_include_pad=False),
        lambda lib, x: lib.adaptive_avg_pool2d(x, size),
        lambda lib, x: lib.interpolate(x, size, mode="bilinear", align_corners=bool(size[0] % 2)),
    ]
    return [shape], functions[kind]


def batch_norm(rng):
    channels = rng.integers(1, 6)
    shape = (rng.integers(2, 6), channels, *rng.integers(1, 5, int(rng.integers(0, 3))))

    def run(lib, x, w, b):
        if lib is F:
            return F.batch_norm(x, None, None, w, b, training=True)
        return TF.batch_norm(x, None, None, w, b, training=True)

    return [shape, (channels,), (channels,)], run


def pair(values):
    return tuple(int(v) for v in values)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("draw", [conv2d, conv_transpose2d, pooling, batch_norm])
def test_values_and_gradients(draw, dtype, tolerance):
    for seed in range(CONFIGURATIONS):
        rng = np.random.default_rng(seed)
        shapes, function = draw(rng)
        arrays = [rng.standard_normal(tuple(int(n) for n in s)).astype(dtype) for s in shapes]
        ours = [mg.Tensor(a, requires_grad=True) for a in arrays]
        theirs = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
        y, z = function(F, *ours), function(TF, *theirs)
        g = rng.standard_normal(y.shape).astype(dtype)
        y.backward(mg.Tensor(g))
        z.backward(torch.from_numpy(g))
        pairs = [
            (y.numpy(), z.detach().numpy()),
            *((a.grad.numpy(), b.grad.numpy()) for a, b in zip(ours, theirs, strict=True)),
        ]
        for a, b in pairs:
            assert a.shape == b.shape, seed
            assert np.abs(a - b).max(initial=0) <= tolerance * max(1.0, np.abs(b).max(initial=0)), seed


LAYERS = {
    "Conv1d": ((3, 4, 3), {"stride": 2, "padding": 1}, (2, 3, 9)),
    "Conv2d": ((4, 6, 3), {"padding": "same", "groups": 2}, (2, 4, 5, 5)),
    "ConvTranspose1d": ((3, 4, 3), {"stride": 2, "output_padding": 1}, (2, 3, 5)),
    "ConvTranspose2d": ((4, 6, 4), {"stride": 2, "padding": 1, "groups": 2}, (2, 4, 5, 5)),
    "BatchNorm1d": ((3,), {}, (4, 3)),
    "BatchNorm2d": ((3,), {}, (4, 3, 2, 2)),
    "LayerNorm": (((3, 2),), {}, (4, 3, 2)),
    "GroupNorm": ((2, 4), {}, (3, 4, 5)),
    "InstanceNorm2d": ((3,), {"affine": True}, (2, 3, 4, 4)),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_state_dicts_are_interchangeable(name, train):
    arguments, options, shape = LAYERS[name]
    theirs = getattr(torch.nn, name)(*arguments, **options)
    ours = getattr(nn, name)(*arguments, **options)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn_like(p))
    theirs(torch.randn(*shape))  # moves the running statistics
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    theirs.train(train)
    ours.train(train)
    np.testing.assert_allclose(ours(mg.Tensor(x)).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
    for k, v in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[k], v.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_recurrent_cells(name):
    theirs, ours = getattr(torch.nn, name)(3, 4), getattr(nn, name)(3, 4)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    a, b = ours(mg.Tensor(x)), theirs(torch.from_numpy(x))
    a, b = ours(mg.Tensor(x), a), theirs(torch.from_numpy(x), b)
    for u, v in zip(*((a, b) if isinstance(a, tuple) else ((a,), (b,))), strict=True):
        np.testing.assert_allclose(u.numpy(), v.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("kind", ["Linear", "Conv2d", "ConvTranspose2d"])
def test_reparametrizations(name, kind):
    """Keys, values in training (one power iteration a reading) and in evaluation, gradients."""
    arguments = (4, 3) if kind == "Linear" else (4, 3, 2)
    x = np.random.default_rng(0).standard_normal((5, 4) if kind == "Linear" else (2, 4, 5, 5)).astype(np.float32)
    theirs = getattr(torch.nn.utils.parametrizations, name)(getattr(torch.nn, kind)(*arguments))
    ours = getattr(nn, name)(getattr(nn, kind)(*arguments))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    for train in (True, False):
        ours.train(train)
        theirs.train(train)
        a, b = ours(mg.Tensor(x)), theirs(torch.from_numpy(x))
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), atol=1e-5)
    (a**2).sum().backward()
    (b**2).sum().backward()
    gradients = {k: p.grad.numpy() for k, p in theirs.named_parameters()}
    assert gradients.keys() == {k for k, _ in ours.named_parameters()}
    for k, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), gradients[k], atol=2e-4, err_msg=k)


def test_a_safetensors_file_of_torch_loads(tmp_path):
    """The same architecture, written by the other library: the outputs agree."""
    st = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    from bench.resnet import torch_resnet20

    theirs, ours = torch_resnet20(torch), models.resnet20()
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    theirs(torch.from_numpy(x))
    theirs.eval()
    st.save_file(theirs.state_dict(), tmp_path / "resnet.safetensors")
    ours.load_state_dict(mg.load(tmp_path / "resnet.safetensors"))
    ours.eval()
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(mg.Tensor(x)).numpy(), expected, atol=1e-5)
    with pytest.raises(nn.StateDictError, match="missing: layer1.3.conv1.weight"):
        models.resnet32().load_state_dict(mg.load(tmp_path / "resnet.safetensors"))
