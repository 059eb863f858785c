"""root and fixed_point: equations, by name of the method, with SciPy's conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from minigrad.nn.module import Module
from minigrad.optim.loop import Stopping
from minigrad.optim.result import Numbers, Result, X
from minigrad.optim.root_finding.anderson import Anderson, FixedPointIteration
from minigrad.optim.root_finding.broyden import Broyden
from minigrad.optim.root_finding.newton_raphson import NewtonRaphson
from minigrad.optim.solvers import TASKS, Report, Task, solve_task
from minigrad.transforms.tree import flatten

__all__ = ["FIXED_POINT", "ROOT", "fixed_point", "root"]

ROOT: dict[str, type] = {"newton": NewtonRaphson, "broyden": Broyden, "anderson": Anderson}
FIXED_POINT: dict[str, type] = {"anderson": Anderson, "iteration": FixedPointIteration, **ROOT}

RootMethod = Literal["newton", "broyden", "anderson"]
FixedPointMethod = Literal["anderson", "iteration", "newton", "broyden"]

_ROOT = Task("root", ROOT, maxiter=200, tol=0.75)
_FIXED_POINT = Task("fixed_point", FIXED_POINT, maxiter=1000, tol=0.75)
TASKS.extend([_ROOT, _FIXED_POINT])


def root(
    fun: Callable[..., Any],
    x0: X | Numbers,
    method: RootMethod | str | type = "newton",
    jac: Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    maxiter: int | None = None,
    callback: Callable[[Result[Any, Any]], Any] | None = None,
    stop: Stopping | None = None,
    progress: bool = False,
    keep_x: bool = False,
    **options: Any,
) -> Result[X, X]:
    """x with F(x) = 0, near ``x0``.

    >>> import minigrad as mg
    >>> result = root(lambda x: x - mg.cos(x), 1.0)
    >>> result.x.round(12), result.success
    (np.float64(0.739085133215), True)

    Args:
        fun: F. Given ``x0``'s structure of tensors, returns tensors with as many entries in all as x has.
        x0: of any kind :func:`minimize` takes.
        method: "newton" (Newton-Raphson, with a line search), "broyden" (one Jacobian, then learned), "anderson" (the
            fixed point of x - F(x); no derivative).
        jac: returns the Jacobian, (p, p), where it is known; by default it is computed.
        tol: stop where abs(F) is at most this; by default eps^(3/4) of the dtype.
        maxiter: at most so many steps, by default 200.
        callback, stop, progress, keep_x: as in :func:`minimize`; a ``target`` is one of 1/2 abs(F)^2.
        options: the method's own.

    Returns:
        a Result whose ``fun`` is F(x) and whose ``optimality`` is abs(F). Where no step makes abs(F) smaller and it
        does not vanish, ``success`` is False. It can be differentiated through, as that of :func:`minimize`.

    Raises:
        ValueError: another number of equations than unknowns; no such method.
        GraphError: F does not return tensors computed from its argument.
    """
    report = Report(callback, progress, keep_x)
    return solve_task(_ROOT, fun, (x0,), method, stop, {"tol": tol, "maxiter": maxiter}, report, options, jac=jac)


def fixed_point(
    fun: Callable[..., Any],
    x0: X | Numbers,
    method: FixedPointMethod | str | type = "anderson",
    *,
    tol: float | None = None,
    maxiter: int | None = None,
    callback: Callable[[Result[Any, Any]], Any] | None = None,
    stop: Stopping | None = None,
    progress: bool = False,
    keep_x: bool = False,
    **options: Any,
) -> Result[X, X]:
    """x with x = g(x), near ``x0``.

    >>> import minigrad as mg
    >>> result = fixed_point(mg.cos, 1.0)
    >>> result.x.round(12), result.success
    (np.float64(0.739085133215), True)

    Args:
        fun: g. Given ``x0``'s structure of tensors, returns the same structure.
        method: "anderson" (the default), "iteration" (x <- g(x)), "newton" or "broyden".
        tol: stop where abs(g(x) - x) is at most this; by default eps^(3/4) of the dtype.
        maxiter: at most so many steps, by default 1,000.
        x0, callback, stop, progress, keep_x, options: as in :func:`root`.

    Returns:
        a Result whose ``fun`` is x - g(x). It can be differentiated through, as that of :func:`minimize`.

    Raises:
        ValueError, GraphError: as :func:`root`; ``fun`` returns another structure than it is given.
    """

    def difference(x: Any) -> Any:
        before, after = flatten(x)[0], _in_order_of(x, fun(x))
        shapes = [tuple(getattr(a, "shape", ())) for a in after]
        if [b.shape for b in before] != shapes:
            raise ValueError(f"fixed_point: g must return what it is given, {[b.shape for b in before]}, not {shapes}")
        return [b - a for b, a in zip(before, after, strict=True)]

    report = Report(callback, progress, keep_x)
    return solve_task(_FIXED_POINT, difference, (x0,), method, stop, {"tol": tol, "maxiter": maxiter}, report, options)


def _in_order_of(x: Any, y: Any) -> list[Any]:
    """The leaves of ``y``, a tree like ``x``, in x's order: that of a dict's keys says nothing."""
    if isinstance(x, Module):
        raise TypeError("fixed_point: g cannot return a module; give its parameters as x0, a dict by name")
    if isinstance(x, dict) and isinstance(y, dict) and x.keys() == y.keys():
        return [leaf for key in x for leaf in _in_order_of(x[key], y[key])]
    if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)) and len(x) == len(y):
        return [leaf for a, b in zip(x, y, strict=True) for leaf in _in_order_of(a, b)]
    if isinstance(x, (dict, list, tuple)) or isinstance(y, (dict, list, tuple)):
        raise ValueError(f"fixed_point: g must return the structure that it is given, {x!r}, not {y!r}")
    return [y]
