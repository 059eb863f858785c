"""What an optimization returns: where it ended, why it stopped, and what happened on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

if TYPE_CHECKING:  # Python's own has defaults from 3.13 on
    from typing_extensions import TypeVar

    X = TypeVar("X", default=np.ndarray)
    F = TypeVar("F", default=float)
else:
    from typing import TypeVar

    X, F = TypeVar("X"), TypeVar("F")

__all__ = [
    "Numbers",
    "OptimizationError",
    "Result",
    "Status",
    "X",
]

#: Starting points that are not of the type of the answer: Python's numbers become an array.
Numbers = float | list[float] | list[int] | tuple[float, ...] | list[list[float]]


class Status(Enum):
    """Why an optimization stopped; the value is the sentence that is shown.

    >>> Status.GRADIENT.success, Status.MAX_ITERATIONS.success, Status.MAX_ITERATIONS.failed
    (True, False, False)
    >>> Status.MAX_ITERATIONS.value
    'stopped: the iterations ran out (maxiter)'
    """

    GRADIENT = "converged: the gradient vanishes within the tolerance"
    CONSTRAINED = "converged: the gradient points out of the constraint, so no step downhill stays inside"
    ROOT = "converged: the equations hold within the tolerance"
    STEP = "converged: the last step was within the tolerance of no step at all"
    VALUE = "converged: the value stopped changing within the tolerance"
    TARGET = "converged: the value reached the target"
    SECOND_ORDER = "converged: noise found no way down from this stationary point, so it is no strict saddle"
    ROUNDING = "converged as far as rounding allows: the method predicts no decrease that the numbers could show"
    CALLBACK = "stopped: the callback asked for it"
    MAX_ITERATIONS = "stopped: the iterations ran out (maxiter)"
    MAX_EVALUATIONS = "stopped: the evaluations ran out (maxfev)"
    MAX_TIME = "stopped: the time ran out (maxtime)"
    NON_FINITE = "failed: a NaN or an infinity was met; the last good point was kept"
    NOT_DESCENT = "failed: the search direction ascends, so no step along it can be accepted"
    NO_PROGRESS = "failed: no acceptable step was found along the search direction"
    NO_ROOT = "failed: no step makes the residual smaller here, and it does not vanish: this is no root"
    INDEFINITE = (
        "failed: the Hessian is not positive definite here, so Newton's step may climb; use indefinite='modify', "
        "method='trust-region' or 'newton-cg', or indefinite='accept' to look for any stationary point"
    )
    SINGULAR = (
        "failed: the linear system for the step is singular; another starting point may help, and so does damping: "
        "optim.least_squares with method='lm', optim.minimize with method='trust-region'"
    )

    @property
    def success(self) -> bool:
        """Whether the method ended where it was meant to."""
        return self.value.startswith("converged")

    @property
    def failed(self) -> bool:
        """Whether it cannot go on."""
        return self.value.startswith("failed")


class OptimizationError(RuntimeError):
    """A step could not be taken; the message is that of ``status``.

    >>> import minigrad as mg
    >>> x = mg.tensor(1.0, requires_grad=True)
    >>> try:
    ...     mg.optim.Newton([x]).step(lambda: -x * x)
    ... except OptimizationError as error:
    ...     print(error.status.name, x.item())  # the Hessian is -2; x is where it was
    INDEFINITE 1.0

    Args:
        status: why.
        where: what the message begins with.
    """

    def __init__(self, status: Status, where: str) -> None:
        super().__init__(f"{where} {status.value}")
        self.status = status


@dataclass
class Result(Generic[X, F]):
    """The end of an optimization, with SciPy's names; a callback sees what it would be if it ended there.

    >>> import minigrad as mg
    >>> result = mg.optim.minimize(lambda x: x**2, 1.0, "gd", lr=0.25, maxiter=3)
    >>> result.x, result.fun, result.optimality, result.nit, result.success
    (array(0.125), 0.015625, 0.25, 3, False)
    >>> result.history["fun"]
    array([1.      , 0.25    , 0.0625  , 0.015625])

    Attributes:
        x: where it ended, in the structure of ``x0``: arrays for arrays, tensors for tensors, the module for a module
            (whose parameters they now are).
        y: of a game, the second player's.
        fun: the value there; of least squares, the residual vector.
        cost: of least squares, half the sum of squares.
        optimality: what the tolerance ``tol`` is about: the norm of the gradient (of a game: of both players'
            gradients), or in a constraint abs(x - P(x - gradient)), P the projection on it; of least squares, the
            largest cosine between the residual and a column of the Jacobian; of equations, abs(F).
        nit: accepted steps.
        nfev, njev, nhev: evaluations of the function, of its gradient or Jacobian, and of products with its Hessian
            (a whole Hessian is one).
        status, message, success: why it stopped.
        history: per iterate, from the start to the end: "fun" (cost or value), "optimality", "step" (the norm of the
            last step), "size" (its learning rate, step length or trust radius), "nfev", "time" (seconds), and "x" (the
            flat vector) where ``keep_x=True`` asked for it.
        average: of the iterates, where the method keeps it; of a module, a dict of its parameters by name.
    """

    x: X
    fun: F
    nit: int
    nfev: int
    njev: int
    nhev: int
    status: Status
    optimality: float
    history: Mapping[str, np.ndarray] = field(repr=False)
    y: Any = None
    cost: float | None = None
    average: Any = None

    @property
    def message(self) -> str:
        """Why it stopped, as a sentence."""
        return self.status.value

    @property
    def success(self) -> bool:
        """Whether it ended where it was meant to."""
        return self.status.success

    def __repr__(self) -> str:
        rows = [("message", self.message), ("success", self.success)]
        rows += [("fun", _short(self.fun))] if self.cost is None else [("cost", f"{float(self.cost):.6g}")]
        rows += [("optimality", f"{self.optimality:.3g}"), ("x", _short(self.x))]
        rows += [("y", _short(self.y))] if self.y is not None else []
        rows += [(name, getattr(self, name)) for name in ("nit", "nfev", "njev", "nhev")]
        return "\n".join(f"{name:>10}: {value}" for name, value in rows)


def _short(x: Any) -> str:
    if isinstance(x, float):
        return f"{x:.6g}"
    text = np.array2string(x, threshold=10, precision=6) if isinstance(x, np.ndarray) else repr(x)
    lines = text.splitlines()
    return lines[0] + (" ..." if len(lines) > 1 else "")
