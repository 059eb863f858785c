"""The walk back: from the cotangents of some results to those of what they were computed from.

:func:`walk` visits the nodes by decreasing rank (a heap holds those that wait), so each is met only after everything
that used it: no recursion, each node once, and a cotangent is dropped as soon as it has been handed on. At each node it
does four things, one function each: read the arguments again (:func:`arguments`, which notices stale values), run the
rules (:func:`cotangents_of`) of the arguments that :class:`Paths` asks for, make each result fit its argument
(:func:`fit`: **broadcasting, batches and dtypes, once for every operation**), and add it to what waits there
(:class:`Waiting`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from minigrad.core import modes
from minigrad.core.errors import check_finite, freed, stale, wrong_shape
from minigrad.core.graph import Node, Op, Variable, key, levels, reachable, remember
from minigrad.core.table import op

__all__ = [
    "Paths", "Waiting", "arguments", "cotangents_of", "fit", "is_view", "leading_to", "sum_level", "sum_rows", "sum_to",
    "walk",
]  # fmt: skip


def walk(
    roots: Iterable[tuple[Variable, Any]],
    wanted: Iterable[Variable] | None = None,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> dict[Any, Any]:
    """Back-propagate: the cotangents of ``wanted`` (by default, of every leaf that requires a gradient).

    Args:
        roots: pairs (tensor, its cotangent); cotangents are arrays, or tensors where ``create_graph``.
        wanted: walk only the paths that lead to these.
        create_graph: run the rules on tensors, so that the result can be differentiated again.
        retain_graph: keep what the nodes remember, for another walk.

    Returns:
        cotangents by :func:`~minigrad.core.graph.key`; what no path reached is absent.

    Raises:
        GraphError: part of the graph was freed by an earlier walk, or a value in it was overwritten since.
    """
    if create_graph and not modes.is_grad_enabled():  # inside no_grad, asking for a graph is asking to record it
        with modes.enable_grad():
            return walk(roots, wanted, create_graph, retain_graph)
    roots, anomaly = list(roots), modes.current_mode().anomaly
    paths, waiting = Paths(roots, wanted), Waiting()
    walks_own: set[int] = set()  # the batch levels that the walk began with: the rows of a Jacobian
    for root, g in roots:
        walks_own.update(levels(root), levels(g))
        if root.tracked:
            waiting.add(root, g)
    while waiting.heap:
        node, g = waiting.pop()
        if node in paths.targets:
            waiting.found[node] = g
        if not (paths.all or node in paths.leading):
            continue
        for x, gx in cotangents_of(node, g, paths, create_graph):
            gx = fit(gx, x, node.op, walks_own)
            if anomaly:
                check_finite(gx, f"the backward of {node.op.name}", getattr(node, "where", ""))
            if (x.node is None or x.node in paths.targets) and not create_graph and is_view(gx, g):
                gx = gx.copy()  # what is handed out shares memory with nothing
            waiting.add(x, gx)
        if not (retain_graph or create_graph):
            node.inputs = node.out = None
    return waiting.found


class Paths:
    """Where the walk goes: everywhere, or only along the paths from ``roots`` that lead to ``wanted``."""

    def __init__(self, roots: Sequence[tuple[Variable, Any]], wanted: Iterable[Variable] | None) -> None:
        self.all = wanted is None
        self.targets: set[Node | Variable] = set()
        self.leading: set[Node] = set()
        if wanted is not None:
            self.targets = {key(x) for x in wanted}
            self.leading = leading_to(self.targets, [root for root, _ in roots])

    def ask_for(self, x: Any) -> bool:
        """Whether the argument ``x`` of a node is to be given its cotangent."""
        return isinstance(x, Variable) and x.tracked and (self.all or key(x) in self.leading or key(x) in self.targets)


def leading_to(targets: set[Node | Variable], roots: Sequence[Variable]) -> set[Node]:
    """The nodes below ``roots`` from which a target can be reached in at least one step."""
    leading: set[Node] = set()
    for node in sorted(reachable(roots)[0], key=lambda node: node.rank):
        for x in node.inputs or ():
            if isinstance(x, Variable) and x.tracked and (key(x) in targets or x.node in leading):
                leading.add(node)
                break
        if node.inputs is None:  # freed: let the walk say so
            leading.add(node)
    return leading


class Waiting:
    """The cotangents that wait to be handed on, each the sum of what has arrived; and those of leaves, found."""

    __slots__ = ("by_node", "found", "heap", "sums")

    def __init__(self) -> None:
        self.by_node: dict[Node, Any] = {}
        self.found: dict[Any, Any] = {}
        self.heap: list[tuple[int, Node]] = []  # the nodes of by_node, the latest first
        self.sums: set[Node] = set()  # nodes whose cotangent is a sum made here, which nobody else can see

    def add(self, x: Variable, g: Any) -> None:
        """``g`` arrives at ``x``."""
        node = x.node
        if node is None:
            self.found[x] = self.found[x] + g if x in self.found else g
        elif node not in self.by_node:
            self.by_node[node] = g
            heappush(self.heap, (-node.rank, node))
        elif node in self.sums and type(g) is type(self.by_node[node]):
            self.by_node[node] += g
        else:
            self.by_node[node] = self.by_node[node] + g
            self.sums.add(node)

    def pop(self) -> tuple[Node, Any]:
        """The latest node, whose cotangent is complete."""
        node = heappop(self.heap)[1]
        return node, self.by_node.pop(node)


def arguments(node: Node) -> list[Any]:
    """The arrays that the forward of ``node`` read, checked to be as they were then."""
    if node.inputs is None:
        raise freed(node.op.name)
    cell, version = node.out_version
    if cell[0] != version:
        raise stale(f"the result of {node.op.name}", node.out.shape)
    arrays: list[Any] = []
    versions = node.versions
    for i, x in enumerate(node.inputs):
        if isinstance(x, Variable):
            if x.version[0] != versions[i]:
                raise stale(f"argument {i} of {node.op.name}", x.shape)
            arrays.append(x.array)
        else:
            arrays.append(x)
    return arrays


def cotangents_of(node: Node, g: Any, paths: Paths, create_graph: bool) -> list[tuple[Variable, Any]]:
    """What the rules say: each argument of ``node`` that is asked for, with its cotangent; ``g`` is the output's."""
    arrays = arguments(node)
    op, inputs, params = node.op, node.inputs, node.params
    args, y = (inputs, remember(node)) if create_graph else (arrays, node.out)
    if op.vjp is not None:
        asked = [i for i, x in enumerate(inputs) if paths.ask_for(x)]
        together = op.vjp(asked, g, y, *args, **params)
        if together is not NotImplemented:
            return [(inputs[i], together[i]) for i in asked]
        if not op.rules:
            raise TypeError(f"{op.name}: vjp returned NotImplemented, and there are no rules to use instead")
    rules, number = op.rules, len(op.rules)
    found = []
    for i, x in enumerate(inputs):
        if i < number and rules[i] is not None and paths.ask_for(x):
            found.append((x, rules[i](g, y, *args, **params)))
    return found


def is_view(gx: Any, g: Any) -> bool:
    """Whether a rule's result may share memory with the cotangent that it was given."""
    return gx is g or getattr(gx, "base", None) is not None


def fit(g: Any, x: Variable, op: Op, walks_own: set[int]) -> Any:
    """``g`` with the shape, the batch levels and the dtype of the argument ``x`` of ``op``.

    What was broadcast was used several times, and each use contributes: so the cotangent is summed, over the axes
    along which x was stretched, and over the examples of a vmap that x is shared by (but for the levels that are the
    ``walks_own``).
    """
    array = x.array
    if type(g) is not np.ndarray and not walks_own.issuperset(levels(g)):
        for level in set(levels(g)) - walks_own.union(levels(x)):
            g = sum_level(g, level=level)
    if g.shape != array.shape:
        g = sum_to(g, array.shape, op)
    if g.dtype is not array.dtype and g.dtype != array.dtype:
        g = g.astype(array.dtype)
    return g


def sum_to(g: Any, shape: tuple[int, ...], op: Op) -> Any:
    """Sum ``g`` over the axes along which an argument of shape ``shape`` was broadcast."""
    extra = g.ndim - len(shape)
    stretched = [extra + i for i, n in enumerate(shape) if extra + i >= 0 and n == 1 != g.shape[extra + i]]
    if extra > 0:
        rest = g.shape[extra:]
        g = sum_rows(g.reshape((math.prod(g.shape[:extra]), math.prod(rest)))).reshape(rest)
    if stretched:
        g = g.sum(axis=tuple(i - max(extra, 0) for i in stretched), keepdims=True)
    if g.shape != shape:
        raise wrong_shape(op.name, g.shape, shape)
    return g


@op(lambda g, y, x: np.broadcast_to(g, x.shape))
def sum_rows(x: Any) -> Any:
    """The sum over the rows of a matrix: (N, C) -> (C,). What a bias, used by every row, receives."""
    return x.sum(axis=0)


@op(lambda g, y, x, level: g)
def sum_level(x: Any, level: int) -> Any:
    """The sum over the examples of a vmap: each used the argument, so each contributes to its gradient."""
    return x.sum_level(level)
