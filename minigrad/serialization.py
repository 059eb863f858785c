"""Checkpoints: nested dicts and lists of arrays and plain values, in one safetensors file.

The arrays are the file's tensors, named by their path; the nest around them is JSON in the file's metadata. Nothing is
pickled, so loading a file cannot run code; and a file is complete or absent, because it is written under another name
and then renamed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.arrays.backend import to_numpy
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = [
    "CheckpointError",
    "load",
    "safetensors_library",
    "save",
]

_STRUCTURE = "minigrad.structure"


class CheckpointError(ValueError):
    """A checkpoint file is damaged, or holds something that cannot be saved."""


def safetensors_library() -> Any:
    """The library that reads and writes the files.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("checkpoints need safetensors: pip install 'minigrad-autodiff[checkpoint]'") from error
    return safetensors


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write a module, or nested dicts and lists of tensors, arrays, numbers, strings, bools and None, to ``path``.

    Raises:
        CheckpointError: something else is in there; the message names where.
        ImportError: safetensors is not installed.
    """
    library = safetensors_library()
    arrays: dict[str, np.ndarray] = {}
    structure = _take_apart(state.state_dict() if isinstance(state, Module) else state, "", arrays)
    data = library.numpy.save(arrays, {_STRUCTURE: json.dumps(structure)})
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """What :func:`save` wrote, with NumPy arrays; of another program's safetensors file, a flat dict of its arrays.

    Raises:
        CheckpointError: the file is damaged, or is no safetensors file.
        FileNotFoundError, ImportError
    """
    library = safetensors_library()
    try:
        with library.safe_open(os.fspath(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            structure = (file.metadata() or {}).get(_STRUCTURE)
        return arrays if structure is None else _put_together(json.loads(structure), arrays)
    except (library.SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise CheckpointError(
            f"{os.fspath(path)} is not a complete safetensors file ({error}); was it cut short?"
        ) from error


def _take_apart(tree: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """``tree`` as JSON, with {"array": name} where an array was put into ``arrays``."""
    if isinstance(tree, Tensor):
        tree = to_numpy(tree.array)
    if isinstance(tree, (np.ndarray, np.generic)):
        arrays[path or "value"] = np.ascontiguousarray(tree) if np.ndim(tree) else np.asarray(tree)
        return {"array": path or "value"}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return {"value": tree}
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else None
    if parts is None or (isinstance(tree, dict) and not all(isinstance(k, str) for k in tree)):
        raise CheckpointError(
            f"a checkpoint cannot hold a {type(tree).__name__} (at {path or 'the top'!r}); it holds arrays, "
            "numbers, strings, lists, and dicts with string keys"
        )
    items = [(key, _take_apart(part, f"{path}/{key}" if path else str(key), arrays)) for key, part in parts]
    kind = type(tree).__name__ if type(tree) in (dict, list, tuple) else "dict" if isinstance(tree, dict) else "list"
    return {kind: dict(items) if kind == "dict" else [part for _, part in items]}


def _put_together(structure: Any, arrays: dict[str, np.ndarray]) -> Any:
    ((kind, content),) = structure.items()
    if kind == "array":
        return arrays[content]
    if kind == "value":
        return content
    if kind == "dict":
        return {key: _put_together(part, arrays) for key, part in content.items()}
    parts = [_put_together(part, arrays) for part in content]
    return tuple(parts) if kind == "tuple" else parts
