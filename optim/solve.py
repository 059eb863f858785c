"""minimize, least_squares and minimax: every method by name, with SciPy's conventions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.optim.first_order.adam import AdaFom, AdaGrad, Adam, AdamW, AMSGrad, HeavyBall, RMSProp, SignSGD
from minigrad.optim.first_order.descent import GD, FullMatrixAdaGrad, NoisyGD, PerturbedGD, ProjectedGD, Subgradient
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.first_order.rules import FirstOrder
from minigrad.optim.first_order.sgd import SGD, IncrementalGradient, Nesterov
from minigrad.optim.first_order.zeroth_order import ZOO, RandomGradientFree
from minigrad.optim.games import GDA, BestResponse, ConsensusGD, ExtraGradient, Game, OptimisticAdam, OptimisticGDA
from minigrad.optim.loop import Stopping, run
from minigrad.optim.method import Method
from minigrad.optim.problems.minimization import FiniteSum
from minigrad.optim.problems.variables import Variables
from minigrad.optim.result import Result
from minigrad.optim.second_order.gauss_newton import GaussNewton
from minigrad.optim.second_order.lbfgs import LBFGS
from minigrad.optim.second_order.levenberg_marquardt import LevenbergMarquardt
from minigrad.optim.second_order.newton import Newton, NewtonCG
from minigrad.optim.second_order.trust_region import TrustRegion

#: The methods of each function, by name: a Method, or an optimizer that becomes one (rules.FirstOrder).
MINIMIZE: dict[str, type] = {
    "gd": GD,
    "sgd": SGD,
    "incremental": IncrementalGradient,
    "heavy-ball": HeavyBall,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "full-adagrad": FullMatrixAdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "adafom": AdaFom,
    "signsgd": SignSGD,
    "perturbed-gd": PerturbedGD,
    "noisy-gd": NoisyGD,
    "projected-gd": ProjectedGD,
    "subgradient": Subgradient,
    "newton": Newton,
    "newton-cg": NewtonCG,
    "trust-region": TrustRegion,
    "lbfgs": LBFGS,
    "random-gradient-free": RandomGradientFree,
    "zoo": ZOO,
}
LEAST_SQUARES: dict[str, type] = {"gauss-newton": GaussNewton, "lm": LevenbergMarquardt}
MINIMAX: dict[str, type] = {
    "gda": GDA,
    "ogda": OptimisticGDA,
    "optimistic-adam": OptimisticAdam,
    "extragradient": ExtraGradient,
    "best-response": BestResponse,
    "consensus": ConsensusGD,
}
ALIASES = {"l-bfgs": "lbfgs", "levenberg-marquardt": "lm", "extra-gradient": "extragradient", "steepest": "gd"}


def _find(table: dict[str, type], function: str, name: str) -> type:
    key = name.lower().replace("_", "-").replace(" ", "-")
    key = ALIASES.get(key, key)
    if key in table:
        return table[key]
    tables = {"minimize": MINIMIZE, "least_squares": LEAST_SQUARES, "minimax": MINIMAX}
    other = [f for f, methods in tables.items() if key in methods]
    hint = f"; {name!r} is a method of optim.{other[0]}" if other else ""
    raise ValueError(f"optim.{function} has no method {name!r}; choose of {', '.join(table)}{hint}")


def _make(cls: type, name: str, variables: Variables, options: dict[str, Any]) -> Method:
    make: Callable[..., Any] = cls
    accepted = _parameters(cls)
    if issubclass(cls, Optimizer):
        if issubclass(cls, IncrementalGradient):
            cls = SGD
            options = {"order": "cyclic", **options}
            accepted = _parameters(SGD)
        make = partial(FirstOrder, make=cls)
        accepted = [*accepted, *(p for p in _parameters(FirstOrder) if p != "make")]
    if issubclass(cls, Game):
        accepted += _parameters(options.get("rule", Adam if cls is OptimisticAdam else SGD))
    unknown = [option for option in options if option not in accepted]
    if unknown:
        raise TypeError(
            f"method {name!r} has no option {', '.join(unknown)}; it has {', '.join(dict.fromkeys(accepted))}"
        )
    return make(variables, **options)


def _parameters(cls: type) -> list[str]:
    """The options of a class, besides the parameters it optimizes."""
    names: list[str] = []
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            names += [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    hidden = {"self", "params", "x_params", "y_params", "components"}
    if issubclass(cls, OptimisticAdam):
        hidden.add("rule")
    return [name for name in dict.fromkeys(names) if name not in hidden]


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    method: str = "lbfgs",
    *,
    tol: float | None = None,
    maxiter: int = 1000,
    callback: Callable[[Result], Any] | None = None,
    xtol: float | None = None,
    ftol: float | None = None,
    target: float | None = None,
    maxfev: int | None = None,
    maxtime: float | None = None,
    progress: bool = False,
    keep_x: bool = False,
    examples: tuple[Any, ...] = (),
    **options: Any,
) -> Result:
    """Minimize the scalar function ``fun``.

    >>> import numpy as np
    >>> result = minimize(lambda x: ((x - 3) ** 2).sum(), np.zeros(2), method="newton")
    >>> result.x, result.success
    (array([3., 3.]), True)

    Args:
        fun: given ``x0``'s structure of tensors, returns a scalar tensor.
        x0: an array, a Tensor, a Module, or lists, tuples and dicts of arrays and Tensors. Python numbers become
            float64. A Module is trained in place.
        method: one of :data:`MINIMIZE`.
        tol: stop where the norm of the gradient is at most this; by default the square root of the dtype's precision.
        maxiter: at most so many steps.
        callback: called after every step with the result so far (its history holds the last step only); returning True
            stops.
        xtol, ftol, target, maxfev, maxtime: further tests, see :class:`~minigrad.optim.loop.Stopping`.
        progress: show a tqdm bar.
        keep_x: keep every iterate in ``history["x"]``.
        examples: arrays whose first axes count examples; then the value is a mean over examples, ``fun(x, *batch)``.
            First-order methods see a batch at a time, with the options ``batch_size``, ``order`` ("random",
            "shuffled", "cyclic") and ``seed``; other methods see all examples.
        options: the method's own, such as ``lr``, ``momentum``, ``line_search``, ``schedule``, ``constraint``.

    Raises:
        ValueError, TypeError: no such method, no such option, an option out of range.
        GraphError: ``fun`` does not return a scalar tensor computed from its argument.
    """
    variables = Variables(x0)
    chosen = _make(_find(MINIMIZE, "minimize", method), method, variables, options)
    problem = chosen.problem(fun, examples=examples)
    if tol is None:
        tol = 0.0 if isinstance(problem, FiniteSum) else _root_of_eps(variables)
    stopping = Stopping(tol, xtol, ftol, target, maxiter, maxfev, maxtime)
    return run(problem, chosen, stopping, callback, progress, keep_x)


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    method: str = "lm",
    jac: Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    maxiter: int = 5000,
    callback: Callable[[Result], Any] | None = None,
    xtol: float | None = None,
    ftol: float | None = None,
    target: float | None = None,
    maxfev: int | None = None,
    maxtime: float | None = None,
    progress: bool = False,
    keep_x: bool = False,
    examples: tuple[Any, ...] = (),
    jacobian_chunk: int | None = None,
    **options: Any,
) -> Result:
    """Minimize 1/2 |r|^2, with r = ``fun(x)`` a vector of residuals.

    Args:
        fun: given ``x0``'s structure of tensors, returns a tensor of residuals, of any shape but a scalar's.
        method: one of :data:`LEAST_SQUARES`: "lm" (Levenberg-Marquardt) or "gauss-newton".
        jac: returns the Jacobian, (residuals, parameters), where it is known; by default it is computed.
        tol: stop where no column of the Jacobian makes an angle with r whose cosine is larger; by default eps^(3/4)
            of the dtype.
        examples: arrays whose first axes count examples. Then ``fun(x, *example)`` is the residual (a number or an
            array) of one example, and one sweep over all gives the Jacobian: the way to train a network.
        jacobian_chunk: how many rows of the Jacobian to compute at a time; of ``examples``, also how many ever exist.
        target: of the cost, 1/2 |r|^2.
        x0, maxiter, callback, xtol, ftol, maxfev, maxtime, progress, keep_x, options: as in :func:`minimize`.

    Returns:
        a Result whose ``fun`` is the residual and whose ``cost`` is 1/2 |r|^2, as in SciPy.

    Raises:
        ValueError, TypeError: no such method or option; fewer residuals than parameters for an undamped method.
        GraphError: ``fun`` returns a scalar.
    """
    variables = Variables(x0)
    chosen = _make(_find(LEAST_SQUARES, "least_squares", method), method, variables, options)
    problem = chosen.problem(fun, examples=examples, jac=jac, chunk=jacobian_chunk)
    if tol is None:
        tol = _root_of_eps(variables) ** 1.5
    stopping = Stopping(tol, xtol, ftol, target, maxiter, maxfev, maxtime)
    return run(problem, chosen, stopping, callback, progress, keep_x)


def minimax(
    payoff: Callable[..., Any],
    x0: Any,
    y0: Any,
    method: str = "extragradient",
    *,
    tol: float | None = None,
    maxiter: int = 1000,
    callback: Callable[[Result], Any] | None = None,
    xtol: float | None = None,
    maxfev: int | None = None,
    maxtime: float | None = None,
    progress: bool = False,
    keep_x: bool = False,
    **options: Any,
) -> Result:
    """A stationary point of the game min over x, max over y of ``payoff(x, y)``.

    Args:
        payoff: returns what x pays y, a scalar tensor; or a pair of scalars, one for each player to minimize.
        x0, y0: the players' first choices; of any kind :func:`minimize` takes.
        method: one of :data:`MINIMAX`.
        tol: stop where the norm of the field (df/dx, -df/dy) is at most this.
        options: ``lr`` (a pair gives each player its own), ``rule`` (an optimizer's class), ``constraints`` (a pair),
            ``schedule``, and the method's own: ``order="alternating"``, ``inner``, ``gamma``.

    Returns:
        a Result with ``x`` and ``y``.

    Raises:
        ValueError, TypeError: no such method or option.
        GraphError: ``payoff`` does not return scalars.
    """
    variables = Variables(x0, y0)
    chosen = _make(_find(MINIMAX, "minimax", method), method, variables, options)
    problem = chosen.problem(payoff)
    tol = _root_of_eps(variables) if tol is None else tol
    stopping = Stopping(tol, xtol, None, None, maxiter, maxfev, maxtime)
    return run(problem, chosen, stopping, callback, progress, keep_x)


def _root_of_eps(variables: Variables) -> float:
    return float(np.finfo(variables.like.dtype).eps) ** 0.5
