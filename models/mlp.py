"""The multi-layer perceptron: affine maps with an activation between each two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from minigrad import nn
from minigrad.arrays.dtypes import DType
from minigrad.nn.activations import BY_NAME as ACTIVATIONS
from minigrad.nn.activations import ActivationName
from minigrad.nn.init import BY_NAME as INITIALIZATIONS
from minigrad.nn.init import InitializationName
from minigrad.tensor import Tensor

__all__ = ["MLP", "Activation", "Initialization", "choose_activation"]

Activation = ActivationName | Literal["identity"] | Callable[[], nn.Module]
Initialization = InitializationName | Callable[[Tensor], Any]


class MLP(nn.Sequential):
    """f(x) = W^L phi(W^{L-1} phi(... phi(W^1 x + b^1) ...) + b^{L-1}) + b^L (lecture notes, section 1.3).

    Named and laid out like ``torch.nn.Sequential(Linear, activation, Linear, ...)``, so state dicts are
    interchangeable.

    Args:
        sizes: the widths, input and output included: (784, 256, 10) has one hidden layer.
        activation: "relu", "tanh", ..., or a function that makes a module.
        init: a name from ``nn.init`` without the underscore ("kaiming_normal", "xavier_uniform", "orthogonal", ...),
            with zero biases, or a function that fills a weight in place; by default PyTorch's for ``Linear``.
        bias: whether the affine maps have one.
        output_activation: applied after the last affine map; none by default.

    Raises:
        ValueError: fewer than two sizes, or an unknown activation or initialization.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation = "relu",
        init: Initialization | None = None,
        bias: bool = True,
        output_activation: Activation | None = None,
        dtype: DType = None,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"MLP needs at least an input and an output size, not {list(sizes)}")
        hidden = choose_activation(activation)
        layers: list[nn.Module] = []
        for n_in, n_out in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(n_in, n_out, bias, dtype), hidden()]
        layers.pop()
        if output_activation is not None:
            layers.append(choose_activation(output_activation, "output_activation")())
        super().__init__(*layers)
        if init is not None:
            fill = _choose(init, INITIALIZATIONS, "init")
            for layer in layers:
                if isinstance(layer, nn.Linear):
                    fill(layer.weight)
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)


def choose_activation(choice: Activation, what: str = "activation") -> Callable[[], nn.Module]:
    """What makes an activation's modules: ``choice`` itself, or the one of that name.

    Raises:
        ValueError: an unknown name.
    """
    return _choose(choice, {**ACTIVATIONS, "identity": nn.Identity}, what)


def _choose(choice: Any, table: Mapping[Any, Any], what: str) -> Any:
    if callable(choice):
        return choice
    if choice not in table:
        raise ValueError(f"unknown {what} {choice!r}; choose one of {', '.join(table)}")
    return table[choice]
