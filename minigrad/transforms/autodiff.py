"""Transformations of functions: gradients, Jacobians, and products with Jacobians and Hessians.

Signatures are JAX's. Arguments and results are tensors, arrays or numbers, and lists, tuples and dicts of them; what
comes back are tensors. Everything nests: ``vmap(grad(f))`` gives per-example gradients, ``grad`` of a ``vmap`` sums
over examples, and ``hessian`` is the Jacobian of a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, Literal, overload

import numpy as np

from minigrad.arrays.backend import Array, unwrapped
from minigrad.core.errors import GraphError
from minigrad.core.graph import reachable, wrap
from minigrad.core.modes import enable_grad, is_grad_enabled
from minigrad.creation import zeros_like
from minigrad.tensor import Tensor, seed_of
from minigrad.transforms.recording import Recording, pull
from minigrad.transforms.signatures import Of, Result, Transformed
from minigrad.transforms.tree import flatten, leaves_like
from minigrad.transforms.vmap import HiddenAxis

__all__ = [
    "chunk_that_fits",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "pull_many",
    "recorded_jacobian",
    "unit_vectors",
    "value_and_grad",
    "vjp",
]


#: Temporaries of about this many bytes stay in a core's cache; ``jacobian`` sizes its sweeps by it (measured).
CACHE_BYTES = 1 << 21


# -------------------------------------------------------------------------------------------- reverse mode
@overload
def gradients(
    y: Any, xs: Tensor, grad_outputs: Any = None, create_graph: bool = False, retain_graph: bool | None = None
) -> Tensor: ...
@overload
def gradients(
    y: Any,
    xs: Sequence[Tensor],
    grad_outputs: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Tensor, ...]: ...
def gradients(
    y: Any, xs: Any, grad_outputs: Any = None, create_graph: bool = False, retain_graph: bool | None = None
) -> Any:
    """The derivatives of ``y`` by the tensors ``xs``, in a graph already recorded; nothing is added to ``.grad``.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> h = x * x
    >>> gradients(h.sum(), (x, h))
    (Tensor([2., 4.]), Tensor([1., 1.]))

    Args:
        y: a scalar tensor, or a sequence of tensors.
        xs: a tensor, or a sequence of them; leaves or intermediate results.
        grad_outputs: the cotangent(s) of ``y``; 1 for scalars.
        create_graph: let the result be differentiated again.
        retain_graph: keep the graph; by default where ``create_graph``.

    Returns:
        a tensor for a tensor, a tuple for a sequence; zeros where ``y`` does not depend on x.

    Raises:
        GraphError: an x does not require gradients, y is not a scalar and has no cotangent, the graph was freed, or
            overwritten since.
    """
    ys = [y] if isinstance(y, Tensor) else list(y)
    wanted = [xs] if isinstance(xs, Tensor) else list(xs)
    cotangents = [grad_outputs] * len(ys) if grad_outputs is None or isinstance(y, Tensor) else list(grad_outputs)
    for i, x in enumerate(wanted):
        if not x.tracked:
            raise GraphError(
                f"input {i} does not require gradients; make it with requires_grad=True before computing y"
            )
    roots = [(y, seed_of(y, c, create_graph)) for y, c in zip(ys, cotangents, strict=True)]
    result = pull(roots, wanted, create_graph, create_graph if retain_graph is None else retain_graph)
    return result[0] if isinstance(xs, Tensor) else tuple(result)


def pull_many(
    roots: Sequence[tuple[Tensor, Any]], wanted: Sequence[Tensor], count: int, create_graph: bool = False
) -> list[Tensor]:
    """:func:`pull` for ``count`` cotangents of each root at once, stacked along a first axis; so are the results."""
    several = HiddenAxis(count)
    seeds = [(y, several.enter(cotangents)) for y, cotangents in roots]
    return [several.leave(g) for g in pull(seeds, wanted, create_graph, True)]


@overload
def value_and_grad(
    fun: Of[Tensor], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Transformed[tuple[Tensor, Tensor]]: ...
@overload
def value_and_grad(
    fun: Of[dict[str, Tensor]], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Transformed[tuple[Tensor, dict[str, Tensor]]]: ...
@overload
def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Transformed[Any]: ...
def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Transformed[Any]:
    """``value_and_grad(f)(x)`` is (f(x), its gradient), for one evaluation of f.

    >>> import minigrad as mg
    >>> value_and_grad(lambda p: (p["w"] ** 2).sum())({"w": mg.tensor([1.0, 2.0])})
    (Tensor(5.), {'w': Tensor([2., 4.])})

    Args:
        fun: returns a scalar, or (scalar, anything) with ``has_aux``.
        argnums: which argument(s) to differentiate by; a sequence gives a tuple of gradients.

    Raises:
        GraphError: ``fun`` does not return a scalar.
        TypeError: an argument to differentiate by is not floating-point.
    """

    @wraps(fun)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        run = Recording("grad", fun, args, argnums, kwargs, has_aux)
        y = run.scalar("grad")
        again = run.differentiable()
        seed = np.ones_like(y.array)
        aux = run.side()
        kept = again or any(isinstance(x, Tensor) and x.tracked for x in flatten(aux)[0])
        gradient = run.rebuild(run.pull([wrap(seed) if again else seed], again, retain_graph=kept))
        value = y if again else y.detach()
        return ((value, aux), gradient) if has_aux else (value, gradient)

    return value_and_gradient


@overload
def grad(fun: Of[Tensor], argnums: Literal[0] = 0, has_aux: Literal[False] = False) -> Transformed[Tensor]: ...
@overload
def grad(
    fun: Of[dict[str, Tensor]], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Transformed[dict[str, Tensor]]: ...
@overload
def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Transformed[Any]: ...
def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Transformed[Any]:
    """``grad(f)(x)`` is the gradient of the scalar function f at x; see :func:`value_and_grad`.

    >>> grad(lambda x: x**3)(2.0), grad(grad(lambda x: x**3))(2.0)
    (Tensor(12.), Tensor(12.))
    """
    both = value_and_grad(fun, argnums, has_aux)

    @wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


@overload
def vjp(
    fun: Callable[..., Result], *primals: Any, has_aux: Literal[False] = False
) -> tuple[Result, Callable[[Any], tuple[Any, ...]]]: ...
@overload
def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool) -> tuple[Any, ...]: ...
def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """f(x), and the function v -> v^T J, where J is the Jacobian of f at x; it returns one cotangent per primal.

    >>> import minigrad as mg
    >>> y, pullback = vjp(lambda a, b: a * b, mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    >>> y, pullback(mg.tensor([1.0, 0.0]))
    (Tensor([3., 8.]), (Tensor([3., 0.]), Tensor([1., 0.])))

    Raises:
        TypeError: a primal is not floating-point.
        ValueError: by the pullback: another number of cotangents than outputs, or another shape.
    """
    run = Recording("vjp", fun, primals, tuple(range(len(primals))), {}, has_aux)

    def pullback(cotangent: Any) -> Any:
        count = len(flatten(cotangent)[0])
        if count != len(run.outputs):
            raise ValueError(
                f"vjp: the function returned {len(run.outputs)} tensors, but {count} cotangents were given"
            )
        given = leaves_like(run.rebuild_out(run.outputs), cotangent, "vjp: the cotangents")
        seeds = [_like(c, y, "cotangent") for c, y in zip(given, run.outputs, strict=True)]
        again = is_grad_enabled() and (any(c.tracked for c in seeds) or run.differentiable())
        return run.rebuild(run.pull(seeds if again else [c.array for c in seeds], again))

    out = run.value(run.differentiable())
    return (out, pullback, run.side()) if has_aux else (out, pullback)


def _like(x: Any, y: Tensor, what: str) -> Tensor:
    x = x if isinstance(x, Tensor) else Tensor(x, dtype=y.dtype)
    if x.shape != y.shape:
        raise ValueError(f"the {what} has shape {x.shape}, but its tensor has shape {y.shape}; they must agree")
    return x.astype(y.dtype)


# ---------------------------------------------------------------------------------- forward mode and curvature
def jvp(fun: Callable[..., Result], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Result, Result]:
    """f(x) and J v: the directional derivative, for primals x and tangents v of the same structure.

    >>> import minigrad as mg
    >>> jvp(lambda x: x * x, (mg.tensor([1.0, 2.0]),), (mg.tensor([1.0, 0.5]),))
    (Tensor([1., 4.]), Tensor([2., 2.]))

    By differentiating twice in reverse: u -> u^T J is linear in u, and the transpose of that map is v -> J v. So a
    tangent costs two walks back, the first of them recorded. Measured: of multilayer perceptrons 1.7 to 1.9 times a
    gradient, which is 4 to 5 times the function itself; of convolutional networks 3 to 4 times a gradient. A forward
    mode of its own would need at most 2.5 times the function (Griewank & Walther 2008), and keep nothing for a walk.

    Raises:
        TypeError: a primal is not floating-point.
        ValueError: another number of tangents than primals, or another shape.
    """
    run = Recording("jvp", fun, primals, tuple(range(len(primals))), {}, False)
    vs = _tangents("jvp", tangents, primals, run.variables)
    again = run.differentiable(*vs)
    with enable_grad():
        us = [zeros_like(y) for y in run.outputs]
        for u in us:
            u.tracked = True
        uJ = run.pull(us, create_graph=True)
    roots = [(g, v if again else v.array) for g, v in zip(uJ, vs, strict=True) if g.tracked]
    Jv = pull(roots, us, again, again)
    for u in us:
        u.tracked = False
    return run.value(again), run.rebuild_out(Jv)


def hvp(fun: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """H v, the Hessian of the scalar function f at x times v, without the Hessian: the gradient of <grad f, v>.

    ``primals`` and ``tangents`` are tuples of arguments as in :func:`jvp`, or one argument each, not in a tuple.

    >>> import minigrad as mg
    >>> hvp(lambda x: (x**3).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 1.0]))
    Tensor([ 6., 12.])

    Raises:
        GraphError: ``fun`` does not return a scalar.
        TypeError, ValueError: as :func:`jvp`.
    """
    several = isinstance(primals, (tuple, list))
    args = tuple(primals) if several else (primals,)
    run = Recording("hvp", fun, args, tuple(range(len(args))), {}, False)
    vs = _tangents("hvp", tangents if several else (tangents,), args, run.variables)
    y = run.scalar("hvp")
    again = run.differentiable(*vs)
    with enable_grad():
        g = run.pull([wrap(np.ones_like(y.array))], create_graph=True)
    roots = [(g, v if again else v.array) for g, v in zip(g, vs, strict=True) if g.tracked]
    with run.open():
        Hv = run.rebuild(pull(roots, run.variables, again, again))
    return Hv if several else Hv[0]


def _tangents(name: str, tangents: Any, primals: Sequence[Any], variables: Sequence[Tensor]) -> list[Tensor]:
    count = len(flatten(tangents)[0])
    if count != len(variables):
        raise ValueError(f"{name}: {len(variables)} primal tensors need as many tangents, but {count} were given")
    given = leaves_like(primals, tangents, f"{name}: the tangents")
    return [_like(v, x, "tangent") for v, x in zip(given, variables, strict=True)]


@overload
def jacobian(
    fun: Callable[Concatenate[Tensor, ...], Tensor],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
    chunk_size: int | None = None,
) -> Transformed[Tensor]: ...
@overload
def jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, chunk_size: int | None = None
) -> Transformed[Any]: ...
def jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, chunk_size: int | None = None
) -> Transformed[Any]:
    """``jacobian(f)(x)[i, j]`` is d f(x)_i / d x_j, of shape (*f(x).shape, *x.shape); trees nest output over input.

    >>> import minigrad as mg
    >>> jacobian(lambda x: mg.stack([x[0] * x[1], x[0]]))(mg.tensor([2.0, 3.0]))
    Tensor([[3., 2.],
            [1., 0.]])

    All rows are pulled back together, as a batch of one-hot cotangents, ``chunk_size`` at a time (by default so many
    that a chunk's temporaries stay in cache).
    """

    @wraps(fun)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        run = Recording("jacobian", fun, args, argnums, kwargs, has_aux)
        again = run.differentiable()
        with run.open():
            blocks = [recorded_jacobian(y, run.variables, chunk_size, again) for y in run.outputs]
        J = run.rebuild_out([run.rebuild(block) for block in blocks])
        return (J, run.side()) if has_aux else J

    return jacobian_of


def recorded_jacobian(y: Tensor, variables: Sequence[Tensor], chunk_size: int | None, again: bool) -> list[Tensor]:
    """The Jacobian of the recorded tensor ``y`` by each variable; ``again`` records the computation."""
    blocks = []
    chunk = chunk_size or chunk_that_fits([y], y.size)
    for start in range(0, y.size, chunk):
        n = min(chunk, y.size - start)
        one_hot = unit_vectors(start, n, y.size, unwrapped(y)).reshape(n, *y.shape)
        roots = [(y, wrap(one_hot) if again else one_hot)] if y.tracked else []
        blocks.append(pull_many(roots, variables, n, again))
    joined: list[Any] = [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*blocks, strict=True)]
    if not blocks:  # no outputs, no rows
        joined = [np.zeros_like(x, shape=(0, *x.shape)) for x in variables]
    return [J.reshape((*y.shape, *x.shape)) for J, x in zip(joined, variables, strict=True)]


def unit_vectors(start: int, count: int, n: int, like: Array) -> Array:
    """``count`` rows of the (n, n) identity from row ``start`` on, beside the array ``like`` and of its dtype."""
    return np.eye(count, n, start, dtype=like.dtype, like=like)


def chunk_that_fits(outputs: Sequence[Tensor], count: int) -> int:
    """How many of ``count`` rows to pull back at once: chunks of equal size, whose temporaries about fill the cache."""
    largest = max((node.out.nbytes for node in reachable(outputs)[0] if node.out is not None), default=1)
    return max(1, -(-count // max(1, round(count * largest / CACHE_BYTES))))


@overload
def hessian(fun: Of[Tensor], argnums: Literal[0] = 0, chunk_size: int | None = None) -> Transformed[Tensor]: ...
@overload
def hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, chunk_size: int | None = None
) -> Transformed[Any]: ...
def hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, chunk_size: int | None = None
) -> Transformed[Any]:
    """``hessian(f)(x)[i, j]`` is d^2 f / dx_i dx_j: the Jacobian of the gradient, see :func:`jacobian`.

    >>> import minigrad as mg
    >>> hessian(lambda x: x[0] ** 2 * x[1])(mg.tensor([2.0, 3.0]))
    Tensor([[6., 4.],
            [4., 0.]])
    """
    return jacobian(grad(fun, argnums), argnums, chunk_size=chunk_size)
