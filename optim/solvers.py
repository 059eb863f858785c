"""minimize, least_squares and minimax: every method by name, with SciPy's conventions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from minigrad.optim.first_order.adam import AdaFom, AdaGrad, Adam, AdamW, AMSGrad, HeavyBall, RMSProp, SignSGD
from minigrad.optim.first_order.descent import GD, FullMatrixAdaGrad, NoisyGD, PerturbedGD, ProjectedGD, Subgradient
from minigrad.optim.first_order.field_update import FirstOrder
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.first_order.sgd import SGD, IncrementalGradient, Nesterov
from minigrad.optim.first_order.zeroth_order import ZOO, RandomGradientFree
from minigrad.optim.games import GDA, BestResponse, ConsensusGD, ExtraGradient, Game, OptimisticAdam, OptimisticGDA
from minigrad.optim.loop import Stopping, run
from minigrad.optim.method import Method
from minigrad.optim.problems.problem import BatchedValue
from minigrad.optim.problems.variables import Variables
from minigrad.optim.result import Numbers, Result, X
from minigrad.optim.second_order.gauss_newton import GaussNewton
from minigrad.optim.second_order.lbfgs import LBFGS
from minigrad.optim.second_order.levenberg_marquardt import LevenbergMarquardt
from minigrad.optim.second_order.newton import Newton, NewtonCG
from minigrad.optim.second_order.trust_region import TrustRegion
from minigrad.optim.transformed import all_examples, with_derivative

__all__ = [
    "LEAST_SQUARES",
    "MINIMAX",
    "MINIMIZE",
    "TASKS",
    "Report",
    "Task",
    "least_squares",
    "minimax",
    "minimize",
    "solve_task",
]

#: The methods of each function, by name: a Method, or an optimizer that becomes one (first_order/field_update.py).
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
#: The nearest of ours to SciPy's other methods.
SCIPYS = {"bfgs": "lbfgs", "l-bfgs-b": "projected-gd", "cg": "newton-cg", "tnc": "newton-cg", "dogleg": "trust-region"}
ALIASES = {"l-bfgs": "lbfgs", "levenberg-marquardt": "lm", "extra-gradient": "extragradient", "steepest": "gd"}

#: Names that editors complete; other spellings of them ("L-BFGS") work too.
MinimizeMethod = Literal[
    "gd",
    "sgd",
    "incremental",
    "heavy-ball",
    "nesterov",
    "adagrad",
    "full-adagrad",
    "rmsprop",
    "adam",
    "adamw",
    "amsgrad",
    "adafom",
    "signsgd",
    "perturbed-gd",
    "noisy-gd",
    "projected-gd",
    "subgradient",
    "newton",
    "newton-cg",
    "trust-region",
    "lbfgs",
    "random-gradient-free",
    "zoo",
]
LeastSquaresMethod = Literal["gauss-newton", "lm"]
MinimaxMethod = Literal["gda", "ogda", "optimistic-adam", "extragradient", "best-response", "consensus"]


class Task(NamedTuple):
    """A function of this file: its methods, and when it stops unless told otherwise.

    Attributes:
        tol: the power of the dtype's precision that is the default tolerance.
        not_tests: the tests that make no sense for it.
    """

    name: str
    methods: dict[str, type]
    maxiter: int
    tol: float
    not_tests: tuple[str, ...] = ()

    def accepts(self, method: type) -> bool:
        """Whether it is a method of this task's kind, one of the user's perhaps."""
        if issubclass(method, Optimizer):
            return any(issubclass(known, Optimizer) for known in self.methods.values())
        kinds = {known.kind for known in self.methods.values() if issubclass(known, Method)}
        return issubclass(method, Method) and method.kind in kinds


class Report(NamedTuple):
    """What the caller wants to hear while it runs, see :func:`minimize`."""

    callback: Callable[[Result[Any, Any]], Any] | None
    progress: bool
    keep_x: bool


_MINIMIZE = Task("minimize", MINIMIZE, maxiter=1000, tol=0.5)
_LEAST_SQUARES = Task("least_squares", LEAST_SQUARES, maxiter=5000, tol=0.75)
_MINIMAX = Task("minimax", MINIMAX, maxiter=1000, tol=0.5, not_tests=("ftol", "target"))
TASKS = [_MINIMIZE, _LEAST_SQUARES, _MINIMAX]  # those of equations.py come to them


def solve_task(
    task: Task,
    fun: Callable[..., Any],
    start: Sequence[Any],
    method: str | type,
    stop: Stopping | None,
    limits: dict[str, Any],
    report: Report,
    options: dict[str, Any],
    **about: Any,
) -> Result[Any, Any]:
    """What all of them do: variables, the method by its name, its problem, the loop.

    Args:
        limits: what the caller's own arguments say of stopping.
        about: options of the problem.
    """
    variables = Variables(*start)
    tests = [f.name for f in fields(Stopping) if f.name not in task.not_tests]
    limits |= {name: options.pop(name) for name in tests if name in options}
    stopping = _stopping(task, stop, limits)
    chosen = _make(_find(task, method), method if isinstance(method, str) else method.__name__, variables, options)
    problem = chosen.problem(fun, **about)
    tol = float(np.finfo(variables.like.dtype).eps) ** task.tol
    try:
        return with_derivative(run(problem, chosen, stopping, tol, *report), problem, chosen.constrained)
    except BatchedValue as hidden:
        if report.callback is not None:
            raise TypeError(
                f"optim.{task.name}: under vmap all examples are one solve, which a callback cannot look into"
            ) from None
        about = {name: value for name, value in about.items() if name != "jac"}  # that is of one example
        again = lambda fun, start: solve_task(task, fun, start, method, stopping, {}, report, options, **about)
        return all_examples(hidden, problem, chosen.constrained, again)


def _stopping(task: Task, stop: Stopping | None, limits: dict[str, Any]) -> Stopping:
    given = {name: value for name, value in limits.items() if value is not None}
    stop = Stopping() if stop is None else stop
    if not isinstance(stop, Stopping):
        raise TypeError(f"optim.{task.name}: stop must be a Stopping(tol=..., maxiter=...), not {stop!r}")
    twice = [name for name in given if getattr(stop, name) is not None]
    if twice:
        raise TypeError(f"optim.{task.name}: {', '.join(twice)} is given twice, by itself and in stop=Stopping(...)")
    useless = [name for name in task.not_tests if getattr(stop, name) is not None]
    if useless:
        raise TypeError(f"optim.{task.name} makes no value small, so it cannot stop at a {', '.join(useless)}")
    merged = replace(stop, **given)
    return merged if merged.maxiter is not None else replace(merged, maxiter=task.maxiter)


def _find(task: Task, method: str | type) -> type:
    if isinstance(method, type) and task.accepts(method):
        return method
    if not isinstance(method, str):
        raise TypeError(
            f"optim.{task.name}: method must be a name, one of {', '.join(task.methods)}, not {method!r}; a method's "
            "options are given beside it: method='adam', lr=0.1"
        )
    key = method.lower().replace("_", "-").replace(" ", "-")
    key = ALIASES.get(key, key)
    if key in task.methods:
        return task.methods[key]
    other = [other.name for other in TASKS if key in other.methods]
    alike = [SCIPYS[key]] if SCIPYS.get(key) in task.methods else get_close_matches(key, task.methods, n=1)
    hint = (
        f"; {method!r} is a method of optim.{other[0]}" if other else f"; did you mean {alike[0]!r}?" if alike else ""
    )
    raise ValueError(f"optim.{task.name} has no method {method!r}; choose of {', '.join(task.methods)}{hint}")


def _make(cls: type, name: str, variables: Variables, options: dict[str, Any]) -> Method:
    make: Callable[..., Any] = cls
    accepted = _parameters(cls)
    if issubclass(cls, Optimizer):
        if issubclass(cls, IncrementalGradient):
            cls = SGD
            options = {"order": "cyclic", **options}
            accepted = _parameters(SGD)
        make = partial(FirstOrder, optimizer=cls)
        accepted = [*accepted, *(p for p in _parameters(FirstOrder) if p != "optimizer")]
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
    x0: X | Numbers,
    method: MinimizeMethod | str | type = "lbfgs",
    *,
    tol: float | None = None,
    maxiter: int | None = None,
    callback: Callable[[Result[Any, Any]], Any] | None = None,
    stop: Stopping | None = None,
    progress: bool = False,
    keep_x: bool = False,
    examples: tuple[Any, ...] = (),
    **options: Any,
) -> Result[X, float]:
    """Minimize the scalar function ``fun``.

    >>> import numpy as np
    >>> result = minimize(lambda x: ((x - 3) ** 2).sum(), np.zeros(2), method="newton")
    >>> result.x, result.success
    (array([3., 3.]), True)

    Args:
        fun: given ``x0``'s structure of tensors, returns a scalar tensor.
        x0: an array, a Tensor, a Module, or lists, tuples and dicts of arrays and Tensors. Python numbers become
            float64. A Module is trained in place.
        method: one of :data:`MINIMIZE`, by name or by its class, or a class of your own.
        tol: stop where the norm of the gradient is at most this; by default the square root of the dtype's precision.
        maxiter: at most so many steps, by default 1,000.
        callback: called after every step with the result so far; returning True, or raising StopIteration, stops.
        stop: more reasons to stop, a :class:`Stopping`. (``maxtime=60`` by itself is an older spelling of its fields.)
        progress: show a tqdm bar.
        keep_x: keep every iterate in ``history["x"]``.
        examples: arrays whose first axes count examples; then the value is a mean over examples, ``fun(x, *batch)``.
            First-order methods see a batch at a time, with the options ``batch_size``, ``order`` ("random",
            "shuffled", "cyclic") and ``seed``; other methods see all examples.
        options: the method's own, such as ``lr``, ``momentum``, ``line_search``, ``schedule``, ``constraint``.

    Returns:
        a :class:`Result`. Where ``fun`` reads tensors that are being differentiated, its ``x`` and ``fun`` are tensors
        that depend on them by implicit differentiation, to any order, under ``vmap`` too; start from tensors then, for
        type checkers' sake. Where the run did not converge, asking for the derivative is an error.

    Raises:
        ValueError, TypeError: no such method, no such option, an option out of range or given twice.
        GraphError: ``fun`` does not return a scalar tensor computed from its argument.
    """
    limits, report = {"tol": tol, "maxiter": maxiter}, Report(callback, progress, keep_x)
    return solve_task(_MINIMIZE, fun, (x0,), method, stop, limits, report, options, examples=examples)


def least_squares(
    fun: Callable[..., Any],
    x0: X | Numbers,
    method: LeastSquaresMethod | str | type = "lm",
    jac: Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    maxiter: int | None = None,
    callback: Callable[[Result[Any, Any]], Any] | None = None,
    stop: Stopping | None = None,
    progress: bool = False,
    keep_x: bool = False,
    examples: tuple[Any, ...] = (),
    jacobian_chunk: int | None = None,
    **options: Any,
) -> Result[X, np.ndarray]:
    """Minimize 1/2 |r|^2, with r = ``fun(x)`` a vector of residuals.

    >>> import minigrad as mg
    >>> rosenbrock = lambda x: mg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    >>> result = least_squares(rosenbrock, [-1.2, 1.0])
    >>> result.x.round(8), bool(result.cost < 1e-20)
    (array([1., 1.]), True)

    Args:
        fun: given ``x0``'s structure of tensors, returns a tensor of residuals, of any shape but a scalar's.
        method: one of :data:`LEAST_SQUARES`: "lm" (Levenberg-Marquardt) or "gauss-newton".
        jac: returns the Jacobian, (residuals, parameters), where it is known; by default it is computed.
        tol: stop where no column of the Jacobian makes an angle with r whose cosine is larger; by default eps^(3/4)
            of the dtype.
        maxiter: at most so many steps, by default 5,000.
        examples: arrays whose first axes count examples. Then ``fun(x, *example)`` is the residual (a number or an
            array) of one example, and one sweep over all gives the Jacobian: the way to train a network.
        jacobian_chunk: how many rows of the Jacobian to compute at a time; of ``examples``, also how many ever exist.
        x0, callback, stop, progress, keep_x, options: as in :func:`minimize`; a ``target`` is one of the cost.

    Returns:
        a Result whose ``fun`` is the residual and whose ``cost`` is 1/2 |r|^2, as in SciPy. It can be differentiated
        through, as that of :func:`minimize`.

    Raises:
        ValueError, TypeError: no such method or option; fewer residuals than parameters for an undamped method.
        GraphError: ``fun`` returns a scalar.
    """
    limits, report = {"tol": tol, "maxiter": maxiter}, Report(callback, progress, keep_x)
    about: dict[str, Any] = {"examples": examples, "jac": jac, "chunk": jacobian_chunk}
    return solve_task(_LEAST_SQUARES, fun, (x0,), method, stop, limits, report, options, **about)


def minimax(
    payoff: Callable[..., Any],
    x0: X | Numbers,
    y0: Any,
    method: MinimaxMethod | str | type = "extragradient",
    *,
    tol: float | None = None,
    maxiter: int | None = None,
    callback: Callable[[Result[Any, Any]], Any] | None = None,
    stop: Stopping | None = None,
    progress: bool = False,
    keep_x: bool = False,
    **options: Any,
) -> Result[X, float]:
    """A stationary point of the game min over x, max over y of ``payoff(x, y)``.

    >>> result = minimax(lambda x, y: x * y + x * x / 2, 1.0, 1.0, lr=0.5)
    >>> bool(abs(result.x) < 1e-7), bool(abs(result.y) < 1e-7)
    (True, True)

    Args:
        payoff: returns what x pays y, a scalar tensor; or a pair of scalars, one for each player to minimize.
        x0, y0: the players' first choices; of any kind :func:`minimize` takes.
        method: one of :data:`MINIMAX`.
        tol: stop where the norm of the field (df/dx, -df/dy) is at most this.
        maxiter, callback, stop, progress, keep_x: as in :func:`minimize`.
        options: ``lr`` (a pair gives each player its own), ``rule`` (an optimizer's class), ``constraints`` (a pair),
            ``schedule``, and the method's own: ``order="alternating"``, ``inner``, ``gamma``.

    Returns:
        a Result with ``x`` and ``y``. It can be differentiated through, as that of :func:`minimize`.

    Raises:
        ValueError, TypeError: no such method or option.
        GraphError: ``payoff`` does not return scalars.
    """
    limits, report = {"tol": tol, "maxiter": maxiter}, Report(callback, progress, keep_x)
    return solve_task(_MINIMAX, payoff, (x0, y0), method, stop, limits, report, options)
