"""Implicit differentiation: the derivative of a solution from the equation that it solves, not from how it was found.

Where F(x, a) = 0 defines x as a function of a, differentiating the equation gives F_x dx + F_a da = 0, so

    dx/da = -F_x^{-1} F_a,      and the cotangent of a is  -F_a^T u  with  F_x^T u = g

(the implicit function theorem; Griewank & Walther, "Evaluating Derivatives" (2008), ch. 15; Blondel et al., "Efficient
and modular implicit differentiation" (2022)). The solver need not be differentiable, and none of its steps is kept.

The equation comes as a function of x alone, a closure over its data; closures.py finds the data. The rule is written in
recorded operations, with the solution itself, tracked, as x: so it differentiates again by itself, to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.arrays.backend import backend_of, move, to_numpy, unwrapped
from minigrad.core.graph import Op, Variable, apply, levels, mark, wrap
from minigrad.core.modes import is_grad_enabled, no_grad
from minigrad.ops.linalg import solve
from minigrad.readers.batched import Batched
from minigrad.tensor import Tensor
from minigrad.transforms.autodiff import jacobian, vjp
from minigrad.transforms.closures import Call, Program, convert, fresh
from minigrad.transforms.flat import TypedLayout
from minigrad.transforms.tree import flatten

__all__ = ["implicit_root"]

#: Up to so many unknowns the Jacobian is formed and factorized; beyond, only its products are.
DENSE = 500


def implicit_root(fun: Callable[[Any], Any], x: Any, symmetric: bool = False, dense: int = DENSE) -> Any:
    """``x``, which solves fun(x) = 0, as a function of the tensors that ``fun`` reads: dx/da = -(dF/dx)^{-1} dF/da.

    Args:
        fun: F, of a tree of tensors like ``x``; it returns as many numbers as x has, in any structure. What it reads
            besides (its closure) is what the result can be differentiated by. For a minimum, F is the gradient of the
            objective; for a fixed point of g, F(x) = x - g(x).
        x: the solution, a tree of floating-point tensors; as accurate as it is, the derivatives are. Inside a vmap, the
            solutions of all examples, or one that all have in common.
        symmetric: dF/dx is symmetric, as a Hessian is.
        dense: with more unknowns than this the linear systems are solved by an iteration on products (CG where
            symmetric, otherwise GMRES), and the Jacobian is not formed.

    Returns:
        a tree like ``x``, with its numbers; not tracked where ``fun`` reads nothing that is, or nothing is recorded.

    For one derivative a dense system costs x.size rows of a Jacobian and one factorization; the solver costs nothing.

    Raises:
        ValueError: F has another number of entries than x.
        LinAlgError: in the backward: dF/dx is singular at the solution, to working precision, or the iteration did not
            converge. Then the solution is not isolated, or does not depend smoothly on the data.
        GraphError: in the backward: data have been overwritten since.

    >>> import minigrad as mg
    >>> from minigrad.transforms.implicit import implicit_root
    >>> root = lambda a: implicit_root(lambda x: x**2 - a, mg.sqrt(a).detach())
    >>> mg.grad(root)(4.0), mg.grad(mg.grad(root))(4.0)  # 1 / (2 sqrt a), -1 / (4 a sqrt a)
    (Tensor(0.25), Tensor(-0.0312))
    """
    leaves, rebuild = flatten(x)
    xs = [x.detach() if isinstance(x, Tensor) else Tensor(x) for x in leaves]
    if not is_grad_enabled():
        return rebuild(xs)
    since = mark()
    variables = [fresh(x) for x in xs]
    equations = [y if isinstance(y, Tensor) else Tensor(y) for y in flatten(fun(rebuild(variables)))[0]]
    unknowns, number = sum(x.size for x in xs), sum(y.size for y in equations)
    if number != unknowns:
        raise ValueError(
            f"implicit_root: {unknowns} unknowns, of shapes {[x.shape for x in xs]}, need as many equations, but fun "
            f"returned {number}, of shapes {[y.shape for y in equations]}"
        )
    program, captured = convert(equations, variables, since)
    if not captured:
        return rebuild(xs)
    call = _Equation(program, TypedLayout(xs), symmetric, unknowns > dense)
    with no_grad():
        value, F = call.layout.join(xs), TypedLayout(equations).join(equations)
        if set(levels(F)) - set(levels(value)):  # one starting value for the examples of a vmap
            value = np.where(F == F, value, value)
    call.value = value.array
    y = apply(ROOT, (*captured, call))
    return rebuild(call.layout.split(y))


class _Equation(Call):
    """F as a program of the unknowns and the data, and the solution."""

    def __init__(self, program: Program, layout: TypedLayout, symmetric: bool, large: bool) -> None:
        self.program, self.layout, self.symmetric, self.large = program, layout, symmetric, large
        self.value: Any = None  # the solution as a vector: the same in every replay, which is at the same data

    def at(self, y: Any, data: Sequence[Any]) -> Any:
        """F, as a vector, at the vector ``y``."""
        equations = self.program(self.layout.split(y), data)
        return TypedLayout(equations).join(equations)


def _vjp(asked: list[int], g: Any, y: Any, *inputs: Any) -> list[Any]:
    """-F_a^T u, with F_x^T u = g."""
    *args, call = inputs
    again = any(isinstance(x, Variable) for x in args)
    g, y, *data = (x if isinstance(x, Variable) else wrap(x) for x in (g, y, *args))

    def F(y: Any, *chosen: Any) -> Any:
        everything = list(data)
        for i, x in zip(asked, chosen, strict=False):
            everything[i] = x
        return call.at(y, everything)

    u = _krylov_solve(F, y, g, call.symmetric) if call.large else _dense_solve(F, y, g)
    found = iter(vjp(lambda *chosen: F(y, *chosen), *(data[i] for i in asked))[1](-u))
    return [(next(found) if again else next(found).array) if i in asked else None for i in range(len(data))]


ROOT = Op("implicit_root", lambda *inputs: inputs[-1].value, vjp=_vjp)


def _singular(detail: str) -> np.linalg.LinAlgError:
    return np.linalg.LinAlgError(
        f"implicit_root: the Jacobian of the equations is singular at the solution ({detail}), so the solution has no "
        "derivative there: it is not the only one nearby (an objective flat in some direction, more unknowns than "
        "independent equations), or it is where two solutions meet. A small ridge (+ eps * x) makes it unique"
    )


def _dense_solve(F: Callable[..., Any], y: Any, g: Any) -> Any:
    """u with F_x^T u = g, by the Jacobian and its LU factors: operations like any other."""
    J = jacobian(F)(y)
    try:
        u = solve(J.mT, g)
    except np.linalg.LinAlgError as error:
        raise _singular("exactly so") from error
    # |J| |u| / |g| is at most the condition number, and all of it that can be felt in u
    size, scale = (np.sqrt((x.detach() ** 2).sum()) for x in (u, g))
    limit = 0.1 / float(np.finfo(J.dtype).eps)
    norm = np.sqrt((J.detach() ** 2).sum())
    if not bool(unwrapped(norm * size <= limit * scale).all()):
        raise _singular(f"condition number over {limit:.0e}")
    return u


def _krylov_solve(F: Callable[..., Any], y: Any, g: Any, symmetric: bool) -> Any:
    """The same by products with F_x^T alone. What solves a linear system is itself the root of an equation."""
    with no_grad():
        pull = vjp(F, y.detach())[1]
        u = _krylov(lambda v: pull(v)[0], g.detach(), symmetric)
    if not y.tracked:
        return u
    again = vjp(F, y)[1]
    return implicit_root(lambda u: again(u)[0] - g, u, symmetric, dense=0)


def _krylov(product: Callable[[Any], Any], b: Any, symmetric: bool) -> Any:
    """u with product(u) = b, by SciPy, on the host; the examples of a vmap are the blocks of one system."""
    from scipy.sparse.linalg import LinearOperator, cg, gmres

    Ab = product(b)
    b = np.where(Ab == Ab, b, b).array  # for every example that the system is for
    whole, batch, dtype = unwrapped(b), levels(b), b.dtype
    home = backend_of(whole).name

    def tensor(flat: np.ndarray) -> Any:
        array = move(flat.astype(dtype).reshape(whole.shape), home)
        return wrap(Batched(array, batch) if batch else array)

    def host(x: Any) -> np.ndarray:
        return to_numpy(unwrapped(x)).astype(np.float64).ravel()

    def residual(u: np.ndarray) -> float:
        return float(np.linalg.norm(A @ u - right))

    right = host(b)
    A = LinearOperator((right.size, right.size), lambda v: host(product(tensor(v))), dtype=np.float64)
    eps = float(np.finfo(dtype).eps)
    options = {"rtol": eps ** (2 / 3), "atol": 0.0}
    enough = eps**0.5 * float(np.linalg.norm(right))
    with np.errstate(all="ignore"):  # of a matrix that turns out not to be positive definite
        u = cg(A, right, **options)[0] if symmetric else right
        if not residual(u) <= enough:
            u = gmres(A, right, restart=min(right.size, 200), maxiter=20, **options)[0]
    if not residual(u) <= enough:
        raise _singular(f"or so near to it that the linear system of {right.size} unknowns was not solved by iteration")
    return tensor(u)
