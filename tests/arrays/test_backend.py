"""Backends: choosing, moving, mixing; and everything end to end on the strict device."""

import os
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.arrays import backend
from minigrad.models import MLP
from tests import strict


def test_use_as_a_statement_and_as_a_block():
    with mg.use("strict"):
        assert mg.zeros(2).backend == "strict"
        with mg.use("numpy"):
            assert mg.zeros(2).backend == "numpy"
        assert mg.randn(2).backend == mg.tensor([1.0]).backend == "strict"
    with mg.use("numpy"):
        choice = mg.use("strict")
        assert mg.zeros(2).backend == "strict"
        choice.__exit__()


def test_unknown_backend():
    with pytest.raises(mg.BackendError, match="unknown backend 'torch'; choose one of 'cupy', 'numpy'"):
        mg.use("torch")
    with pytest.raises(mg.BackendError, match="unknown backend"):
        mg.zeros(2).to("gpu")


def test_missing_cupy_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(backend._loaded, "cupy", raising=False)
    with pytest.raises(mg.BackendError, match=r"needs CuPy.*minigrad-autodiff\[cuda12\]"):
        mg.use("cupy")


def test_environment_variable():
    def run(name):
        code = "import minigrad as mg; print(mg.zeros(1).backend)"
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MINIGRAD_BACKEND": name},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("numpy").stdout.strip() == "numpy"
    assert "unknown backend 'fortran'" in run("fortran").stderr


def test_cupy_is_not_imported_until_asked_for():
    code = "import sys, minigrad; assert 'cupy' not in sys.modules; assert 'matplotlib' not in sys.modules; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "MINIGRAD_BACKEND": "numpy"})


def test_moving_there_and_back_is_differentiable():
    x = mg.Tensor(np.array([1.0, 2.0]), requires_grad=True).to("numpy")
    y = (x.to("strict") * 3).to("numpy")
    assert y.backend == "numpy"
    np.testing.assert_array_equal(mg.gradients(y.sum(), x, create_graph=True).numpy(), [3, 3])
    assert x.to("numpy") is x


@pytest.mark.parametrize(("function", "name"), [
    (lambda a, b: a + b, "add"), (lambda a, b: b @ a, "matmul"), (lambda a, b: mg.concatenate([a, b]), "concatenate"),
    (lambda a, b: mg.where(a > 0, a, b), "where"), (lambda a, b: mg.cross_entropy(b[None], a.argmax()[None]), "cross_entropy"),
])  # fmt: skip
def test_mixed_backends_say_which_argument_to_move(function, name):
    a = mg.Tensor(np.ones(2)).to("numpy")
    with pytest.raises(mg.BackendError, match=rf"{name}: argument \d is on .*\.to\('"):
        function(a, a.to("strict"))


def test_the_strict_device_is_strict():
    x = strict.StrictArray(np.ones(2))
    with pytest.raises(strict.HostError):
        np.asarray(x)
    with pytest.raises(strict.HostError):
        x + np.ones(2)
    with pytest.raises(TypeError):
        np.add.at(x, 0, 1)


def test_a_seed_gives_one_network_on_every_backend():
    def weights():
        mg.manual_seed(7)
        return MLP((3, 4, 2), init="orthogonal").state_dict()

    with mg.use("strict"):
        on_device = weights()
    for name, value in weights().items():
        np.testing.assert_array_equal(value, on_device[name])


@pytest.mark.parametrize(
    "method",
    [
        optim.Adam,
        optim.AMSGrad,
        optim.RMSProp,
        optim.SignSGD,
        lambda p, lr: optim.SGD(p, lr, momentum=0.9, weight_decay=0.1),
    ],
)
def test_training_is_the_same_on_the_device(method):
    """Forward, loss, dropout, backward, clipping, optimizer and evaluation, with no host array in sight."""

    def train():
        mg.manual_seed(0)
        rng = np.random.default_rng(0)
        x, t = mg.Tensor(rng.standard_normal((8, 3)).astype("f")), mg.Tensor(rng.integers(0, 2, 8))
        model = nn.Sequential(nn.Linear(3, 5), nn.GELU(), nn.Dropout(0.2), nn.Linear(5, 2))
        optimizer = method(model.parameters(), lr=0.05)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), t, label_smoothing=0.1)
            loss.backward()
            optim.clip_grad_norm_(model.parameters(), 0.5)
            optim.clip_grad_value_(model.parameters(), 0.4)
            optimizer.step()
            losses.append(loss.item())
        state = optimizer.state_dict()
        optimizer.load_state_dict(state)
        return losses, model.eval()(x).numpy(), nn.functional.accuracy(model(x), t), model

    host = train()
    with mg.use("strict"):
        device = train()
    np.testing.assert_allclose(host[0], device[0], rtol=1e-5)
    np.testing.assert_allclose(host[1], device[1], rtol=1e-4, atol=1e-6)
    assert host[2] == device[2]
    moved = device[3].to("numpy")
    assert {p.backend for p in moved.parameters()} == {"numpy"}


def test_transforms_on_the_device():
    with mg.use("strict"):
        W = mg.randn(3, 3)
        f = lambda x: mg.tanh(W @ x).sum()
        x = mg.randn(4, 3)
        H = mg.vmap(mg.hessian(f))(x)
        assert H.backend == "strict"
        g = mg.vmap(lambda x, i: mg.grad(lambda x: x[i] ** 2)(x))(x, mg.Tensor(np.array([0, 1, 2, 0])))
    with mg.use("numpy"):
        host = W.to("numpy")
        for n in range(4):
            expected = mg.hessian(lambda x: mg.tanh(host @ x).sum())(x.numpy()[n])
            np.testing.assert_allclose(H.numpy()[n], expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(g.numpy()[1], [0, 2 * x.numpy()[1, 1], 0], rtol=1e-6)


def test_a_module_comes_back_to_the_host_whatever_the_flag():
    with mg.use("strict"):
        layer = nn.Linear(2, 2)
        assert layer.to("numpy").weight.backend == "numpy"
        assert mg.cross_entropy(mg.randn(2, 3), [0, 1]).backend == "strict", (
            "a list of labels goes where the logits are"
        )


def test_host_indices_are_moved_but_labels_are_not():
    with mg.use("strict"):
        x = mg.randn(4)
        assert x[np.array([0, 2])].shape == x[[0, 2]].shape == (2,)
        assert mg.vmap(lambda row: row[np.array([1, 0])])(mg.randn(3, 2)).shape == (3, 2)
