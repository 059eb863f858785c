"""What ``fit`` is given: checked before anything is computed, and its older spellings translated into the objects.

The older spellings work as they always have, without a warning; new code reads better with the objects.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from minigrad.data import DataLoader
from minigrad.nn.module import Module
from minigrad.optim import Optimizer
from minigrad.tensor import Tensor
from minigrad.train.checkpointing import Checkpoint
from minigrad.train.early_stopping import EarlyStopping
from minigrad.train.gradient_steps import ClipNorm, GradientStep

__all__ = [
    "Metrics",
    "Older",
    "check_functions",
    "check_method",
    "functions",
    "held_out",
    "loader",
    "named_metrics",
    "reject_unknown",
    "translate",
]

Metrics = Mapping[str, Callable[[Tensor, Tensor], Any]]


class Older(TypedDict, total=False):
    """Older spellings of ``fit``'s arguments: ``clip_norm=c`` is ``gradient_steps=[ClipNorm(c)]``; ``patience``,
    ``monitor``, ``mode`` and ``restore_best`` are those of ``early_stopping=EarlyStopping(...)``; ``checkpoint_every``
    and ``resume`` are ``every`` and ``resume`` of ``checkpoint=Checkpoint(...)``.
    """

    clip_norm: float | None
    monitor: str | None
    mode: str | None
    patience: int | None
    restore_best: bool
    checkpoint_every: int | None
    resume: bool


def translate(
    older: Older,
    gradient_steps: GradientStep | Iterable[GradientStep],
    early_stopping: EarlyStopping | None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None,
) -> tuple[tuple[GradientStep, ...], EarlyStopping | None, Checkpoint | None]:
    """The three objects that ``fit`` was given, in either spelling.

    Raises:
        ValueError, TypeError: both spellings of one thing, or arguments that do not go together.

    >>> translate({"clip_norm": 1.0, "patience": 3}, (), None, "run.safetensors")[:2]
    ((ClipNorm(max_norm=1.0, norm_type=2.0),), EarlyStopping(patience=3, monitor=None, mode=None, restore_best=False))
    """
    flags = ("restore_best", "resume")
    given: dict[str, Any] = {
        name: value for name, value in older.items() if (value if name in flags else value is not None)
    }
    steps = functions("gradient_steps", gradient_steps)
    if "clip_norm" in given:
        if steps:
            raise _both(["clip_norm"], "gradient_steps", "ClipNorm(...) among the gradient_steps, where it is to come")
        steps = (ClipNorm(given["clip_norm"]),)
    stopping: dict[str, Any] = {
        name: given[name] for name in ("monitor", "mode", "patience", "restore_best") if name in given
    }
    if stopping and early_stopping is not None:
        raise _both(stopping, "early_stopping", "EarlyStopping(...)")
    if stopping:
        early_stopping = EarlyStopping(**stopping)
    saving = {new: given[old] for old, new in (("checkpoint_every", "every"), ("resume", "resume")) if old in given}
    if saving and isinstance(checkpoint, Checkpoint):
        raise _both([name for name in ("checkpoint_every", "resume") if name in given], "checkpoint", "Checkpoint(...)")
    if saving and checkpoint is None:
        if "resume" in given:
            raise ValueError("fit: resume=True needs checkpoint=, the file to go on from")
        raise ValueError("fit: checkpoint_every counts steps and needs checkpoint=, the file to write")
    if saving and isinstance(checkpoint, (str, os.PathLike)):
        return steps, early_stopping, Checkpoint(checkpoint, **saving)
    return steps, early_stopping, Checkpoint.of(checkpoint)


def _both(older: Iterable[str], newer: str, instead: str) -> TypeError:
    names = " and ".join(f"{name}=" for name in older)
    return TypeError(
        f"fit: {names} and {newer}= are two spellings of one thing, the older and the newer. Give the newer alone: "
        f"{instead}"
    )


def reject_unknown(older: Mapping[str, Any], own: Sequence[str]) -> None:
    """Complain of arguments that ``fit`` has under no spelling.

    Raises:
        TypeError: with the names that are near.

    >>> reject_unknown({"patence": 3}, ["model", "data"])
    Traceback (most recent call last):
    TypeError: fit has no argument 'patence'; did you mean patience?
    """
    known = [*(name for name in own if name != "older"), *Older.__annotations__]
    for name in older:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            near += [other for other in known if other not in near and (other in name or name in other)]
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}"
            raise TypeError(f"fit has no argument {name!r}; {hint}")


def functions(argument: str, given: Any) -> tuple[Any, ...]:
    """One function, or several of them, as a tuple.

    Raises:
        TypeError: there is something else, or a class where one of its objects is meant.

    >>> functions("callbacks", len) == functions("callbacks", [len])
    True
    """
    entries = (given,) if callable(given) or not isinstance(given, Iterable) or isinstance(given, str) else tuple(given)
    for entry in entries:
        if isinstance(entry, type):
            raise TypeError(
                f"fit: {argument}= holds the class {entry.__name__}; give one of its objects, {entry.__name__}(...)"
            )
        if not callable(entry):
            raise TypeError(f"fit: {argument}= takes a function or a list of functions, and {entry!r} is none")
    return entries


def named_metrics(metrics: Metrics | None) -> dict[str, Callable[[Tensor, Tensor], Any]]:
    """The metrics, by name.

    Raises:
        TypeError: they are not functions by name.
        ValueError: a name that means something else in a :class:`~minigrad.train.History`.

    >>> named_metrics(None)
    {}
    """
    if metrics is not None and not isinstance(metrics, Mapping):
        raise TypeError(
            f"fit: metrics= are functions of (output, target) by name, {{'accuracy': F.accuracy}}, not a "
            f"{type(metrics).__name__}"
        )
    for name, metric in (metrics or {}).items():
        if not callable(metric):
            raise TypeError(f"fit: the metric {name!r} must be a function of (output, target), not {metric!r}")
        if name in ("loss", "examples", "seconds"):
            raise ValueError(f"fit: the name {name!r} is taken; call the metric otherwise")
    return dict(metrics or {})


def loader(what: str, data: Any) -> DataLoader:
    """``data``, which must be a loader of some batches.

    Raises:
        TypeError: it is no DataLoader.
        ValueError: it has no batches.
    """
    if not isinstance(data, DataLoader):
        raise TypeError(f"fit: {what} must be a DataLoader, not a {type(data).__name__}: DataLoader((x, y), 32)")
    if len(data) == 0:
        raise ValueError(f"fit: {what}: {data.n} examples make no batch of {data.batch_size}")
    return data


def held_out(validation: Any) -> DataLoader | None:
    """The validation data, a loader or arrays, as a loader.

    Raises:
        ValueError: it has no batches.

    >>> held_out(([1.0, 2.0], [3.0, 4.0])).n
    2
    """
    if validation is None:
        return None
    if not isinstance(validation, DataLoader):
        validation = DataLoader(validation if hasattr(validation, "shape") else tuple(validation), 500)
    return loader("validation", validation)


def check_method(model: Module, optimizer: Any) -> None:
    """Raise unless ``optimizer`` is a method, made, and of this model's parameters.

    >>> from minigrad import nn, optim
    >>> check_method(nn.Linear(1, 1), optim.Adam)
    Traceback (most recent call last):
    ...
    TypeError: fit: the optimizer is the class Adam itself; make one: Adam(model.parameters())
    """
    if isinstance(optimizer, type):
        raise TypeError(
            f"fit: the optimizer is the class {optimizer.__name__} itself; make one: "
            f"{optimizer.__name__}(model.parameters())"
        )
    if not callable(getattr(optimizer, "step", None)):
        raise TypeError(f"fit: an optimizer has a step, and this is {optimizer!r}: optim.Adam(model.parameters())")
    mine = {id(x) for x in model.parameters()}
    if isinstance(optimizer, Optimizer) and mine and not mine & {id(x) for x in optimizer.parameters}:
        raise ValueError("fit: the optimizer has no parameter of this model; make it with model.parameters()")


def check_functions(**functions: Any) -> None:
    """Raise TypeError where one is neither None nor a function."""
    for name, function in functions.items():
        if function is not None and not callable(function):
            where = {"loss": "nn.functional", "schedule": "optim.schedules"}.get(name, "your program")
            raise TypeError(f"fit: {name} is a function, such as those of {where}, not {function!r}")
