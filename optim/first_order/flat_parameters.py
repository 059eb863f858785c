"""One flat vector: an optimizer sees theta in R^p, and the parameters are views into it.

A rule then reads as in the notes and runs as a few whole-vector NumPy calls instead of a loop over tensors. The vector
is worked on in blocks small enough to stay in the processor's cache, and gradients are gathered block by block, so each
number travels from memory once per step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.tensor import Tensor
from minigrad.transforms.flat import Layout, check_alike

__all__ = ["BLOCK", "Block", "FlatParameters"]

BLOCK = 1 << 16  # entries: five float32 vectors of this length fit a core's second-level cache (measured)


class Block(NamedTuple):
    """A stretch of the vector, and where its gradient comes from: (tensor, its slice, its place in the block)."""

    stretch: slice
    sources: list[tuple[int, slice, slice]]


class FlatParameters:
    """The parameters ``tensors``, gathered into the contiguous vector ``theta`` in the given order.

    Raises:
        TypeError: the parameters are not all of one floating-point dtype, or not on one backend.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.bind()

    def bind(self) -> None:
        """Copy the tensors' numbers into a new vector, and make the tensors views of it."""
        check_alike([x.array for x in self.tensors], "an optimizer's parameters")
        self.layout = Layout([x.shape for x in self.tensors])
        first = self.tensors[0].array
        self.theta: Array = np.empty_like(first, shape=(self.layout.size,))
        self.views = self.layout.split(self.theta)
        for x, view in zip(self.tensors, self.views, strict=True):
            view[...] = x.array
            x.array = view
        self.on_host = isinstance(first, np.ndarray)
        self._plans: dict[Any, list[Block]] = {}

    def follow(self) -> bool:
        """Bind again if a tensor was re-bound behind our back (``module.to``, another optimizer); whether one was.

        Raises:
            ValueError: it has another shape now, so the optimizer's state does not belong to it any more.
        """
        moved = any(x.array is not view for x, view in zip(self.tensors, self.views, strict=True))
        if moved:
            for x, view in zip(self.tensors, self.views, strict=True):
                if x.shape != view.shape:
                    raise ValueError(
                        f"a parameter of shape {view.shape} has shape {x.shape} now: make a new optimizer for it"
                    )
            self.bind()
        return moved

    def blocks(self, members: range) -> list[Block]:
        """The blocks that cover those of the tensors ``members`` that have a gradient now."""
        active = tuple(i for i in members if self.tensors[i].grad is not None)
        if active not in self._plans:
            self._plans[active] = list(self._cut(active))
        return self._plans[active]

    def _cut(self, active: tuple[int, ...]) -> Iterator[Block]:
        limit = BLOCK if self.on_host else self.layout.size  # a GPU wants few and large kernels
        sources: list[tuple[int, slice, slice]] = []
        start = position = 0  # where the vector has been covered up to
        for i in active:
            a, b = self.layout.offsets[i], self.layout.offsets[i + 1]
            if position != a and sources:  # a tensor without a gradient lies between
                yield Block(slice(start, position), sources)
                sources = []
            position = a
            while position < b:
                if not sources:
                    start = position
                end = min(b, start + limit)
                sources.append((i, slice(position - a, end - a), slice(position - start, end - start)))
                position = end
                if end - start == limit:
                    yield Block(slice(start, end), sources)
                    sources = []
        if sources:
            yield Block(slice(start, position), sources)

    def gradient(self, block: Block, out: Array) -> Array:
        """The gradient over ``block``: a view where one tensor covers it, else gathered into ``out``."""
        if len(block.sources) == 1:
            i, source, _ = block.sources[0]
            return self.tensors[i].grad.array.reshape(-1)[source]  # type: ignore[union-attr]
        for i, source, place in block.sources:
            out[place] = self.tensors[i].grad.array.reshape(-1)[source]  # type: ignore[union-attr]
        return out[: block.stretch.stop - block.stretch.start]
