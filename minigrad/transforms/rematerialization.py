"""Rematerialization: memory for time. A checkpointed function keeps its arguments, and computes the rest again.

Chen et al., "Training deep nets with sublinear memory cost" (2016). What is computed again is not the Python function
but its recorded program (closures.py). So what a call does besides happens once (running statistics), what it drew at
random is drawn once (a dropout's mask is a constant of the program), and parameters that it reads get their gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from minigrad.core.graph import Op, Variable, apply, array_of, key, mark, wrap
from minigrad.core.modes import enable_grad, is_grad_enabled, no_grad
from minigrad.tensor import Tensor
from minigrad.transforms.closures import Call, Program, convert
from minigrad.transforms.flat import TypedLayout
from minigrad.transforms.recording import identity, pull
from minigrad.transforms.signatures import Parameters, Result
from minigrad.transforms.tree import flatten

__all__ = ["checkpoint"]


def checkpoint(fun: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """``fun``, keeping no intermediate result for its backward, which computes them again.

    A chain of n blocks, each of which keeps m bytes for its backward, keeps n m. Checkpointed, it keeps the n inputs of
    the blocks, and the m bytes of one block at a time; the backward takes the time of one more forward. Values and
    gradients are the same numbers.

    Args:
        fun: of trees of tensors, and of anything else, which it is given as it is; it returns such trees. It may read
            tensors that it is not given (a module's parameters); they get their gradients.

    Raises:
        GraphError: in the backward: something that ``fun`` read was overwritten since.

    What ``fun`` makes of constants alone (a mask, ``x > 0``) is kept. A second derivative keeps what the recomputed
    forward makes, as if nothing were checkpointed.

    >>> import minigrad as mg
    >>> layer = mg.nn.Linear(2, 2)
    >>> block = mg.checkpoint(lambda x: mg.tanh(layer(x)))
    >>> block(block(mg.ones((5, 2)))).sum().backward()
    >>> layer.weight.grad.shape
    (2, 2)
    """

    @wraps(fun, updated=())  # a module's attributes stay its own
    def checkpointed(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        if not is_grad_enabled():
            return fun(*args, **kwargs)
        leaves, rebuild = flatten((args, kwargs))
        leaves = [Tensor(x) if isinstance(x, np.ndarray) else x for x in leaves]
        given = [x for x in leaves if isinstance(x, Variable) and x.tracked]
        since = mark()
        renewed = {key(x): identity(x) for x in given}  # what fun puts aside (a penalty on a module) leads to x still
        args, kwargs = rebuild([renewed[key(x)] if isinstance(x, Variable) and x.tracked else x for x in leaves])
        outputs, rebuild_out = flatten(fun(*args, **kwargs))
        tracked = [i for i, y in enumerate(outputs) if isinstance(y, Variable) and y.tracked]
        if not tracked:
            return rebuild_out(outputs)
        results = [outputs[i] for i in tracked]
        program, captured = convert(results, list(renewed.values()), since, whole=True)
        call = _Checkpoint(program, TypedLayout(results), len(renewed))
        call.value = call.layout.join([y.detach() for y in results]).array
        inputs = list({key(x): x for x in given}.values())
        del results, renewed
        y = apply(CHECKPOINT, (*inputs, *captured, call))
        for i, part in zip(tracked, call.layout.split(y), strict=True):
            outputs[i] = part
        return rebuild_out(outputs)

    return checkpointed


class _Checkpoint(Call):
    """One call of a checkpointed function: what it was, as a program of its arguments and what it captured."""

    def __init__(self, program: Program, layout: TypedLayout, arguments: int) -> None:
        self.program, self.layout, self.arguments = program, layout, arguments
        self.value: Any = None  # the joined results, until the forward hands them on

    def run(self, inputs: Any) -> list[Any]:
        return self.program(inputs[: self.arguments], inputs[self.arguments :])


def _forward(*inputs: Any) -> Any:
    *arrays, call = inputs
    value, call.value = call.value, None
    if value is None:  # in a program, which computes again
        with no_grad():
            value = call.layout.join(call.run([wrap(x) for x in arrays])).array
    return value


def _vjp(asked: list[int], g: Any, y: Any, *inputs: Any) -> list[Any]:
    """The walk back through the program, run again on leaves, or on nodes where the walk itself is differentiated."""
    *args, call = inputs
    again = any(isinstance(x, Variable) for x in args)
    with enable_grad():
        renewed = [identity(x) if again else wrap(x) for x in args]
        if not again:
            for i in asked:
                renewed[i].tracked = True
        outputs = call.run(renewed)
    roots = [
        (out, part if again else array_of(part))
        for out, part in zip(outputs, call.layout.split(g), strict=True)
        if out.tracked
    ]
    found = iter(pull(roots, [renewed[i] for i in asked], again, again))
    return [(next(found) if again else next(found).array) if i in asked else None for i in range(len(args))]


CHECKPOINT = Op("checkpoint", _forward, vjp=_vjp)
