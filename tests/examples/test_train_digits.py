"""The main job, end to end."""

import numpy as np
import pytest

import minigrad as mg
from examples import train_digits

for name in ("sklearn", "matplotlib", "tqdm", "safetensors"):
    pytest.importorskip(name)


def test_digits_are_learned_and_everything_is_written(tmp_path, capsys):
    accuracy = train_digits.main(["--epochs", "12", "--out", str(tmp_path)])
    assert accuracy >= 0.97
    assert "test accuracy 9" in capsys.readouterr().out
    for name in ("curves.png", "mistakes.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    state = mg.load(tmp_path / "model.safetensors")
    assert state["args"]["epochs"] == "12"
    assert state["model"]["1.0.weight"].shape == (256, 64)


@pytest.mark.parametrize("optimizer", train_digits.OPTIMIZERS)
def test_every_optimizer_learns(tmp_path, optimizer):
    assert (
        train_digits.main(["--epochs", "8", "--hidden", "64", "--optimizer", optimizer, "--out", str(tmp_path)]) > 0.85
    )


def test_runs_are_repeatable(tmp_path):
    args = ["--epochs", "2", "--hidden", "16", "--out", str(tmp_path)]
    weights = []
    for _ in range(2):
        train_digits.main(args)
        weights.append(mg.load(tmp_path / "model.safetensors")["model"]["1.0.weight"])
    np.testing.assert_array_equal(*weights)


def test_other_data_needs_files(tmp_path):
    with pytest.raises(mg.data.DataError):
        train_digits.main(["--data", "fashion-mnist", "--root", str(tmp_path / "missing"), "--out", str(tmp_path)])
