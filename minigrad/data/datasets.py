"""Classification data sets, each as a :class:`Dataset` of images in [0, 1] and integer labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.data.files import DataError, read_cifar_batch, read_cifar_member, read_idx

__all__ = ["Dataset", "cifar10", "digits", "fashion_mnist", "mnist"]


class Dataset(NamedTuple):
    """Images (N, channels, height, width) of float32 in [0, 1], labels (N,) of int64, and the classes' names."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]


class _Source(NamedTuple):
    address: str
    md5: dict[str, str]  # file -> checksum, which also says which files there are


_IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MNIST = _Source(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
_FASHION_MNIST = _Source(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
_CIFAR10 = _Source("https://www.cs.toronto.edu/~kriz/", {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"})

_FASHION_CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_DIGITS = tuple("0123456789")


def digits(test_size: int = 497, seed: int = 0) -> Dataset:
    """The 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn, shuffled and split.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("data.digits needs scikit-learn: pip install 'minigrad-autodiff[examples]'") from error
    bunch = load_digits()
    x = (bunch.images / 16).astype(np.float32)[:, None]
    y = bunch.target.astype(np.int64)
    if not 0 < test_size < len(y):
        raise ValueError(f"digits: test_size must lie between 1 and {len(y) - 1}, not {test_size}")
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:-test_size], order[-test_size:]
    return Dataset(x[train], y[train], x[test], y[test], _DIGITS)


def mnist(root: str | os.PathLike[str] | None = None) -> Dataset:
    """60,000 + 10,000 handwritten digits of 28 x 28 pixels, from IDX files; see :func:`fashion_mnist` for ``root``."""
    return _idx_dataset("mnist", root, _MNIST, _DIGITS)


def fashion_mnist(root: str | os.PathLike[str] | None = None) -> Dataset:
    """60,000 + 10,000 pictures of clothes of 28 x 28 pixels (Xiao et al. 2017), from IDX files, gzipped or not.

    Args:
        root: the folder with the files; by default the folder "fashion-mnist" in ``MINIGRAD_DATA``. Files that are
            missing are downloaded into it, if pooch is installed, and their checksums verified.

    Raises:
        DataError: a file is missing and cannot be had, or is damaged; the message names it.
    """
    return _idx_dataset("fashion-mnist", root, _FASHION_MNIST, _FASHION_CLASSES)


def cifar10(root: str | os.PathLike[str] | None = None) -> Dataset:
    """50,000 + 10,000 color pictures of 32 x 32 pixels (Krizhevsky 2009), from the official "python version".

    ``root`` holds the archive, or the folder it unpacks to. See :func:`fashion_mnist`.
    """
    folder = _folder("cifar-10", root)
    members = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    unpacked = (folder / "cifar-10-batches-py" / members[0], folder / members[0])
    if not any(path.exists() for path in unpacked):
        _ensure(folder, "cifar-10-python.tar.gz", _CIFAR10)
    *batches, test = (read_cifar_batch(read_cifar_member(folder, m), str(folder / m)) for m in members)
    x_train = np.concatenate([images for images, _ in batches])
    y_train = np.concatenate([labels for _, labels in batches])
    return Dataset(_unit(x_train), y_train, _unit(test[0]), test[1], _CIFAR_CLASSES)


def _idx_dataset(name: str, root: str | os.PathLike[str] | None, source: _Source, classes: tuple[str, ...]) -> Dataset:
    folder = _folder(name, root)
    paths = [
        folder / file if (folder / file).exists() else _ensure(folder, f"{file}.gz", source) for file in _IDX_FILES
    ]
    x_train, y_train, x_test, y_test = (read_idx(path) for path in paths)
    for images, labels, path in ((x_train, y_train, paths[0]), (x_test, y_test, paths[2])):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DataError(f"{path}: images of shape {images.shape} do not go with labels of shape {labels.shape}")
    return Dataset(
        _unit(x_train[:, None]), y_train.astype(np.int64), _unit(x_test[:, None]), y_test.astype(np.int64), classes
    )


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)


def _folder(name: str, root: str | os.PathLike[str] | None) -> Path:
    if root is not None:
        return Path(root)
    if "MINIGRAD_DATA" not in os.environ:
        raise DataError(
            f"where is {name}? Pass root=, or set MINIGRAD_DATA to the folder that holds the folder {name!r}"
        )
    return Path(os.environ["MINIGRAD_DATA"]) / name


def _ensure(folder: Path, file: str, source: _Source) -> Path:
    """The path of ``file``, downloaded and verified if it is not in ``folder`` yet."""
    path = folder / file
    if path.exists():
        return path
    try:
        import pooch
    except ImportError as error:
        raise DataError(
            f"{path} does not exist. Put it there, or let it be downloaded: pip install 'minigrad-autodiff[data]'"
        ) from error
    try:
        pooch.retrieve(source.address + file, known_hash=f"md5:{source.md5[file]}", fname=file, path=folder)
    except Exception as error:  # pooch lets through whatever its downloader raises
        raise DataError(f"{path} does not exist, and downloading it from {source.address} failed: {error}") from error
    return path
