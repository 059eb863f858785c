"""The examples' claims hold in their quick form, and the runner reports what fails."""

import numpy as np
import pytest

import examples.__main__ as runner
from examples.claims import Claim, Report
from tests import host_only

pytestmark = host_only  # the examples are of NumPy arrays

TIMED = {"surface"}  # a race against the clock: for `python -m examples --check`, not for a test
ELSEWHERE = {"train_digits"}


@pytest.mark.parametrize("name", [name for name in runner.names() if name not in TIMED | ELSEWHERE])
def test_claims(name):
    report, _ = runner.check(name, quick=True)
    assert report.claims
    assert report.figure is not None
    assert set(runner.load(name).ROWS) <= {row for claim in report.claims for row in claim.row.split()}
    assert [str(claim) for claim in report.claims if not claim.ok] == []


def test_the_course_is_covered():
    wanted = {f"N{i}" for i in [1, 2, *range(7, 15), 118, 119, *range(125, 170)]}
    wanted |= {
        "N5",
        "N43",
        "N44",
        "N45",
        *(f"N{i}" for i in range(51, 74)),
        "N101",
        "N107",
        *(f"T{i}" for i in range(10, 21)),
    }
    wanted |= {f"S{i}" for i in range(24, 28)} | {"T1", "T11", *(f"T{i}" for i in range(22, 27))}
    covered = {row for name in runner.names() for row in runner.load(name).ROWS}
    assert wanted <= covered


def test_a_band_can_be_missed():
    report = Report()
    report.near("N1", "right", 1.0, 1.0, tol=0.1)
    report.near("N1", "wrong", 2.0, 1.0, tol=0.1)
    report.at_most("N1", "not a number", float("nan"), 1.0)
    report.at_least("N1", "infinite", float("inf"), 1.0)
    report.holds("N1", "false", False)
    assert [claim.ok for claim in report.claims] == [True, False, False, True, False]
    assert str(report.claims[1]).startswith("FAILED N1")
    assert [claim.band for claim in report.claims[2:]] == ["<= 1", ">= 1", "holds"]


def test_runner(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    assert runner.main([]) == 0
    listing = capsys.readouterr().out
    assert all(name in listing for name in runner.names())
    assert runner.main(["momentum", "--quick", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "momentum.png").read_bytes().startswith(b"\x89PNG")
    assert "0 claims failed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        runner.main(["no-such-example"])
    assert "no example no-such-example" in capsys.readouterr().err

    class Broken:
        @staticmethod
        def report(quick):
            raise RuntimeError("on purpose")

    monkeypatch.setattr(runner, "load", lambda name: Broken)
    assert runner.main(["--check", "momentum"]) == 1
    assert "raised RuntimeError: on purpose" in capsys.readouterr().out
    monkeypatch.setattr(Broken, "report", staticmethod(lambda quick: Report([Claim("N1", "wrong", 2.0, 0.0, 1.0)])))
    assert runner.main(["--check", "momentum"]) == 1


@pytest.mark.parametrize("model", ["cnn", "resnet20"])
def test_images_of_ones_own(tmp_path, capsys, model):
    """From an .npz; interrupted after an epoch, the run goes on."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("safetensors")
    from examples import train_images

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (256, 3, 8, 8)).astype(np.uint8), rng.integers(0, 10, 256)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    arguments = ["--root", str(tmp_path / "own.npz"), "--out", str(tmp_path / "out"), "--model", model]
    train_images.main([*arguments, "--epochs", "1"])
    history = train_images.main([*arguments, "--epochs", "2"])
    assert len(history) == 2
    assert {"curves.png", "model.safetensors", "run.safetensors"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert "accuracy" in capsys.readouterr().out
