"""The older spellings of fit's arguments: the same results, no warning, and no two spellings of one thing."""

import inspect
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.nn import functional as F
from minigrad.train import Checkpoint, ClipNorm, EarlyStopping, fit
from minigrad.train.arguments import Older, translate
from tests.train import X, Y, line, network, run, same, weights

OLDER = st.fixed_dictionaries(
    {},
    optional={
        "clip_norm": st.none() | st.floats(0.1, 10),
        "monitor": st.none() | st.just("val_loss"),
        "mode": st.none() | st.sampled_from(["min", "max"]),
        "patience": st.none() | st.integers(0, 5),
        "restore_best": st.booleans(),
        "checkpoint_every": st.none() | st.integers(1, 5),
        "resume": st.booleans(),
    },
)


@given(OLDER)
def test_each_is_an_option_of_an_object(older):
    steps, stopping, saving = translate(older, (), None, "run")
    assert steps == (() if older.get("clip_norm") is None else (ClipNorm(older["clip_norm"]),))
    names = ("patience", "monitor", "mode", "restore_best")
    assert (stopping or EarlyStopping()) == EarlyStopping(**{name: older[name] for name in names if name in older})
    assert saving == Checkpoint("run", older.get("checkpoint_every"), older.get("resume", False))


def test_the_same_results(tmp_path):
    models, histories = [], []
    common = {"validation": (X, Y), "metrics": {"accuracy": F.accuracy}, "epochs": 6}
    older = {"clip_norm": 0.5, "monitor": "val_accuracy", "mode": "max", "patience": 2, "restore_best": True}
    older |= {"checkpoint": tmp_path / "older", "checkpoint_every": 2, "resume": True}
    newer = {"gradient_steps": [ClipNorm(0.5)], "checkpoint": Checkpoint(tmp_path / "newer", every=2, resume=True)}
    newer |= {"early_stopping": EarlyStopping(patience=2, monitor="val_accuracy", mode="max", restore_best=True)}
    for options in (older, newer):
        models.append(network())
        histories.append(run(models[-1], **common, **options))
    same(weights(models[0]), weights(models[1]))
    strip = lambda history: [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in history.epochs]
    assert strip(histories[0]) == strip(histories[1])
    assert histories[0].stopped == histories[1].stopped


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_norm": 1.0, "gradient_steps": [ClipNorm(1.0)]}, "clip_norm= and gradient_steps= are two spellings"),
        ({"clip_norm": 1.0, "gradient_steps": len}, "clip_norm= and gradient_steps= .*, where it is to come"),
        ({"patience": 0, "early_stopping": EarlyStopping()}, "patience= and early_stopping= are two spellings of one"),
        (
            {"monitor": "loss", "restore_best": True, "early_stopping": EarlyStopping()},
            r"monitor= and restore_best= and early_stopping= .*Give the newer alone: EarlyStopping\(\.\.\.\)",
        ),
        ({"checkpoint": Checkpoint("a"), "resume": True}, "resume= and checkpoint= are two spellings"),
        ({"checkpoint": Checkpoint("a"), "checkpoint_every": 1}, "checkpoint_every= and checkpoint= are two spellings"),
    ],
)  # fmt: skip
def test_not_both_spellings(options, message):
    with pytest.raises(TypeError, match=message):
        line(**options)


def test_an_older_spelling_of_nothing_is_no_second_one(tmp_path):
    """Programs that pass their own options through, most of them None."""
    nothing = dict.fromkeys(["clip_norm", "monitor", "mode", "patience", "checkpoint_every"])
    nothing |= {"restore_best": False, "resume": False}
    line(gradient_steps=[ClipNorm(1.0)], early_stopping=EarlyStopping(patience=1),
         checkpoint=Checkpoint(tmp_path / "a", every=1), **nothing)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("patence", "fit has no argument 'patence'; did you mean patience"),
        ("restore_best_weights", "did you mean .*restore_best"),
        ("gradient_step", "did you mean gradient_steps"),
        ("validation_data", "did you mean .*validation"),
        ("checkpoint_path", "did you mean .*checkpoint"),
        ("callback", "did you mean callbacks"),
        ("verbose", "it has model, loss, data, optimizer, epochs, schedule, .*, clip_norm, .*, resume$"),
        ("older", "fit has no argument 'older'"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(TypeError, match=message):
        line(**{name: 1})


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"resume": True}, ValueError, "resume=True needs checkpoint="),
        ({"checkpoint_every": 3}, ValueError, "counts steps and needs checkpoint="),
        ({"checkpoint": "a", "checkpoint_every": 0}, ValueError, "counts steps .*at least 1, not 0"),
        ({"monitor": "accuracy"}, ValueError, "monitor='accuracy' is not recorded; there is loss"),
        ({"mode": "least"}, ValueError, "mode must be 'min' or 'max', not 'least'"),
        ({"clip_norm": 0.0}, ValueError, "max_norm must be positive"),
        ({"checkpoint": 3, "resume": True}, TypeError, "checkpoint= takes a path or a Checkpoint"),
    ],
)
def test_errors(options, kind, message):
    with pytest.raises(kind, match=message):
        line(**options)


def test_the_signature_names_them_all():
    """So that editors and type checkers know the older spellings, with their types, and no others."""
    older = inspect.signature(fit).parameters["older"]
    assert older.kind is inspect.Parameter.VAR_KEYWORD
    assert list(get_type_hints(Older)) == [
        "clip_norm", "monitor", "mode", "patience", "restore_best", "checkpoint_every", "resume",
    ]  # fmt: skip
    assert Older.__required_keys__ == frozenset()
    assert all(name in (Older.__doc__ or "") for name in get_type_hints(Older))
