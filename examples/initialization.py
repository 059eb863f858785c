"""Orthogonal starts: norms that any depth keeps, and a training time that no depth prolongs.

Section 3.4 of the notes. An orthogonal matrix keeps every norm, forward and backward; so does a convolution whose
kernel is an orthogonal matrix at its center (delta-orthogonal). For deep linear networks training then takes about as
many steps whatever the depth, where Gaussian weights of the right variance take more and more (Saxe et al. 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import models, nn, optim
from minigrad.testing import check_grads

ROWS = ("N5", "N43", "N44", "N45")
DEPTHS = (2, 4, 8, 16, 32, 64)


def norms(out: Report) -> None:
    """f = W_L ... W_1 x with orthogonal weights: |z|, |e|, and |dF/dW| = 2 |e| |x| in every layer (row N43)."""
    mg.manual_seed(0)
    model = models.DeepLinear((40,) * 51, init="orthogonal", dtype="float64")
    x, t = mg.randn(40, dtype="float64"), mg.randn(40, dtype="float64")
    z, ratios = x, []
    for weight in model.weights():
        z = weight @ z
        ratios.append((z * z).sum().item() ** 0.5 / (x * x).sum().item() ** 0.5)
    out.at_most("N43", "|z| / |x| in each of 50 orthogonal layers, less one", max(abs(r - 1) for r in ratios), 1e-13)
    e = z - t
    (e * e).sum().backward()
    size = lambda v: float(np.linalg.norm(v))
    expected = 2 * size(e.numpy()) * size(x.numpy())
    slopes = [size(weight.grad.numpy()) / expected for weight in model.weights()]
    out.at_most("N43", "|dF/dW| / (2 |e| |x|) in each, less one", max(abs(s - 1) for s in slopes), 1e-13)


def steps_to_train(init: str, depth: int, seed: int = 0, limit: int = 400) -> int:
    """Fewest steps of gradient descent, over step sizes c / L, to a thousandth of the loss; ``limit`` if none does."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, 10)))[0] for n in (10, 32))
    T = mg.Tensor(u @ np.diag(np.linspace(0.5, 1.5, 10)) @ v.T)
    best = limit
    for c in (0.25, 0.5, 1.0, 2.0):
        mg.manual_seed(seed)
        model = models.DeepLinear((*[32] * depth, 10), init=init, dtype="float64")
        optimizer = optim.SGD(model.parameters(), c / depth)
        loss = lambda model=model: 0.5 * ((model.product() - T) ** 2).sum()
        start = loss().item()
        with np.errstate(all="ignore"):
            for k in range(best):
                value = loss()
                if value.item() < 1e-3 * start:
                    best = k
                    break
                if not value.item() < 100 * start:
                    break
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
    return best


def training_time(out: Report, quick: bool) -> dict[str, list[int]]:
    depths = DEPTHS[:4] if quick else DEPTHS
    counts = {init: [steps_to_train(init, L) for L in depths] for init in ("orthogonal", "xavier_normal")}
    orthogonal, gauss = counts["orthogonal"], counts["xavier_normal"]
    out.at_most("N44", f"most steps at depths {depths}, orthogonal", max(orthogonal), 60)
    out.at_most("N44", "deepest against shallowest, orthogonal", orthogonal[-1] / orthogonal[0], 8)
    out.at_least("N44", "deepest against shallowest, Gaussian", gauss[-1] / gauss[0], 8)
    return counts


def convolutions(out: Report) -> None:
    """Row N45: 100 layers, in float32; and the operator's singular values."""
    mg.manual_seed(0)
    x = mg.randn(2, 8, 6, 6)
    y = x
    with mg.no_grad():
        for _ in range(100):
            layer = nn.Conv2d(8, 8, 3, padding=1, bias=False)
            nn.init.delta_orthogonal_(layer.weight)
            y = layer(y)
    size = lambda v: float(np.linalg.norm(v.numpy().astype(float)))
    out.at_most("N45", "|y| / |x| after 100 delta-orthogonal convolutions, less one", abs(size(y) / size(x) - 1), 1e-5)
    spectrum = np.fft.fft2(layer.weight.numpy().astype(float), axes=(2, 3)).transpose(2, 3, 0, 1)
    values = np.linalg.svd(spectrum, compute_uv=False)
    out.at_most("N45", "singular values of a layer, less one", np.abs(values - 1).max(), 1e-6)


def architectures(out: Report) -> None:
    """Row N5: the other architectures that the notes name are here, and their gradients are right."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    sequence, images = rng.standard_normal((4, 2, 3)), rng.standard_normal((2, 2, 5, 5))

    def unrolled(cell: nn.Module) -> Any:
        def run(x: Any, own: Any) -> Any:
            state = None
            for k in range(len(sequence)):
                state = nn.functional_call(cell, own, x[k], state)
            state = state[0] if isinstance(state, tuple) else state
            return (state**2).mean()

        return run

    cases: list[tuple[str, nn.Module, Any, Any]] = [
        (f"{cell.__name__} over 4 steps", module := cell(3, 4, dtype="float64"), unrolled(module), sequence)
        for cell in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
    ]
    convolution = nn.Conv2d(2, 3, 3, stride=2, padding=1)
    convolution.to(dtype="float64")
    block = models.ResidualBlock(3, activation="tanh", dtype="float64")
    autoencoder = models.Autoencoder((3, 2), "tanh", dtype="float64")
    cases += [
        ("a convolution", convolution, _mean_square(convolution), images),
        ("a residual layer", block, _mean_square(block), sequence[0]),
        ("an autoencoder", autoencoder, _mean_square(autoencoder), sequence[0]),
    ]
    for name, module, call, x in cases:
        own = {k: v.detach() for k, v in module.named_parameters()}
        check_grads(call, x, own, order=1, rtol=1e-6)
        out.holds("N5", f"{name}: gradients agree with differences to 1e-6", True)


def _mean_square(module: nn.Module) -> Any:
    return lambda x, own: (nn.functional_call(module, own, x) ** 2).mean()


def figure() -> Any:
    """Steps by depth."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(5, 3.2), layout="constrained")
    axes = drawing.subplots()
    for init, label in (("orthogonal", "orthogonal"), ("xavier_normal", "Gaussian")):
        axes.loglog(DEPTHS[:5], [steps_to_train(init, L) for L in DEPTHS[:5]], "o-", label=label)
    axes.set(xlabel="layers", ylabel="steps to a thousandth of the loss")
    axes.legend()
    return drawing


def report(quick: bool = False) -> Report:
    out = Report(figure=figure)
    norms(out)
    training_time(out, quick)
    convolutions(out)
    architectures(out)
    return out
