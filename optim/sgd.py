"""(Stochastic) gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.backend import Array
from minigrad.optim.optimizer import Optimizer


class SGD(Optimizer):
    """theta <- theta - lr b, with b = momentum b + (1 - dampening) g; with Nesterov, g + momentum b takes b's place.

    At the first step b = g, as in PyTorch. ``dampening=0`` is Polyak's heavy ball; for the moving average of the
    lecture notes (section 9.3.1), b = beta b + (1 - beta) g from b = 0, see :class:`HeavyBall`.

    Args:
        weight_decay: adds weight_decay * theta to the gradient, as does weight_decay/2 |theta|^2 to the loss.

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

    def check(self, settings: dict[str, Any]) -> None:
        super().check(settings)
        if settings["momentum"] < 0 or settings["weight_decay"] < 0:
            raise ValueError(
                f"momentum and weight_decay must not be negative: {settings['momentum']}, {settings['weight_decay']}"
            )
        if settings["nesterov"] and (settings["momentum"] == 0 or settings["dampening"] != 0):
            raise ValueError("Nesterov's method needs momentum > 0 and dampening = 0")

    def vectors(self) -> Sequence[str]:
        return ("momentum",) if any(group["momentum"] for group in self.groups) else ()

    def update(self, theta: Array, g: Array, state: list[Array], group: dict[str, Any], scratch: Array) -> None:
        if group["momentum"]:
            (b,) = state
            if group["step"] == 1:
                b[...] = g
            else:
                b *= group["momentum"]
                if group["dampening"]:
                    b += np.multiply(g, 1 - group["dampening"], out=scratch)
                else:
                    b += g
            if group["nesterov"]:
                theta -= np.multiply(g, group["lr"], out=scratch)
                theta -= np.multiply(b, group["lr"] * group["momentum"], out=scratch)
                return
            g = b
        theta -= np.multiply(g, group["lr"], out=scratch)
