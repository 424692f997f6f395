"""MNIST's IDX files: four magic bytes, big-endian sizes, then one byte for each pixel or label."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.command import UserError

_STEMS = {
    "x_train": ("train-images", "idx3-ubyte"),
    "y_train": ("train-labels", "idx1-ubyte"),
    "x_test": ("t10k-images", "idx3-ubyte"),
    "y_test": ("t10k-labels", "idx1-ubyte"),
}


def find_idx(folder: Path) -> dict[str, Path]:
    """Which of MNIST's four files a folder has, in either spelling, plain before gzipped, by the array they hold."""
    found = {}
    for key, (stem, ending) in _STEMS.items():
        for name in (f"{stem}-{ending}", f"{stem}.{ending}", f"{stem}-{ending}.gz", f"{stem}.{ending}.gz"):
            if (folder / name).exists():
                found[key] = folder / name
                break
    return found


def read_idx(path: Path, *, dims: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes with so many dimensions.

    Raises:
        UserError: unreadable, damaged, another kind of file, or not as long as its header says.
    """
    content = _read(path)
    header = 4 + 4 * dims
    if content[:4] != bytes([0, 0, 8, dims]):
        kind = "images" if dims == 3 else "labels"
        raise UserError(f"{path}: not an IDX file of {kind}; give MNIST's own files with --data")
    if len(content) < header:
        raise UserError(f"{path}: ends within its header; get a fresh copy of it")
    shape = struct.unpack(f">{dims}I", content[4:header])
    expected, there = math.prod(shape), len(content) - header
    if there != expected:
        fault = "truncated" if there < expected else "too long"
        raise UserError(
            f"{path}: {fault}, {there} bytes of data where its header says {expected}; get a fresh copy of it",
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as stream:
            return stream.read()
    except gzip.BadGzipFile as error:
        raise UserError(f"{path}: not a gzip file, or damaged ({error}); get a fresh copy of it") from error
    except (EOFError, zlib.error) as error:
        raise UserError(f"{path}: truncated or damaged gzip file; get a fresh copy of it") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
