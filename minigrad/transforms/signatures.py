"""What type checkers are told of transformed functions.

A transformed function takes what the function takes, and also arrays and numbers where that takes tensors; what it
returns follows from the function's own annotations. Where it has none (a lambda), it is anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

__all__ = ["Of", "Parameters", "Result", "Transformed"]

Argument = TypeVar("Argument")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
Out = TypeVar("Out", covariant=True)

#: A function whose first argument is of this type: then its gradient is, too.
Of = Callable[Concatenate[Argument, ...], Any]


class Transformed(Protocol[Out]):
    """A function that returns ``Out``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Out:
        """Call it."""
