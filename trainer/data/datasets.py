"""MNIST and whatever has its form: from Keras' own download, from IDX files or from an `.npz`."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.command import UserError
from exporter.contract import CLASSES, SIDE
from trainer.data.idx import find_idx, read_idx

_NPZ = "mnist.npz"
_KEYS = ("x_train", "y_train", "x_test", "y_test")

# What a damaged or foreign .npz makes NumPy raise: it is a zip, compressed, of arrays with headers of their own.
_NPZ_FAULTS = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    OverflowError,
    MemoryError,  # a header that claims terabytes
    NotImplementedError,  # a zip with a feature that Python lacks
    RuntimeError,  # an encrypted zip
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Grey images, white ink on black, and the digits on them."""

    x_train: npt.NDArray[np.uint8]  # [n, 28, 28]
    y_train: npt.NDArray[np.uint8]  # [n], 0 to 9
    x_test: npt.NDArray[np.uint8]  # [m, 28, 28]
    y_test: npt.NDArray[np.uint8]  # [m], 0 to 9


def load(source: Path | None) -> Dataset:
    """Load a data set and check it.

    Args:
        source: a folder with MNIST's four IDX files, plain or gzipped, or with `mnist.npz`; or an `.npz` itself.
            None is the data set that Keras downloads once and keeps.

    Raises:
        UserError: nothing there, or a file that is missing, damaged or no such data set.
    """
    if source is None:
        return _download()
    if source.is_dir():
        files = find_idx(source)
        if files:
            return _load_idx(source, files)
        if (source / _NPZ).exists():
            return _load_npz(source / _NPZ)
        raise UserError(f"{source}: holds neither MNIST's four IDX files nor {_NPZ}; give such a folder with --data")
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; give a folder with MNIST's files with --data")
    if source.suffix != ".npz":
        raise UserError(f"{source}: not a folder and not an .npz file; give one of them with --data")
    return _load_npz(source)


def _load_idx(folder: Path, files: dict[str, Path]) -> Dataset:
    arrays = {}
    for key in _KEYS:
        if key not in files:
            part, kind = ("train" if "train" in key else "t10k"), ("images" if key[0] == "x" else "labels")
            raise UserError(f"{folder}: has no {part}-{kind} file; the four IDX files of MNIST belong there")
        arrays[key] = read_idx(files[key], dims=3 if key[0] == "x" else 1)
    return _checked(arrays, {key: str(files[key]) for key in _KEYS})


def _load_npz(path: Path) -> Dataset:
    try:
        # Pickled arrays could run code: they are refused.
        archive: Any = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: one bare array, not an .npz archive; give an .npz with {', '.join(_KEYS)}")
        with archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise UserError(f"{path}: has no array {missing[0]}; an .npz needs {', '.join(_KEYS)}")
            arrays = {key: archive[key] for key in _KEYS}
    except _NPZ_FAULTS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read as .npz ({reason}); get a fresh copy of it") from error
    return _checked(arrays, {key: f"{path}: {key}" for key in _KEYS})


def _download() -> Dataset:
    import keras  # noqa: PLC0415 - seconds to import, and needed for the download alone

    advice = "give a folder with MNIST's files with --data"
    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:
        # Keras raises a bare Exception where the network fails.
        reason = " ".join(str(error).split())
        raise UserError(f"MNIST could not be downloaded ({reason}); {advice}") from error
    arrays = dict(zip(_KEYS, (x_train, y_train, x_test, y_test), strict=True))
    return _checked(arrays, {key: f"Keras' MNIST: {key}" for key in _KEYS})


def _checked(arrays: dict[str, npt.NDArray[Any]], where: dict[str, str]) -> Dataset:
    """Arrays as a data set, or UserError saying `where` and why they are none."""
    for images, labels in (_KEYS[:2], _KEYS[2:]):
        x, y = arrays[images], arrays[labels]
        if x.dtype != np.uint8 or x.shape[1:] != (SIDE, SIDE):
            raise UserError(
                f"{where[images]}: {x.dtype} {list(x.shape)}, not uint8 [n, 28, 28]; give MNIST's own form",
            )
        if not np.issubdtype(y.dtype, np.integer) or y.ndim != 1:
            raise UserError(
                f"{where[labels]}: {y.dtype} {list(y.shape)}, but labels are integers [n]; give MNIST's own form"
            )
        if len(x) == 0:
            raise UserError(f"{where[images]}: holds no images; give a data set with some")
        if len(x) != len(y):
            raise UserError(f"{where[labels]}: {len(y)} labels for {len(x)} images; give the two that belong together")
        if y.min() < 0 or y.max() >= CLASSES:
            wrong = y.max() if y.max() >= CLASSES else y.min()
            raise UserError(f"{where[labels]}: has the label {wrong}; labels are the digits 0 to 9")
        arrays[labels] = y.astype(np.uint8)
    return Dataset(**arrays)
