"""Reverse-mode automatic differentiation: the graph, how it is recorded, and how it is walked back.

A computation ``y = f(x)`` made of operations is recorded as a graph of :class:`Node`. The chain rule then runs
from the output to the inputs: a node whose output has the cotangent ``g`` (the derivative of the final scalar
with respect to that output) hands each of its inputs ``rule(g, y, *inputs)`` and is done. Three ideas:

* **An operation is data**: a name, a forward on arrays, and one rule *per argument* (:class:`Op`). A gradient
  nobody asked for is never computed.
* **A rule is written once** in operators and NumPy functions, and read by whatever the arguments are: arrays give
  a first derivative, tensors record themselves and so can be differentiated again, batches give ``vmap``.
* **Broadcasting, dtypes and stale values are handled once**, in :func:`walk`, for every operation.

Nodes point only backwards, so a graph is freed by reference counting the moment its output goes out of scope.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad.arrays import as_operand
from minigrad.backend import Array
from minigrad.errors import check_finite, explain, freed, stale, users_line, wrong_shape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Rule = Callable[..., Any]


# ----------------------------------------------------------------------------------------------- modes
class Mode(NamedTuple):
    """What :func:`apply` does besides computing; local to the current context."""

    record: bool = True
    anomaly: bool = False


_mode: ContextVar[Mode] = ContextVar("minigrad_mode", default=Mode())  # noqa: B039 - a Mode is immutable


@contextmanager
def mode(**changes: Any) -> Iterator[None]:
    """Change the mode inside a ``with`` block, and restore it whatever happens there."""
    token = _mode.set(_mode.get()._replace(**changes))
    try:
        yield
    finally:
        _mode.reset(token)


def no_grad() -> Any:
    """Record nothing inside the block (or the decorated function): evaluation, parameter updates."""
    return mode(record=False)


def enable_grad() -> Any:
    """Record again, inside a ``no_grad`` block."""
    return mode(record=True)


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are being recorded."""
    return _mode.get().record


def detect_anomaly() -> Any:
    """Inside the block, the first NaN or infinity raises :class:`NonFiniteError` with the operation's name and the
    line of your program that called it, forward and backward. Slow: for hunting bugs."""
    return mode(anomaly=True)


# ------------------------------------------------------------------------------------ operations and nodes
class Op:
    """A differentiable operation: a name, a forward, and one vector-Jacobian rule per argument.

    Args:
        name: how errors and graphs call it.
        forward: ``forward(*arrays, **params) -> array``, made of NumPy functions.
        rules: ``rule(g, y, *inputs, **params)`` returns the cotangent of its argument, where ``g`` is the cotangent
            of the output ``y``; None for an argument that has no gradient. A rule may use operators, NumPy
            functions and other ops, nothing else.
        each: for any number of arguments, one rule ``each(i, g, y, *inputs, **params)`` for the i-th.
        jointly: in place of rules, where cotangents share work: ``jointly(asked, g, y, *inputs, **params)`` returns the
            cotangent of every argument, and may leave out (None) those whose index is not in ``asked``.
        view: the output may share memory with the first input.
    """

    def __init__(
        self,
        name: str,
        forward: Rule,
        *rules: Any,
        each: Any = None,
        jointly: Any = None,
        view: bool = False,
        doc: str = "",
    ) -> None:
        self.name, self.forward, self.jointly, self.view = name, forward, jointly, view
        self.rules: Any = _Each(each or jointly) if each or jointly else rules
        self.__doc__ = doc or f"``{name}``; see ``numpy.{name}``."

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        if params and isinstance(self.forward, np.ufunc):
            raise TypeError(f"{self.name}: keyword arguments {sorted(params)} are not supported on tensors")
        return apply(self, inputs, params)

    def __repr__(self) -> str:
        return f"<minigrad op {self.name}>"


class _Each:
    """The rules of an operation on any number of arguments: ``rules[i]`` is ``each(i, ...)``."""

    def __init__(self, each: Rule) -> None:
        self.each = each

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, i: int) -> Rule:
        return partial(self.each, i)


class Node:
    """One recorded application of an operation: what the walk needs to differentiate it."""

    __slots__ = ("__weakref__", "inputs", "op", "out", "out_version", "params", "rank", "versions", "where")

    op: Op
    inputs: Sequence[Any] | None  # tensors and constants, as they were passed; None once freed
    params: dict[str, Any]
    out: Array
    versions: list[int]  # of the inputs when they were read
    out_version: tuple[list[int], int]  # the output's version cell, and what it held
    rank: int  # grows with time: an input's node always has a lower rank
    where: str  # the user's line, in anomaly mode


_next_rank = count(1).__next__
_NO_PARAMS: dict[str, Any] = {}
_tensor: Any = None  # the class of the outputs, set by minigrad.tensor: the engine needs no operators of its own


def outputs_are(cls: type) -> type:
    """Class decorator: make ``apply`` wrap its results in this class."""
    global _tensor
    _tensor = cls
    return cls


def apply(op: Op, inputs: Sequence[Any], params: dict[str, Any] = _NO_PARAMS) -> Any:
    """Run ``op``; where an input is a Tensor, return a Tensor, recorded if a gradient may be asked for later.

    Given arrays alone it returns a bare array: so a rule may call operations too, and costs nothing when it runs on
    arrays.
    """
    cls = _tensor
    arrays, any_tensor, tracked = [], False, False
    for x in inputs:
        if isinstance(x, cls):
            any_tensor = True
            arrays.append(x.array)
            tracked = tracked or x.tracked
        else:
            arrays.append(x)
    try:
        y = op.forward(*arrays, **params)
    except Exception as error:
        raise explain(error, op.name, arrays) from error
    if not any_tensor:
        return y
    if isinstance(y, np.generic):  # NumPy turns 0-d results into scalars
        y = np.asarray(y)
    out = cls.__new__(cls)
    out.array = y
    out.grad = None
    out.version = inputs[0].version if op.view and isinstance(inputs[0], cls) else [0]
    context = _mode.get()
    if tracked and context.record and op.rules and y.dtype.kind == "f":
        node = Node()
        node.op, node.inputs, node.params, node.out = op, inputs, params, y
        node.versions = [x.version[0] if isinstance(x, cls) else 0 for x in inputs]
        node.out_version = (out.version, out.version[0])
        node.rank = _next_rank()
        out.node, out.tracked = node, True
        if context.anomaly:
            node.where = users_line()
    else:
        out.node, out.tracked = None, False
    if context.anomaly and y.dtype.kind == "f":
        check_finite(y, f"the forward of {op.name}", users_line())
    return out


# -------------------------------------------------------------------------------------------- the walk back
def walk(
    roots: Iterable[tuple[Tensor, Any]],
    wanted: Iterable[Tensor] | None = None,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> dict[Any, Any]:
    """Back-propagate: the cotangents of ``wanted`` (by default, of every leaf that requires a gradient).

    Nodes are visited by decreasing rank, so each is met only after everything that used it: linear time, no
    recursion, and a cotangent is dropped as soon as it has been handed on.

    Args:
        roots: pairs (tensor, its cotangent); cotangents are arrays, or Tensors where ``create_graph``.
        wanted: walk only the paths that lead to these.
        create_graph: run the rules on Tensors, so that the result can be differentiated again.
        retain_graph: keep what the nodes remember, for another walk.

    Returns:
        cotangents by :func:`key`; what no path reached is absent.

    Raises:
        GraphError: part of the graph was freed by an earlier walk, or a value in it was overwritten since.
    """
    context = _mode.get()
    if create_graph and not context.record:  # inside no_grad, asking for a graph is asking to record it
        with enable_grad():
            return walk(roots, wanted, create_graph, retain_graph)
    cls, roots, everywhere = _tensor, list(roots), wanted is None
    targets = {key(x) for x in wanted or ()}
    leading = set() if everywhere else leading_to(targets, [root for root, _ in roots])
    kept = {level for pair in roots for x in pair for level in levels(x)}
    cotangents: dict[Any, Any] = {}
    found: dict[Any, Any] = {}
    sums: set[Node] = set()  # nodes whose cotangent is a sum made here, which nobody else can see
    heap: list[tuple[int, Node]] = []

    def needed(x: Any) -> bool:
        return isinstance(x, cls) and x.tracked and (everywhere or key(x) in leading or key(x) in targets)

    def receive(x: Tensor, g: Any) -> None:
        node = x.node
        if node is None:
            found[x] = found[x] + g if x in found else g
        elif node in sums:
            cotangents[node] += g
        elif node in cotangents:
            cotangents[node] = cotangents[node] + g
            sums.add(node)
        else:
            cotangents[node] = g
            heappush(heap, (-node.rank, node))

    for root, g in roots:
        if root.tracked:
            receive(root, g)
    while heap:
        node = heappop(heap)[1]
        g = cotangents.pop(node)
        if node in targets:
            found[node] = g
        if not (everywhere or node in leading):
            continue
        op, inputs, params, rules = node.op, node.inputs, node.params, node.op.rules
        if inputs is None:
            raise freed(op.name)
        if node.out_version[0][0] != node.out_version[1]:
            raise stale(f"the result of {op.name}", node.out.shape)
        arrays = []
        for i, x in enumerate(inputs):
            if isinstance(x, cls):
                arrays.append(x.array)
                if x.version[0] != node.versions[i]:
                    raise stale(f"argument {i} of {op.name}", x.shape)
            else:
                arrays.append(x)
        args, y = (inputs, remember(node)) if create_graph else (arrays, node.out)
        asked = [i for i, x in enumerate(inputs) if needed(x) and i < len(rules) and rules[i] is not None]
        joint = op.jointly(asked, g, y, *args, **params) if op.jointly else None
        for i in asked:
            x, array = inputs[i], inputs[i].array
            gx = joint[i] if joint else rules[i](g, y, *args, **params)
            if type(gx) is not np.ndarray and not kept.issuperset(levels(gx)):
                gx = sum_levels(gx, kept.union(levels(x)))
            if gx.shape != array.shape:
                gx = sum_to(gx, array.shape, op)
            if gx.dtype is not array.dtype and gx.dtype != array.dtype:
                gx = gx.astype(array.dtype)
            if context.anomaly:
                check_finite(gx, f"the backward of {op.name}", getattr(node, "where", "recorded outside this block"))
            if x.node is None and not create_graph and (gx is g or getattr(gx, "base", None) is not None):
                gx = gx.copy()  # a leaf's gradient shares memory with nothing
            receive(x, gx)
        if not (retain_graph or create_graph):
            node.inputs = node.out = None
    return found


def key(x: Tensor) -> Any:
    """What a cotangent is filed under: the node, which two tensors may share, or the leaf itself."""
    return x if x.node is None else x.node


def reachable(roots: Iterable[Tensor]) -> tuple[list[Node], set[Any]]:
    """The nodes below ``roots``, and the leaves that require gradients."""
    stack: list[Any] = [key(root) for root in roots if root.tracked]
    nodes: set[Any] = set()
    leaves: set[Any] = set()
    while stack:
        item = stack.pop()
        if isinstance(item, _tensor):
            leaves.add(item)
        elif item not in nodes:
            nodes.add(item)
            stack += [key(x) for x in item.inputs or () if isinstance(x, _tensor) and x.tracked]
    return list(nodes), leaves


def leading_to(targets: set[Any], roots: Iterable[Tensor]) -> set[Any]:
    """The nodes below ``roots`` from which a target can be reached in at least one step."""
    leading: set[Any] = set()
    for node in sorted(reachable(roots)[0], key=lambda node: node.rank):
        for x in node.inputs or ():
            if isinstance(x, _tensor) and x.tracked and (key(x) in targets or x.node in leading):
                leading.add(node)
                break
        if node.inputs is None:  # freed: let the walk say so
            leading.add(node)
    return leading


def wrap(array: Array) -> Tensor:
    """A constant Tensor around ``array``, skipping the constructor's checks."""
    x = _tensor.__new__(_tensor)
    x.array = np.asarray(array) if isinstance(array, np.generic) else array  # NumPy turns 0-d results into scalars
    x.tracked, x.grad, x.node, x.version = False, None, None, [0]
    return x


def bare(x: Any) -> Any:
    """The array of a Tensor; other arrays as they are; numbers and lists as NumPy arrays."""
    return x.array if isinstance(x, _tensor) else as_operand(x)


def remember(node: Node) -> Tensor:
    """The output of ``node`` as a Tensor again, still attached to the graph."""
    y = wrap(node.out)
    y.node, y.tracked = node, True
    return y


#: The sum over the rows of a matrix; of a tall one as a product with ones, which BLAS does twice as fast.
sum_rows = Op(
    "sum_rows",
    lambda x: x.sum(axis=0) if x.shape[0] < 64 else np.ones(x.shape[0], x.dtype, like=x) @ x,
    lambda g, y, x: np.broadcast_to(g, x.shape),
)


def sum_to(g: Any, shape: tuple[int, ...], op: Op) -> Any:
    """Sum ``g`` over the axes along which an argument of shape ``shape`` was broadcast."""
    extra = g.ndim - len(shape)
    stretched = [extra + i for i, n in enumerate(shape) if extra + i >= 0 and n == 1 != g.shape[extra + i]]
    if extra > 0:
        kept = g.shape[extra:]
        g = sum_rows(g.reshape((math.prod(g.shape[:extra]), math.prod(kept)))).reshape(kept)
    if stretched:
        g = g.sum(axis=tuple(i - max(extra, 0) for i in stretched), keepdims=True)
    if g.shape != shape:
        raise wrong_shape(op.name, g.shape, shape)
    return g


def levels(x: Any) -> tuple[int, ...]:
    """The vmaps that ``x`` (a Tensor or a bare array) is batched over."""
    return getattr(x.array if isinstance(x, _tensor) else x, "levels", ())


#: Forget which example is which: each used the argument, so each contributes to its gradient.
sum_level = Op("sum_level", lambda x, level: x.sum_level(level), lambda g, y, x, level: g)


def sum_levels(g: Any, kept: set[int]) -> Any:
    """Sum ``g`` over every batch level that is not in ``kept``."""
    for level in set(levels(g)) - kept:
        g = sum_level(g, level=level)
    return g
