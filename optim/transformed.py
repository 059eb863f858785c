"""Solves inside transformations: the derivative of an answer by the data, and one solve for all examples of a vmap.

How a solution was found has nothing to do with its derivative: the equation that it satisfies says it (implicit.py).
So the loop of a method is never differentiated, and any method will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.core.errors import GraphError
from minigrad.core.graph import Op, apply
from minigrad.core.modes import is_grad_enabled, no_grad
from minigrad.nn.module import Parameter
from minigrad.optim.problems.finite_sum import FiniteSum
from minigrad.optim.problems.least_squares import LeastSquares
from minigrad.optim.problems.problem import BatchedValue, Problem
from minigrad.optim.result import Result, Status
from minigrad.tensor import Tensor
from minigrad.transforms.implicit import implicit_root
from minigrad.transforms.tree import adopt, flatten, tree_map
from minigrad.transforms.vmap import HiddenAxis

__all__ = ["all_examples", "with_derivative"]

#: Where the equation of stationarity holds, as far as ``tol`` or rounding asks.
SOLVED = {Status.GRADIENT, Status.ROOT, Status.ROUNDING, Status.SECOND_ORDER}

#: Of the optimality at the start, or of 1: a run that ended for another reason is near enough to a solution.
NEAR = 1e-5


def with_derivative(result: Result[Any, Any], problem: Problem, constrained: bool) -> Result[Any, Any]:
    """``result`` with x, y and fun as tensors that depend on what the function reads, where that is differentiated.

    A network's own parameters, where the function reads them and x0 is not made of tensors, are not what anybody
    differentiates by: adversarial examples come out as arrays, as they went in.
    """
    variables = problem.variables
    if not is_grad_enabled():
        return result
    reads = problem.reads or set()
    parameters_alone = all(isinstance(x, Parameter) for x in reads)
    if parameters_alone and not (reads and variables.tensors):
        return result
    arguments = [result.x] if len(variables.arguments) == 1 else [result.x, result.y]
    xs = [x.detach() if isinstance(x, Tensor) else Tensor(x) for x in flatten(arguments)[0]]
    if _solved(result) and not constrained and not isinstance(problem, FiniteSum):  # its optimality is a batch's
        xs = implicit_root(problem.stationarity, xs, symmetric=problem.symmetric)
    else:
        why = "it is subject to a constraint" if constrained else f"the run has {result.message}"
        xs = [apply(UNSOLVED, (x, next(iter(reads)), why)) for x in xs]
    result = _rebuilt(result, problem, xs)
    if result.average is not None:
        means, rebuild = flatten(result.average)
        why = "it is an average of iterates"
        result.average = rebuild([apply(UNSOLVED, (x, next(iter(reads)), why)) for x in adopt(Tensor, means)])
    return result


def _solved(result: Result[Any, Any]) -> bool:
    """Whether x satisfies its equation: short steps and small changes alone do not say so."""
    first, last = float(result.history["optimality"][0]), result.optimality
    near = result.status in (Status.STEP, Status.VALUE) and last <= NEAR * max(1.0, first)
    return result.status in SOLVED or near


def _rebuilt(result: Result[Any, Any], problem: Problem, xs: list[Tensor]) -> Result[Any, Any]:
    x, *y = problem.variables.rebuild(xs)
    return replace(result, x=x, y=y[0] if y else None, **problem.outcome(xs))


def _refuse(asked: Any, g: Any, y: Any, x: Any, data: Any, why: str) -> Any:
    raise GraphError(
        f"this answer has no derivative by implicit differentiation, because {why}, so its gradient need not vanish "
        "there. Let it converge (more iterations, another method, a looser tol), or detach() the answer"
    )


UNSOLVED = Op("a solution", lambda x, data, why: x, vjp=_refuse)


def all_examples(
    hidden: BatchedValue,
    problem: Problem,
    constrained: bool,
    solve: Callable[..., Result[Any, Any]],
) -> Result[Any, Any]:
    """One solve for all examples of a vmap: of the sum of their functions, or of all their equations together.

    What belongs to one example does not touch another, so the solution for all is that for each. Where it is not found,
    the examples are solved one by one, so that one that has no solution does not spoil the others.

    Args:
        solve: of (function, its starting points), one with an axis of examples in front.
    """
    variables, axis = problem.variables, HiddenAxis(hidden.size, hidden.level)
    if variables.modules or constrained:
        what = "a module, which is trained in place" if variables.modules else "a constraint on all of them"
        raise TypeError(f"under vmap there are many solutions, and here is {what}: call it in a loop over the examples")
    together = (lambda y: axis.leave(y)) if isinstance(problem, LeastSquares) else (lambda y: axis.leave(y).sum())

    def only(i: int) -> Callable[[Any], Any]:
        return lambda y: axis.leave(y)[i]

    def fun(enter: Callable[[Any], Any], leave: Callable[[Any], Any]) -> Callable[..., Any]:
        def evaluate(*arguments: Any) -> Any:
            parts, examples = arguments[: len(variables.arguments)], arguments[len(variables.arguments) :]
            out = variables.call(problem.fun, [enter(x) for part in parts for x in part], *examples)
            return tree_map(lambda y: leave(y) if isinstance(y, Tensor) else y, out)

        return evaluate

    starts = [[axis.leave(Tensor(array)) for array in argument.arrays()] for argument in variables.arguments]
    with no_grad():
        result = solve(fun(axis.enter, together), starts)
        if not result.success and not problem.stochastic:
            result = _stacked(
                [
                    solve(fun(lambda x: x, only(i)), [[x[i] for x in part] for part in starts])
                    for i in range(hidden.size)
                ]
            )
        found: Sequence[Any] = flatten([result.x] if result.y is None else [result.x, result.y])[0]
        average = result.average
        result = _rebuilt(result, problem, [axis.enter(x) for x in found])
        if average is not None:
            result.average = variables.rebuild([axis.enter(x) for x in flatten(average)[0]])[0]
    return with_derivative(result, problem, constrained)


def _stacked(results: list[Result[Any, Any]]) -> Result[Any, Any]:
    """The results of the examples as one: x stacked, counts added up, and the status of the first that failed."""
    worst = next((result for result in results if not result.success), results[-1])

    def stacked(name: str) -> Any:
        each = [flatten(getattr(result, name))[0] for result in results]
        return None if getattr(worst, name) is None else [np.stack(leaves) for leaves in zip(*each, strict=True)]

    counts = {name: sum(getattr(result, name) for result in results) for name in ("nfev", "njev", "nhev")}
    nit = max(result.nit for result in results)
    return replace(worst, x=stacked("x"), y=stacked("y"), average=stacked("average"), nit=nit, **counts)
