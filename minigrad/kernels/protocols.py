"""What NumPy's protocols do not carry, from each array library: special functions, and adding at an index."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from minigrad.arrays.backend import Backend, for_each_backend
from minigrad.core.table import variant
from minigrad.ops.elementwise import erf
from minigrad.ops.indexing import add_at, is_basic

__all__: list[str] = []  # what is here is entered in the table


@for_each_backend
def _enter(home: Backend) -> None:
    @variant(erf, home.array_type)
    def _erf(x: Any) -> Any:
        return importlib.import_module(home.special).erf(x)  # imported late, because that takes long

    @variant(add_at, home.array_type)
    def _add_at(g: Any, *index: Any, shape: tuple[int, ...]) -> Any:
        if is_basic(index):
            return NotImplemented
        zeros = np.zeros_like(g, shape=shape)
        home.add_at(zeros, index, g)
        return zeros
