"""The table of operations: how one is entered, and how NumPy's functions find their entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backend import Array
from minigrad.engine import Op, Rule

TABLE: dict[str, Callable[..., Any]] = {}  # every public operation by name
NUMPY: dict[Any, Callable[..., Any]] = {}  # NumPy's function -> ours


def op(
    name: str,
    forward: Callable[..., Array],
    *rules: Rule | None,
    each: Rule | None = None,
    view: bool = False,
    numpy: Any = None,
    doc: str = "",
) -> Op:
    """Enter a primitive: a forward on arrays and one rule per argument (see :class:`minigrad.engine.Op`).

    Args:
        numpy: NumPy's function of the same meaning, where ``forward`` is not that function itself.
    """
    entry = Op(name, forward, *rules, each=each, view=view, doc=doc)
    TABLE[name] = entry
    function = numpy or forward
    if isinstance(function, np.ufunc) or function.__module__.startswith("numpy"):
        NUMPY[function] = entry
    return entry


def composite(*numpy: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function made of other operations, which therefore needs no rule of its own."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        TABLE[function.__name__] = function
        for f in numpy:
            NUMPY[f] = function
        return function

    return enter
