"""The op table: for every operation, inputs inside its domain and an independent reference; chapters as in minigrad/ops.

A case says how to draw arguments; the properties in test_properties.py do the rest. It also lists calls that are mistakes,
and the errors that teach (test_errors.py). An operation without a case, or a case without an error, fails the suite.
"""

from tests.ops.table import (
    activations,
    choices,
    convolution,
    elementwise,
    indexing,
    linalg,
    losses,
    normalization,
    reductions,
    shapes,
)
from tests.ops.table.case import CASES, Case, drawn

__all__ = ["CASES", "Case", "drawn"]
