"""Early stopping: against its definition, by its mode, and as one object for several runs."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import nn
from minigrad.nn import functional as F
from minigrad.train import EarlyStopping
from minigrad.train.early_stopping import BestEpoch
from tests.train import X, Y, line, network, run, same, scripted, weights

VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, math.inf, -math.inf, math.nan]), min_size=1, max_size=8)
NUMBERS = np.ones((4, 1))


def counter():
    """A module whose only number is how often it was counted up."""
    model = nn.Module()
    model.count = nn.Buffer(np.zeros(()))
    return model


@given(VALUES, st.sampled_from(["min", "max"]), st.integers(0, 4), st.integers(0, 8))
def test_against_the_definition(values, mode, patience, pause):
    """Also when it was saved after ``pause`` epochs, and goes on from there."""
    settings = EarlyStopping(patience=patience, monitor="score", mode=mode, restore_best=True)
    seen, model, history = BestEpoch(settings, ["loss", "score"]), counter(), []
    sign = 1 if mode == "min" else -1
    best = None  # the index of the first of the best values
    for k, value in enumerate(values):
        if k == pause:
            state = {**seen.state_dict(), "history": history}
            seen = BestEpoch(settings, ["loss", "score"])
            seen.load_state_dict(state)
        model.count.assign_(np.asarray(float(k)))
        seen.update({"loss": 0.0, "score": value}, model)
        history.append({"loss": 0.0, "score": value})
        if sign * value < (math.inf if best is None else sign * values[best]):
            best = k
        assert seen.since == (k + 1 if best is None else k - best)
        assert seen.out_of_patience == (seen.since >= patience)
        assert seen.value == (sign * math.inf if best is None else values[best])
    seen.restore(model)
    assert model.state_dict()["count"] == (len(values) - 1 if best is None else best)


@given(VALUES, VALUES)
def test_another_number_than_before_is_sought_in_the_history(losses, scores):
    history = [{"loss": a, "score": b} for a, b in zip(losses, scores, strict=False)]
    before, after, whole = (BestEpoch(EarlyStopping(monitor=m), ["loss", "score"]) for m in ("loss", "score", "score"))
    for record in history:
        before.update(record, counter())
        whole.update(record, counter())
    after.load_state_dict({**before.state_dict(), "history": history})
    assert (after.best, after.since) == (whole.best, whole.since)


def test_patience_and_the_best_weights(monkeypatch):
    scripted(monkeypatch, loss=[3.0, 1.0, 2.0, 2.5, 0.5], score=[0.0] * 5)
    states, seen, model = [], [], network()

    def watch(training):
        seen.append((training.epoch, training.since_best, training.best_value))
        states.append(weights(training.model))

    history = run(model, epochs=10, validation=(X, Y), metrics={"score": lambda z, y: 0.0}, callbacks=watch,
                  early_stopping=EarlyStopping(patience=2, restore_best=True))  # fmt: skip
    assert history.stopped == "patience"
    assert history["val_loss"] == [3.0, 1.0, 2.0, 2.5]
    assert seen == [(1, 0, 3.0), (2, 0, 1.0), (3, 1, 1.0), (4, 2, 1.0)]
    same(weights(model), states[1])


@pytest.mark.parametrize(("restore", "at"), [(True, 1), (False, 3)])
def test_the_best_weights_without_patience(monkeypatch, restore, at):
    scripted(monkeypatch, loss=[3.0, 1.0, 2.0, 2.5])
    states, model = [], network()
    history = run(model, validation=(X, Y), early_stopping=EarlyStopping(restore_best=restore),
                  callbacks=lambda training: states.append(weights(training.model)))  # fmt: skip
    assert (len(history), history.stopped) == (4, "epochs")
    same(weights(model), states[at])


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        (EarlyStopping(patience=2, monitor="val_accuracy"), 4),  # larger is better
        (EarlyStopping(patience=2, monitor="val_accuracy", mode="min"), 3),
        (EarlyStopping(patience=2, monitor="val_error"), 5),  # smaller is better
        (EarlyStopping(patience=2, monitor="val_error", mode="max"), 4),
        (EarlyStopping(patience=2), 6),  # the loss on validation data
        (EarlyStopping(patience=1, mode="max"), 2),
        (EarlyStopping(patience=0), 1),
    ],
)
def test_which_is_better(monkeypatch, settings, epochs):
    scripted(
        monkeypatch, loss=[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], accuracy=[0.5, 0.7, 0.6, 0.6, 0.6, 0.6],
        error=[0.5, 0.6, 0.4, 0.5, 0.5, 0.5],
    )  # fmt: skip
    metrics = {"accuracy": lambda z, y: 0.0, "error": lambda z, y: 0.0}
    history = line(6, validation=(NUMBERS, NUMBERS), metrics=metrics, early_stopping=settings)
    assert len(history) == epochs
    assert history.stopped == ("epochs" if epochs == 6 else "patience")


def test_one_object_serves_many_runs(monkeypatch):
    settings = EarlyStopping(patience=1, restore_best=True)
    with pytest.raises(FrozenInstanceError):
        settings.patience = 2
    for _ in range(2):
        scripted(monkeypatch, loss=[3.0, 1.0, 2.0])
        history = line(3, validation=(NUMBERS, NUMBERS), early_stopping=settings)
        assert history["val_loss"] == [3.0, 1.0, 2.0]
    scripted(monkeypatch, loss=[9.0, 8.0, 7.0])
    assert line(3, validation=(NUMBERS, NUMBERS), early_stopping=settings).stopped == "epochs"


def test_a_best_epoch_that_is_nan_is_none(monkeypatch):
    scripted(monkeypatch, loss=[math.nan, math.nan])
    model = nn.Linear(1, 1, dtype="float64")
    history = line(
        9, model=model, validation=(NUMBERS, NUMBERS), early_stopping=EarlyStopping(patience=2, restore_best=True)
    )
    assert (len(history), history.stopped) == (2, "patience")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: EarlyStopping(patience=-1), ValueError, "patience=-1 would be fewer than no epochs. patience=1 stops"),
        (lambda: EarlyStopping(patience=math.nan), ValueError, "fewer than no epochs"),
        (lambda: EarlyStopping(patience="val_loss"), TypeError, "patience is a number of epochs, not 'val_loss'"),
        (lambda: EarlyStopping("val_loss"), TypeError, "positional argument"),  # as others have it: be explicit
        (lambda: EarlyStopping(mode="auto"), ValueError, "mode must be 'min' or 'max', not 'auto'; without it, losses"),
        (lambda: line(early_stopping=3), TypeError, r"takes an EarlyStopping\(patience=\.\.\.\), not 3"),
        (lambda: line(early_stopping=EarlyStopping), TypeError, "takes an EarlyStopping"),
        (
            lambda: line(early_stopping=EarlyStopping(monitor="accuracy"), metrics={"error": F.mse_loss}),
            ValueError,
            "monitor='accuracy' is not recorded; there is loss, error$",
        ),
        (
            lambda: line(early_stopping=EarlyStopping(monitor="val_loss")),
            ValueError,
            "monitor='val_loss' is not recorded; there is loss; what begins with val_ needs validation=",
        ),
    ],
)
def test_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
