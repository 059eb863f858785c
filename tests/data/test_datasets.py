"""Data sets: right numbers out of right files, and damaged files refused by name."""

import gzip
import os
import pickle
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from minigrad import data
from minigrad.data.files import read_idx

REAL = Path(os.environ.get("MINIGRAD_DATA", Path(__file__).parents[3] / "shared" / "data"))


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx_files(folder, compress=True):
    rng = np.random.default_rng(0)
    parts = {}
    for name, n in (("train", 5), ("t10k", 3)):
        images, labels = rng.integers(0, 256, (n, 4, 4), dtype=np.uint8), rng.integers(0, 10, n).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{name}-{kind}-ubyte{'.gz' * compress}"
            path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
        parts[name] = images, labels
    return parts


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("load", [data.mnist, data.fashion_mnist])
def test_idx_files(tmp_path, compress, load):
    parts = write_idx_files(tmp_path, compress)
    d = load(tmp_path)
    assert (d.x_train.shape, d.x_test.shape, len(d.classes)) == ((5, 1, 4, 4), (3, 1, 4, 4), 10)
    np.testing.assert_allclose(d.x_train[:, 0] * 255, parts["train"][0], atol=1e-4)
    np.testing.assert_array_equal(d.y_test, parts["t10k"][1])
    assert (d.x_train.dtype, d.y_train.dtype) == (np.float32, np.int64)


def test_root_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    write_idx_files(tmp_path / "mnist")
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    assert len(data.mnist().y_train) == 5
    monkeypatch.delenv("MINIGRAD_DATA")
    with pytest.raises(data.DataError, match="Pass root=, or set MINIGRAD_DATA"):
        data.mnist()


def test_big_endian_types(tmp_path):
    x = np.arange(6, dtype=">i4").reshape(2, 3)
    (tmp_path / "x").write_bytes(idx(x, 0x0C))
    np.testing.assert_array_equal(read_idx(tmp_path / "x"), x)
    assert read_idx(tmp_path / "x").dtype == np.int32


@pytest.mark.parametrize("damage", [
    lambda b: b[:-20], lambda b: b[:10], lambda b: b"", lambda b: b[:40] + bytes([b[40] ^ 255]) + b[41:], lambda b: gzip.compress(gzip.decompress(b)[:-1]),
    lambda b: gzip.compress(gzip.decompress(b) + b"x"), lambda b: gzip.compress(b"text"), lambda b: gzip.compress(b"\0\0\x08\x03\0\0"), lambda b: b"not gzip",
])  # fmt: skip
def test_damaged_files_are_refused_by_name(tmp_path, damage):
    write_idx_files(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError, match="train-images-idx3-ubyte.gz"):
        data.mnist(tmp_path)


def test_images_and_labels_must_match(tmp_path):
    write_idx_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(4, np.uint8))))
    with pytest.raises(data.DataError, match="do not go with labels"):
        data.mnist(tmp_path)


def test_missing_file_without_pooch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(data.DataError, match=r"train-images.*does not exist.*minigrad-autodiff\[data\]"):
        data.fashion_mnist(tmp_path)


def write_cifar(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    batches = {}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        images, labels = rng.integers(0, 256, (2, 3072), dtype=np.uint8), rng.integers(0, 10, 2).tolist()
        (folder / name).write_bytes(
            pickle.dumps({b"data": images, b"labels": labels, b"batch_label": name.encode()}, protocol=2)
        )
        batches[name] = images, labels
    return batches


@pytest.mark.parametrize("layout", ["folder", "files", "archive"])
def test_cifar10(tmp_path, layout):
    folder = tmp_path if layout == "files" else tmp_path / "cifar-10-batches-py"
    batches = write_cifar(folder)
    if layout == "archive":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
            tar.add(folder, "cifar-10-batches-py")
        for file in folder.iterdir():
            file.unlink()
    d = data.cifar10(tmp_path)
    assert d.x_train.shape == (10, 3, 32, 32)
    np.testing.assert_allclose(d.x_train[2:4].reshape(2, -1) * 255, batches["data_batch_2"][0], atol=1e-4)
    assert d.y_test.tolist() == batches["test_batch"][1]
    assert d.classes[9] == "truck"


def test_damaged_cifar_is_refused_by_name(tmp_path):
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(data.DataError, match="data_batch_3 is not a complete"):
        data.cifar10(tmp_path)
    path.unlink()
    with pytest.raises(data.DataError, match="no data_batch_3"):
        data.cifar10(tmp_path)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"damaged")
    with pytest.raises(data.DataError, match="cifar-10-python.tar.gz is damaged"):
        data.cifar10(tmp_path)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("echo ran",)

    write_cifar(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(data.DataError, match=r"asks for (posix|nt).system"):
        data.cifar10(tmp_path)


def test_digits():
    pytest.importorskip("sklearn")
    d = data.digits()
    assert (d.x_train.shape, d.x_test.shape) == ((1300, 1, 8, 8), (497, 1, 8, 8))
    assert d.x_train.min() == 0
    assert d.x_train.max() == 1
    np.testing.assert_array_equal(data.digits().y_test, d.y_test)
    assert (data.digits(seed=1).y_test != d.y_test).any()
    with pytest.raises(ValueError, match="test_size"):
        data.digits(test_size=0)


def test_missing_sklearn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"minigrad-autodiff\[examples\]"):
        data.digits()


@pytest.mark.skipif(
    not (REAL / "fashion-mnist").exists(), reason=f"no real Fashion-MNIST in {REAL} (set MINIGRAD_DATA)"
)
def test_the_real_fashion_mnist():
    d = data.fashion_mnist(REAL / "fashion-mnist")
    assert d.x_train.shape == (60000, 1, 28, 28)
    assert np.bincount(d.y_train).tolist() == [6000] * 10
    assert float(d.x_train.mean()) == pytest.approx(0.2860, abs=1e-4)
