"""Checkpoints: a run that was stopped, interrupted or killed goes on as if it had not been; and what does not belong."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import data, nn, optim, serialization
from minigrad.nn import functional as F
from minigrad.train import Checkpoint, ClipNorm, EarlyStopping, Training, fit
from tests import host_only
from tests.train import X, Y, line, loader, network, run, same, scripted, weights

pytest.importorskip("safetensors")
NUMBERS = np.ones((4, 1))


class Stop(Exception):
    """What ends a run in these tests."""


@pytest.mark.parametrize("exception", [Stop, KeyboardInterrupt])
@pytest.mark.parametrize("stop", [1, 4, 5, 7, 13])
def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path, stop, exception):
    """Also in the middle of an epoch (of 5 steps): dropout, augmentation, shuffling, schedule, running statistics."""
    options = {"schedule": optim.schedules.cosine(20), "gradient_steps": [ClipNorm(1.0)], "validation": (X, Y)}
    options |= {"metrics": {"accuracy": F.accuracy}}
    whole = network()
    expected = run(whole, **options)
    model, counted = network(), 0

    def loss(z, y):
        nonlocal counted
        counted += model.training
        if counted > stop:
            raise exception
        return F.cross_entropy(z, y)

    options |= {"checkpoint": Checkpoint(tmp_path / "run.safetensors", every=1, resume=True)}
    with pytest.raises(exception):
        fit(model, loss, loader(), optim.Adam(model.parameters(), lr=0.01), 4, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]
    fresh = network()
    mg.manual_seed(99)  # whatever the new process has drawn before
    history = fit(fresh, F.cross_entropy, loader(), optim.Adam(fresh.parameters(), lr=0.01), 4, **options)
    same(weights(fresh), weights(whole))
    for name in ("loss", "val_loss", "accuracy"):
        assert history[name] == expected[name]
    again = network()  # a finished run has nothing left to do, and can be made longer
    done = fit(again, F.cross_entropy, loader(), optim.Adam(again.parameters(), lr=0.01), 4, **options)
    same(weights(again), weights(whole))
    assert (len(done), done.stopped) == (4, "epochs")
    assert len(fit(again, F.cross_entropy, loader(), optim.Adam(again.parameters(), lr=0.01), 6, **options)) == 6


def test_resuming_twice_with_the_same_objects(tmp_path):
    """Even the model, the optimizer and the data may be those that went on already."""
    whole = network()
    run(whole, epochs=3)
    model = network()
    checkpoint, batches = Checkpoint(tmp_path / "run", resume=True), loader()
    with pytest.raises(FrozenInstanceError):
        checkpoint.resume = False
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for epochs in (1, 2, 2, 3, 3):
        history = fit(model, F.cross_entropy, batches, optimizer, epochs, schedule=optim.schedules.cosine(20),
                      checkpoint=checkpoint)  # fmt: skip
        assert len(history) == epochs
        optimizer = optim.Adam(model.parameters(), lr=0.01)  # a schedule starts from the optimizer's first rate
    same(weights(model), weights(whole))


def test_a_path_is_a_checkpoint(tmp_path):
    for path in (str(tmp_path / "a"), tmp_path / "b", Checkpoint(str(tmp_path / "c")), Checkpoint(tmp_path / "d")):
        line(2, checkpoint=path)
        mg.manual_seed(5)
        assert len(line(1, checkpoint=path)) == 1, "without resume=True it starts anew"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "d"]


def test_how_often_it_is_written(tmp_path, monkeypatch):
    """After each epoch, and after every so many steps of all: 2 steps an epoch."""
    steps = []
    write = Checkpoint.write
    monkeypatch.setattr(Checkpoint, "write", lambda self, state: (steps.append(state["step"]), write(self, state)))
    line(3, checkpoint=Checkpoint(tmp_path / "a"))
    assert steps == [2, 4, 6]
    steps.clear()
    line(3, checkpoint=Checkpoint(tmp_path / "a", every=3))
    assert steps == [2, 3, 4, 6, 6]


def test_the_format_stays(tmp_path):
    """What files of earlier versions hold, and files for them."""
    line(2, checkpoint=tmp_path / "run", early_stopping=EarlyStopping(restore_best=True))
    state = mg.load(tmp_path / "run")
    assert list(state) == [
        "model", "optimizer", "schedule", "data", "random", "epoch", "step", "batch", "sums", "history", "stopped",
        "best", "since_best", "best_weights",
    ]  # fmt: skip
    assert (state["epoch"], state["step"], state["batch"], state["sums"]) == (2, 4, 0, {})
    assert state["best"] == min(epoch["loss"] for epoch in state["history"])
    assert (state["since_best"], state["stopped"], state["schedule"]) == (0, "epochs", None)
    assert set(state["best_weights"]) == {"weight", "bias"}
    assert state["data"].keys() == {"seed", "epoch", "n"}


def test_the_best_epoch_is_part_of_it(tmp_path, monkeypatch):
    """Patience counts on, and the best weights, of an epoch before the interruption, come back."""
    states, checkpoint = [], Checkpoint(tmp_path / "run", resume=True)
    settings = EarlyStopping(patience=2, restore_best=True)

    def go_on(epochs, values, early_stopping):
        scripted(monkeypatch, loss=values)
        model = nn.Linear(1, 1, dtype="float64")
        history = line(epochs, model=model, validation=(NUMBERS, NUMBERS), checkpoint=checkpoint,
                       early_stopping=early_stopping,
                       callbacks=lambda training: states.append(weights(training.model)))  # fmt: skip
        return history.stopped, len(history), weights(model)

    assert go_on(3, [3.0, 1.0, 2.0], settings)[:2] == ("epochs", 3)
    stopped, epochs, final = go_on(9, [2.5, 0.1], settings)
    assert (stopped, epochs) == ("patience", 4)
    same(final, states[1])
    assert go_on(9, [], settings)[:2] == ("patience", 4)
    stopped, epochs, final = go_on(6, [1.5, 0.5], EarlyStopping(patience=4, restore_best=True))
    assert (stopped, epochs) == ("epochs", 6), "it has more patience now"
    same(final, states[-1])


def test_a_callback_s_word_is_final(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run", resume=True)
    for _ in range(2):
        history = line(9, checkpoint=checkpoint, callbacks=lambda training: True)
        assert (len(history), history.stopped) == (1, "callback")


# ------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        (
            "none/run",
            FileNotFoundError,
            r"there is no folder '.*none' for the checkpoint '.*run'. Make it first: os.makedirs\('.*none'\)",
        ),
        ("file/run", NotADirectoryError, "would be in '.*file', which is a file"),
        ("folder", IsADirectoryError, "the checkpoint is one file, and '.*folder' is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_noticed_before_training(tmp_path, path, kind, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    def never(z, y):
        raise AssertionError("training has begun")

    for checkpoint in (tmp_path / path, Checkpoint(tmp_path / path, resume=True)):
        with pytest.raises(kind, match=message):
            line(loss=never, checkpoint=checkpoint)
    Checkpoint(Path("run")).check()  # in the present folder


def test_so_is_a_missing_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="checkpoints need safetensors: pip install"):
        Checkpoint(tmp_path / "run").check()
    assert serialization.CheckpointError is mg.CheckpointError


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Checkpoint("a", every=0), ValueError, "every counts steps from one writing to the next, at least 1"),
        (lambda: Checkpoint("a", every="epoch"), TypeError, "every is a number of steps, not 'epoch'"),
        (lambda: Checkpoint(3), TypeError, "the path must be a string or a Path, not 3"),
        (lambda: line(checkpoint=True), TypeError, r"takes a path or a Checkpoint\(path, \.\.\.\), not True"),
        (lambda: line(checkpoint=Checkpoint), TypeError, "not the class Checkpoint"),
    ],
)
def test_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_checkpoints_of_something_else(tmp_path):
    path = tmp_path / "run.safetensors"
    run(network(), epochs=1, checkpoint=path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    with pytest.raises(mg.CheckpointError, match=r"does not belong to this run.*unexpected: 0.weight"):
        run(other, epochs=2, checkpoint=path, resume=True)
    with pytest.raises(mg.CheckpointError, match="another method than SGD"):
        run(network(), optim.SGD, epochs=2, checkpoint=path, resume=True)
    with pytest.raises(mg.CheckpointError, match="with a schedule"):
        run(network(), epochs=2, checkpoint=path, resume=True, schedule=None)
    model = network()
    with pytest.raises(mg.CheckpointError, match="70 examples an epoch, and the data has 60"):
        fit(
            model, F.cross_entropy, data.DataLoader((X[:60], Y[:60]), 16), optim.Adam(model.parameters()), 2,
            schedule=optim.schedules.cosine(20), checkpoint=path, resume=True,
        )  # fmt: skip
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(mg.CheckpointError, match="cut short"):
        run(network(), epochs=2, checkpoint=path, resume=True)


def test_other_metrics_in_the_middle_of_an_epoch(tmp_path):
    """At its end they may be others; within it, their averages would be of a part of the examples."""
    path = tmp_path / "run"
    model = nn.Linear(1, 1, dtype="float64")
    x = np.linspace(-1, 1, 32).reshape(32, 1)
    make = lambda **options: Training(
        model, F.mse_loss, data.DataLoader((x, x), 16), optim.SGD(model.parameters(), 0.1), checkpoint=path, **options
    )
    training = make()
    training.batch, training.sums = 1, {"examples": 16.0, "loss": 1.0}
    mg.save(training.state_dict(0), path)
    with pytest.raises(
        mg.CheckpointError, match="in the middle of its epoch, it has examples, loss: give the same metrics"
    ):
        make(metrics={"error": F.mse_loss}).resume(path)
    make().resume(path)
    line(1, checkpoint=path)
    assert len(line(2, checkpoint=Checkpoint(path, resume=True), metrics={"error": F.mse_loss})) == 2


PROGRAM = textwrap.dedent(
    """
    import sys
    import numpy as np
    import minigrad as mg
    from minigrad import data, nn, optim
    from minigrad.nn import functional as F
    from minigrad.train import Checkpoint, fit
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 20)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 2))
    batches = data.DataLoader((x, y), 8, shuffle=True, seed=0)
    optimizer = optim.Adam(model.parameters(), 1e-3)
    print("started", flush=True)
    fit(model, F.cross_entropy, batches, optimizer, 12, schedule=optim.schedules.cosine(384),
        checkpoint=Checkpoint(sys.argv[1], every=3, resume=True))
    mg.save(model, sys.argv[2])
    """
)


@host_only
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_twenty_times(tmp_path):
    """kill -9 at random moments; each time the run goes on, and it ends with the uninterrupted run's weights."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    start = lambda name: subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / f"{name}.run"), str(tmp_path / name)],
        stdout=subprocess.PIPE,
        env=environment,
    )
    with start("whole") as process:
        process.communicate()
    assert process.returncode == 0
    moments, kills = np.random.default_rng(1), 0
    while kills < 20:
        with start("killed") as process:
            process.stdout.readline()  # the imports are behind it
            time.sleep(moments.uniform(0, 0.12))
            kills += process.poll() is None
            process.kill()
        if (tmp_path / "killed.run").exists():
            mg.load(tmp_path / "killed.run")  # complete, whenever it was
        if (tmp_path / "killed").exists():  # it was faster than the kills: once more from the beginning
            (tmp_path / "killed").unlink()
            (tmp_path / "killed.run").unlink()
    with start("killed") as process:
        process.communicate()
    assert process.returncode == 0
    same(mg.load(tmp_path / "whole"), mg.load(tmp_path / "killed"))
