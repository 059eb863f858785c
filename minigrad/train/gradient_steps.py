"""What is done to the gradients between ``backward()`` and the optimizer's ``step()``: clipping, and the like.

A gradient step is a function of the optimizer's parameters that changes their gradients in place. ``fit`` takes a list
of them and calls one after the other, so their order matters: averaging before clipping clips the average.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from minigrad.core.modes import no_grad
from minigrad.optim import clip_grad_norm_, clip_grad_value_
from minigrad.tensor import Tensor

__all__ = ["ClipNorm", "ClipValue", "GradientStep", "take"]


class GradientStep(Protocol):
    """What ``gradient_steps=`` of :func:`~minigrad.train.fit` is a list of: any function, or object with ``__call__``,
    that is called with all of the optimizer's parameters and changes ``x.grad`` in place.

    ``x.grad`` is None where the loss does not depend on ``x``. A number may be returned (a norm, say), and is ignored.
    One that draws random numbers draws them from ``minigrad.arrays.random.generator()``, whose state is in checkpoints;
    other state of its own is not.

    >>> import minigrad as mg
    >>> def sign(parameters):
    ...     for x in parameters:
    ...         if x.grad is not None:
    ...             x.grad.assign_(mg.sign(x.grad))
    >>> x = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> sign([x])
    >>> x.grad
    Tensor([ 1., -1.])
    """

    def __call__(self, parameters: list[Tensor], /) -> Any: ...


@dataclass(frozen=True)
class ClipNorm:
    """Scale all gradients together so that their joint norm is at most ``max_norm``: the direction stays.

    Args:
        norm_type: 2 for the Euclidean norm, ``math.inf`` for the largest entry, ...

    Raises:
        ValueError: ``max_norm`` is not positive.
        NonFiniteError: when called, where the norm is NaN or infinite.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> ClipNorm(1.0)([x])
    >>> x.grad
    Tensor([0.6, 0.8])
    """

    max_norm: float
    norm_type: float = 2.0

    def __post_init__(self) -> None:
        _positive("ClipNorm: max_norm", self.max_norm)

    def __call__(self, parameters: Iterable[Tensor], /) -> None:
        clip_grad_norm_(parameters, self.max_norm, self.norm_type)


@dataclass(frozen=True)
class ClipValue:
    """Limit every entry of every gradient to [-clip_value, clip_value].

    Raises:
        ValueError: ``clip_value`` is not positive.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, -0.5], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> ClipValue(1.0)([x])
    >>> x.grad
    Tensor([ 1. , -0.5])
    """

    clip_value: float

    def __post_init__(self) -> None:
        _positive("ClipValue: clip_value", self.clip_value)

    def __call__(self, parameters: Iterable[Tensor], /) -> None:
        clip_grad_value_(parameters, self.clip_value)


def take(steps: Sequence[GradientStep], parameters: list[Tensor]) -> None:
    """Call each of ``steps`` with the parameters.

    Raises:
        TypeError: one returned gradients instead of changing them in place.
    """
    for step in steps:
        with no_grad():
            returned = step(parameters)
        if isinstance(returned, Iterable) and getattr(returned, "ndim", None) != 0:  # a norm is no loss
            raise TypeError(
                f"fit: the gradient step {step!r} returned a {type(returned).__name__}, which would be lost. It is to "
                "change the gradients in place: for x in parameters: x.grad.assign_(...)"
            )


def _positive(what: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{what} must be positive, but is {value}; to clip nothing, leave it out")
