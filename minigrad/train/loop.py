"""The loop: ``fit``, which is called, and ``Training``, the run that it makes and that callbacks see."""

from __future__ import annotations

import inspect
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from minigrad.arrays.random import generator
from minigrad.core.errors import NonFiniteError
from minigrad.core.modes import no_grad
from minigrad.data import DataLoader
from minigrad.nn.module import Module, evaluating
from minigrad.optim import LeastSquares, Optimizer, Scheduler, TrainingMethod
from minigrad.optim.schedules import Schedule
from minigrad.serialization import CheckpointError, load
from minigrad.tensor import Tensor
from minigrad.train.arguments import (
    Metrics,
    Older,
    check_functions,
    check_method,
    functions,
    held_out,
    loader,
    named_metrics,
    reject_unknown,
    translate,
)
from minigrad.train.checkpointing import Checkpoint
from minigrad.train.early_stopping import BestEpoch, EarlyStopping
from minigrad.train.gradient_steps import GradientStep, take
from minigrad.train.history import History
from minigrad.train.progress import bar

__all__ = ["Callback", "Loss", "Training", "fit"]

Loss = Callable[..., Tensor]
Callback = Callable[["Training"], Any]


def fit(
    model: Module,
    loss: Loss,
    data: DataLoader,
    optimizer: TrainingMethod,
    epochs: int,
    *,
    schedule: Schedule | None = None,
    validation: Any = None,
    metrics: Metrics | None = None,
    gradient_steps: GradientStep | Sequence[GradientStep] = (),
    early_stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: bool = False,
    **older: Unpack[Older],
) -> History:
    """Train ``model`` for ``epochs`` passes over ``data``, in place.

    Args:
        loss: of (model(*inputs), target), for batches (*inputs, target); of (model(x), x) where batches hold one array.
        optimizer: an :class:`Optimizer`, or any method of ``optim`` with ``step(closure)``, such as LevenbergMarquardt
            (whose "loss" is the residual).
        schedule: a factor of the learning rate by the step (not the epoch), from ``optim.schedules``.
        validation: a DataLoader, or (x, y), or x alone: the loss and the metrics there, in evaluation mode, after each
            epoch, are recorded as "val_loss", ...
        metrics: numbers to average over the examples, by name: functions of (output, target).
        gradient_steps: what is done to the gradients before each step: :class:`ClipNorm`, or any :class:`GradientStep`.
        early_stopping: when to stop, and whether to go back to the best epoch: see :class:`EarlyStopping`.
        checkpoint: a file to write after each epoch; :class:`Checkpoint` has more, and goes on from the file.
        callbacks: called with the :class:`Training` after each epoch; return True to stop.
        progress: a bar, by tqdm.
        older: the spellings that :class:`~minigrad.train.arguments.Older` lists; they work, without a warning.

    Raises:
        NonFiniteError: the loss is NaN or infinite.
        CheckpointError: the checkpoint belongs to another model, optimizer or data set, or is damaged.
        OSError: the checkpoint's folder is not there.
        ValueError, TypeError: arguments that do not go together.

    >>> import numpy as np
    >>> from minigrad import nn, optim
    >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
    >>> model, batches = nn.Linear(1, 1, dtype="float64"), DataLoader((x, 2 * x), 16)
    >>> history = fit(model, nn.functional.mse_loss, batches, optim.SGD(model.parameters(), 0.5), epochs=20)
    >>> history["loss"][-1] < 1e-3, history.stopped
    (True, 'epochs')
    """
    reject_unknown(older, list(inspect.signature(fit).parameters))
    called = functions("callbacks", callbacks)
    steps, stopping, saving = translate(older, gradient_steps, early_stopping, checkpoint)
    run = Training(
        model, loss, data, optimizer, schedule=schedule, validation=validation, metrics=metrics, gradient_steps=steps,
        early_stopping=stopping, checkpoint=saving,
    )  # fmt: skip
    if saving is not None and saving.found():
        run.resume(saving.path)
    return run.run(epochs, called, progress)


class Training:
    """A run of :func:`fit`: what a callback sees, and what a checkpoint holds.

    Attributes:
        model, optimizer, data, early_stopping, checkpoint: as given.
        epoch: epochs done. step: steps done in all. batch: steps done in the present epoch.
        history: see :class:`History`.
        best_epoch: see :class:`~minigrad.train.early_stopping.BestEpoch`.

    >>> import numpy as np
    >>> from minigrad import nn, optim
    >>> x = np.linspace(-1, 1, 64).reshape(64, 1)
    >>> model = nn.Linear(1, 1, dtype="float64")
    >>> run = Training(model, nn.functional.mse_loss, DataLoader((x, 2 * x), 16), optim.SGD(model.parameters(), 0.5))
    >>> run.run(epochs=3, callbacks=lambda run: print(run.epoch, run.step)).stopped
    1 4
    2 8
    3 12
    'epochs'
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        data: DataLoader,
        optimizer: TrainingMethod,
        *,
        schedule: Schedule | None = None,
        validation: Any = None,
        metrics: Metrics | None = None,
        gradient_steps: GradientStep | Sequence[GradientStep] = (),
        early_stopping: EarlyStopping | None = None,
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    ) -> None:
        check_method(model, optimizer)
        check_functions(loss=loss, schedule=schedule)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.data, self.validation = loader("the data", data), held_out(validation)
        self.metrics = named_metrics(metrics)
        self.gradient_steps = functions("gradient_steps", gradient_steps)
        if not isinstance(optimizer, Optimizer) and (schedule is not None or self.gradient_steps):
            raise TypeError(
                "fit: schedule= and gradient_steps= (or clip_norm=) need an Optimizer, and "
                f"{type(optimizer).__name__} is another kind of method: it differentiates inside its step, where "
                "nothing can come in between"
            )
        self.early_stopping = EarlyStopping() if early_stopping is None else early_stopping
        if not isinstance(self.early_stopping, EarlyStopping):
            raise TypeError(f"fit: early_stopping= takes an EarlyStopping(patience=...), not {early_stopping!r}")
        self.checkpoint = Checkpoint.of(checkpoint)
        if self.checkpoint is not None:
            self.checkpoint.check()
        recorded = ["loss", *self.metrics]
        recorded += [f"val_{name}" for name in recorded] if self.validation is not None else []
        self.best_epoch = BestEpoch(self.early_stopping, recorded)
        self.scheduler: Scheduler | None = None
        if schedule is not None and isinstance(optimizer, Optimizer):
            self.scheduler = Scheduler(optimizer, schedule)
        self.epoch = self.step = self.batch = 0
        self.sums: dict[str, float] = {}
        self.history = History()

    @property
    def best(self) -> float:
        """The best value of the monitored number so far, with its sign turned where larger is better."""
        return self.best_epoch.best

    @property
    def best_value(self) -> float:
        """The best value of the monitored number."""
        return self.best_epoch.value

    @property
    def since_best(self) -> int:
        """Epochs since the best one."""
        return self.best_epoch.since

    # -------------------------------------------------------------------------------------------------- training
    def run(self, epochs: int, callbacks: Callback | Sequence[Callback] = (), progress: bool = False) -> History:
        """Train until there were ``epochs`` epochs in all, or there is another reason to stop.

        Args:
            callbacks, progress: see :func:`fit`.
        """
        called = functions("callbacks", callbacks)
        with bar(progress, epochs, self.epoch) as show:
            while self.epoch < epochs and not self.history.stopped:
                record = self.one_epoch()
                stop = sum(bool(callback(self)) for callback in called)  # each is called
                if self.best_epoch.out_of_patience:
                    self.history.stopped = "patience"
                elif stop:
                    self.history.stopped = "callback"
                elif self.epoch >= epochs:
                    self.history.stopped = "epochs"
                if self.checkpoint is not None:
                    self.checkpoint.write(self.state_dict())
                show(record)
        self.history.stopped = self.history.stopped or "epochs"  # a finished run, resumed, has none left
        self.best_epoch.restore(self.model)
        return self.history

    def one_epoch(self) -> dict[str, float]:
        """The rest of the present epoch: its averages, with those on the validation set."""
        start, place = time.perf_counter(), self.data.epoch
        self.model.train()
        for batch in self.data.batches(self.batch):
            self._add(self.sums, *self._step(batch))
            self.batch, self.step = self.batch + 1, self.step + 1
            if self.checkpoint is not None and self.checkpoint.due(self.step):
                self.checkpoint.write(self.state_dict(place))
        record = self._averages(self.sums)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}
        if self.validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(self.validation).items()}
        record["seconds"] = time.perf_counter() - start
        self.history.epochs.append(record)
        self.best_epoch.update(record, self.model)
        return record

    def _step(self, batch: tuple[Tensor, ...]) -> tuple[int, float, Tensor, Tensor]:
        """One step: (examples, loss, outputs, targets)."""
        *inputs, target = batch if len(batch) > 1 else (batch[0], batch[0])
        if isinstance(self.optimizer, Optimizer):
            output = self.model(*inputs)
            value = self.loss(output, target)
            number = self._finite(value)
            self.optimizer.zero_grad()
            value.backward()
            take(self.gradient_steps, self.optimizer.parameters)
            self.optimizer.step()
        else:
            outputs: list[Tensor] = []

            def closure() -> Tensor:
                outputs.append(self.model(*inputs))
                return self.loss(outputs[-1], target)

            number = self._finite(self.optimizer.step(closure))
            output = outputs[0]
        if self.scheduler is not None:
            self.scheduler.step()
        return len(target), number, output.detach(), target

    def _finite(self, value: Tensor | None) -> float:
        number = _number("the loss", value)
        if not math.isfinite(number):
            raise NonFiniteError(
                f"fit: the loss is {number} at batch {self.batch} of epoch {self.epoch}. Is the learning rate too "
                "large? Are the data finite? minigrad.detect_anomaly() finds the operation; "
                "gradient_steps=[ClipNorm(1.0)] tames cliffs"
            )
        return number

    def evaluate(self, data: DataLoader) -> dict[str, float]:
        """Averages of the loss and the metrics over ``data``, in evaluation mode."""
        sums: dict[str, float] = {}
        with no_grad(), evaluating(self.model):
            for batch in data:
                *inputs, target = batch if len(batch) > 1 else (batch[0], batch[0])
                output = self.model(*inputs)
                value = self.loss(output, target)
                if getattr(self.optimizer, "kind", None) is LeastSquares:  # then it is the residual
                    value = 0.5 * (value * value).sum()
                self._add(sums, len(target), _number("the loss", value), output, target)
        return self._averages(sums)

    def _add(self, sums: dict[str, float], n: int, value: float, output: Tensor, target: Tensor) -> None:
        with no_grad():
            numbers = {
                name: _number(f"the metric {name!r}", metric(output, target)) for name, metric in self.metrics.items()
            }
        for name, number in {"examples": 1.0, "loss": value, **numbers}.items():
            sums[name] = sums.get(name, 0.0) + n * number

    def _averages(self, sums: dict[str, float]) -> dict[str, float]:
        return {name: sums[name] / sums["examples"] for name in ("loss", *self.metrics)}

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
            **self.best_epoch.state_dict(),
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
            if state["sums"] and set(state["sums"]) != {"examples", "loss", *self.metrics}:
                raise ValueError(
                    f"in the middle of its epoch, it has {', '.join(state['sums'])}: give the same metrics"
                )
            before = self.model.state_dict()
            self.model.load_state_dict(state["model"])
            try:
                self.optimizer.load_state_dict(state["optimizer"])
            except (ValueError, KeyError, TypeError):
                self.model.load_state_dict(before)  # a run that is refused leaves the model as it was
                raise
            self.data.load_state_dict(state["data"])
            generator().bit_generator.state = state["random"]
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["schedule"])
            self.epoch, self.step, self.batch = state["epoch"], state["step"], state["batch"]
            self.sums = state["sums"]
            self.best_epoch.load_state_dict(state)
            stopped = state["stopped"]
            if stopped == "epochs" or (stopped == "patience" and not self.best_epoch.out_of_patience):
                stopped = ""  # there may be more of them now
            self.history = History(state["history"], stopped)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{os.fspath(path)} does not belong to this run: {error}") from error


def _number(what: str, x: Any) -> float:
    try:
        return float(x.item() if isinstance(x, Tensor) else x)
    except (TypeError, ValueError) as error:
        shape = f" of shape {tuple(x.shape)}" if hasattr(x, "shape") else ""
        raise TypeError(f"fit: {what} must be one number, not a {type(x).__name__}{shape}; take its mean?") from error
