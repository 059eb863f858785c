"""Kernels: how an array type that can do a computation faster, or must do it differently, says so.

Every operation's forward and rules are written in NumPy functions, which find their own way to whatever speaks NumPy's
protocols: that is the *plain* way, and it serves every array. Variants for particular types are entered from outside,
where those types are at home: long rows and threads for NumPy arrays (kernels/), many examples at once (readers/), and
in the table of operations nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, NamedTuple

__all__ = ["Kernel", "Variant"]

Function = Callable[..., Any]


class Variant(NamedTuple):
    """A way to compute something for one type of array."""

    kind: type
    min_size: int
    mixed: bool
    function: Function


class Kernel:
    """A function of arrays with a plain way, and variants for particular types of array.

    Called, it tries the variants that serve the types of its positional arguments, the latest entered first, until one
    does not return ``NotImplemented``; then the plain way. Variants may be entered while other threads call it.

    >>> import numpy as np
    >>> double = Kernel(lambda x: x + x)
    >>> @double.variant(np.ndarray, min_size=3)
    ... def fast(x):
    ...     return 2 * x + 0
    >>> double(np.arange(4.0)), double(np.arange(2.0)), double(1.5)
    (array([0., 2., 4., 6.]), array([0., 2.]), 3.0)

    Args:
        sized: the number of the argument whose size counts, where a variant asks for a ``min_size``.
    """

    def __init__(self, plain: Function, sized: int = 0) -> None:
        self.plain, self.sized = plain, sized
        self.variants: tuple[Variant, ...] = ()
        self._serving: dict[tuple[type, ...], list[tuple[int, Function]]] = {}  # by the arguments' types
        update_wrapper(self, plain)

    def variant(self, kind: type, min_size: int = 0, mixed: bool = False) -> Callable[[Function], Function]:
        """Decorator: enter a variant for calls in which every array is a ``kind``.

        Args:
            min_size: from so many numbers on.
            mixed: for calls in which at least one array is a ``kind``.
        """

        def enter(function: Function) -> Function:
            self.variants = (*self.variants, Variant(kind, min_size, mixed, function))
            self._serving = {}  # a new one: a thread that is about to file what served before files it in the old one
            return function

        return enter

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        kinds = tuple(map(type, arguments))
        for min_size, function in self._serving.get(kinds) or self._that_serve(kinds):
            if min_size and getattr(arguments[self.sized], "size", 0) < min_size:
                continue
            result = function(*arguments, **options)
            if result is not NotImplemented:
                break
        return result

    def _that_serve(self, kinds: tuple[type, ...]) -> list[tuple[int, Function]]:
        """The variants for arguments of these types; the plain way is the last, so that there always is one."""
        serving = self._serving
        arrays = {kind for kind in kinds if hasattr(kind, "__array_ufunc__")}  # not numbers, shapes, None
        serve = [v for v in reversed(self.variants) if (v.kind in arrays if v.mixed else arrays == {v.kind})]
        serving[kinds] = [(v.min_size, v.function) for v in serve] + [(0, self.plain)]
        return serving[kinds]
