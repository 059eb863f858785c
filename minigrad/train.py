"""Training: the loop that everyone writes, once, with what a long run needs.

    history = fit(model, F.cross_entropy, loader, optimizer, epochs=30, validation=(x_test, y_test),
                  metrics={"accuracy": F.accuracy}, checkpoint="run.safetensors", resume=True)

A run that was stopped, even killed in the middle of an epoch, goes on from its last checkpoint and ends with the same
weights, bit for bit, as one that was not: the checkpoint holds the model, the optimizer, the schedule, the place in the
data and the state of minigrad's random generator.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigrad.arrays.random import generator
from minigrad.core.errors import NonFiniteError
from minigrad.core.modes import no_grad
from minigrad.data import DataLoader
from minigrad.nn.module import Module
from minigrad.optim.first_order.clip import clip_grad_norm_
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.schedules import Schedule, Scheduler
from minigrad.serialization import CheckpointError, load, save
from minigrad.tensor import Tensor

Loss = Callable[..., Tensor]
Metrics = Mapping[str, Callable[[Tensor, Tensor], Any]]


class History:
    """What each epoch brought: ``history["loss"]`` is a list with a number per epoch.

    Attributes:
        epochs: a dict per epoch.
        stopped: why training ended: "epochs", "patience" or "callback".
    """

    def __init__(self, epochs: Sequence[dict[str, float]] = (), stopped: str = "") -> None:
        self.epochs, self.stopped = list(epochs), stopped

    def __getitem__(self, name: str) -> list[float]:
        if self.epochs and name not in self.epochs[-1]:
            raise KeyError(f"{name!r} was not recorded; there is {', '.join(self.epochs[-1])}")
        return [epoch[name] for epoch in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.epochs[-1].items()) if self.epochs else "nothing yet"
        return f"History({len(self)} epochs; {last})"


def fit(
    model: Module,
    loss: Loss,
    data: DataLoader,
    optimizer: Any,
    epochs: int,
    *,
    schedule: Schedule | None = None,
    clip_norm: float | None = None,
    validation: Any = None,
    metrics: Metrics | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    patience: int | None = None,
    restore_best: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    callbacks: Sequence[Callable[[Training], Any]] = (),
    progress: bool = False,
) -> History:
    """Train ``model`` for ``epochs`` passes over ``data``, in place.

    Args:
        loss: of (model(*inputs), target), for batches (*inputs, target); of (model(x), x) where batches hold one array.
        optimizer: an :class:`Optimizer`, or any method of ``optim`` with ``step(closure)``, such as LevenbergMarquardt
            (whose "loss" is the residual).
        schedule: a factor of the learning rate by the step (not the epoch), from ``optim.schedules``.
        clip_norm: the largest joint norm of the gradients.
        validation: a DataLoader, or (x, y): the loss and the metrics there, in evaluation mode, after each epoch, are
            recorded as "val_loss", ...
        metrics: numbers to average over the examples, by name: functions of (output, target).
        monitor: the number that tells epochs apart, "val_loss" by default, or "loss" without validation.
        mode: "min" or "max", whichever is better; by default "min" for losses and errors and "max" for others.
        patience: stop after so many epochs without a better one.
        restore_best: end with the weights of the best epoch.
        checkpoint: a file to write after each epoch, and every ``checkpoint_every`` steps.
        resume: go on from ``checkpoint``, if the file is there.
        callbacks: called with the :class:`Training` after each epoch; return True to stop.
        progress: a bar, by tqdm.

    Raises:
        NonFiniteError: the loss is NaN or infinite.
        CheckpointError: ``checkpoint`` belongs to another model, optimizer or data set, or is damaged.
        ValueError, TypeError: arguments that do not go together.
    """
    if resume and checkpoint is None:
        raise ValueError("fit: resume=True needs checkpoint=, the file to go on from")
    if checkpoint_every is not None and (checkpoint is None or checkpoint_every < 1):
        raise ValueError("fit: checkpoint_every counts steps (at least 1) and needs checkpoint=, the file to write")
    run = Training(model, loss, data, optimizer, schedule, clip_norm, validation, metrics, monitor, mode)
    run.checkpoint, run.every = checkpoint, checkpoint_every
    if resume and checkpoint is not None and Path(checkpoint).exists():
        run.resume(checkpoint)
    with _bar(progress, epochs, run.epoch) as show:
        while run.epoch < epochs and not run.history.stopped:
            run.one_epoch(keep_best=restore_best)
            if patience is not None and run.since_best >= patience:
                run.history.stopped = "patience"
            elif sum(bool(callback(run)) for callback in callbacks):  # each is called
                run.history.stopped = "callback"
            elif run.epoch >= epochs:
                run.history.stopped = "epochs"
            if checkpoint is not None:
                save(run.state_dict(), checkpoint)
            show(run)
    if restore_best and run.best_weights is not None:
        model.load_state_dict(run.best_weights)
    return run.history


class Training:
    """A run of :func:`fit`: what a callback sees, and what a checkpoint holds.

    Attributes:
        model, optimizer, data: as given.
        epoch: epochs done. step: steps done in all. batch: steps done in the present epoch.
        history: see :class:`History`.
        best: the best value of the monitored number so far. since_best: epochs since then.
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        data: DataLoader,
        optimizer: Any,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        validation: Any = None,
        metrics: Metrics | None = None,
        monitor: str | None = None,
        mode: str | None = None,
    ) -> None:
        if not isinstance(data, DataLoader):
            raise TypeError(f"fit: the data must be a DataLoader, not a {type(data).__name__}: DataLoader((x, y), 32)")
        if len(data) == 0:
            raise ValueError(f"fit: {data.n} examples make no batch of {data.batch_size}")
        if not isinstance(optimizer, Optimizer) and (schedule is not None or clip_norm is not None):
            name = type(optimizer).__name__
            raise TypeError(f"fit: schedule= and clip_norm= need an Optimizer, and {name} is another kind of method")
        if validation is not None and not isinstance(validation, DataLoader):
            validation = DataLoader(tuple(validation), batch_size=500)
        monitor = monitor or ("loss" if validation is None else "val_loss")
        if mode not in (None, "min", "max"):
            raise ValueError(f"fit: mode must be 'min' or 'max', not {mode!r}")
        self.model, self.loss, self.data, self.optimizer = model, loss, data, optimizer
        self.clip_norm, self.validation, self.metrics, self.monitor = (
            clip_norm,
            validation,
            dict(metrics or {}),
            monitor,
        )
        recorded = ["loss", *self.metrics]
        recorded += [f"val_{name}" for name in recorded] if validation is not None else []
        if monitor not in recorded:
            raise ValueError(f"fit: monitor={monitor!r} is not recorded; there is {', '.join(recorded)}")
        self.sign = 1 if (mode or ("min" if "loss" in monitor or "err" in monitor else "max")) == "min" else -1
        self.scheduler = None if schedule is None else Scheduler(optimizer, schedule)
        self.checkpoint: str | os.PathLike[str] | None = None
        self.every: int | None = None
        self.epoch = self.step = self.batch = self.since_best = 0
        self.sums: dict[str, float] = {}
        self.history, self.best = History(), math.inf
        self.best_weights: dict[str, Any] | None = None

    # -------------------------------------------------------------------------------------------------- training
    def one_epoch(self, keep_best: bool = False) -> dict[str, float]:
        """The rest of the present epoch: its averages, with those on the validation set."""
        start, place = time.perf_counter(), self.data.epoch
        self.model.train()
        for batch in self.data.batches(self.batch):
            self._add(self.sums, *self._step(batch))
            self.batch, self.step = self.batch + 1, self.step + 1
            if self.every is not None and self.checkpoint is not None and self.step % self.every == 0:
                save(self.state_dict(place), self.checkpoint)
        record = self._averages(self.sums)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}
        if self.validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(self.validation).items()}
        record["seconds"] = time.perf_counter() - start
        self.history.epochs.append(record)
        self.since_best += 1
        if self.sign * record[self.monitor] < self.best:
            self.best, self.since_best = self.sign * record[self.monitor], 0
            self.best_weights = self.model.state_dict() if keep_best else None
        return record

    def _step(self, batch: tuple[Tensor, ...]) -> tuple[int, float, Tensor, Tensor]:
        """One step: (examples, loss, outputs, targets)."""
        *inputs, target = batch if len(batch) > 1 else (batch[0], batch[0])
        if isinstance(self.optimizer, Optimizer):
            output = self.model(*inputs)
            value = self.loss(output, target)
            self._check(value.item())
            self.optimizer.zero_grad()
            value.backward()
            if self.clip_norm is not None:
                clip_grad_norm_(self.optimizer.parameters, self.clip_norm)
            self.optimizer.step()
        else:
            outputs: list[Tensor] = []

            def closure() -> Tensor:
                outputs.append(self.model(*inputs))
                return self.loss(outputs[-1], target)

            value = self.optimizer.step(closure)
            output = outputs[0]
            self._check(value.item())
        if self.scheduler is not None:
            self.scheduler.step()
        return len(target), value.item(), output.detach(), target

    def _check(self, value: float) -> None:
        if not math.isfinite(value):
            raise NonFiniteError(
                f"fit: the loss is {value} at batch {self.batch} of epoch {self.epoch}. Is the learning rate too "
                "large? Are the data finite? minigrad.detect_anomaly() finds the operation; clip_norm= tames cliffs"
            )

    def evaluate(self, data: DataLoader) -> dict[str, float]:
        """Averages of the loss and the metrics over ``data``, in evaluation mode."""
        sums: dict[str, float] = {}
        training = self.model.training
        self.model.eval()
        with no_grad():
            for batch in data:
                *inputs, target = batch if len(batch) > 1 else (batch[0], batch[0])
                output = self.model(*inputs)
                self._add(sums, len(target), _scalar(self.loss(output, target)), output, target)
        self.model.train(training)
        return self._averages(sums)

    def _add(self, sums: dict[str, float], n: int, value: float, output: Tensor, target: Tensor) -> None:
        with no_grad():
            numbers = {name: float(_scalar(metric(output, target))) for name, metric in self.metrics.items()}
        for name, number in {"examples": 1.0, "loss": value, **numbers}.items():
            sums[name] = sums.get(name, 0.0) + n * number

    def _averages(self, sums: dict[str, float]) -> dict[str, float]:
        return {name: sums[name] / sums["examples"] for name in ("loss", *self.metrics)}

    @property
    def best_value(self) -> float:
        """The best value of the monitored number."""
        return self.sign * self.best

    # ---------------------------------------------------------------------------------------------- checkpoints
    def state_dict(self, place: int | None = None) -> dict[str, Any]:
        """Everything the rest of the run depends on.

        Args:
            place: the number of the data's present epoch, in the middle of one.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.scheduler is None else self.scheduler.state_dict(),
            "data": {**self.data.state_dict(), **({} if place is None else {"epoch": place}), "n": self.data.n},
            "random": generator().bit_generator.state,
            "epoch": self.epoch,
            "step": self.step,
            "batch": self.batch,
            "sums": self.sums,
            "history": self.history.epochs,
            "stopped": self.history.stopped,
            "best": self.best,
            "since_best": self.since_best,
            "best_weights": self.best_weights,
        }

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it belongs to something else.
        """
        state = load(path)
        try:
            if state["data"]["n"] != self.data.n:
                raise ValueError(f"it has seen {state['data']['n']} examples an epoch, and the data has {self.data.n}")
            if (state["schedule"] is None) != (self.scheduler is None):
                raise ValueError(f"it was made {'without' if state['schedule'] is None else 'with'} a schedule")
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.data.load_state_dict(state["data"])
            generator().bit_generator.state = state["random"]
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["schedule"])
            self.epoch, self.step, self.batch = state["epoch"], state["step"], state["batch"]
            self.sums, self.best, self.since_best = state["sums"], state["best"], state["since_best"]
            stopped = "" if state["stopped"] == "epochs" else state["stopped"]  # there may be more of them now
            self.history, self.best_weights = History(state["history"], stopped), state["best_weights"]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{os.fspath(path)} does not belong to this run: {error}") from error


def _scalar(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor) else x


@contextmanager
def _bar(progress: bool, epochs: int, done: int) -> Iterator[Callable[[Training], None]]:
    """What shows an epoch's numbers."""
    if not progress:
        yield lambda run: None
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("fit: progress=True needs tqdm: pip install 'minigrad-autodiff[examples]'") from error
    with tqdm(total=epochs, initial=done, unit="epoch") as bar:

        def show(run: Training) -> None:
            bar.set_postfix({k: f"{v:.4g}" for k, v in run.history.epochs[-1].items() if k != "seconds"})
            bar.update()

        yield show
