"""A first-order method as a pure function of (theta, g, state).

SGD, momentum and the Adam family never ask whether g is the gradient of a loss: given the field of a game they play it,
given an estimate they minimize without derivatives. Each is written once, in ``sgd.py`` and ``adam.py``, as an update
in place. :class:`Optimizer` applies it to the parameters of a model, block by block; :class:`UpdateRule` to any
vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array

__all__ = ["UpdateRule", "UpdateState", "step_in_place"]


@dataclass
class UpdateState:
    """What an update remembers: how many steps were made, and vectors as long as theta, zero at first.

    >>> import minigrad as mg
    >>> mg.optim.SGD.rule(lr=0.1, momentum=0.9).init(np.ones(2))
    UpdateState(step=0, vectors={'momentum': array([0., 0.])})
    """

    step: int = 0
    vectors: dict[str, Array] = field(default_factory=dict)


class UpdateRule:
    """``theta, state = rule.update(theta, g, state)``: nothing is changed in place, nothing else is remembered.

    >>> import minigrad as mg
    >>> rule, theta = mg.optim.SGD.rule(lr=0.5), np.ones(2)
    >>> new, state = rule.update(theta, np.array([1.0, 2.0]), rule.init(theta))
    >>> new, theta
    (array([0.5, 0. ]), array([1., 1.]))

    Args:
        optimizer: its class (see :meth:`Optimizer.rule`).
        settings: its settings, all of them.
    """

    def __init__(self, optimizer: Any, settings: dict[str, Any]) -> None:
        self.optimizer, self.settings = optimizer, settings

    def init(self, theta: Array) -> UpdateState:
        """The state before the first step."""
        _check_vector("theta", theta)
        return UpdateState(0, {name: np.zeros_like(theta) for name in self.optimizer.vectors(self.settings)})

    def update(self, theta: Array, g: Array, state: UpdateState, lr: float | None = None) -> tuple[Array, UpdateState]:
        """One step.

        Args:
            theta: an array of floating-point numbers; the update is not differentiable, so tensors are refused.
            g: the gradient, or what stands in its place.
            lr: in place of the rule's own, as a schedule wants it.

        Raises:
            TypeError: no array of floating-point numbers.
            ValueError: another shape than theta's.
        """
        _check_vector("theta", theta)
        _check_vector("g", g)
        if g.shape != theta.shape:
            raise ValueError(f"update: g has shape {tuple(g.shape)}, and theta {tuple(theta.shape)}; they must agree")
        wanted = list(self.optimizer.vectors(self.settings))
        if not isinstance(state, UpdateState) or list(state.vectors) != wanted:
            raise TypeError(f"update: the state is none of {self}; begin with state = rule.init(theta)")
        if any(vector.shape != theta.shape for vector in state.vectors.values()):
            raise ValueError(f"update: the state belongs to another theta than this one of shape {tuple(theta.shape)}")
        self.optimizer.check({**self.settings, **({} if lr is None else {"lr": lr})})
        theta = theta.copy()
        state = UpdateState(state.step, {name: vector.copy() for name, vector in state.vectors.items()})
        self.update_in_place(theta, g, state, lr)
        return theta, state

    def update_in_place(self, theta: Array, g: Array, state: UpdateState, lr: float | None = None) -> None:
        """The same for one who owns ``theta`` and ``state``: they are overwritten."""
        state.step += 1
        settings = {**self.settings, "step": state.step, **({} if lr is None else {"lr": lr})}
        step_in_place(self.optimizer, theta, g, state.vectors, settings, (np.empty_like(theta), np.empty_like(theta)))

    def __repr__(self) -> str:
        return f"{self.optimizer.__name__}({', '.join(f'{k}={v}' for k, v in self.settings.items())})"


def _check_vector(name: str, x: Any) -> None:
    if hasattr(x, "requires_grad"):
        raise TypeError(f"update: {name} is a tensor; an update is a function of arrays: give it .numpy()")
    if not hasattr(x, "dtype") or x.dtype.kind != "f":
        kind = f"an array of {x.dtype}" if hasattr(x, "dtype") else f"a {type(x).__name__}"
        raise TypeError(
            f"update: {name} is {kind}, not an array of floating-point numbers; mg.ravel_tree makes one vector of "
            "a tree"
        )


def step_in_place(
    optimizer: Any,
    theta: Array,
    g: Array,
    vectors: Mapping[str, Array],
    settings: Mapping[str, Any],
    scratch: tuple[Array, Array],
) -> None:
    """One step of an optimizer's class: the weight decay that goes through the gradient, then its update."""
    if settings.get("weight_decay") and not settings.get("decoupled"):
        g = np.add(g, np.multiply(theta, settings["weight_decay"], out=scratch[1]), out=scratch[0])
    optimizer.update(theta, g, vectors, settings, scratch[1])
