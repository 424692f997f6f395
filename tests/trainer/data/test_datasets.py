"""Data sets load from every form that MNIST comes in, and each bad file is named in one line."""

import gzip
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.command import UserError
from trainer.data.datasets import Dataset, load

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def same(one: Dataset, other: Dataset) -> bool:
    return all(np.array_equal(getattr(one, key), getattr(other, key)) for key in vars(one))


def arrays(dataset: Dataset) -> dict[str, npt.NDArray[Any]]:
    return {key: array.copy() for key, array in vars(dataset).items()}


def refused(source: Path) -> str:
    """The one line that a source is refused with."""
    with pytest.raises(UserError) as error:
        load(source)
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.fixture
def plain(sample: Path, tmp_path: Path) -> Path:
    """A folder with the four IDX files decompressed."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for path in sample.glob("*.gz"):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def test_gzipped_idx(dataset: Dataset) -> None:
    """MNIST's own gzipped files give uint8 images and digits."""
    assert dataset.x_train.shape == (600, 28, 28)
    assert dataset.x_test.shape == (200, 28, 28)
    assert dataset.x_train.dtype == dataset.y_test.dtype == np.uint8
    assert dataset.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.y_test[:5].tolist() == [7, 2, 1, 0, 4]


def test_plain_idx_in_both_spellings(dataset: Dataset, plain: Path) -> None:
    """Decompressed files load the same, and so does the spelling with a dot, mixed as they may be."""
    assert same(load(plain), dataset)
    (plain / IMAGES).rename(plain / "train-images.idx3-ubyte")
    dotted = plain / "t10k-labels.idx1-ubyte.gz"
    dotted.write_bytes(gzip.compress((plain / "t10k-labels-idx1-ubyte").read_bytes()))
    (plain / "t10k-labels-idx1-ubyte").unlink()
    assert same(load(plain), dataset)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_npz_by_folder_and_by_path(dataset: Dataset, tmp_path: Path, dtype: type) -> None:
    """Keras' mnist.npz loads from its folder; any .npz loads by its own path; labels may be any integers."""
    content = arrays(dataset)
    content["y_train"] = content["y_train"].astype(dtype)
    np.savez_compressed(tmp_path / "mnist.npz", allow_pickle=True, **content)
    np.savez(tmp_path / "mine.npz", allow_pickle=True, **content)
    assert same(load(tmp_path), dataset)
    assert same(load(tmp_path / "mine.npz"), dataset)
    assert load(tmp_path).y_train.dtype == np.uint8


def edit(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return spoil


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        (IMAGES, Path.unlink, "has no train-images file"),
        (LABELS, Path.unlink, "has no train-labels file"),
        (IMAGES, edit(lambda old: old[:-1]), "truncated, 470399 bytes of data where its header says 470400"),
        (IMAGES, edit(lambda old: old + b"\0"), "too long"),
        (IMAGES, edit(lambda old: old[:10]), "ends within its header"),
        (IMAGES, edit(lambda _: b""), "not an IDX file of images"),
        (IMAGES, edit(lambda _: b"\x89PNG\r\n\x1a\n"), "not an IDX file of images"),
        (LABELS, edit(lambda old: old[:4] + b"\xff\xff\xff\xff" + old[8:]), "truncated"),
        (LABELS, edit(lambda old: old[:4] + (599).to_bytes(4, "big") + old[8:-1]), "599 labels for 600 images"),
        (LABELS, edit(lambda old: old[:-1] + b"\x0a"), "has the label 10"),
        (IMAGES, edit(lambda old: old[:4] + bytes(12)), "too long|holds no images|28"),
        (IMAGES, edit(lambda old: old[:8] + bytes([0, 0, 0, 14, 0, 0, 0, 56]) + old[16:]), r"\[600, 14, 56\]"),
    ],
)
def test_bad_idx(plain: Path, name: str, spoil: Callable[[Path], None], says: str) -> None:
    """A missing, short, long, foreign or mismatched IDX file is refused in one line that names it."""
    spoil(plain / name)
    line = refused(plain)
    assert line.startswith(str(plain))
    assert re.search(says, line)


def test_empty_idx(plain: Path) -> None:
    """A data set of no images is refused as such."""
    (plain / IMAGES).write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]))
    (plain / LABELS).write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 0]))
    assert "holds no images" in refused(plain)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (edit(lambda old: old[:-20]), "truncated or damaged gzip"),
        (edit(lambda old: old[: len(old) // 2]), "truncated or damaged gzip"),
        (edit(gzip.decompress), "not a gzip file"),
        (edit(lambda old: old[:-8] + bytes(4) + old[-4:]), "not a gzip file, or damaged"),
        (edit(lambda old: old[:100] + bytes(100) + old[200:]), "damaged"),
    ],
)
def test_bad_gzip(sample: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str) -> None:
    """A gzip file that is cut off, damaged, or none at all is refused in one line that names it."""
    folder = tmp_path / "spoilt"
    shutil.copytree(sample, folder)
    spoil(folder / f"{IMAGES}.gz")
    line = refused(folder)
    assert line.startswith(str(folder / f"{IMAGES}.gz"))
    assert says in line


def test_folder_in_place_of_a_file(plain: Path) -> None:
    """A file that cannot be read is refused with the system's reason."""
    (plain / IMAGES).unlink()
    (plain / IMAGES).mkdir()
    assert "cannot be read (Is a directory)" in refused(plain)


def test_nothing_there(tmp_path: Path) -> None:
    """A missing path, an empty folder and a file of another kind say what to give instead."""
    assert "no such file or folder; give" in refused(tmp_path / "nowhere")
    assert "neither MNIST's four IDX files nor mnist.npz" in refused(tmp_path)
    (tmp_path / "scan.png").write_bytes(b"")
    assert "not a folder and not an .npz" in refused(tmp_path / "scan.png")


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y_test": None}, "has no array y_test"),
        ({"x_train": np.zeros((600, 784), np.uint8)}, r"x_train: uint8 \[600, 784\]"),
        ({"x_train": np.zeros((600, 28, 28), np.float32)}, r"x_train: float32"),
        ({"x_test": np.zeros((200, 32, 32), np.uint8)}, r"\[200, 32, 32\]"),
        ({"x_test": np.zeros((201, 28, 28), np.uint8)}, "200 labels for 201 images"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)}, "holds no images"),
        ({"y_train": np.full(600, -1)}, "has the label -1"),
        ({"y_train": np.full(600, 256)}, "has the label 256"),
        ({"y_train": np.eye(10)[np.zeros(600, int)]}, "labels are integers"),
        ({"y_train": np.full(600, 3.0)}, "labels are integers"),
        ({"x_train": np.uint8(3)}, r"x_train: uint8 \[\], not uint8 \[n, 28, 28\]"),
    ],
)
def test_bad_npz(dataset: Dataset, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """An .npz with the wrong arrays is refused in one line that says which and why."""
    content = {key: value for key, value in (arrays(dataset) | change).items() if value is not None}
    path = tmp_path / "mnist.npz"
    np.savez(path, **content)
    line = refused(path)
    assert line.startswith(str(path))
    assert re.search(says, line)


def test_pickles_are_never_loaded(dataset: Dataset, tmp_path: Path) -> None:
    """Code in a pickled array or in a pickle named .npz does not run."""
    trace = tmp_path / "trace"
    hidden = np.empty(1, object)
    hidden[0] = Bomb(trace)
    np.savez(tmp_path / "array.npz", allow_pickle=True, **(arrays(dataset) | {"y_train": hidden}))
    (tmp_path / "whole.npz").write_bytes(pickle.dumps(Bomb(trace)))
    for name in ("array.npz", "whole.npz"):
        assert "cannot be read as .npz" in refused(tmp_path / name)
    assert not trace.exists()


def test_bare_array_named_npz(tmp_path: Path) -> None:
    """A single .npy under another name is refused."""
    with (tmp_path / "mnist.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "one bare array" in refused(tmp_path)


def outcome(source: Path) -> tuple[Dataset | None, str]:
    """What loading comes to: a data set, or the line that refuses it."""
    try:
        return load(source), ""
    except UserError as error:
        return None, str(error)


# One file's bytes with any stretch of them replaced, removed or extended.
damage = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=40))


def spoilt(content: bytes, where: tuple[float, int, bytes]) -> bytes:
    share, removed, added = where
    # Half of all damage goes to the first 64 bytes: that is where the headers are.
    start = int(share * 2 * 64) if share < 0.5 else int((share - 0.5) * 2 * len(content))
    return content[:start] + added + content[start + removed :]


@settings(max_examples=150, deadline=None)
@given(where=damage, cut=st.none() | st.floats(0, 1), name=st.sampled_from([IMAGES, f"{LABELS}.gz", "mnist.npz"]))
def test_any_damage_is_a_user_error(
    tmp_path_factory: pytest.TempPathFactory,
    dataset: Dataset,
    where: tuple[float, int, bytes],
    cut: float | None,
    name: str,
) -> None:
    """However a file is damaged, it still loads as a data set or is refused in one line; nothing else happens."""
    folder = tmp_path_factory.mktemp("damage")
    try:
        small = {"x_train": dataset.x_train[:3], "y_train": dataset.y_train[:3]}
        small |= {"x_test": dataset.x_test[:2], "y_test": dataset.y_test[:2]}
        if name == "mnist.npz":
            np.savez_compressed(folder / name, allow_pickle=True, **small)
        else:
            for stem, key in (("train", "train"), ("t10k", "test")):
                x, y = small[f"x_{key}"], small[f"y_{key}"]
                header = len(x).to_bytes(4, "big")
                images = bytes([0, 0, 8, 3]) + header + bytes([0, 0, 0, 28]) * 2 + x.tobytes()
                (folder / f"{stem}-images-idx3-ubyte").write_bytes(images)
                labels = bytes([0, 0, 8, 1]) + header + y.tobytes()
                (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        content = spoilt((folder / name).read_bytes(), where)
        (folder / name).write_bytes(content if cut is None else content[: int(cut * len(content))])
        loaded, line = outcome(folder)
        if loaded is None:
            assert line.startswith(str(folder))
            assert "\n" not in line
        else:
            assert loaded.x_train.shape[1:] == (28, 28)
            assert len(loaded.x_train) == len(loaded.y_train) > 0
            assert loaded.y_train.max() <= 9
    finally:
        shutil.rmtree(folder)


def test_failed_download_asks_for_data(tmp_path: Path) -> None:
    """Without --data and without a network there is one line, and it names --data."""
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer.cli", "dense-128", "--out", str(tmp_path / "run")],
        env={
            **{key: value for key, value in os.environ.items() if key not in ("DIGITS_DATA", "TF_CPP_MIN_LOG_LEVEL")},
            "KERAS_HOME": str(tmp_path / "keras"),
            "https_proxy": nowhere,
            "HTTPS_PROXY": nowhere,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("digits-train: MNIST could not be downloaded (")
    assert done.stderr.endswith("; give a folder with MNIST's files with --data\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
