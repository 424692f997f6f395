"""A run folder: what is in it, and how it appears whole or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.command import UserError
from exporter.contract import RUN_METRICS, RUN_MODEL, RUN_WARMUP

MODEL: Final = RUN_MODEL
H5: Final = "mnist_model.h5"
HISTORY: Final = "history.csv"
METRICS: Final = RUN_METRICS
RECIPE: Final = "recipe.toml"
"""What was fitted, as a file for `digits-train --recipe`."""
WARMUP: Final = RUN_WARMUP
"""Folder of PNGs, `<digit>-<i>.png`, real training digits for warming a server up."""
SAMPLES: Final = "samples.png"
DISTORTED: Final = "distorted.png"
"""Only of a recipe that distorts its training images."""
CURVES: Final = "curves.png"
CONFUSION: Final = "confusion.png"
RELIABILITY: Final = "reliability.png"
PREDICTIONS: Final = "predictions.png"


History = dict[str, list[float]]
"""For each of loss, accuracy and, with validation, val_loss and val_accuracy: its value after each epoch."""

CHECKPOINT: Final = ".weights.h5"
"""Ending of the files in the folder of checkpoints; before it the number of epochs that are done."""
LESSONS: Final = "lessons.bin"
"""In the same folder: what teachers have said so far."""


def usual_name(recipe: str, seed: int) -> str:
    """Name of a run folder that nobody has named."""
    return f"{recipe}-seed{seed}"


def checkpoints_of(out: Path) -> Path:
    """Where an interrupted run leaves what it has, to go on from there."""
    return out.with_name(f".{out.name}.checkpoints")


def epochs_done(checkpoints: Path) -> int:
    """How many epochs an interrupted run has left there."""
    done = (path.name.removesuffix(CHECKPOINT) for path in checkpoints.glob(f"*{CHECKPOINT}"))
    return max((int(number) for number in done if number.isdigit()), default=0)


class CouldNotWriteError(UserError):
    """The disk would not take a run folder."""

    exit_code = 3


@contextlib.contextmanager
def new_run_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside `out` that becomes `out` if all goes well, and vanishes if anything does not.

    Raises:
        UserError: `out` exists, or its place cannot be written to.
        CouldNotWriteError: the finished folder could not be given its name.
    """
    # lexists: a dangling link is something of the user's, too.
    if os.path.lexists(out):
        raise UserError(f"{out}: already exists and is not overwritten; choose another folder with --out")
    new_parents = [parent for parent in out.parents if not parent.exists()]
    folder = out.with_name(f".{out.name}.partial-{secrets.token_hex(4)}")
    try:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{out}: cannot be created ({error.strerror}); choose another --out") from error
        yield folder
        _rename(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in new_parents:
            with contextlib.suppress(OSError):  # not empty: somebody else uses it by now
                parent.rmdir()
        raise


def _rename(folder: Path, out: Path) -> None:
    try:
        folder.rename(out)
    except OSError as error:
        raise CouldNotWriteError(
            f"{out}: the run is lost, its folder could not be renamed ({error.strerror})",
        ) from error
