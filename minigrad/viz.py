"""Pictures of an optimization, by matplotlib: its history, and its path over a contour plot.

Each returns a ``matplotlib.figure.Figure`` (no window is opened; ``figure.savefig(path)`` writes it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from minigrad.core.modes import no_grad
from minigrad.tensor import Tensor
from minigrad.transforms.vmap import vmap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Run", "plot_history", "plot_path"]


class Run(Protocol):
    """What is drawn of a :class:`minigrad.optim.Result`."""

    history: dict[str, np.ndarray]
    y: Any


def _figure(size: tuple[float, float]) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'minigrad-autodiff[examples]'") from error
    return Figure(figsize=size, layout="constrained")


def plot_history(
    results: Run | Mapping[str, Run],
    quantities: Sequence[str] = ("fun", "optimality"),
    minimum: float = 0.0,
    x: str | None = None,
) -> Figure:
    """A panel per quantity, a curve per result.

    Args:
        results: a Result, or a dict of them by name.
        quantities: keys of ``history``: "fun", "optimality", "step", "size", "nfev", "time".
        minimum: subtracted from "fun", so that the logarithmic axis shows the error.
        x: the key along the horizontal axis, such as "nfev" or "time"; iterations by default.

    Raises:
        KeyError: a quantity that the history does not hold.
    """
    named = results if isinstance(results, Mapping) else {"": results}
    for key in (*quantities, *([x] if x else [])):
        for result in named.values():
            if key not in result.history:
                raise KeyError(f"the history holds {', '.join(result.history)}, but no {key!r}")
    figure = _figure((5 * len(quantities), 3.6))
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axes, key in zip(panels, quantities, strict=True):
        for name, result in named.items():
            values = np.array(result.history[key], dtype=float) - (minimum if key == "fun" else 0)
            along = np.arange(len(values)) if x is None else result.history[x]
            shown = np.isfinite(values)
            axes.plot(along[shown], values[shown], label=name, marker="." if len(values) < 60 else None)
        if all((line.get_ydata() > 0).any() for line in axes.lines):
            axes.set_yscale("log", nonpositive="mask")
        axes.set(xlabel=x or "iteration", ylabel=f"{key} - {minimum:g}" if key == "fun" and minimum else key)
        if list(named) != [""]:
            axes.legend(fontsize="small")
    return figure


def plot_path(
    fun: Callable[..., Any],
    results: Run | Mapping[str, Run],
    bounds: tuple[tuple[float, float], tuple[float, float]] | None = None,
    levels: int = 30,
    logarithmic: bool = False,
) -> Figure:
    """The iterates of two variables on the contours of ``fun``.

    Args:
        fun: of an array of two variables; or of two numbers, for the path of a game.
        results: a Result, or a dict of them by name, made with ``keep_x=True``.
        bounds: ((left, right), (bottom, top)); by default the paths and a margin.
        logarithmic: contours of log(fun - min) rather than of fun.

    Raises:
        ValueError: the iterates were not kept, or are not of two variables.
    """
    named = results if isinstance(results, Mapping) else {"": results}
    paths = {}
    for name, result in named.items():
        path = result.history.get("x")
        if path is None:
            raise ValueError("plot_path needs the iterates: run the method with keep_x=True")
        if path.shape[1] != 2:
            raise ValueError(f"plot_path draws two variables, and these iterates have {path.shape[1]}")
        paths[name] = path
    points = np.concatenate(list(paths.values()))
    if bounds is None:
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.15 * np.maximum(high - low, 1e-3)
        bounds = ((low[0] - margin[0], high[0] + margin[0]), (low[1] - margin[1], high[1] + margin[1]))
    a, b = (np.linspace(*side, 200) for side in bounds)
    values = _on_grid(fun, a, b, game=any(result.y is not None for result in named.values()))
    if logarithmic:
        values = np.log10(values - values.min() + 1e-12)
    figure = _figure((5.5, 4.5))
    axes = figure.subplots()
    drawn = axes.contour(a, b, values, levels=levels, linewidths=0.6, cmap="viridis")
    figure.colorbar(drawn, ax=axes, label="log10(value - min)" if logarithmic else "value")
    for name, path in paths.items():
        (line,) = axes.plot(*path.T, marker=".", markersize=4, linewidth=1, label=name)
        axes.plot(*path[-1], marker="*", markersize=11, color=line.get_color())
    axes.set(xlim=bounds[0], ylim=bounds[1], xlabel="first variable", ylabel="second variable")
    if list(named) != [""]:
        axes.legend(fontsize="small")
    return figure


def _on_grid(fun: Callable[..., Any], a: np.ndarray, b: np.ndarray, game: bool) -> np.ndarray:
    grid = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)
    with no_grad():
        values = vmap(lambda z: fun(z[:1], z[1:]) if game else fun(z))(Tensor(grid)).numpy()
    return values.reshape(len(b), len(a))
