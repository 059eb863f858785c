"""One module per activation, with PyTorch's names and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = [
    "BY_NAME", "ELU", "GELU", "SELU", "Activation", "ActivationName", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "Threshold",
]  # fmt: skip


class Activation(Module):
    """An activation function applied to every entry; keyword arguments are its settings."""

    function: Callable[..., Tensor]
    defaults: dict[str, Any] = {}  # noqa: RUF012 - read only

    def __init__(self, *args: Any, **settings: Any) -> None:
        given = dict(zip(self.defaults, args, strict=False)) | settings
        unknown = [name for name in given if name not in self.defaults]
        if unknown or len(args) > len(self.defaults):
            raise TypeError(
                f"{type(self).__name__} takes {', '.join(self.defaults) or 'no arguments'}, not {unknown or args}"
            )
        self.settings = self.defaults | given
        missing = [name for name, value in self.settings.items() if value is None]
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}")

    def forward(self, x: Any) -> Tensor:
        return type(self).function(x, **self.settings) if self.settings else type(self).function(x)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v != self.defaults[k])


def _activation(name: str, function: Callable[..., Tensor], **defaults: Any) -> type[Activation]:
    summary = (function.__doc__ or "").strip()
    return type(
        name,
        (Activation,),
        {"function": staticmethod(function), "defaults": defaults, "__doc__": summary, "__module__": __name__},
    )


ReLU = _activation("ReLU", F.relu)
LeakyReLU = _activation("LeakyReLU", F.leaky_relu, negative_slope=0.01)
ELU = _activation("ELU", F.elu, alpha=1.0)
SELU = _activation("SELU", F.selu)
GELU = _activation("GELU", F.gelu, approximate="none")
SiLU = _activation("SiLU", F.silu)
Softplus = _activation("Softplus", F.softplus, beta=1.0)
Sigmoid = _activation("Sigmoid", F.sigmoid)
LogSigmoid = _activation("LogSigmoid", F.log_sigmoid)
Tanh = _activation("Tanh", F.tanh)
Hardtanh = _activation("Hardtanh", F.hard_tanh, min_val=-1.0, max_val=1.0)
Threshold = _activation("Threshold", F.threshold, threshold=None, value=None)
Softmax = _activation("Softmax", F.softmax, axis=-1)
LogSoftmax = _activation("LogSoftmax", F.log_softmax, axis=-1)

ActivationName = Literal[
    "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "log_sigmoid", "tanh", "hard_tanh"
]
BY_NAME: dict[ActivationName, type[Activation]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "softplus": Softplus,
    "sigmoid": Sigmoid,
    "log_sigmoid": LogSigmoid,
    "tanh": Tanh,
    "hard_tanh": Hardtanh,
}
