"""fit: what it computes, what it records, when it stops, how it goes on."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import data, nn, optim
from minigrad.nn import functional as F
from minigrad.train import History, Training, fit
from tests import host_only

rng = np.random.default_rng(0)
X = rng.standard_normal((70, 1, 6, 6)).astype(np.float32)
Y = (X.mean(axis=(1, 2, 3)) > 0).astype(np.int64)


def network():
    mg.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 2)
    )


def loader(**options):
    return data.DataLoader((X, Y), 16, shuffle=True, seed=1, augment=data.random_flip(), **options)


def run(model, make=optim.Adam, epochs=4, **options):
    optimizer = make(model.parameters(), lr=0.01)
    options = {"schedule": optim.schedules.cosine(20), "clip_norm": 1.0, **options}
    return fit(model, F.cross_entropy, loader(), optimizer, epochs, **options)


def weights(model):
    return {k: v.copy() for k, v in model.state_dict().items()}


def same(a, b):
    assert a.keys() == b.keys()
    for k in a:
        np.testing.assert_array_equal(a[k], b[k], err_msg=k)


def test_it_is_the_loop_that_one_would_write():
    model = network()
    history = run(model, validation=(X, Y), metrics={"accuracy": F.accuracy})
    mine = network()
    optimizer = optim.Adam(mine.parameters(), lr=0.01)
    schedule, batches, losses = optim.Scheduler(optimizer, optim.schedules.cosine(20)), loader(), []
    for _ in range(4):
        mine.train()
        total = 0.0
        for x, y in batches:
            loss = F.cross_entropy(mine(x), y)
            optimizer.zero_grad()
            loss.backward()
            optim.clip_grad_norm_(mine.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(y)
        losses.append(total / len(X))
    same(weights(model), weights(mine))
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    mine.eval()
    assert history["val_accuracy"][-1] == pytest.approx(F.accuracy(mine(mg.Tensor(X)), mg.Tensor(Y)))
    assert history["val_loss"][-1] == pytest.approx(F.cross_entropy(mine(mg.Tensor(X)), mg.Tensor(Y)).item(), rel=1e-5)
    assert history.stopped == "epochs"
    assert len(history) == 4
    assert model.training


@pytest.mark.parametrize("stop", [1, 4, 5, 7, 13])
def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path, stop):
    """Also in the middle of an epoch (of 5 steps): dropout, augmentation, shuffling, schedule, running statistics."""
    whole = network()
    expected = run(whole, validation=(X, Y), metrics={"accuracy": F.accuracy})
    path = tmp_path / "run.safetensors"

    class Stop(Exception):
        pass

    model, counted = network(), 0

    def loss(z, y):
        nonlocal counted
        counted += model.training
        if counted > stop:
            raise Stop
        return F.cross_entropy(z, y)

    options = {"schedule": optim.schedules.cosine(20), "clip_norm": 1.0, "validation": (X, Y), "checkpoint": path}
    options |= {"checkpoint_every": 1, "metrics": {"accuracy": F.accuracy}, "resume": True}
    with pytest.raises(Stop):
        fit(model, loss, loader(), optim.Adam(model.parameters(), lr=0.01), 4, **options)
    fresh = network()
    mg.manual_seed(99)  # whatever the new process has drawn before
    history = fit(fresh, F.cross_entropy, loader(), optim.Adam(fresh.parameters(), lr=0.01), 4, **options)
    same(weights(fresh), weights(whole))
    for name in ("loss", "val_loss", "accuracy"):
        assert history[name] == expected[name]
    again = network()  # a finished run has nothing left to do, and can be made longer
    fit(again, F.cross_entropy, loader(), optim.Adam(again.parameters(), lr=0.01), 4, **options)
    same(weights(again), weights(whole))
    assert len(fit(again, F.cross_entropy, loader(), optim.Adam(again.parameters(), lr=0.01), 6, **options)) == 6


def test_patience_best_and_callbacks():
    values = iter([3.0, 1.0, 2.0, 2.5, 0.5, 0.4])
    states = []
    model = network()
    metrics = {"score": lambda z, y: 0.0}
    seen = []

    def watch(training):
        seen.append((training.epoch, training.since_best, training.best_value))
        states.append(weights(training.model))

    original = Training.evaluate
    try:
        Training.evaluate = lambda self, data: {"loss": next(values), "score": 0.0}
        history = run(
            model, epochs=10, validation=(X, Y), metrics=metrics, patience=2, restore_best=True, callbacks=[watch]
        )
    finally:
        Training.evaluate = original
    assert history.stopped == "patience"
    assert history["val_loss"] == [3.0, 1.0, 2.0, 2.5]
    assert seen[:3] == [(1, 0, 3.0), (2, 0, 1.0), (3, 1, 1.0)]
    same(weights(model), states[1])
    assert run(network(), callbacks=[lambda t: t.epoch == 2]).stopped == "callback"


def test_larger_is_better_for_accuracies():
    values = iter([0.5, 0.7, 0.6, 0.6])
    original = Training.evaluate
    try:
        Training.evaluate = lambda self, data: {"loss": 0.0, "accuracy": next(values)}
        history = run(
            network(), validation=(X, Y), metrics={"accuracy": F.accuracy}, monitor="val_accuracy", patience=2
        )
    finally:
        Training.evaluate = original
    assert (len(history), history.stopped) == (4, "patience")


def test_second_order_methods_and_autoencoders():
    inputs = X.reshape(70, 36)[:, :5].astype(np.float64)
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3, dtype="float64"), nn.Tanh(), nn.Linear(3, 5, dtype="float64"))
    batches = data.DataLoader(inputs, batch_size=70)
    history = fit(model, lambda z, x: z - x, batches, optim.LevenbergMarquardt(model.parameters()), 10)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    with pytest.raises(TypeError, match="need an Optimizer"):
        fit(model, F.mse_loss, batches, optim.LevenbergMarquardt(model.parameters()), 1, clip_norm=1.0)


def test_errors(tmp_path):
    model = network()
    adam = optim.Adam(model.parameters())
    with pytest.raises(TypeError, match="must be a DataLoader, not a tuple"):
        fit(model, F.cross_entropy, (X, Y), adam, 1)
    with pytest.raises(ValueError, match="make no batch"):
        fit(model, F.cross_entropy, data.DataLoader((X, Y), 100, drop_last=True), adam, 1)
    with pytest.raises(ValueError, match="needs checkpoint="):
        fit(model, F.cross_entropy, loader(), adam, 1, resume=True)
    with pytest.raises(ValueError, match="counts steps"):
        fit(model, F.cross_entropy, loader(), adam, 1, checkpoint=tmp_path / "a", checkpoint_every=0)
    with pytest.raises(ValueError, match="monitor='accuracy' is not recorded; there is loss"):
        fit(model, F.cross_entropy, loader(), adam, 1, monitor="accuracy")
    with pytest.raises(ValueError, match="mode must be"):
        fit(model, F.cross_entropy, loader(), adam, 1, mode="least")
    with pytest.raises(mg.NonFiniteError, match="batch 0 of epoch 0"):
        fit(model, lambda z, y: F.cross_entropy(z, y) * np.nan, loader(), adam, 1)
    with pytest.raises(ValueError, match="label"):
        fit(model, F.cross_entropy, data.DataLoader((X, Y + 1), 16), adam, 1)
    with pytest.raises(KeyError, match="'accuracy' was not recorded; there is loss"):
        History([{"loss": 1.0}])["accuracy"]


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


PROGRAM = textwrap.dedent(
    """
    import sys
    import numpy as np
    import minigrad as mg
    from minigrad import data, nn, optim
    from minigrad.nn import functional as F
    from minigrad.train import fit
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 20)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 2))
    batches = data.DataLoader((x, y), 8, shuffle=True, seed=0)
    optimizer = optim.Adam(model.parameters(), 1e-3)
    print("started", flush=True)
    fit(model, F.cross_entropy, batches, optimizer, 12, schedule=optim.schedules.cosine(384), checkpoint=sys.argv[1],
        checkpoint_every=3, resume=True)
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
