"""vmap: a function written for one example, run on many at once.

The inputs become :class:`~minigrad.readers.batched.Batched` arrays inside tensors, and the outputs ordinary ones
again. Both steps are operations with rules, so vmaps and derivatives nest in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import count
from typing import Any

import numpy as np

from minigrad.core.table import op
from minigrad.readers import batched
from minigrad.tensor import Tensor
from minigrad.transforms.signatures import Result, Transformed
from minigrad.transforms.tree import adopt, broadcast, flatten

__all__ = ["HiddenAxis", "enter", "leave", "vmap"]

#: Numbers the vmaps: an inner one is made later, and so has the larger number.
_next_level = count(1).__next__


# Each is the other's transpose. Where x is not batched, the walk sums the examples' cotangents, as it does for any
# level.
@op(lambda g, y, x, level, axis: leave(g, level=level, axis=axis, size=x.shape[axis]))
def enter(x: Any, level: int, axis: int) -> Any:
    """The input of a vmap: ``axis`` of ``x`` becomes the hidden axis of the examples of ``level``."""
    return batched.enter(x, level, axis)


@op(lambda g, y, x, level, axis, size: enter(g, level=level, axis=axis))
def leave(x: Any, level: int, axis: int, size: int) -> Any:
    """The output of a vmap: the ``size`` examples of ``level`` as an ordinary axis, placed at ``axis``.

    A value that does not depend on the example is the same for all.
    """
    if level in getattr(x, "levels", ()):
        return x.leave(level, axis)
    axis = axis % (x.ndim + 1)
    return np.broadcast_to(np.expand_dims(x, axis), (*x.shape[:axis], size, *x.shape[axis:]))


class HiddenAxis:
    """The examples of one vmap, opened by hand: their axis is hidden from what is computed between ``enter`` and
    ``leave``.

    >>> import minigrad as mg
    >>> examples = HiddenAxis(3)
    >>> x = examples.enter(mg.arange(6.0).reshape(3, 2))
    >>> x.shape, examples.leave(x.sum())
    ((2,), Tensor([1., 5., 9.]))

    Args:
        size: how many examples there are.
        level: of the vmap that has hidden them already; by default this is a new one.
    """

    def __init__(self, size: int, level: int | None = None) -> None:
        self.size, self.level = size, _next_level() if level is None else level

    def enter(self, x: Any, axis: int = 0) -> Any:
        """``x``, one example of it being the rest of its axes; an array for an array, a tensor for a tensor.

        Raises:
            ValueError: the axis has another length than there are examples.
        """
        if x.shape[axis] != self.size:
            raise ValueError(f"axis {axis} of shape {tuple(x.shape)} should count {self.size} examples")
        return enter(x, level=self.level, axis=axis)

    def leave(self, y: Any, axis: int = 0) -> Any:
        """``y`` with the examples as an ordinary axis."""
        return leave(y, level=self.level, axis=axis, size=self.size)


def vmap(
    fun: Callable[..., Result], in_axes: Any = 0, out_axes: Any = 0, chunk_size: int | None = None
) -> Transformed[Result]:
    """``vmap(f)(xs)`` is f of each slice of ``xs``, stacked, computed on all slices at once.

    >>> import minigrad as mg
    >>> vmap(lambda a, b: a @ b, in_axes=(0, None))(mg.ones((3, 2)), mg.tensor([1.0, 2.0]))
    Tensor([3., 3., 3.])
    >>> vmap(mg.grad(lambda x: x**2))(mg.tensor([1.0, 2.0, 3.0]))
    Tensor([2., 4., 6.])

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
        leaves, rebuild = flatten(adopt(Tensor, args))
        leaves = [
            x if axis is None or isinstance(x, Tensor) else Tensor(x) for x, axis in zip(leaves, axes, strict=True)
        ]
        size = _batch_size(leaves, axes)
        step = chunk_size or max(size, 1)
        if step < 1:
            raise ValueError(f"vmap: chunk_size must be a positive number of examples, not {chunk_size}")
        chunks = []
        for start in range(0, max(size, 1), step):
            part = slice(start, min(start + step, size))
            inputs = [
                x if axis is None or step >= size else _slice(x, axis, part)
                for x, axis in zip(leaves, axes, strict=True)
            ]
            chunks.append(_sweep(fun, rebuild, inputs, axes, out_axes, part.stop - part.start))
        outputs: list[Any]
        outputs, rebuild_out = chunks[0]
        if len(chunks) > 1:
            places = broadcast(out_axes, rebuild_out(outputs), "out_axes")
            outputs = [
                np.concatenate(parts, axis=axis)
                for parts, axis in zip(zip(*(o for o, _ in chunks), strict=True), places, strict=True)
            ]
        return rebuild_out(outputs)

    return mapped


def _sweep(
    fun: Any, rebuild: Any, inputs: Sequence[Any], axes: Sequence[Any], out_axes: Any, size: int
) -> tuple[list[Tensor], Any]:
    examples = HiddenAxis(size)
    batch = [x if axis is None else examples.enter(x, axis) for x, axis in zip(inputs, axes, strict=True)]
    outputs, rebuild_out = flatten(fun(*rebuild(batch)))
    places = broadcast(out_axes, rebuild_out(outputs), "out_axes")
    outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in outputs]
    return [examples.leave(y, axis) for y, axis in zip(outputs, places, strict=True)], rebuild_out


def _slice(x: Tensor, axis: int, part: slice) -> Tensor:
    return x[(slice(None),) * (axis % x.ndim) + (part,)]


def _batch_size(leaves: Sequence[Any], axes: Sequence[Any]) -> int:
    for x, axis in zip(leaves, axes, strict=True):
        if axis is not None and not -x.ndim <= axis < x.ndim:
            raise ValueError(
                f"vmap: an argument of shape {x.shape} has no axis {axis} to map over; give it in_axes=None to share it"
            )
    sizes = {x.shape[axis] for x, axis in zip(leaves, axes, strict=True) if axis is not None}
    if len(sizes) != 1:
        detail = f"differ in length: {sorted(sizes)}" if sizes else "are none: every entry of in_axes is None"
        raise ValueError(f"vmap: the mapped axes {detail}")
    return sizes.pop()
