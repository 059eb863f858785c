"""Reading the files that data sets come in, and refusing damaged ones by name."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["DataError", "read_cifar_batch", "read_cifar_member", "read_idx"]


class DataError(ValueError):
    """A data file is missing, truncated or damaged; the message names it."""


_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """An array from an IDX file (LeCun's format for MNIST), gzipped or not.

    The header is: two zero bytes, a type code, the number of axes, and each axis' length as a big-endian 32-bit
    integer.

    Raises:
        DataError: not an IDX file, or shorter or longer than its header says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is damaged or cut short ({error}); delete it and fetch it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_DTYPES:
        raise DataError(f"{path} is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}")
    dtype, ndim = np.dtype(_IDX_DTYPES[content[2]]), content[3]
    header = 4 + 4 * ndim
    if len(content) < header:
        raise DataError(f"{path} is cut short: {len(content)} bytes do not hold its header of {header}")
    shape = struct.unpack(f">{ndim}I", content[4:header])
    expected = header + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(content) != expected:
        raise DataError(f"{path} holds {len(content)} bytes, but its header, {shape} of {dtype.name}, needs {expected}")
    return np.frombuffer(content, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of dicts, lists, bytes and NumPy arrays, and refuses whatever could run code."""

    allowed = (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"))

    def find_class(self, module: str, name: str) -> Any:
        reconstruct = name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray")
        if reconstruct:
            module = "numpy._core.multiarray"
        elif (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_cifar_batch(content: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, 3, 32, 32) of uint8, labels) from one of CIFAR-10's pickled batches.

    Raises:
        DataError: damaged, or something else than such a batch.
    """
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        images, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
        return images.reshape(len(labels), 3, 32, 32), labels.astype(np.int64)
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{name} is not a complete CIFAR-10 batch ({error}); delete it and fetch it again") from error


def read_cifar_member(root: Path, member: str) -> bytes:
    """A file of CIFAR-10, from the unpacked folder or from the archive beside it.

    Raises:
        DataError: it is in neither, or the archive is damaged.
    """
    for path in (root / "cifar-10-batches-py" / member, root / member):
        if path.exists():
            return path.read_bytes()
    archive = root / "cifar-10-python.tar.gz"
    try:
        with tarfile.open(archive) as tar:
            file = tar.extractfile(f"cifar-10-batches-py/{member}")
            if file is None:
                raise KeyError(member)
            return file.read()
    except FileNotFoundError as error:
        raise DataError(f"no {member} in {root} or {root / 'cifar-10-batches-py'}, and no {archive.name}") from error
    except (tarfile.TarError, EOFError, OSError, KeyError, zlib.error) as error:
        raise DataError(f"{archive} is damaged or incomplete ({error}); delete it and fetch it again") from error
