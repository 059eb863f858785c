"""The graph of a computation: what an operation is, and how applying one records it.

A computation ``y = f(x)`` made of operations is recorded as a graph of :class:`Node`. The chain rule then runs from the
output to the inputs (backward.py): a node whose output has the cotangent ``g`` (the derivative of the final scalar by
that output) hands each of its inputs ``rule(g, y, *inputs)`` and is done. Two ideas:

* **An operation is data**: a name, a forward on arrays, and one rule *per argument* (:class:`Op`). A gradient nobody
  asked for is never computed.
* **A rule is written once** in operators and NumPy functions, and read by whatever the arguments are: arrays give a
  first derivative, tensors record themselves and so can be differentiated again, batches give ``vmap``.

Nodes point only backwards, so a graph is freed by reference counting the moment its output goes out of scope.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.arrays.dtypes import as_operand
from minigrad.core.errors import check_finite, explain, no_derivative_by, users_line
from minigrad.core.modes import current_mode

__all__ = [
    "Node",
    "Op",
    "Rule",
    "Tensor",
    "Variable",
    "apply",
    "array_of",
    "check_untracked",
    "key",
    "levels",
    "mark",
    "outputs_are",
    "reachable",
    "remember",
    "wrap",
]  # fmt: skip

Rule = Callable[..., Any]


class Op:
    """A differentiable operation: a name, a forward, and one vector-Jacobian rule per argument.

    The library's own are entered in its table, as functions (:func:`minigrad.core.table.op`); one of yours can be made
    from two functions:

    >>> import minigrad as mg
    >>> cube = mg.Op("cube", lambda x: x**3, lambda g, y, x: g * (3 * x**2))
    >>> mg.grad(cube)(2.0)
    Tensor(12.)

    Args:
        name: how errors and graphs call it.
        forward: ``forward(*arrays, **params) -> array``, made of NumPy functions.
        rules: ``rule(g, y, *inputs, **params)`` returns the cotangent of its argument, where ``g`` is the cotangent
            of the output ``y``: a new array, ``g``, or a view of ``g``. None for an argument that has no gradient. A
            rule may use operators, NumPy functions, other operations, and the few methods that every array type has
            (reshape, swapaxes, sum, astype, ...), nothing else.
        each: for any number of arguments, one rule ``each(i, g, y, *inputs, **params)`` for the i-th.
        vjp: where cotangents share work: ``vjp(asked, g, y, *inputs, **params)`` returns the cotangent of
            every argument, and may leave out (None) those whose index is not in ``asked``. In place of rules, or
            before them: where it returns ``NotImplemented`` the rules are used.
        view: the output may share memory with the first input.
    """

    def __init__(
        self,
        name: str,
        forward: Rule,
        *rules: Rule | None,
        each: Rule | None = None,
        vjp: Rule | None = None,
        view: bool = False,
        doc: str = "",
    ) -> None:
        self.name, self.forward, self.vjp, self.view = name, forward, vjp, view
        self.rules: Any = _Each(each) if each else list(rules)
        self.differentiable = bool(rules or each or vjp)
        self.__doc__ = doc or forward.__doc__

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
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


class Variable:
    """What the engine knows of a tensor: five facts. The class of the tensors one works with is made on top of it."""

    __slots__ = ("__weakref__", "array", "grad", "node", "tracked", "version")

    array: Array
    grad: Any  # of a leaf, after a backward
    node: Node | None  # the operation that computed it; None for a leaf
    tracked: bool  # whether a gradient may be asked for
    version: list[int]  # one cell, shared by all that share the memory; writing counts it up

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.array.shape


if TYPE_CHECKING:  # what operations return, for those who read annotations; Python is told by outputs_are
    from minigrad.tensor import Tensor
else:
    Tensor = Variable


class Node:
    """One recorded application of an operation: what the walk back needs to differentiate it."""

    __slots__ = ("__weakref__", "inputs", "op", "out", "out_version", "params", "rank", "versions", "where")

    op: Op
    inputs: Any  # tensors and constants, as they were passed; None once freed
    params: dict[str, Any]
    out: Array
    versions: list[int]  # of the inputs when they were read
    out_version: tuple[list[int], int]  # the output's version cell, and what it held
    rank: int  # grows with time: an input's node always has a lower rank
    where: str  # the user's line, in anomaly mode


_next_rank = count(1).__next__
_NO_PARAMS: dict[str, Any] = {}
_tensor: Any = Variable  # the class of the outputs, set by minigrad.tensor: the engine needs no operators of its own


def mark() -> int:
    """A rank between what has been recorded and what will be: every node from here on has a higher one."""
    return _next_rank()


def outputs_are(cls: type) -> None:
    """Make ``apply`` wrap its results in this class."""
    global _tensor
    _tensor = cls


def apply(op: Op, inputs: Sequence[Any], params: dict[str, Any] = _NO_PARAMS) -> Any:
    """Run ``op``; where an input is a tensor, return a tensor, recorded if a gradient may be asked for later.

    Given arrays alone it returns a bare array: so a rule may call operations too, and costs nothing when it runs on
    arrays.
    """
    arrays, versions, any_tensor, tracked = [], [], False, False
    for x in inputs:
        if isinstance(x, Variable):
            any_tensor = True
            arrays.append(x.array)
            versions.append(x.version[0])
            tracked = tracked or x.tracked
        else:
            arrays.append(x)
            versions.append(0)
    try:
        y = op.forward(*arrays, **params)
    except Exception as error:
        raise explain(error, op.name, arrays) from error
    if not any_tensor:
        return y
    if isinstance(y, np.generic):  # NumPy turns 0-d results into scalars
        y = np.asarray(y)
    out = _tensor.__new__(_tensor)
    out.array = y
    out.grad = None
    out.version = inputs[0].version if op.view and isinstance(inputs[0], Variable) else [0]
    mode = current_mode()
    if tracked and mode.record and op.differentiable and y.dtype.kind == "f":
        if len(inputs) > len(op.rules) > 0:
            check_untracked(op.name, inputs[len(op.rules) :])
        node = Node()
        node.op, node.inputs, node.params, node.out = op, inputs, params, y
        node.versions = versions
        node.out_version = (out.version, out.version[0])
        node.rank = _next_rank()
        out.node, out.tracked = node, True
        if mode.anomaly:
            node.where = users_line()
    else:
        out.node, out.tracked = None, False
    if mode.anomaly and y.dtype.kind == "f":
        check_finite(y, f"the forward of {op.name}", users_line())
    return out


def check_untracked(name: str, options: Iterable[Any]) -> None:
    """Raise TypeError where one of the ``options`` of an operation, which have no rules, is being differentiated by."""
    for x in options:
        if isinstance(x, Variable) and x.tracked:
            raise no_derivative_by(name, x.shape)


def wrap(array: Array) -> Tensor:
    """A constant tensor around ``array``, skipping the constructor's checks."""
    x = _tensor.__new__(_tensor)
    x.array = np.asarray(array) if isinstance(array, np.generic) else array  # NumPy turns 0-d results into scalars
    x.tracked, x.grad, x.node, x.version = False, None, None, [0]
    return x


def array_of(x: Any) -> Any:
    """The array of a tensor; other arrays as they are; numbers and lists as NumPy arrays."""
    return x.array if isinstance(x, Variable) else as_operand(x)


def levels(x: Any) -> tuple[int, ...]:
    """The vmaps that ``x`` (a tensor or a bare array) is batched over."""
    return getattr(x.array if isinstance(x, Variable) else x, "levels", ())


def remember(node: Node) -> Tensor:
    """The output of ``node`` as a tensor again, still attached to the graph."""
    y = wrap(node.out)
    y.node, y.tracked = node, True
    return y


def key(x: Variable) -> Node | Variable:
    """What a cotangent is filed under: the node, which two tensors may share, or the leaf itself."""
    return x if x.node is None else x.node


def reachable(roots: Sequence[Variable]) -> tuple[list[Node], set[Variable]]:
    """The nodes below ``roots``, and the leaves that require gradients."""
    stack: list[Node | Variable] = [key(root) for root in roots if root.tracked]
    nodes: set[Node] = set()
    leaves: set[Variable] = set()
    while stack:
        item = stack.pop()
        if isinstance(item, Variable):
            leaves.add(item)
        elif item not in nodes:
            nodes.add(item)
            stack += [key(x) for x in item.inputs or () if isinstance(x, Variable) and x.tracked]
    return list(nodes), leaves
