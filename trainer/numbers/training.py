"""One run of `digits-train numbers`, from training digits to a reader in its run folder."""

import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from exporter.contract import RUN_METRICS, RUN_READER
from exporter.network.source import load_source
from exporter.network.served import served
from exporter.numbers.reader import Answer
from exporter.numbers.scorer import Weights
from trainer.data.datasets import Dataset, load
from trainer.evaluation import figures
from trainer.evaluation.calibrate import reliability
from trainer.numbers.fit import EPOCHS, Answers, answers, calibrate, fit
from trainer.numbers.material import Material, read_strings
from trainer.numbers.pictures import draw_coverage, draw_strings
from trainer.numbers.strings import Digits, strings
from trainer.run_folder import runs

_HELD_OUT = 0.1  # of the training digits, from their end, are in no string that is fitted
_PART = 512  # strings that are kept together when a run is interrupted
_EDIT = 1.0


@dataclass(frozen=True)
class Amounts:
    """How many strings are made."""

    fitted: int = 6144
    calibrated: int = 1536
    tested: int = 1024


@dataclass(frozen=True)
class Summary:
    """What a run came to, on strings of the test digits."""

    exact: float
    """Share of strings read exactly."""
    digit_error: float
    """Edit distance to the truth, a digit of it."""
    seconds: float
    """Wall time, imports not counted."""


def train_reader(
    source: Path, *, data: Path | None, folder: Path, kept: Path, seed: int, console: Console, amounts: Amounts
) -> Summary:
    """Make strings, fit and calibrate a reader, and fill a run folder.

    Args:
        source: the run folder or published version whose network judges segments.
        data: the data set, None for Keras' download.
        folder: an empty folder, which becomes the run folder.
        kept: folder of what an interrupted run has read already, and where this one leaves it.
        seed: of everything random.
        console: where progress is shown, if it is a terminal.
        amounts: how many strings.

    Raises:
        UserError: a data set or a network that cannot be used.
    """
    start = time.perf_counter()
    dataset = load(data)
    model, temperature = load_source(source)
    network = served(model, temperature)
    keras.utils.set_random_seed(seed)
    fitted, held_out, tested = _digits(dataset)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        reading = _Reading(network, kept, seed, progress)
        material = reading.of("strings to fit", fitted, amounts.fitted, 0)
        calibrating = reading.of("strings to calibrate with", held_out, amounts.calibrated, 1)
        testing = reading.of("strings of test digits", tested, amounts.tested, 2)
        task = progress.add_task("fitting", total=EPOCHS)

        def on_epoch(epoch: int, loss: float) -> None:
            progress.update(task, completed=epoch)
            progress.console.print(f"epoch {epoch}/{EPOCHS}: loss {loss:.4f}", highlight=False)

        losses: list[float] = []
        weights = fit(material, seed=seed, on_epoch=lambda epoch, loss: (losses.append(loss), on_epoch(epoch, loss))[1])
    weights = _calibrated(weights, calibrating)
    weights.save(folder / RUN_READER)
    found = answers(weights, testing)
    summary = Summary(
        float(found.right.mean()), digit_error(found.texts, testing.texts), time.perf_counter() - start
    )
    _write_records(folder, found, weights, testing, summary, losses=losses, seed=seed)
    draw_strings(folder / "strings.png", itertools.islice(strings(tested, amounts.tested, seed + 2), 40), network, weights)
    return summary
