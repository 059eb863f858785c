"""The derivative of every operation as text, read from the source of its rules: ``python -m minigrad.core.formulas``.

>>> import minigrad as mg
>>> formulas(mg.tanh)
{'x': 'g * (1 - np.square(y))'}
>>> formulas(mg.matmul)["b"].splitlines()[0]
'if a.ndim == 1:'
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from minigrad.core.table import TABLE

__all__ = ["derivative_table", "formulas"]


def derivative_table() -> dict[str, dict[str, str]]:
    """For every primitive of the table that has rules: its name, and the :func:`formulas` of its arguments."""
    return {name: found for name, function in sorted(TABLE.items()) if (found := formulas(function))}


def formulas(operation: Callable[..., Any]) -> dict[str, str]:
    """The cotangent of each argument of a primitive, as Python: ``g`` is that of the output ``y``.

    Args:
        operation: a function of the table; a composite has none, since its derivative is that of its parts.

    Returns:
        by the argument's name, the expression of its rule, or the body of the function it calls. One rule for all
        arguments stands under ``"*"``.
    """
    if not hasattr(operation, "op"):
        return {}
    function: Any = inspect.unwrap(operation)
    module = _parsed(function.__code__.co_filename)
    definition = _definition(module, function.__name__)
    call = next(d for d in definition.decorator_list if isinstance(d, ast.Call) and ast.unparse(d.func) == "op")
    names = [argument.arg for argument in definition.args.posonlyargs + definition.args.args]
    rules = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg in ("each", "vjp"):
            rules["*"] = keyword.value
    return {name: _text(rule, module) for name, rule in rules.items() if ast.unparse(rule) != "None"}


@cache
def _parsed(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def _definition(module: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _text(rule: ast.expr, module: ast.Module) -> str:
    """A lambda's expression; of a named rule the statements below its docstring."""
    if isinstance(rule, ast.Lambda):
        return ast.unparse(rule.body)
    named = _definition(module, ast.unparse(rule))
    body = named.body[1:] if ast.get_docstring(named) else named.body
    return "\n".join(map(ast.unparse, body))


if __name__ == "__main__":
    for name, found in derivative_table().items():
        for argument, formula in found.items():
            print(
                f"d {name} / d {argument}:",
                formula if "\n" not in formula else "\n    " + formula.replace("\n", "\n    "),
            )
