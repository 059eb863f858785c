"""Optimizer: the façade everybody knows, over one flat vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, move, to_numpy
from minigrad.core.errors import GraphError
from minigrad.optim.first_order.flat_parameters import BLOCK, FlatParameters
from minigrad.optim.first_order.update import UpdateRule, step_in_place
from minigrad.optim.problems.variables import check_parameter
from minigrad.tensor import Tensor

__all__ = ["Optimizer"]


class Optimizer:
    """Base class: ``zero_grad()``, ``loss.backward()``, ``step()``; or ``step(closure)``.

    A subclass names the vectors it remembers and says, in :meth:`update`, what happens to a stretch of the flat vector.

    >>> import minigrad as mg
    >>> class Bounded(Optimizer):  # no entry goes further than lr
    ...     @classmethod
    ...     def update(cls, theta, g, state, settings, scratch):
    ...         theta -= settings["lr"] * np.clip(g, -1, 1)
    >>> x = mg.tensor([1.0, 1.0], requires_grad=True)
    >>> loss = Bounded([x], {"lr": 0.5}).step(lambda: 0.5 * x[0] + 100 * x[1])
    >>> x.numpy()
    array([0.75, 0.5 ], dtype=float32)

    Args:
        params: tensors, or (name, tensor) pairs, or groups: dicts with a key ``"params"`` and settings of their own.
        defaults: the settings of groups that name none.

    Raises:
        ValueError: no parameters, one given twice, a setting out of its range.
        TypeError: a parameter that is no floating-point leaf; an unknown setting; mixed dtypes or backends.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            params = [params]
        items: list[Any] = list(params.items() if isinstance(params, Mapping) else params)
        groups = items if items and isinstance(items[0], dict) else [{"params": items}]
        self.groups: list[dict[str, Any]] = []
        tensors: list[Tensor] = []
        for group in groups:
            unknown = [key for key in group if key != "params" and key not in defaults]
            if unknown:
                raise TypeError(
                    f"{type(self).__name__} has no setting {', '.join(unknown)}; it has {', '.join(defaults)}"
                )
            start = len(tensors)
            for entry in list(group["params"]):
                name, x = entry if isinstance(entry, tuple) else (f"parameter {len(tensors)}", entry)
                check_parameter(name, x)
                tensors.append(x)
            settings = {**defaults, **{k: v for k, v in group.items() if k != "params"}}
            self.check(settings)
            self.groups.append({**settings, "members": range(start, len(tensors)), "step": 0})
        if not tensors:
            raise ValueError(f"{type(self).__name__} got no parameters (was a generator used up before?)")
        if len({id(x) for x in tensors}) < len(tensors):
            raise ValueError("a parameter was given twice; each belongs to one group")
        self.flat = FlatParameters(tensors)
        self.state: dict[str, Array] = {}
        self._scratch: list[Array] = []

    # --------------------------------------------------------------------------- what a method has to define
    @classmethod
    def check(cls, settings: dict[str, Any]) -> None:
        """Raise ValueError where a setting is out of its range."""
        if not settings["lr"] >= 0:
            raise ValueError(f"lr must not be negative, but is {settings['lr']}")

    @classmethod
    def vectors(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        """The names of the vectors that are remembered, each as long as theta and zero at first."""
        return ()

    @classmethod
    def update(
        cls, theta: Array, g: Array, state: Mapping[str, Array], settings: Mapping[str, Any], scratch: Array
    ) -> None:
        """theta and the vectors of ``state`` after one step, in place: a function of its arguments alone.

        Args:
            theta: the parameters, or any stretch of them.
            g: the gradient there, read only.
            state: the vectors, by name.
            settings: the group's; "step" is the number of this step, from 1.
            scratch: a vector to work in.
        """
        raise NotImplementedError

    @classmethod
    def rule(cls, **settings: Any) -> UpdateRule:
        """The method as a pure function update(theta, g, state), without parameters of its own.

        >>> import minigrad as mg
        >>> rule = mg.optim.Adam.rule(lr=0.1)
        >>> theta, state = np.ones(2), rule.init(np.ones(2))
        >>> theta, state = rule.update(theta, np.array([1.0, -5.0]), state)
        >>> theta.round(6), state.step
        (array([0.9, 1.1]), 1)
        """
        only = cls([Tensor(np.zeros(1), requires_grad=True)], **settings)  # the constructor knows the defaults
        return UpdateRule(cls, {k: v for k, v in only.groups[0].items() if k not in ("members", "step")})

    # ------------------------------------------------------------------------------------------------- use
    @property
    def parameters(self) -> list[Tensor]:
        """The tensors that are optimized."""
        return self.flat.tensors

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""
        for x in self.flat.tensors:
            x.grad = None

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Update every parameter that has a gradient.

        Args:
            closure: computes and returns the scalar loss, which ``step`` differentiates itself.

        Returns:
            the closure's loss, detached; None without one.

        Raises:
            GraphError: no parameter has a gradient, or the closure's loss is not a scalar.
        """
        loss = None
        if closure is not None:
            self.zero_grad()
            loss = closure()
            loss.backward()
            loss = loss.detach()
        self._prepare()
        if all(x.grad is None for x in self.flat.tensors):
            raise GraphError(
                f"{type(self).__name__}.step: no parameter has a gradient; call loss.backward() before step()"
            )
        gathered, scratch = self._scratch
        for group in self.groups:
            blocks = self.flat.blocks(group["members"])
            group["step"] += bool(blocks)
            for block in blocks:
                n = block.stretch.stop - block.stretch.start
                theta, g = self.flat.theta[block.stretch], self.flat.gradient(block, gathered)
                state = {name: vector[block.stretch] for name, vector in self.state.items()}
                step_in_place(self, theta, g, state, group, (gathered[:n], scratch[:n]))
        for x in self.flat.tensors:
            if x.grad is not None:
                x.version[0] += 1
        return loss

    def _prepare(self) -> None:
        """State and scratch vectors beside theta, made at the first step, and moved if theta has moved."""
        moved = self.flat.follow()
        theta = self.flat.theta
        if moved or not self._scratch:
            n = min(theta.size, BLOCK) if self.flat.on_host else theta.size
            self._scratch = [np.empty_like(theta, shape=(n,)) for _ in range(2)]
            home = backend_of(theta).name
            for name in self._vectors():
                old = self.state.get(name)
                if old is None:
                    self.state[name] = np.zeros_like(theta)
                else:
                    self.state[name] = move(old, home).astype(theta.dtype)

    def _vectors(self) -> list[str]:
        return list(dict.fromkeys(name for group in self.groups for name in self.vectors(group)))

    # ------------------------------------------------------------------------------------------- checkpoints
    def state_dict(self) -> dict[str, Any]:
        """A snapshot of the state vectors and every group's settings: NumPy copies and plain values."""
        groups = [{k: v for k, v in group.items() if k != "members"} for group in self.groups]
        return {
            "state": {name: to_numpy(vector).copy() for name, vector in self.state.items()},
            "groups": groups,
            "sizes": [x.size for x in self.flat.tensors],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ValueError: it belongs to another method or to other parameters.
        """
        sizes = [x.size for x in self.flat.tensors]
        if list(state["sizes"]) != sizes or len(state["groups"]) != len(self.groups):
            raise ValueError(
                f"this state belongs to {len(state['sizes'])} parameters of sizes {list(state['sizes'])} in "
                f"{len(state['groups'])} groups, but the optimizer has {len(sizes)} of sizes {sizes} in "
                f"{len(self.groups)}"
            )
        wanted = set(self._vectors()) if state["state"] else set()
        settings = [key for key in self.groups[0] if key != "members"]
        if set(state["state"]) != wanted or any(set(group) != set(settings) for group in state["groups"]):
            raise ValueError(
                f"this state belongs to another method than {type(self).__name__}: it has {sorted(state['state'])} and "
                f"settings {sorted(state['groups'][0])}, not {sorted(wanted)} and {sorted(settings)}"
            )
        home = backend_of(self.flat.theta).name
        self.state = {
            name: move(np.array(state["state"][name], dtype=self.flat.theta.dtype), home)
            for name in self._vectors()
            if state["state"]
        }
        for group, saved in zip(self.groups, state["groups"], strict=True):
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()})

    def __repr__(self) -> str:
        settings = [
            ", ".join(f"{k}={v}" for k, v in group.items() if k not in ("members", "step")) for group in self.groups
        ]
        return f"{type(self).__name__}({'; '.join(settings)})  # {self.flat.layout.size:,} parameters"
