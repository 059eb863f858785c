"""Lists, tuples and dicts of tensors, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

import numpy as np

__all__ = [
    "adopt",
    "broadcast",
    "flatten",
    "leaves_like",
    "tree_map",
]


def flatten(tree: Any) -> tuple[list[Any], Callable[[Iterable[Any]], Any]]:
    """The leaves of nested lists, tuples and dicts, and the function that rebuilds the nest around new ones."""
    build: Callable[[list[Any]], Any]
    if isinstance(tree, dict):
        parts, build = [flatten(value) for value in tree.values()], lambda items: _refilled(tree, items)
    elif isinstance(tree, (list, tuple)):
        parts = [flatten(value) for value in tree]
        build = (lambda items: type(tree)(*items)) if hasattr(tree, "_fields") else type(tree)
    else:
        return [tree], lambda leaves: next(iter(leaves))
    sizes = [len(leaves) for leaves, _ in parts]

    def rebuild(leaves: Iterable[Any]) -> Any:
        rest = list(leaves)
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        return build([part(rest[a : a + n]) for (_, part), a, n in zip(parts, starts, sizes, strict=True)])

    return [leaf for leaves, _ in parts for leaf in leaves], rebuild


def _refilled(tree: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """A dict like ``tree``, of its class too (an OrderedDict, a defaultdict), with other values."""
    if type(tree) is dict:
        return dict(zip(tree, items, strict=True))
    new = copy(tree)
    new.update(zip(tree, items, strict=True))
    return new


def tree_map(f: Callable[..., Any], tree: Any) -> Any:
    """``tree`` with ``f`` applied to every leaf."""
    leaves, rebuild = flatten(tree)
    return rebuild([f(leaf) for leaf in leaves])


def adopt(make: Callable[[Any], Any], tree: Any) -> Any:
    """``tree`` with its NumPy arrays made tensors by ``make``, and everything else left as it is."""
    return tree_map(lambda x: make(x) if isinstance(x, np.ndarray) else x, tree)


def leaves_like(model: Any, tree: Any, what: str) -> list[Any]:
    """The leaves of ``tree`` in the order of those of ``model``: dicts by their keys, sequences by position.

    >>> leaves_like({"a": 0, "b": [1, 2]}, {"b": (20, 30), "a": 10}, "the tangents")
    [10, 20, 30]

    Raises:
        ValueError: another structure.
    """
    if isinstance(model, dict) and isinstance(tree, dict) and model.keys() == tree.keys():
        return [leaf for name in model for leaf in leaves_like(model[name], tree[name], what)]
    if isinstance(model, (list, tuple)) and isinstance(tree, (list, tuple)) and len(model) == len(tree):
        return [leaf for m, t in zip(model, tree, strict=True) for leaf in leaves_like(m, t, what)]
    if isinstance(model, (dict, list, tuple)) or isinstance(tree, dict):
        raise ValueError(f"{what} have another structure than what they belong to: {_outline(tree)}, {_outline(model)}")
    return [tree]


def broadcast(prefix: Any, tree: Any, name: str) -> list[Any]:
    """One entry of ``prefix`` per leaf of ``tree``: an int or None stands for everything below it.

    Raises:
        ValueError: ``prefix`` has another structure than ``tree``.
    """
    if prefix is None or isinstance(prefix, int):
        return [prefix] * len(flatten(tree)[0])
    if isinstance(prefix, dict) and isinstance(tree, dict) and prefix.keys() == tree.keys():
        return [leaf for k in tree for leaf in broadcast(prefix[k], tree[k], name)]
    if isinstance(prefix, (list, tuple)) and isinstance(tree, (list, tuple)) and len(prefix) == len(tree):
        return [leaf for p, t in zip(prefix, tree, strict=True) for leaf in broadcast(p, t, name)]
    raise ValueError(f"{name}={prefix!r} does not match the structure of what it describes: {_outline(tree)}")


def _outline(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {_outline(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, (list, tuple)):
        return f"{type(tree).__name__} of " + ", ".join(map(_outline, tree))
    return "*"
