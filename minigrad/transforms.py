"""Transformations of functions: gradients, products with Jacobians and Hessians, and vectorization.

Signatures are JAX's. Arguments and results are tensors, arrays or numbers, and lists, tuples and dicts of them; what comes
back are tensors. Everything nests: ``vmap(grad(f))`` gives per-example gradients, ``grad`` of a ``vmap`` sums over
examples, and ``hessian`` is the Jacobian of a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import count
from typing import Any

import numpy as np

from minigrad import batched
from minigrad.backend import innermost
from minigrad.engine import Op, apply, enable_grad, is_grad_enabled, key, reachable, walk, wrap
from minigrad.errors import GraphError
from minigrad.tensor import Tensor, seed_of, zeros_like
from minigrad.tree import broadcast, flatten, tree_map

_next_level = count(1).__next__
_identity = Op("identity", lambda x: x, lambda g, y, x: g, view=True)

#: Temporaries of about this many bytes stay in a core's cache; ``jacobian`` sizes its sweeps by it (measured).
CACHE_BYTES = 1 << 20


# -------------------------------------------------------------------------------------------- reverse mode
def gradients(
    y: Any, xs: Any, grad_outputs: Any = None, create_graph: bool = False, retain_graph: bool | None = None
) -> Any:
    """The derivatives of ``y`` by the tensors ``xs``, in a graph already recorded; nothing is added to ``.grad``.

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
            raise GraphError(f"input {i} does not require gradients; make it with requires_grad=True before computing y")
    roots = [(y, seed_of(y, c, create_graph)) for y, c in zip(ys, cotangents, strict=True)]
    result = _pull(roots, wanted, create_graph, create_graph if retain_graph is None else retain_graph)
    return result[0] if isinstance(xs, Tensor) else tuple(result)


def _pull(roots: list[tuple[Tensor, Any]], wanted: Sequence[Tensor], create_graph: bool, retain_graph: bool) -> list[Tensor]:
    """The cotangents of ``wanted`` as tensors, zeros where no path leads."""
    found = walk(roots, wanted, create_graph, retain_graph)
    result = []
    for x in wanted:
        g = found.get(key(x))
        if g is None:
            g = zeros_like(x)
        elif not isinstance(g, Tensor):
            g = wrap(np.asarray(g) if isinstance(g, np.generic) else g)
        result.append(g)
    return result


def _variable(x: Any, name: str) -> Tensor:
    """A fresh tensor to differentiate by, which hands its gradient on to ``x`` if ``x`` is being differentiated too."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.dtype.kind != "f":
        raise TypeError(f"{name} needs floating-point arguments to differentiate by, not {x.dtype}; cast with .astype('float32')")
    if x.tracked:
        return apply(_identity, (x,))
    y = x.detach()
    y.tracked = True
    return y


class _Recording:
    """One call of a function on fresh variables, recorded: what every transformation below starts with."""

    def __init__(self, name: str, fun: Callable[..., Any], args: Sequence[Any], argnums: Any, kwargs: Any, has_aux: bool):
        self.outer = is_grad_enabled()  # may the result be differentiated once more?
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        with enable_grad():
            trees = {i % len(args): tree_map(lambda x: _variable(x, name), args[i]) for i in numbers}
            self.argument = trees[argnums % len(args)] if isinstance(argnums, int) else tuple(trees[i % len(args)] for i in numbers)
            self.variables, self.rebuild = flatten(self.argument)
            out = fun(*(trees.get(i, arg) for i, arg in enumerate(args)), **kwargs)
        self.out, self.aux = out if has_aux else (out, None)
        self.outputs, self.rebuild_out = flatten(self.out)
        self.outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in self.outputs]

    def scalar(self, name: str) -> Tensor:
        if len(self.outputs) != 1 or self.outputs[0].shape != ():
            shapes = ", ".join(str(y.shape) for y in self.outputs)
            raise GraphError(f"{name} needs a function that returns one scalar; this one returned {shapes}. "
                             "Reduce it with .mean() or .sum(), or use jacobian")
        return self.outputs[0]

    def differentiable(self, *extra: Tensor) -> bool:
        """Whether the result depends on something tracked outside, and so has to stay in the graph."""
        if not self.outer:
            return False
        leaves = reachable([*self.outputs, *extra])[1]
        return not leaves <= {x for x in self.variables if x.node is None}

    def pull(self, cotangents: Sequence[Any], create_graph: bool, retain_graph: bool = True) -> list[Tensor]:
        """The variables' cotangents, from those of the outputs."""
        roots = [(y, c) for y, c in zip(self.outputs, cotangents, strict=True) if y.tracked]
        return _pull(roots, self.variables, create_graph, retain_graph)

    def result(self, values: Sequence[Tensor], create_graph: bool) -> Sequence[Tensor]:
        return values if create_graph else [y.detach() for y in values]


def value_and_grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """``value_and_grad(f)(x)`` is (f(x), its gradient), for one evaluation of f.

    Args:
        fun: returns a scalar, or (scalar, anything) with ``has_aux``.
        argnums: which argument(s) to differentiate by; a sequence gives a tuple of gradients.

    Raises:
        GraphError: ``fun`` does not return a scalar.
        TypeError: an argument to differentiate by is not floating-point.
    """

    @wraps(fun)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        run = _Recording("grad", fun, args, argnums, kwargs, has_aux)
        y = run.scalar("grad")
        again = run.differentiable()
        seed = np.ones_like(y.array)
        gradient = run.rebuild(run.pull([wrap(seed) if again else seed], again, retain_graph=again))
        (value,) = run.result([y], again)
        return ((value, run.aux), gradient) if has_aux else (value, gradient)

    return value_and_gradient


def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """``grad(f)(x)`` is the gradient of the scalar function f at x; see :func:`value_and_grad`."""
    both = value_and_grad(fun, argnums, has_aux)

    @wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """f(x), and the function v -> v^T J, where J is the Jacobian of f at x; it returns one cotangent per primal."""
    run = _Recording("vjp", fun, primals, tuple(range(len(primals))), {}, has_aux)

    def pullback(cotangent: Any) -> Any:
        given = flatten(cotangent)[0]
        if len(given) != len(run.outputs):
            raise ValueError(f"vjp: the function returned {len(run.outputs)} tensors, but {len(given)} cotangents were given")
        seeds = [_like(c, y, "cotangent") for c, y in zip(given, run.outputs, strict=True)]
        again = is_grad_enabled() and (any(c.tracked for c in seeds) or run.differentiable())
        return run.rebuild(run.pull(seeds if again else [c.array for c in seeds], again))

    out = run.rebuild_out(run.result(run.outputs, run.differentiable()))
    return (out, pullback, run.aux) if has_aux else (out, pullback)


def _like(x: Any, y: Tensor, what: str) -> Tensor:
    x = x if isinstance(x, Tensor) else Tensor(x, dtype=y.dtype)
    if x.shape != y.shape:
        raise ValueError(f"the {what} has shape {x.shape}, but its tensor has shape {y.shape}; they must agree")
    return x.astype(y.dtype)


# ---------------------------------------------------------------------------------- forward mode and curvature
def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f(x) and J v: the directional derivative, for primals x and tangents v of the same structure.

    By differentiating twice in reverse: u -> u^T J is linear in u, and the transpose of that map is v -> J v.
    """
    run = _Recording("jvp", fun, primals, tuple(range(len(primals))), {}, False)
    vs = _tangents("jvp", tangents, run.variables)
    again = run.differentiable(*vs)
    with enable_grad():
        us = [zeros_like(y) for y in run.outputs]
        for u in us:
            u.tracked = True
        uJ = run.pull(us, create_graph=True)
    roots = [(g, v if again else v.array) for g, v in zip(uJ, vs, strict=True) if g.tracked]
    Jv = _pull(roots, us, again, again)
    return run.rebuild_out(run.result(run.outputs, again)), run.rebuild_out(Jv)


def hvp(fun: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """H v, the Hessian of the scalar function f at x times v, without the Hessian: the gradient of <grad f, v>.

    ``primals`` and ``tangents`` are tuples of arguments as in :func:`jvp`, or one argument each, not in a tuple.
    """
    several = isinstance(primals, (tuple, list))
    args = tuple(primals) if several else (primals,)
    run = _Recording("hvp", fun, args, tuple(range(len(args))), {}, False)
    vs = _tangents("hvp", tangents, run.variables)
    y = run.scalar("hvp")
    again = run.differentiable(*vs)
    with enable_grad():
        g = run.pull([wrap(np.ones_like(y.array))], create_graph=True)
    roots = [(g, v if again else v.array) for g, v in zip(g, vs, strict=True) if g.tracked]
    Hv = run.rebuild(_pull(roots, run.variables, again, again))
    return Hv if several else Hv[0]


def _tangents(name: str, tangents: Any, variables: Sequence[Tensor]) -> list[Tensor]:
    given = flatten(tangents)[0]
    if len(given) != len(variables):
        raise ValueError(f"{name}: {len(variables)} primal tensors need as many tangents, but {len(given)} were given")
    return [_like(v, x, "tangent") for v, x in zip(given, variables, strict=True)]


def jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """``jacobian(f)(x)[i, j]`` is d f(x)_i / d x_j, of shape (*f(x).shape, *x.shape); trees nest output over input.

    All rows are pulled back together, as a batch of one-hot cotangents, ``chunk_size`` at a time (by default so many
    that a chunk's temporaries stay in cache).
    """

    @wraps(fun)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        run = _Recording("jacobian", fun, args, argnums, kwargs, has_aux)
        again = run.differentiable()
        chunk = chunk_size or _chunk_that_fits(run.outputs)
        J = run.rebuild_out([run.rebuild(_rows(run, i, chunk, again)) for i in range(len(run.outputs))])
        return (J, run.aux) if has_aux else J

    return jacobian_of


def _rows(run: _Recording, i: int, chunk: int, again: bool) -> list[Tensor]:
    """The Jacobian of the i-th output by each variable."""
    y, blocks = run.outputs[i], []
    for start in range(0, y.size, chunk):
        n = min(chunk, y.size - start)
        one_hot = np.eye(n, y.size, start, dtype=y.dtype, like=innermost(y)).reshape(n, *y.shape)
        level = _next_level()
        seed = batched.enter(one_hot, level)
        rows = _pull([(y, wrap(seed) if again else seed)] if y.tracked else [], run.variables, again, True)
        blocks.append([_leave(row, level=level, axis=0, size=n) for row in rows])
    joined = [np.concatenate(rows) if len(rows) > 1 else rows[0] for rows in zip(*blocks, strict=True)]
    if not blocks:  # no outputs, no rows
        joined = [np.zeros_like(x, shape=(0, *x.shape)) for x in run.variables]
    return [J.reshape((*y.shape, *x.shape)) for J, x in zip(joined, run.variables, strict=True)]


def _chunk_that_fits(outputs: Sequence[Tensor]) -> int:
    largest = max((node.out.nbytes for node in reachable(outputs)[0] if node.out is not None), default=1)
    return max(1, CACHE_BYTES // max(largest, 1))


def hessian(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, chunk_size: int | None = None) -> Callable[..., Any]:
    """``hessian(f)(x)[i, j]`` is d^2 f / dx_i dx_j: the Jacobian of the gradient, see :func:`jacobian`."""
    return jacobian(grad(fun, argnums), argnums, chunk_size=chunk_size)


# ------------------------------------------------------------------------------------------- vectorization
def _leave_array(x: Any, level: int, axis: int, size: int) -> Any:
    if level in getattr(x, "levels", ()):
        return x.leave(level, axis)
    axis = axis % (x.ndim + 1)
    return np.broadcast_to(np.expand_dims(x, axis), (*x.shape[:axis], size, *x.shape[axis:]))


# Each is the other's transpose. Where x is not batched, the walk sums the examples' cotangents, as it does for any level.
_enter = Op(
    "vmap's input",
    lambda x, level, axis: batched.enter(x, level, axis),
    lambda g, y, x, level, axis: _leave(g, level=level, axis=axis, size=x.shape[axis]),
)
_leave = Op(
    "vmap's output",
    _leave_array,
    lambda g, y, x, level, axis, size: _enter(g, level=level, axis=axis),
)


def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, chunk_size: int | None = None) -> Callable[..., Any]:
    """``vmap(f)(xs)`` is f of each slice of ``xs``, stacked, computed on all slices at once.

    Args:
        fun: written for one example.
        in_axes: the axis of the examples in each argument; None for an argument that all examples share. An int for
            all arguments, or a tuple with an entry per argument, each an int, None, or a tree like the argument.
        out_axes: where the axis of the examples goes in the results.
        chunk_size: at most so many examples at a time, to bound memory.

    Raises:
        ValueError: no argument is mapped, or the mapped axes differ in length.
    """

    @wraps(fun)
    def mapped(*args: Any) -> Any:
        specs = (in_axes,) * len(args) if in_axes is None or isinstance(in_axes, int) else tuple(in_axes)
        axes = broadcast(specs, args, "in_axes")
        leaves, rebuild = flatten(args)
        leaves = [x if axis is None or isinstance(x, Tensor) else Tensor(x) for x, axis in zip(leaves, axes, strict=True)]
        size = _batch_size(leaves, axes)
        step = chunk_size or max(size, 1)
        if step < 1:
            raise ValueError(f"vmap: chunk_size must be a positive number of examples, not {chunk_size}")
        chunks = []
        for start in range(0, max(size, 1), step):
            part = slice(start, min(start + step, size))
            inputs = [x if axis is None or step >= size else _slice(x, axis, part) for x, axis in zip(leaves, axes, strict=True)]
            chunks.append(_sweep(fun, rebuild, inputs, axes, out_axes, part.stop - part.start))
        outputs, rebuild_out = chunks[0]
        if len(chunks) > 1:
            places = broadcast(out_axes, rebuild_out(outputs), "out_axes")
            outputs = [np.concatenate(parts, axis=axis) for parts, axis in zip(zip(*(o for o, _ in chunks), strict=True), places, strict=True)]
        return rebuild_out(outputs)

    return mapped


def _sweep(fun: Any, rebuild: Any, inputs: Sequence[Any], axes: Sequence[Any], out_axes: Any, size: int) -> tuple[list[Tensor], Any]:
    level = _next_level()
    batch = [x if axis is None else apply(_enter, (x,), {"level": level, "axis": axis}) for x, axis in zip(inputs, axes, strict=True)]
    outputs, rebuild_out = flatten(fun(*rebuild(batch)))
    places = broadcast(out_axes, rebuild_out(outputs), "out_axes")
    outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in outputs]
    return [apply(_leave, (y,), {"level": level, "axis": axis, "size": size}) for y, axis in zip(outputs, places, strict=True)], rebuild_out


def _slice(x: Tensor, axis: int, part: slice) -> Tensor:
    return x[(slice(None),) * (axis % x.ndim) + (part,)]


def _batch_size(leaves: Sequence[Any], axes: Sequence[Any]) -> int:
    for x, axis in zip(leaves, axes, strict=True):
        if axis is not None and not -x.ndim <= axis < x.ndim:
            raise ValueError(f"vmap: an argument of shape {x.shape} has no axis {axis} to map over; give it in_axes=None to share it")
    sizes = {x.shape[axis] for x, axis in zip(leaves, axes, strict=True) if axis is not None}
    if len(sizes) != 1:
        detail = f"differ in length: {sorted(sizes)}" if sizes else "are none: every entry of in_axes is None"
        raise ValueError(f"vmap: the mapped axes {detail}")
    return sizes.pop()


__all__ = ["grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp", "vmap"]
