"""Minimax games: min over x, max over y of f(x, y).

A player follows its own gradient; the two together follow the field F = (df/dx, -df/dy). A first-order method consumes
a field, so each rule (SGD, Adam, ...) plays as it is. What is new is how the field is used: gradient descent-ascent
spirals outward where the game is bilinear, and looking ahead or back mends it (notes, section 9.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.arrays.backend import Array
from minigrad.optim.first_order.adam import Adam
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.first_order.rules import Rule
from minigrad.optim.first_order.sgd import SGD
from minigrad.optim.method import Method, Step
from minigrad.optim.problems.payoffs import Minimax


class Game(Method):
    """A rule for two players.

    Args:
        x_params, y_params: the parameters of the player who minimizes, and of the one who maximizes.
        lr: the learning rate; a pair gives each player its own.
        rule: the update rule, an optimizer's class (SGD by default); further ``settings`` are its own.
        constraints: a pair of sets with ``project``, or None, one per player.
        schedule: a factor of the learning rate, by the step.
    """

    kind = Minimax
    second_order = False

    def __init__(
        self,
        x_params: Any,
        y_params: Any = None,
        lr: float | tuple[float, float] = 1e-3,
        rule: Callable[..., Optimizer] = SGD,
        constraints: tuple[Any, Any] = (None, None),
        schedule: Callable[[int], float] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*((x_params,) if y_params is None else (x_params, y_params)))
        if len(self.variables.arguments) != 2:
            raise ValueError(f"{type(self).__name__} is a game: it needs the parameters of two players")
        split, p = self.variables.split, self.variables.p
        self.slices = (slice(0, split), slice(split, p))
        self.rule = Rule(rule, self.variables.read(), self.slices, {"lr": lr, **settings}, schedule)
        self.constraints = constraints

    def inside(self, theta: Array) -> Array:
        """theta with each player back in its set."""
        for part, constraint in zip(self.slices, self.constraints, strict=True):
            if constraint is not None:
                theta[part] = constraint.project(theta[part])
        return theta


class GDA(Game):
    """Gradient descent-ascent: theta <- theta - lr F(theta).

    On x'Ay, with s a singular value of A, it spirals outward by sqrt(1 + lr^2 s^2) a step. Taking turns
    (``order="alternating"``: y sees where x has gone) it circles for ever; its average converges.

    Args:
        order: "simultaneous" or "alternating".
    """

    def __init__(self, x_params: Any, y_params: Any = None, *args: Any, order: str = "simultaneous", **kwargs: Any):
        super().__init__(x_params, y_params, *args, **kwargs)
        if order not in ("simultaneous", "alternating"):
            raise ValueError(f"order must be 'simultaneous' or 'alternating', not {order!r}")
        self.order = order

    def advance(self, point: Any) -> Step:
        if self.order == "simultaneous":
            theta = self.rule(point.theta, point.field)
        else:
            half = point.problem.at(self.inside(self.rule(point.theta, point.field_of(0), players=(0,), last=False)))
            theta = self.rule(half.theta, half.field_of(1), players=(1,))
        return Step(point.problem.at(self.inside(theta)), self.rule.lr)


class OptimisticGDA(Game):
    """theta <- theta - lr (2 F_k - F_{k-1}): each step made twice, less the one before (Popov 1980; Daskalakis 2018).

    The last field foretells the next one. Converges on x'Ay for lr s < 1/sqrt(3). Starts with F_{-1} = F_0. With
    another rule, "step" is the rule's; :class:`OptimisticAdam` is the best known.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state.update(last=None)

    def advance(self, point: Any) -> Step:
        step = self.rule(point.theta, point.field) - point.theta
        last = step if self.state["last"] is None else self.state["last"]
        self.state["last"] = step
        return Step(point.problem.at(self.inside(point.theta + (2 * step - last))), self.rule.lr)


class OptimisticAdam(OptimisticGDA):
    """Optimistic Adam (Daskalakis et al. 2018): :class:`OptimisticGDA` with Adam's step."""

    def __init__(
        self,
        x_params: Any,
        y_params: Any = None,
        lr: float | tuple[float, float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(x_params, y_params, lr, Adam, betas=betas, eps=eps, **kwargs)


class ExtraGradient(Game):
    """theta <- theta - lr F(theta - lr F(theta)): look a step ahead and follow the field from there (Korpelevich 1976).

    Two fields per step. Converges on x'Ay for lr s < 1, and for every monotone field with a small enough lr.
    The look ahead is a plain step along the field, whatever the rule.
    """

    def advance(self, point: Any) -> Step:
        ahead = point.theta.copy()
        for part, lr in zip(self.slices, self.rule.rates(), strict=True):
            ahead[part] = ahead[part] - lr * point.field[part]
        middle = point.problem.at(self.inside(ahead))
        return Step(point.problem.at(self.inside(self.rule(point.theta, middle.field))), self.rule.lr)


class ConsensusGD(Game):
    """theta <- theta - lr (F + gamma grad 1/2 |F|^2): both players also make the field smaller (Mescheder et al. 2017).

    Args:
        gamma: the weight of 1/2 abs(F)^2.
    """

    second_order = True

    def __init__(self, *args: Any, gamma: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not gamma >= 0:
            raise ValueError(f"gamma must not be negative, but is {gamma}")
        self.gamma = gamma

    def advance(self, point: Any) -> Step:
        # transposed derivative of F times F: what pulling F back through F's own graph gives
        field = point.field + self.gamma * point.curvature(point.field)
        return Step(point.problem.at(self.inside(self.rule(point.theta, field))), self.rule.lr)


class BestResponse(Game):
    """K steps of ascent in y, then one of descent in x: y plays almost its best response (the notes' BCD, remark 9.5).

    The K critic steps per generator step of Wasserstein GANs.

    Args:
        inner: K.
    """

    def __init__(self, *args: Any, inner: int = 10, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if inner < 1:
            raise ValueError(f"inner must be at least 1, but is {inner}")
        self.inner = inner

    def advance(self, point: Any) -> Step:
        for _ in range(self.inner):
            theta = self.rule(point.theta, point.field_of(1), players=(1,), last=False)
            point = point.problem.at(self.inside(theta))
        return Step(
            point.problem.at(self.inside(self.rule(point.theta, point.field_of(0), players=(0,)))), self.rule.lr
        )
