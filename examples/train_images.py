"""Train a convolutional network, or a ResNet, to tell pictures apart.

    python -m examples.train_images --root FOLDER                                    # Fashion-MNIST, 5 epochs
    python -m examples.train_images --root FOLDER --model resnet20
    python -m examples.train_images --data cifar10 --root FOLDER --model resnet20 --epochs 30
    python -m examples.train_images --data cifar10 --root part-of-cifar.npz --model resnet20 --epochs 30

SGD with momentum, a cosine schedule, weight decay; for CIFAR shifted and mirrored images. The run can be interrupted,
and goes on from its checkpoint. Writes to --out: curves.png, model.safetensors, and the checkpoint run.safetensors.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import data, models, nn, optim
from minigrad.nn import functional as F
from minigrad.train import Checkpoint, History, fit

ROWS = ("images",)
BATCH = 128


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=("digits", "fashion-mnist", "mnist", "cifar10"), default="fashion-mnist")
    parser.add_argument("--root", help="the folder with the files, or an .npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--model", choices=("cnn", "resnet20"), default="cnn")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", choices=("numpy", "cupy"), help="default: MINIGRAD_BACKEND, or numpy")
    parser.add_argument("--out", type=Path, default=Path("runs/images"))
    return parser.parse_args(argv)


def pictures(name: str, root: str | None) -> data.Dataset:
    """The data set, standardized by the training part's mean and deviation per channel."""
    if root and root.endswith(".npz"):
        with np.load(root) as file:
            x_train, y_train, x_test, y_test = (file[key] for key in ("x_train", "y_train", "x_test", "y_test"))
        unit = lambda x: x.astype(np.float32) / np.float32(255)
        classes = tuple(map(str, range(int(y_train.max()) + 1)))
        dataset = data.Dataset(unit(x_train), y_train.astype(np.int64), unit(x_test), y_test.astype(np.int64), classes)
    elif name == "digits":
        dataset = data.digits()
    else:
        dataset = {"fashion-mnist": data.fashion_mnist, "mnist": data.mnist, "cifar10": data.cifar10}[name](root)
    scale = data.Standardize.fit(dataset.x_train, axis=(0, 2, 3))
    return dataset._replace(x_train=scale(dataset.x_train), x_test=scale(dataset.x_test))


def network(name: str, dataset: data.Dataset, seed: int) -> nn.Module:
    mg.manual_seed(seed)
    channels, size = dataset.x_train.shape[1:3]
    classes = len(dataset.classes)
    if name == "cnn":
        return models.CNN(classes, channels, size)
    return models.resnet20(classes=classes, channels=channels)


def batches(dataset: data.Dataset, seed: int) -> data.DataLoader:
    """Of the training part; color pictures shifted by up to 4 pixels and mirrored."""
    color = dataset.x_train.shape[1] == 3
    augment = data.compose(data.pad_crop(4), data.random_flip()) if color else None
    return data.DataLoader(
        (dataset.x_train, dataset.y_train), BATCH, shuffle=True, drop_last=True, seed=seed, augment=augment
    )


def train(
    model: nn.Module, dataset: data.Dataset, epochs: int, lr: float = 0.1, seed: int = 0, **options: Any
) -> History:
    loader = batches(dataset, seed)
    optimizer = optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=5e-4)
    return fit(
        model,
        F.cross_entropy,
        loader,
        optimizer,
        epochs,
        schedule=schedule(epochs * len(loader)),
        validation=(dataset.x_test, dataset.y_test),
        metrics={"accuracy": F.accuracy},
        **options,
    )


def schedule(steps: int) -> optim.schedules.Schedule:
    """A twentieth of the steps to warm up, then a cosine."""
    warm = max(1, steps // 20)
    return optim.schedules.warm_up(warm, optim.schedules.cosine(max(1, steps - warm)))


def draw(history: History) -> Any:
    """Loss and accuracy by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    for prefix, label in (("", "training"), ("val_", "test")):
        left.semilogy(epochs, history[f"{prefix}loss"], label=label)
        right.plot(epochs, history[f"{prefix}accuracy"], label=label)
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="accuracy")
    right.legend()
    return figure


def main(argv: list[str] | None = None) -> History:
    args = parse(argv)
    if args.backend:
        mg.use(args.backend)
    dataset = pictures(args.data, args.root)
    model = network(args.model, dataset, args.seed)
    print(f"{type(model).__name__} of {model.parameter_count():,} parameters, {len(dataset.x_train):,} images")
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    history = train(
        model, dataset, args.epochs, args.lr, args.seed,
        progress=True, checkpoint=Checkpoint(args.out / "run.safetensors", every=100, resume=True),
    )  # fmt: skip
    draw(history).savefig(args.out / "curves.png", dpi=120)
    mg.save(model, args.out / "model.safetensors")
    print(
        f"accuracy {history['accuracy'][-1]:.2%} in training, {history['val_accuracy'][-1]:.2%} on the test set; "
        f"{time.perf_counter() - start:.0f} s"
    )
    return history


def report(quick: bool = False) -> Report:
    """On the digits, which come with scikit-learn: what the same script does on larger pictures in minutes."""
    out = Report()
    dataset = pictures("digits", None)
    history = train(network("cnn", dataset, 0), dataset, 5 if quick else 15)
    out.figure = lambda: draw(history)
    out.at_least("images", "test accuracy of a small CNN on the digits", history["val_accuracy"][-1], 0.97)
    return out


if __name__ == "__main__":
    main()
