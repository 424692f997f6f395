"""The sets that `evaluate.py` measures on, each as encoded files, and the usual preparation to compare with.

They lie in one folder: `mnist/` (IDX files or mnist.npz), `usps/usps.npz` (`x_test`, `y_test`), `semeion/semeion.npz`
and `scans/cells_84x62.npz` (`images`, `labels`), `scans/<digit>/*.png`, `hwd_1000/img/<digit>-*.png`,
`wild/png/<digit>/*.png`, `wild/jpg/<digit>/*.jpg`, `boxes/<cut>/<hand or printed>/<digit>/*.png` and
`cheques/digits/<digit>/*.png`. Files are taken as they are; arrays become PNG files.
"""

import functools
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from exporter.command import UserError
from exporter.contract import SIDE
from trainer.data.datasets import load

Pixels = npt.NDArray[np.uint8]

_SUFFIXES = (".png", ".jpg", ".jpeg")
_DIGITS = tuple("0123456789")
_NPZ_FAULTS = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Encoded images of single digits whose labels are known."""

    images: list[bytes]
    labels: Pixels  # [n], 0 to 9
    files: list[str]
    """What each image is called, for people."""
    inverted: bool
    """Whether those who resize and invert would invert these."""
    pixels: Pixels | None = None
    """[n, 28, 28], of the set that has MNIST's form already."""

    @functools.cached_property
    def resized(self) -> Pixels:
        """[n, 28, 28], resized and inverted."""
        return np.stack([resize_and_invert(image, inverted=self.inverted) for image in self.images])


def resize_and_invert(image: bytes, *, inverted: bool) -> Pixels:
    """Prepare an image as hobby projects do, with Pillow: to grey, to 28x28, and inverted for ink on paper.

    Convert("L"), which drops transparency; bilinear, whatever the shape; inverted or not for a whole set, never by what
    is in a picture: white on black, as MNIST is, they feed as it is, and of scans, drawings and photographs they assume
    dark ink on light paper.
    """
    try:
        with Image.open(io.BytesIO(image)) as picture:
            small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    except OSError as error:
        raise UserError(f"an image cannot be opened by Pillow ({error}); get a fresh copy of its set") from None
    pixels = np.asarray(small)
    return 255 - pixels if inverted else pixels


def load_sets(data: Path) -> tuple[dict[str, EvaluationSet], list[str]]:
    """Load the sets that are in a folder, by name; also returns the names of those that are not.

    Raises:
        UserError: none is there, or one is damaged.
    """
    png = _files(data / "wild" / "png", label=lambda path: path.parent.name)
    jpeg = _files(data / "wild" / "jpg", label=lambda path: path.parent.name)
    found = {
        "MNIST test": _mnist(data / "mnist"),
        "USPS test": _npz(data / "usps" / "usps.npz", "x_test", "y_test", inverted=False),
        "scanned cells, PNG": _files(data / "scans", label=lambda path: path.parent.name),
        "scanned cells, all, 84x62": _npz(data / "scans" / "cells_84x62.npz", "images", "labels", inverted=True),
        "Semeion": _npz(data / "semeion" / "semeion.npz", "images", "labels", inverted=False),
        "HwD-1000": _files(data / "hwd_1000" / "img", label=lambda path: path.name[0]),
        "wild, PNG": png,
        "wild, JPEG": jpeg,
        "wild, all": _together(png, jpeg) if png and jpeg else None,
        **{
            f"boxes, {kind}, {cut.replace('_', ' ')}": _files(
                data / "boxes" / cut / kind, label=lambda path: path.parent.name
            )
            for kind in ("hand", "printed")
            for cut in ("inside_the_lines", "on_the_lines", "outside_the_lines")
        },
        "cheques, digits": _files(data / "cheques" / "digits", label=lambda path: path.parent.name),
    }
    sets = {name: images for name, images in found.items() if images}
    if not sets:
        raise UserError(f"{data}: holds none of the sets {'; '.join(found)}; give their folder with --data")
    return sets, [name for name in found if name not in sets]


def _mnist(folder: Path) -> EvaluationSet | None:
    if not folder.is_dir():
        return None
    dataset = load(folder)
    return _of_arrays(dataset.x_test, dataset.y_test, inverted=False, pixels=dataset.x_test)


def _npz(path: Path, images: str, labels: str, *, inverted: bool) -> EvaluationSet | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _of_arrays(archive[images], archive[labels], inverted=inverted)
    except _NPZ_FAULTS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as .npz ({reason}); get a fresh copy of it") from None


def _of_arrays(images: Pixels, labels: Pixels, *, inverted: bool, pixels: Pixels | None = None) -> EvaluationSet:
    files = [f"image {number}" for number in range(len(images))]
    return EvaluationSet([_encode(image) for image in images], labels, files, inverted, pixels)


def _encode(image: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _files(folder: Path, *, label: Callable[[Path], str]) -> EvaluationSet | None:
    """Of the images below a folder, those that have a digit for a label."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES and label(path) in _DIGITS]
    if not paths:
        return None
    return EvaluationSet(
        images=[path.read_bytes() for path in paths],
        labels=np.array([int(label(path)) for path in paths], np.uint8),
        files=[str(path.relative_to(folder)) for path in paths],
        inverted=True,
    )


def _together(one: EvaluationSet, other: EvaluationSet) -> EvaluationSet:
    labels = np.concatenate([one.labels, other.labels])
    return EvaluationSet(one.images + other.images, labels, one.files + other.files, one.inverted)
