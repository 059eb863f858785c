"""One call of a function on fresh variables, recorded: what every derivative of a function starts with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from minigrad.core.backward import walk
from minigrad.core.errors import GraphError
from minigrad.core.graph import key, reachable, wrap
from minigrad.core.modes import enable_grad, is_grad_enabled
from minigrad.core.table import op
from minigrad.creation import zeros_like
from minigrad.tensor import Tensor
from minigrad.transforms.tree import adopt, flatten, tree_map

__all__ = ["Recording", "identity", "pull"]


@op(lambda g, y, x: g, view=True)
def identity(x: Any) -> Any:
    """``x`` itself, as a node of its own: where a derivative is taken by what is being differentiated already."""
    return x


def pull(
    roots: list[tuple[Tensor, Any]], wanted: Sequence[Tensor], create_graph: bool, retain_graph: bool
) -> list[Tensor]:
    """The cotangents of ``wanted`` as tensors, zeros where no path leads."""
    found = walk(roots, wanted, create_graph, retain_graph)
    result = []
    for x in wanted:
        g = found.get(key(x))
        if g is None:
            g = zeros_like(x)
        elif not isinstance(g, Tensor):
            g = wrap(g)
        result.append(g)
    return result


def _variable(x: Any, name: str) -> Tensor:
    """A fresh tensor to differentiate by, which hands its gradient on to ``x`` if ``x`` is being differentiated too."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"{name} needs floating-point arguments to differentiate by, not {x.dtype}; cast with .astype('float32')"
        )
    if x.tracked:
        return identity(x)
    y = x.detach()
    y.tracked = True
    return y


class Recording:
    """One call of a function on fresh variables, recorded."""

    def __init__(
        self, name: str, fun: Callable[..., Any], args: Sequence[Any], argnums: Any, kwargs: Any, has_aux: bool
    ):
        self.outer = is_grad_enabled()  # may the result be differentiated once more?
        numbers = [_position(name, i, args) for i in ([argnums] if isinstance(argnums, int) else argnums)]
        with enable_grad():
            trees = {i: tree_map(lambda x: _variable(x, name), args[i]) for i in numbers}
            chosen = trees[numbers[0]] if isinstance(argnums, int) else tuple(trees[i] for i in numbers)
            self.variables, self.rebuild = flatten(chosen)
            self.own = [x for x in self.variables if x.node is None]
            self.users, self.lock = 1, Lock()
            try:
                out = fun(*(trees[i] if i in trees else adopt(Tensor, arg) for i, arg in enumerate(args)), **kwargs)
            finally:
                self.close()
        self.aux: Any = None
        if has_aux:
            out, self.aux = out
        outputs, self.rebuild_out = flatten(out)
        self.outputs: list[Tensor] = [y if isinstance(y, Tensor) else Tensor(y) for y in outputs]

    def close(self) -> None:
        """One user of the variables less; without any, those of them that are leaves are constants."""
        with self.lock:
            self.users -= 1
            if not self.users:
                for x in self.own:
                    x.tracked = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Differentiate by the variables inside the block.

        Elsewhere the leaves among them are constants: what a transformation returns may hold them, in a graph that
        leads to other tensors, and nobody is to take them for something that it depends on.
        """
        with self.lock:
            self.users += 1
            for x in self.own:
                x.tracked = True
        try:
            yield
        finally:
            self.close()

    def scalar(self, name: str) -> Tensor:
        """The output, which has to be one scalar."""
        if len(self.outputs) != 1 or self.outputs[0].shape != ():
            shapes = ", ".join(str(y.shape) for y in self.outputs)
            raise GraphError(
                f"{name} needs a function that returns one scalar; this one returned {shapes}. "
                "Reduce it with .mean() or .sum(), or use jacobian"
            )
        return self.outputs[0]

    def differentiable(self, *extra: Tensor) -> bool:
        """Whether the result depends on something tracked outside, and so has to stay in the graph."""
        if not self.outer:
            return False
        return bool(reachable([*self.outputs, *extra])[1] - set(self.own))

    def value(self, attached: bool) -> Any:
        """What the function returned, cut from the graph unless ``attached``."""
        return self.rebuild_out([y if attached else y.detach() for y in self.outputs])

    def side(self) -> Any:
        """What the function returned besides (``has_aux``), cut from the graph where that leads to nothing outside.

        Attached to it, a number that is only logged would keep every intermediate result alive.
        """

        def cut(x: Any) -> Any:
            if not (isinstance(x, Tensor) and x.tracked):
                return x
            return x if self.outer and reachable([x])[1] - set(self.own) else x.detach()

        return tree_map(cut, self.aux)

    def pull(self, cotangents: Sequence[Any], create_graph: bool, retain_graph: bool = True) -> list[Tensor]:
        """The variables' cotangents, from those of the outputs."""
        with self.open():
            roots = [(y, c) for y, c in zip(self.outputs, cotangents, strict=True) if y.tracked]
            return pull(roots, self.variables, create_graph, retain_graph)


def _position(name: str, i: int, args: Sequence[Any]) -> int:
    if not -len(args) <= i < len(args):
        raise ValueError(
            f"{name}: argnums={i}, but the function was called with {len(args)} positional arguments; what is "
            "differentiated by has to be one of them"
        )
    return i % len(args)
