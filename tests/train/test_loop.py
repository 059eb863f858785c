"""fit: what it computes, what it records, whom it calls, what it refuses."""

import builtins

import numpy as np
import pytest

import minigrad as mg
from minigrad import data, nn, optim
from minigrad.nn import functional as F
from minigrad.train import ClipNorm, EarlyStopping, History, Training, fit
from tests.train import X, Y, line, loader, network, run, same, scripted, weights


def test_it_is_the_loop_that_one_would_write():
    model = network()
    history = run(model, validation=(X, Y), metrics={"accuracy": F.accuracy}, gradient_steps=[ClipNorm(1.0)])
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
    assert all(0 < seconds < 60 for seconds in history["seconds"])
    assert history.stopped == "epochs"
    assert len(history) == 4
    assert model.training


def test_second_order_methods_and_autoencoders():
    inputs = X.reshape(70, 36)[:, :5].astype(np.float64)
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3, dtype="float64"), nn.Tanh(), nn.Linear(3, 5, dtype="float64"))
    batches = data.DataLoader(inputs, batch_size=70)
    residual = lambda z, x: z - 2 * x
    first = 0.5 * (residual(model(mg.Tensor(inputs)), mg.Tensor(inputs)).numpy() ** 2).sum()
    history = fit(model, residual, batches, optim.LevenbergMarquardt(model.parameters()), 10, validation=inputs)
    assert history["loss"][0] == pytest.approx(first)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    # the loss before an epoch's only step is that on the same data after the epoch before
    np.testing.assert_allclose(history["val_loss"][:-1], history["loss"][1:], rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [{"gradient_steps": [ClipNorm(1.0)]}, {"clip_norm": 1.0}, {"schedule": lambda k: 1.0}],
    ids=lambda options: next(iter(options)),
)
def test_methods_that_differentiate_themselves_leave_no_room(options):
    model = nn.Linear(1, 1, dtype="float64")
    with pytest.raises(TypeError, match="need an Optimizer, and LevenbergMarquardt is another kind of method"):
        line(model=model, optimizer=optim.LevenbergMarquardt(model.parameters()), loss=lambda z, y: z - y, **options)


# -------------------------------------------------------------------------------------------------------- callbacks
def test_each_callback_is_called_after_each_epoch():
    seen = []

    def first(training):
        seen.append(("first", training.epoch, training.step, training.batch, len(training.history)))
        return training.epoch == 2

    def second(training):
        seen.append(("second", training.epoch, training.step, training.batch, len(training.history)))

    history = line(epochs=5, callbacks=[first, second])
    assert history.stopped == "callback"
    assert seen == [(name, k, 2 * k, 0, k) for k in (1, 2) for name in ("first", "second")]


def test_one_callback_needs_no_list_and_a_generator_lasts():
    seen = []
    line(epochs=3, callbacks=lambda training: seen.append(training.epoch))
    line(epochs=3, callbacks=(f for f in [lambda training: seen.append(training.epoch)]))
    assert seen == [1, 2, 3, 1, 2, 3]


def test_callbacks_see_the_last_epoch_too(monkeypatch):
    scripted(monkeypatch, loss=[1.0, 2.0, 3.0])
    seen = []
    stopping = EarlyStopping(patience=1)
    history = line(9, validation=(X[:4, 0, 0, :1], X[:4, 0, 0, :1]), early_stopping=stopping,
                   callbacks=lambda training: seen.append(training.epoch) or True)  # fmt: skip
    assert history.stopped == "callback"
    scripted(monkeypatch, loss=[1.0, 2.0, 3.0])
    history = line(9, validation=(X[:4, 0, 0, :1], X[:4, 0, 0, :1]), early_stopping=stopping,
                   callbacks=lambda training: seen.append(training.epoch))  # fmt: skip
    assert history.stopped == "patience"
    assert seen == [1, 1, 2]


def test_what_a_callback_sees():
    model, stopping = nn.Linear(1, 1, dtype="float64"), EarlyStopping(monitor="loss")
    optimizer = optim.SGD(model.parameters(), 0.1)

    def look(training):
        assert isinstance(training, Training)
        assert training.model is model
        assert training.optimizer is optimizer
        assert isinstance(training.data, data.DataLoader)
        assert training.early_stopping is stopping
        assert training.checkpoint is None
        assert training.history["loss"][-1] == training.best == training.best_value
        assert training.since_best == 0
        assert training.evaluate(training.data)["loss"] < training.best
        assert training.history.stopped == ""

    assert line(3, model=model, optimizer=optimizer, early_stopping=stopping, callbacks=look).stopped == "epochs"


# ---------------------------------------------------------------------------------------------------------- numbers
def test_metrics_may_be_tensors_of_one_number():
    numbers = {
        "tensor": lambda z, y: abs(z - y).mean(),
        "array": lambda z, y: np.float32(2),
        "plain": lambda z, y: 3,
    }
    model = nn.Linear(1, 1, dtype="float64")
    history = line(2, model=model, metrics=numbers, validation=(np.ones((3, 1)), np.ones((3, 1))))
    expected = abs(float((model(mg.tensor([[1.0]], dtype="float64")) - 1).item()))
    assert history["val_tensor"][-1] == pytest.approx(expected)
    assert (history["array"], history["plain"]) == ([2.0, 2.0], [3.0, 3.0])
    assert all(type(value) is float for epoch in history.epochs for value in epoch.values())


def test_nothing_is_recorded_for_metrics():
    def metric(z, y):
        assert not mg.is_grad_enabled()
        assert not z.requires_grad
        return 0.0

    line(metrics={"metric": metric}, validation=(np.ones((3, 1)), np.ones((3, 1))))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"metrics": {"error": lambda z, y: z - y}}, TypeError, r"the metric 'error' must be one number.*\(16, 1\)"),
        ({"loss": lambda z, y: z - y}, TypeError, r"the loss must be one number, not a Tensor of shape \(16, 1\)"),
        ({"metrics": {"error": "mse"}}, TypeError, "the metric 'error' must be a function of .output, target., not 'm"),
        ({"metrics": [F.accuracy]}, TypeError, "functions of .output, target. by name.*not a list"),
        ({"metrics": {"loss": F.mse_loss}}, ValueError, "the name 'loss' is taken"),
        ({"metrics": {"seconds": F.mse_loss}}, ValueError, "the name 'seconds' is taken"),
        ({"metrics": {"examples": F.mse_loss}}, ValueError, "the name 'examples' is taken"),
        ({"callbacks": [None]}, TypeError, "callbacks= takes a function or a list of functions, and None is none"),
        ({"callbacks": "print"}, TypeError, "callbacks= takes a function or a list of functions, and 'print' is none"),
        ({"callbacks": [History]}, TypeError, r"callbacks= holds the class History; give one .*History\(\.\.\.\)"),
        ({"validation": data.DataLoader(np.ones((0, 1)))}, ValueError, "validation: 0 examples make no batch"),
        ({"validation": (np.ones((0, 1)), np.ones((0, 1)))}, ValueError, "validation: 0 examples make no batch"),
    ],
)
def test_errors_about_options(options, kind, message):
    with pytest.raises(kind, match=message):
        line(**options)


def test_errors():
    model = network()
    adam = optim.Adam(model.parameters())
    with pytest.raises(TypeError, match="must be a DataLoader, not a tuple"):
        fit(model, F.cross_entropy, (X, Y), adam, 1)
    with pytest.raises(ValueError, match="make no batch"):
        fit(model, F.cross_entropy, data.DataLoader((X, Y), 100, drop_last=True), adam, 1)
    with pytest.raises(mg.NonFiniteError, match="batch 0 of epoch 0"):
        fit(model, lambda z, y: F.cross_entropy(z, y) * np.nan, loader(), adam, 1)
    with pytest.raises(ValueError, match="label"):
        fit(model, F.cross_entropy, data.DataLoader((X, Y + 1), 16), adam, 1)


def test_history():
    history = History([{"loss": 1.0, "seconds": 2.0}])
    assert repr(history) == "History(1 epochs; loss 1, seconds 2)"
    with pytest.raises(KeyError, match="'accuracy' was not recorded; there is loss, seconds"):
        history["accuracy"]
    assert (repr(History()), len(History()), History()["loss"]) == ("History(0 epochs; nothing yet)", 0, [])


# ------------------------------------------------------------------------------------------------------------ modes
def test_evaluation_gives_each_part_its_mode_back_also_after_an_error():
    model = network()
    training = Training(model, F.cross_entropy, loader(), optim.SGD(model.parameters(), 0.1))
    model[1].eval()
    modes = [part.training for part in model.modules()]
    training.evaluate(loader())
    assert [part.training for part in model.modules()] == modes

    def interrupt(z, y):
        assert not any(part.training for part in model.modules())
        raise KeyboardInterrupt

    training.loss = interrupt
    with pytest.raises(KeyboardInterrupt):
        training.evaluate(loader())
    assert [part.training for part in model.modules()] == modes


# --------------------------------------------------------------------------------------------------------- progress
def test_the_bar_shows_the_epochs(capsys):
    pytest.importorskip("tqdm")
    line(3, progress=True)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "loss=" in shown
    assert "seconds" not in shown


def test_a_bar_needs_tqdm(monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name == "tqdm":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"progress=True needs tqdm: pip install 'minigrad-autodiff\[examples\]'"):
        line(progress=True)
