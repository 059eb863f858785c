"""(Stochastic) gradient descent, with momentum, and Nesterov's accelerated gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.tensor import Tensor

__all__ = ["SGD", "IncrementalGradient", "Nesterov"]


class SGD(Optimizer):
    """theta <- theta - lr b, with b = momentum b + (1 - dampening) g; with Nesterov, g + momentum b takes b's place.

    At the first step b = g, as in PyTorch. ``dampening=0`` is Polyak's heavy ball; for the moving average of the
    lecture notes (section 9.3.1), b = beta b + (1 - beta) g from b = 0, see :class:`HeavyBall`.

    >>> import minigrad as mg
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> optimizer = SGD([x], lr=1.0, momentum=0.5)
    >>> [optimizer.step(lambda: 2 * x).item() for _ in range(4)]  # x goes 2, 3 and 3.5 down
    [0.0, -4.0, -10.0, -17.0]

    Args:
        momentum: the factor of the earlier steps.
        dampening: the share of the gradient that is left out, from the second step on.
        weight_decay: adds weight_decay * theta to the gradient, as does weight_decay/2 |theta|^2 to the loss.
        nesterov: Nesterov's form of the step, as in PyTorch.

    Raises:
        ValueError: a negative lr, momentum or weight_decay, or Nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
            },
        )

    @classmethod
    def check(cls, settings: dict[str, Any]) -> None:
        super().check(settings)
        if settings["momentum"] < 0 or settings["weight_decay"] < 0:
            raise ValueError(
                f"momentum and weight_decay must not be negative: {settings['momentum']}, {settings['weight_decay']}"
            )
        if settings["nesterov"] and (settings["momentum"] == 0 or settings["dampening"] != 0):
            raise ValueError("Nesterov's method needs momentum > 0 and dampening = 0")

    @classmethod
    def vectors(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        return ("momentum",) if settings["momentum"] else ()

    @classmethod
    def update(
        cls, theta: Array, g: Array, state: Mapping[str, Array], settings: Mapping[str, Any], scratch: Array
    ) -> None:
        lr, momentum, dampening = settings["lr"], settings["momentum"], settings["dampening"]
        if momentum:
            b = state["momentum"]
            if settings["step"] == 1:
                b[...] = g
            else:
                b *= momentum
                b += np.multiply(g, 1 - dampening, out=scratch) if dampening else g
            if settings["nesterov"]:
                theta -= np.multiply(g, lr, out=scratch)
                theta -= np.multiply(b, lr * momentum, out=scratch)
                return
            g = b
        theta -= np.multiply(g, lr, out=scratch)


class Nesterov(Optimizer):
    """Nesterov's accelerated gradient: x' = y - lr g(y), y' = x' + beta (x' - x); the parameters are y.

    With lr = 1/L and beta = (sqrt(kappa) - 1) / (sqrt(kappa) + 1) it takes O(sqrt(kappa)) steps on strongly convex
    functions, where gradient descent takes O(kappa). With ``momentum=None``, beta_k = (k - 1) / (k + 2) in step k: the
    optimal O(1/k^2) on convex ones (Nesterov 1983).

    >>> import minigrad as mg
    >>> valley = lambda x: (x * x * np.array([0.5, 12.5])).sum()  # L = 25, kappa = 25
    >>> with_momentum = dict(method="nesterov", lr=1 / 25, tol=1e-3)
    >>> [mg.optim.minimize(valley, [1.0, 1.0], momentum=beta, **with_momentum).nit for beta in (0.0, 2 / 3)]
    [170, 41]

    Args:
        momentum: beta, in [0, 1), or None.

    Raises:
        ValueError: a momentum outside [0, 1).
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, momentum: float | None = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @classmethod
    def check(cls, settings: dict[str, Any]) -> None:
        super().check(settings)
        if settings["momentum"] is not None and not 0 <= settings["momentum"] < 1:
            raise ValueError(f"momentum must lie in [0, 1), or be None, but is {settings['momentum']}")

    @classmethod
    def vectors(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        return ("velocity",)

    @classmethod
    def update(
        cls, theta: Array, g: Array, state: Mapping[str, Array], settings: Mapping[str, Any], scratch: Array
    ) -> None:
        v = state["velocity"]  # (y_k - x_k) before, (x_{k+1} - x_k) after the next three lines
        step = np.multiply(g, settings["lr"], out=scratch)
        theta -= step
        v -= step
        # y' = x' + beta v, and theta holds x' where the last block was y = x + beta v
        k = settings["step"]
        v *= settings["momentum"] if settings["momentum"] is not None else (k - 1) / (k + 2)
        theta += v


class IncrementalGradient(SGD):
    """SGD through n functions in their own order: theta <- theta - lr grad F_{k mod n} (notes, section 9.2.2).

    >>> import minigrad as mg
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> optimizer, goals = IncrementalGradient([x], components=2, lr=1.0), [5.0, 7.0]
    >>> [(optimizer.step(lambda j: (x - goals[j]) ** 2 / 2), x.item())[1] for _ in range(4)]
    [5.0, 7.0, 5.0, 7.0]

    Args:
        components: n; ``step(closure)`` calls closure(j) with j = k mod n.
        settings: as of :class:`SGD`.

    Raises:
        ValueError: fewer than one component; what :class:`SGD` refuses.
    """

    def __init__(self, params: Iterable[Any], components: int, lr: float = 1e-3, **settings: Any) -> None:
        super().__init__(params, lr, **settings)
        if components < 1:
            raise ValueError(f"components must be at least 1, but is {components}")
        self.components = components

    def step(self, closure: Callable[..., Tensor] | None = None) -> Tensor | None:
        if closure is None:
            return super().step()
        j = self.groups[0]["step"] % self.components
        return super().step(lambda: closure(j))
