"""What a user writes, and what type checkers make of it: mypy --strict and pyright find no error here.

``assert_type`` fails a check where the type is another one, Any too. Python runs all of it (test_typing.py).
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import minigrad as mg
from minigrad import nn, optim
from minigrad.data import DataLoader, Standardize, train_test_split
from minigrad.nn import functional as F
from minigrad.train import fit


def tensors() -> None:
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y, data = mg.ones(3, dtype=np.float32), np.arange(3.0)
    assert_type(x, mg.Tensor)
    assert_type(x @ y, mg.Tensor)
    assert_type(1 - 2 * x**2, mg.Tensor)
    assert_type(data * x + np.float32(2), mg.Tensor)  # an array on the left too
    assert_type(sum([x, y], start=mg.zeros(3)), mg.Tensor)
    assert_type({x: 1}[x], int)
    assert_type(x > 0, mg.Tensor)
    assert_type(x == y, mg.Tensor)
    assert_type(-x[:, None], mg.Tensor)
    assert_type([row for row in x], list[mg.Tensor])  # noqa: C416
    assert_type((x.shape, x.ndim, x.size), tuple[tuple[int, ...], int, int])
    assert_type(x.dtype, np.dtype[Any])
    assert_type(x.numpy(), npt.NDArray[Any])
    assert_type(x.sum().item(), float)

    assert_type(x.sum(), mg.Tensor)
    assert_type(x.reshape(3, 1).T.mean(axis=0, keepdims=True), mg.Tensor)
    assert_type(mg.exp(x), mg.Tensor)
    assert_type(mg.where(x > 2, x, 0.0), mg.Tensor)
    assert_type(mg.concatenate([x, y]), mg.Tensor)
    assert_type(mg.split(x, 3), list[mg.Tensor])
    assert_type(mg.slogdet(mg.eye(3)).logabsdet, mg.Tensor)
    smooth: mg.Tensor = np.tanh(x)  # Any: NumPy's annotations know no arrays but its own, so prefer mg.tanh

    assert_type(x.grad, mg.Tensor | None)
    (x * smooth).sum().backward()
    if x.grad is not None:
        assert_type(x.grad * 2, mg.Tensor)


def transformations() -> None:
    def loss(w: mg.Tensor) -> mg.Tensor:
        return (w**2).mean()

    @mg.no_grad()
    def value(w: mg.Tensor) -> float:
        return loss(w).item()

    w = mg.randn(4)
    with mg.detect_anomaly():
        assert_type(value(w), float)
    slope: mg.Tensor = mg.grad(loss)(w)
    slopes: mg.Tensor = mg.vmap(mg.grad(loss))(mg.stack([w, slope]))
    assert_type(slopes + slope, mg.Tensor)


def square(x: mg.Tensor) -> mg.Tensor:
    return (x * x).sum()


def penalty(p: dict[str, mg.Tensor]) -> mg.Tensor:
    return square(p["w"])


def slope_of_square(x: mg.Tensor) -> mg.Tensor:
    return mg.grad(square)(x)


def types_of_transformations() -> None:
    x = mg.randn(2, requires_grad=True)
    assert_type(mg.grad(square)(np.ones(2)), mg.Tensor)
    assert_type(mg.grad(penalty)({"w": x}), dict[str, mg.Tensor])
    assert_type(mg.value_and_grad(square)(x), tuple[mg.Tensor, mg.Tensor])
    assert_type(mg.vmap(mg.grad(square))(mg.ones(3, 2)), mg.Tensor)
    assert_type(mg.jacobian(square)(x), mg.Tensor)
    assert_type(mg.hessian(square)(x), mg.Tensor)
    assert_type(mg.jvp(square, (x,), (x,)), tuple[mg.Tensor, mg.Tensor])
    assert_type(mg.vjp(square, x)[0], mg.Tensor)
    assert_type(mg.gradients(square(x), x), mg.Tensor)
    assert_type(mg.checkpoint(square)(x), mg.Tensor)
    assert_type(mg.checkpoint(nn.Linear(2, 2))(x), mg.Tensor)
    assert_type(mg.ravel_tree({"w": x})[1](np.ones(2)), dict[str, mg.Tensor])
    assert_type(mg.curvature.hessian(square, x).shape, tuple[int, int])
    doubled = mg.custom_vjp(square)
    doubled.defvjp(lambda x: (square(x), x), lambda x, g: (2 * g * x,))
    assert_type(doubled(x), mg.Tensor)


class Net(nn.Module):
    """A network as users write them."""

    def __init__(self, width: int = 8) -> None:
        self.body = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Dropout(0.1))
        self.cell = nn.LSTMCell(width, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.head = nn.Linear(width, 1)

    def forward(self, x: mg.Tensor, scale: float = 1.0) -> mg.Tensor:
        h, _ = self.cell(self.body(x))
        for block in self.blocks:
            h = F.silu(block(h)) + h
        return scale * self.head(h)


def training(folder: Path) -> None:
    x = mg.randn(16, 2)
    y = x.sum(axis=1, keepdims=True)
    net = Net().train()
    assert_type(net, Net)
    assert_type(net(x), mg.Tensor)
    assert_type(net(x, scale=2.0), mg.Tensor)
    assert_type(net.body(x), mg.Tensor)
    assert_type(net.cell(net.body(x)), tuple[mg.Tensor, mg.Tensor])
    assert_type(net.head.weight, nn.Parameter)
    assert_type(nn.MSELoss(reduction="sum")(net(x), y), mg.Tensor)
    assert_type(mg.models.MLP([2, 4, 1])(x), mg.Tensor)

    adam = optim.Adam(net.parameters(), lr=1e-2)
    loader = DataLoader((x, y), batch_size=8, shuffle=True, seed=0)
    for inputs, targets in loader:
        net.zero_grad()
        loss = F.mse_loss(net(inputs), targets)
        assert_type(loss, mg.Tensor)
        loss.backward()
        assert_type([p.grad for p in net.parameters()], list[mg.Tensor | None])
        adam.step()
    history = fit(net, F.mse_loss, loader, adam, epochs=1)
    assert_type(history["loss"], list[float])
    x_train, x_test = train_test_split(x.numpy(), test_size=4)
    assert_type(Standardize.fit(x_train)(x_test), npt.NDArray[Any])

    mg.save(net, folder / "net.safetensors")
    net.load_state_dict(mg.load(folder / "net.safetensors"))
    assert_type(net.eval().state_dict()["head.weight"], npt.NDArray[Any])


def solving() -> None:
    res = optim.minimize(lambda x: ((x - 3) ** 2).sum(), [0.0, 0.0], stop=optim.Stopping(target=1e-3))
    assert_type(res, optim.Result[npt.NDArray[Any], float])
    assert_type(res.success, bool)
    assert_type(res.x, npt.NDArray[Any])
    assert_type(res.fun, float)
    assert_type(res.status, optim.Status)
    assert_type(optim.minimize(lambda x: (x**2).sum(), mg.ones(2), "newton").x, mg.Tensor)
    net, x = nn.Linear(2, 1), mg.ones(3, 2)
    assert_type(optim.minimize(lambda net: (net(x) ** 2).mean(), net, "adam", lr=0.1, maxiter=2).x, nn.Linear)
    fitted = optim.least_squares(lambda x: x - np.arange(2.0), np.zeros(2))
    fitted.x.round(3)
    assert_type(fitted.fun, npt.NDArray[Any])
    assert_type(fitted.cost, float | None)
    assert_type(optim.root(lambda x: x * x - 2, 1.0).x, npt.NDArray[Any])
    game = optim.minimax(lambda x, y: x * y, 1.0, 1.0, lr=0.1, maxiter=3, constraints=(optim.Ball(2.0), None))
    assert_type(game.x, npt.NDArray[Any])
    vector, _ = mg.ravel_tree({"a": x})
    assert_type(vector, mg.Tensor)
    mg.curvature.hessian(lambda theta: (theta**3).sum(), vector).dense()


def mistakes() -> None:
    """Not run. mypy finds each of them, or it would call its ``ignore`` unused."""
    x, net = mg.ones(2), Net()
    mg.exp("x")  # type: ignore[arg-type]
    x + "x"  # type: ignore[operator]
    x.summ()  # type: ignore[attr-defined]
    x.grad.sum()  # type: ignore[union-attr]
    mg.expp(x)  # type: ignore[attr-defined]
    net([1.0, 2.0])  # type: ignore[arg-type]
    net(x, factor=2)  # type: ignore[call-arg]
    optim.TrustRegion([x], solver="exakt")  # type: ignore[arg-type]
    optim.minimize(lambda x: x, [0.0], tol="small")  # type: ignore[arg-type]
    nn.MSELoss(reduction="average")  # type: ignore[arg-type]
    nn.init.kaiming_normal_(x, mode="fan")  # type: ignore[arg-type]


if __name__ == "__main__":
    import tempfile

    tensors()
    transformations()
    types_of_transformations()
    training(Path(tempfile.mkdtemp()))
    solving()
