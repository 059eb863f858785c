"""Checkpoints: what goes in comes out, and a damaged file is refused."""

import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim, serialization
from minigrad.models import MLP

pytest.importorskip("safetensors")


def test_round_trip_of_a_nest(tmp_path):
    state = {
        "model": {"weight": np.arange(6.0).reshape(2, 3), "half": np.ones(2, np.float16), "flag": np.array([True])},
        "epoch": 3, "best": 0.5, "name": "net", "none": None, "done": False, "rates": [0.1, (1, 2)],
        "scalar": np.float32(2.5), "tensor": mg.tensor([1.0]), "empty": np.zeros((0, 2)), "parts": {"a/b": np.ones(1)},
    }  # fmt: skip
    mg.save(state, tmp_path / "x.safetensors")
    loaded = mg.load(tmp_path / "x.safetensors")
    assert loaded.keys() == state.keys()
    assert {k: loaded[k] for k in ("epoch", "best", "name", "none", "done", "rates")} == {
        k: state[k] for k in ("epoch", "best", "name", "none", "done", "rates")
    }
    assert loaded["rates"][1] == (1, 2)
    for name, value in state["model"].items():
        np.testing.assert_array_equal(loaded["model"][name], value)
        assert loaded["model"][name].dtype == value.dtype
    assert loaded["scalar"].shape == ()
    assert loaded["empty"].shape == (0, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"], "no temporary file is left"


def test_a_resumed_run_continues_exactly(tmp_path):
    def start():
        mg.manual_seed(0)
        model = MLP((3, 8, 1), "tanh")
        optimizer = optim.AMSGrad(model.parameters(), lr=0.01)
        return model, optimizer, optim.Scheduler(optimizer, optim.schedules.cosine(20))

    def advance(model, optimizer, schedule, steps):
        x = mg.Tensor(np.random.default_rng(1).standard_normal((10, 3)).astype("f"))
        for _ in range(steps):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
            schedule.step()

    through = start()
    advance(*through, 10)
    first = start()
    advance(*first, 4)
    mg.save([part.state_dict() for part in first], tmp_path / "run.safetensors")
    second = start()
    for part, state in zip(second, mg.load(tmp_path / "run.safetensors"), strict=True):
        part.load_state_dict(state)
    advance(*second, 6)
    for a, b in zip(through[0].parameters(), second[0].parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_module_can_be_saved_and_a_foreign_file_is_a_flat_dict(tmp_path):
    from safetensors.numpy import load_file, save_file

    model = MLP((2, 3))
    mg.save(model, tmp_path / "model.safetensors")
    assert set(load_file(tmp_path / "model.safetensors")) == {"0.weight", "0.bias"}
    save_file({"0.weight": np.ones((3, 2), "f"), "0.bias": np.zeros(3, "f")}, tmp_path / "foreign.safetensors")
    model.load_state_dict(mg.load(tmp_path / "foreign.safetensors"))
    assert model[0].weight.tolist() == [[1, 1]] * 3


@pytest.mark.parametrize("cut", [0, 4, 20, -1])
def test_truncated_files_are_refused_by_name(tmp_path, cut):
    path = tmp_path / "model.safetensors"
    mg.save(MLP((2, 3)), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(mg.CheckpointError, match="model.safetensors is not a complete safetensors file"):
        mg.load(path)


def test_what_cannot_be_saved_is_named():
    with pytest.raises(mg.CheckpointError, match="cannot hold a function.*'a/1'"):
        mg.save({"a": [1, lambda: 0]}, "never.safetensors")
    with pytest.raises(mg.CheckpointError, match="string keys"):
        mg.save({1: 2}, "never.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    mg.save({"a": 1}, path)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(serialization.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        mg.save({"a": 2}, path)
    monkeypatch.undo()
    assert mg.load(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_missing_safetensors_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"minigrad-autodiff\[checkpoint\]"):
        mg.load("anything")
