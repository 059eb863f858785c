"""Errors that teach: what happened, in terms of the operation and its shapes, and the way out."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.arrays.backend import BackendError, find_backend, unwrapped

__all__ = [
    "GraphError", "NonFiniteError", "check_differentiable", "check_finite", "explain", "freed", "hint_for", "nan_loss",
    "no_derivative_by", "no_rule", "not_a_scalar", "not_recorded", "shapes_of", "stale", "users_line", "wrong_shape",
]  # fmt: skip


class GraphError(RuntimeError):
    """The recorded graph cannot be walked: freed, never recorded, or overwritten since."""


class NonFiniteError(FloatingPointError):
    """A NaN or an infinity where a finite number was needed."""


def shapes_of(arrays: Iterable[Any]) -> str:
    """'(2, 3) and (4,)': the shapes of the arrays among ``arrays``."""
    return " and ".join(str(tuple(x.shape)) for x in arrays if hasattr(x, "shape")) or "no arrays"


def explain(error: Exception, name: str, arrays: Sequence[Any]) -> Exception:
    """The error a forward raised, said in terms of the operation, its shapes and the way out."""
    homes = {i: home.name for i, x in enumerate(arrays) if (home := find_backend(unwrapped(x))) is not None}
    if len(set(homes.values())) > 1:
        where = ", ".join(f"argument {i} is on {home}" for i, home in homes.items())
        return BackendError(
            f"{name}: {where}. Move one to the other's backend with .to(...), e.g. "
            f"argument {max(homes)} with .to({homes[min(homes)]!r})"
        )
    if type(error).__module__.startswith(("builtins", "numpy")):
        for kind in (np.linalg.LinAlgError, TypeError, ValueError, IndexError):  # NumPy's own are kinds of these
            if isinstance(error, kind):
                return kind(f"{name} of {shapes_of(arrays)}: {error}{hint_for(name, arrays)}")
    return error


def hint_for(name: str, arrays: Sequence[Any]) -> str:
    """What was probably meant, for the mistakes everyone makes."""
    shapes = [x.shape for x in arrays if hasattr(x, "shape")]
    if len(shapes) < 2:
        return ""
    a, b = shapes[:2]
    if name == "matmul" and len(a) > 1 and len(b) > 1 and a[-1] == b[-1]:
        return ". The last axes agree: did you mean a @ b.swapaxes(-1, -2)?"
    if name == "linear" and len(b) == 2 and a[-1:] == b[:1]:
        return f". linear computes x @ W.T, so W is (out, in) = {b[::-1]} here, not {b}"
    if name in ("add", "subtract", "multiply", "divide") and len(a) != len(b) and a[:1] == b[:1]:
        return ". Broadcasting aligns the last axes: add a trailing axis with expand_dims(..., -1)"
    return ""


def stale(what: str, shape: tuple[int, ...]) -> GraphError:
    """For a value that changed after the forward read it."""
    return GraphError(
        f"{what}, of shape {tuple(shape)}, was overwritten between the forward and this backward "
        "(an optimizer step, assign_ or an item assignment), so its gradient would be wrong. Run backward before "
        "the update, or compute the forward again after it"
    )


def freed(name: str) -> GraphError:
    """For a second walk through a graph."""
    return GraphError(
        f"the graph below {name} was freed by an earlier backward. To walk it twice, say retain_graph=True the first "
        "time; to train, compute the loss again before each backward"
    )


def not_recorded() -> GraphError:
    """For a backward from a constant."""
    return GraphError(
        "nothing was recorded for this tensor: no input requires gradients, or it was computed inside no_grad(). Make "
        "the parameters with requires_grad=True"
    )


def not_a_scalar(shape: tuple[int, ...]) -> GraphError:
    """For a backward without a cotangent to start from."""
    return GraphError(
        f"backward starts from a scalar, but this tensor has shape {tuple(shape)}: reduce it first (.mean() or .sum()) "
        "or pass gradient= of its shape"
    )


def nan_loss() -> NonFiniteError:
    """For a backward from NaN."""
    return NonFiniteError(
        "the loss is NaN, so every gradient would be. Run the forward inside minigrad.detect_anomaly() to see the "
        "operation that made it; common causes are a learning rate too large, log(0) and 0/0"
    )


def no_rule(function: Any) -> TypeError:
    """For a NumPy function without a counterpart."""
    module = getattr(function, "__module__", None) or "numpy"
    return TypeError(
        f"{module}.{function.__name__} has no derivative here. Compose it from minigrad's operations, or leave "
        "the graph with .detach().numpy()"
    )


def no_derivative_by(name: str, shape: tuple[int, ...]) -> TypeError:
    """For a tensor that is being differentiated by, in the place of an option."""
    return TypeError(
        f"{name} has no derivative by one of its options, for which a tensor of shape {tuple(shape)} that requires "
        "gradients was given: its gradient would silently be zero. Pass a number (.item(), or .detach() first), or "
        "compose the operation from others"
    )


def wrong_shape(name: str, got: tuple[int, ...], shape: tuple[int, ...]) -> GraphError:
    """For a rule with a bug."""
    return GraphError(
        f"the rule of {name} returned a cotangent of shape {tuple(got)} for an argument of shape {shape}; it must "
        "have the argument's shape, or one that broadcasting makes of it"
    )


def check_differentiable(dtype: Any) -> None:
    """Raise TypeError for integers and bools."""
    if dtype.kind != "f":
        raise TypeError(
            f"a tensor of {dtype} cannot require gradients: a derivative needs real numbers. Make it "
            "floating-point with .astype('float32') first"
        )


def check_finite(array: Any, what: str, where: str) -> None:
    """Raise NonFiniteError if ``array`` holds a NaN or an infinity."""
    array = unwrapped(array)
    if not bool(np.isfinite(array).all()):
        kind = "a NaN" if bool(np.isnan(array).any()) else "an infinity"
        place = f", in the line {where}" if where else "; it was recorded outside this block, so the line is not known"
        raise NonFiniteError(f"{what} produced {kind}{place}")


def users_line() -> str:
    """The unwrapped line of the call stack that is outside this library."""
    frame = sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "minigrad":
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line).strip()}"
