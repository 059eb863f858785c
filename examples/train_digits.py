"""Train an MLP to read handwritten digits, and look at what it gets wrong.

    python -m examples.train_digits
    python -m examples.train_digits --backend cupy
    python -m examples.train_digits --data fashion-mnist --root FOLDER --epochs 5 --hidden 256 128

Writes to --out: curves.png (loss and accuracy per epoch), mistakes.png (misclassified test images), and
model.safetensors (the weights, to be read back with minigrad.load).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import data, nn, optim
from minigrad.models import MLP
from minigrad.nn import functional as F
from minigrad.train import History, fit

ROWS = ("digits",)
DATASETS = {"digits": lambda root: data.digits(), "mnist": data.mnist, "fashion-mnist": data.fashion_mnist}
OPTIMIZERS = {
    "sgd": (optim.SGD, 0.1),
    "momentum": (lambda params, lr: optim.SGD(params, lr, momentum=0.9), 0.02),
    "adagrad": (optim.AdaGrad, 0.02),
    "rmsprop": (optim.RMSProp, 1e-3),
    "adam": (optim.Adam, 1e-3),
    "adamw": (optim.AdamW, 1e-3),
}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=DATASETS, default="digits")
    parser.add_argument("--root", help="the folder with the data's files (not needed for digits)")
    parser.add_argument("--backend", choices=("numpy", "cupy"), help="default: MINIGRAD_BACKEND, or numpy")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--hidden", type=int, nargs="*", default=[256, 128], metavar="WIDTH")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    parser.add_argument("--lr", type=float, help="default: one that suits the optimizer")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/digits"))
    return parser.parse_args(argv)


def train(args: argparse.Namespace) -> tuple[nn.Module, data.Dataset, data.Standardize, History]:
    mg.manual_seed(args.seed)
    dataset = DATASETS[args.data](args.root)
    scale = data.Standardize.fit(dataset.x_train, axis=None)  # one mean for all pixels
    x_train, x_test = scale(dataset.x_train), scale(dataset.x_test)
    pixels, classes = x_train[0].size, len(dataset.classes)

    model = nn.Sequential(nn.Flatten(), MLP((pixels, *args.hidden, classes), init="kaiming_normal"))
    make, default_lr = OPTIMIZERS[args.optimizer]
    optimizer = make(model.named_parameters(), lr=default_lr if args.lr is None else args.lr)
    loader = data.DataLoader((x_train, dataset.y_train), args.batch_size, shuffle=True, seed=args.seed)
    print(model)
    history = fit(
        model,
        F.cross_entropy,
        loader,
        optimizer,
        args.epochs,
        schedule=optim.schedules.cosine(args.epochs * len(loader)),
        validation=(x_test, dataset.y_test),
        metrics={"accuracy": F.accuracy},
        progress=True,
    )
    return model, dataset, scale, history


def draw_curves(history: History, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    left.semilogy(epochs, history["loss"])
    left.set(xlabel="epoch", ylabel="training loss")
    for name, label in (("accuracy", "training"), ("val_accuracy", "test")):
        right.plot(epochs, history[name], label=label)
    right.set(xlabel="epoch", ylabel="accuracy")
    right.legend()
    figure.savefig(path, dpi=120)


def draw_mistakes(model: nn.Module, dataset: data.Dataset, scale: data.Standardize, path: Path) -> None:
    """A grid of test images that the model reads wrongly: the truth, and what it took them for."""
    from matplotlib.figure import Figure

    with mg.no_grad():
        guesses = np.concatenate(
            [model(x).argmax(axis=1).numpy() for (x,) in data.DataLoader(scale(dataset.x_test), 1000)]
        )
    wrong = np.flatnonzero(guesses != dataset.y_test)[:24]
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    figure.suptitle(f"{int((guesses != dataset.y_test).sum())} of {len(guesses)} test images are read wrongly")
    for k, axes in enumerate(figure.subplots(3, 8).flat):
        axes.set_axis_off()
        if k < len(wrong):
            i = wrong[k]
            axes.imshow(dataset.x_test[i, 0], cmap="gray_r")
            axes.set_title(f"{dataset.classes[dataset.y_test[i]]}, read as\n{dataset.classes[guesses[i]]}", fontsize=7)
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> float:
    args = parse(argv)
    if args.backend:
        mg.use(args.backend)
    start = time.perf_counter()
    model, dataset, scale, history = train(args)
    elapsed = time.perf_counter() - start
    args.out.mkdir(parents=True, exist_ok=True)
    draw_curves(history, args.out / "curves.png")
    draw_mistakes(model, dataset, scale, args.out / "mistakes.png")
    mg.save(
        {"model": model.state_dict(), "args": {k: str(v) for k, v in vars(args).items()}},
        args.out / "model.safetensors",
    )
    print(f"test accuracy {history['val_accuracy'][-1]:.2%} after {args.epochs} epochs, {elapsed:.1f} s")
    print(f"wrote {', '.join(str(args.out / name) for name in ('curves.png', 'mistakes.png', 'model.safetensors'))}")
    return history["val_accuracy"][-1]


def report(quick: bool = False) -> Report:
    """The claim of this example, for ``python -m examples --check``."""
    out = Report()
    with tempfile.TemporaryDirectory() as folder:
        accuracy = main(["--out", folder, "--epochs", "12" if quick else "40"])
    out.at_least("digits", "test accuracy on the 1,797 handwritten digits", accuracy, 0.97)
    return out


if __name__ == "__main__":
    main()
