"""Best response: the second player plays almost to the end before the first one moves."""

from __future__ import annotations

from typing import Any

from minigrad.optim.games.game import Game
from minigrad.optim.method import Step

__all__ = ["BestResponse"]


class BestResponse(Game):
    """K steps of ascent in y, then one of descent in x: y plays almost its best response (the notes' BCD, remark 9.5).

    The K critic steps per generator step of Wasserstein GANs.

    >>> import minigrad as mg
    >>> payoff = lambda x, y: x * y - y * y / 2  # the best response is y = x, one step away with lr = 1
    >>> result = mg.optim.minimax(payoff, 8.0, 0.0, "best-response", lr=(0.5, 1.0), inner=1, maxiter=3)
    >>> result.x, result.y
    (array(1.), array(2.))

    Args:
        inner: K, at least 1.
        args, kwargs: as of :class:`Game`.

    Raises:
        ValueError: ``inner`` is less than 1; what :class:`Game` refuses.
    """

    def __init__(self, *args: Any, inner: int = 10, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if inner < 1:
            raise ValueError(f"inner must be at least 1, but is {inner}")
        self.inner = inner

    def advance(self, point: Any) -> Step:
        for _ in range(self.inner):
            theta = self.update(point.theta, point.field_of(1), players=(1,), last=False)
            point = point.problem.at(self.project(theta))
        return Step(
            point.problem.at(self.project(self.update(point.theta, point.field_of(0), players=(0,)))), self.update.lr
        )
