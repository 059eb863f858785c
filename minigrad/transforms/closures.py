"""Closure conversion: what a function computed, as a program of everything that it read.

A function like ``lambda x: w * x`` reads more than its arguments. :func:`closure_convert` calls it once on fresh
variables and looks at the graph of its outputs. A node is *inside* if it depends on the variables; what the inside
nodes read and is not inside itself is *captured*, if it is tracked, and otherwise constant. The inside nodes in order
of rank, with slots for the variables and the captured tensors, are a :class:`Program`: a function without a closure,
which computes the same again from other tensors of the same values, and so can be differentiated by all of them.

Control flow and whatever else looked at values (comparisons, a dropout's random mask) is frozen as it was. So a program
gives the derivatives of the function, of any order, at the point where it was recorded, and says nothing of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from minigrad.core.errors import freed, stale
from minigrad.core.graph import Node, Op, Variable, apply, key, mark
from minigrad.core.modes import enable_grad
from minigrad.tensor import Tensor
from minigrad.transforms.tree import adopt, flatten, tree_map

__all__ = [
    "Call",
    "Program",
    "Read",
    "Slot",
    "Step",
    "closure_convert",
    "convert",
    "fresh",
]


class Slot(int):
    """The place of a value that a program computes or is given, among the places of all."""


class Step(NamedTuple):
    """One operation of a program; a source is a :class:`Slot` or a constant."""

    op: Op
    sources: tuple[Any, ...]
    params: dict[str, Any]


class Read(NamedTuple):
    """What was read when a program was recorded: it has to be the same when the program is run."""

    cell: list[int]
    version: int
    shape: tuple[int, ...]
    reader: str


class Call:
    """A constant argument of an operation that it made for one call of it: the engine hands it on to the rules.

    What such an object keeps for its own derivative (residuals) belongs to one node. A program would keep it alive, and
    two replays would mix theirs up; so each has a ``bare`` one.
    """

    def bare(self) -> Call:
        """The same without what was kept."""
        return self


class Program:
    """The inside nodes of a graph as a function: ``program(variables, captured)`` is the list of outputs.

    It keeps no result of an inside node alive, only constants.

    Raises:
        GraphError: a constant or a captured tensor was overwritten since the program was recorded.
    """

    def __init__(self, steps: Sequence[Step], results: Sequence[Any], reads: Iterable[Read]) -> None:
        self.steps, self.results = steps, results
        self.reads = {(id(read.cell), read.version): read for read in reads}.values()

    def __call__(self, variables: Sequence[Any], captured: Sequence[Any]) -> list[Any]:
        for cell, version, shape, reader in self.reads:
            if cell[0] != version:
                raise stale(f"what {reader} read", shape)
        values = [*variables, *captured]
        for op, sources, params in self.steps:
            values.append(apply(op, tuple(_value(source, values) for source in sources), params))
        return [_value(result, values) for result in self.results]


def _value(source: Any, values: list[Any]) -> Any:
    if isinstance(source, Slot):
        return values[source]
    return source.bare() if isinstance(source, Call) else source


def fresh(x: Any) -> Tensor:
    """A tracked leaf with the numbers of ``x`` and no history."""
    y = x.detach() if isinstance(x, Tensor) else Tensor(x)
    y.requires_grad = True
    return y


def closure_convert(fun: Callable[..., Any], *args: Any) -> tuple[Callable[..., Any], list[Tensor]]:
    """``fun`` without its closure: a function ``converted(*args, *captured)``, and the captured tensors.

    ``converted`` computes what ``fun`` computed at ``args``, by the same operations. ``captured`` are the tracked
    tensors that ``fun`` read without being given them, and what it computed from them alone. Arguments are trees of
    floating-point tensors; so are the results. (JAX has a function of this name and purpose.)

    Raises:
        GraphError: later, by ``converted``: what ``fun`` read has been overwritten.

    >>> import minigrad as mg
    >>> from minigrad.transforms.closures import closure_convert
    >>> w = mg.tensor(3.0, requires_grad=True)
    >>> converted, captured = closure_convert(lambda x: w * x**2, mg.tensor(2.0))
    >>> converted(mg.tensor(2.0), *captured)
    Tensor(12., from multiply)
    >>> mg.grad(converted, argnums=(0, 1))(2.0, *captured)
    (Tensor(12., from multiply), Tensor(4., from multiply))
    """
    since = mark()
    given = tree_map(fresh, args)
    with enable_grad():
        out = fun(*given)
    variables, _ = flatten(given)
    outputs, rebuild = flatten(adopt(Tensor, out))
    program, captured = convert(outputs, variables, since)

    def converted(*args: Any) -> Any:
        end = len(args) - len(captured)
        return rebuild(program(flatten(args[:end])[0], args[end:]))

    return converted, captured


def convert(
    outputs: Sequence[Any], variables: Sequence[Tensor], since: int, whole: bool = False
) -> tuple[Program, list[Tensor]]:
    """The program from ``variables`` to ``outputs``, and the captured tensors.

    Args:
        outputs: tensors; anything else among them is constant.
        variables: leaves, or results of nodes, that were made for this.
        since: a :func:`~minigrad.core.graph.mark` from before the function was called.
        whole: every node since then is inside, also one that does not depend on the variables.

    Raises:
        GraphError: the graph was freed, or a value in it overwritten already.
    """
    slots: dict[Any, Slot] = {key(x): Slot(i) for i, x in enumerate(variables)}
    inside = _inside(outputs, set(slots), since, whole)
    captured: list[Tensor] = []
    for x in [*(x for node in inside for x in node.inputs), *outputs]:
        if _tracked(x) and x.node not in inside and key(x) not in slots:
            slots[key(x)] = Slot(len(slots))
            captured.append(x)
    steps, reads = [], []

    def source(x: Any) -> Any:
        if _tracked(x):
            return slots[key(x)]
        return x.bare() if isinstance(x, Call) else x

    for node in inside:
        steps.append(Step(node.op, tuple(source(x) for x in node.inputs), node.params))
        slots[node] = Slot(len(slots))
        for x, version in zip(node.inputs, node.versions, strict=True):
            if isinstance(x, Variable) and x.node not in inside:
                reads.append(Read(x.version, version, x.shape, node.op.name))
    return Program(steps, [source(x) for x in outputs], reads), captured


def _tracked(x: Any) -> bool:
    return isinstance(x, Variable) and x.tracked


def _inside(outputs: Sequence[Any], variables: set[Any], since: int, whole: bool) -> dict[Node, None]:
    """The nodes to replay, in order of rank. What is older than ``since`` cannot depend on the variables."""
    stack = [x.node for x in outputs if _tracked(x)]
    recorded: set[Node] = set()
    while stack:
        node = stack.pop()
        if node is None or node.rank < since or node in recorded or node in variables:
            continue
        if node.inputs is None:
            raise freed(node.op.name)
        recorded.add(node)
        stack += [x.node for x in node.inputs if _tracked(x)]
    inside: dict[Node, None] = {}
    for node in sorted(recorded, key=lambda node: node.rank):
        if whole or any(key(x) in variables or x.node in inside for x in node.inputs if _tracked(x)):
            inside[node] = None
    return inside
