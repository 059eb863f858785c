"""Residual networks: sizes of the papers, shortcuts, what plain networks lack, training."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.models import resnet


@pytest.mark.parametrize(("make", "count"), [
    (models.resnet20, 269_722), (models.resnet32, 464_154), (models.resnet44, 658_586), (models.resnet56, 853_018), (models.resnet110, 1_727_962),
    (models.resnet18, 11_689_512), (models.resnet34, 21_797_672), (models.resnet50, 25_557_032),
])  # fmt: skip
def test_as_many_parameters_as_the_papers_networks(make, count):
    """The CIFAR networks with option A (He et al., Table 6), the others as torchvision's."""
    assert make().parameter_count() == count


@pytest.mark.parametrize("norm", resnet.NORMS)
@pytest.mark.parametrize("shortcut", resnet.SHORTCUTS)
@pytest.mark.parametrize("pre", [False, True])
def test_every_variant_runs_and_is_differentiable(norm, shortcut, pre):
    mg.manual_seed(0)
    model = models.resnet20(norm=norm, shortcut=shortcut, pre=pre, channels=1)
    y = model(mg.randn(2, 1, 16, 16))
    assert y.shape == (2, 10)
    (y**2).sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert missing == []


def test_imagenet_networks_run():
    for make in (models.resnet18, models.resnet50):
        model = make(classes=7).eval()
        with mg.no_grad():
            assert model(mg.randn(1, 3, 64, 64)).shape == (1, 7)
        keys = set(model.state_dict())
        assert {
            "conv1.weight",
            "bn1.running_mean",
            "layer1.0.conv1.weight",
            "layer2.0.downsample.0.weight",
            "fc.bias",
        } <= keys


@pytest.mark.parametrize("block", [resnet.BasicBlock, resnet.Bottleneck])
def test_a_block_whose_residual_vanishes_is_its_shortcut(block):
    """Row N64."""
    mg.manual_seed(0)
    same = block(8, 8 // block.expansion, 1, resnet.NORMS["batch"], "identity").eval()
    for name, p in same.named_parameters():
        if name in ("bn2.weight", "bn3.weight"):
            p.assign_(np.zeros(p.shape, np.float32))
    x = mg.absolute(mg.randn(2, 8, 4, 4))
    if block is resnet.Bottleneck:
        same.bn3.weight.assign_(np.zeros(8, np.float32))
    np.testing.assert_array_equal(same(x).numpy(), x.numpy())


def test_zero_padding_by_index():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 6))
    y = resnet.ZeroPadding(3, 6, 2)(mg.Tensor(x)).numpy()
    np.testing.assert_array_equal(y[:, 1:4], x[:, :, ::2, ::2])
    np.testing.assert_array_equal(y[:, [0, 4, 5]], 0)
    pooled = resnet.ZeroPadding(3, 3, 2, pool=True)(mg.Tensor(x)).numpy()
    np.testing.assert_allclose(pooled[:, :, 0, 0], x[:, :, :2, :2].mean(axis=(2, 3)))


def test_plain_networks_have_the_same_layers_and_no_shortcuts():
    plain, residual = models.resnet20(plain=True), models.resnet20()
    assert plain.parameter_count() == residual.parameter_count()
    assert not [m for m in plain.modules() if isinstance(m, resnet.ZeroPadding)]
    assert [m for m in residual.modules() if isinstance(m, resnet.ZeroPadding)]


def test_a_small_one_learns():
    """Four classes of noisy patterns, in the corners of the image."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 64)
    x = 0.3 * rng.standard_normal((64, 1, 8, 8)).astype(np.float32)
    for i, label in enumerate(labels):
        x[i, 0, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += np.eye(
            4, dtype=np.float32
        )
    images, targets = mg.Tensor(x), mg.Tensor(labels)
    model = resnet.ResNet(resnet.BasicBlock, (1, 1), (8, 16), classes=4, channels=1)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    first = None
    for _ in range(40):
        loss = optimizer.step(lambda: nn.functional.cross_entropy(model(images), targets))
        first = first or loss.item()
    assert loss.item() < 0.1 * first


def test_other_options_are_refused():
    with pytest.raises(ValueError, match="not 'concat' and 'batch'"):
        models.resnet20(shortcut="concat")
    with pytest.raises(ValueError, match="norm one of batch, layer, group, none"):
        models.resnet20(norm="weight")
