"""One run of `digits-train numbers`, from training digits to a reader in its run folder."""

import io
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image
from rich.console import Console

from exporter.contract import BOXES, COUNT, RUN_METRICS, RUN_READER, TEXT
from exporter.edit_distance import edit_distance
from exporter.network.served import served
from exporter.network.source import load_source
from exporter.numbers.reader import Answer, numbers_signature
from exporter.numbers.scorer import Weights
from exporter.numbers.stored import Reader
from trainer.bar import bar
from trainer.data.datasets import load
from trainer.evaluation import figures
from trainer.evaluation.calibrate import reliability
from trainer.numbers.fit import EPOCHS, answers, calibrated, confidence_of, fit
from trainer.numbers.material import Material, read_strings
from trainer.numbers.pictures import coverage, draw_coverage, draw_strings
from trainer.numbers.strings import Digits, digits_of, strings
from trainer.run_folder.runs import RELIABILITY

_PART = 512  # strings that are kept together when a run is interrupted
_DRAWN = 40
_SAMPLES = 8
_LENGTHS = range(3, 9)  # digits of the strings that figures are about


@dataclass(frozen=True)
class Amounts:
    """How many strings are made."""

    fitted: int = 12_288
    calibrated: int = 1536
    tested: int = 1024


@dataclass(frozen=True)
class Summary:
    """What a run came to, on strings of three to eight of the test digits."""

    exact: float
    """Share of strings read exactly."""
    digit_error: float
    """Edit distance to the truth, a digit of it."""
    calibration_error: float
    """How far confidence is from the share of strings read exactly."""
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
    network = served(*load_source(source))
    keras.utils.set_random_seed(seed)
    fitted, held_out, tested = digits_of(dataset)
    with bar(console) as progress:

        def read(what: str, digits: Digits, count: int, number: int) -> Material:
            task = progress.add_task(what, total=count)
            path = kept / f"{number}-{{part}}.npz"
            return _read(network, digits, count, seed * 3 + number, path, lambda done: progress.advance(task, done))

        material = read("strings to fit", fitted, amounts.fitted, 0)
        calibrating = read("strings to calibrate with", held_out, amounts.calibrated, 1)
        testing = read("strings of test digits", tested, amounts.tested, 2)
        task = progress.add_task("fitting", total=EPOCHS)
        losses: list[float] = []

        def on_epoch(epoch: int, loss: float) -> None:
            losses.append(loss)
            progress.update(task, completed=epoch)
            progress.console.print(f"epoch {epoch}/{EPOCHS}: loss {loss:.4f}", highlight=False)

        weights = fit(material, seed=seed, on_epoch=on_epoch, kept=kept / "fit.npz")
    weights = calibrated(weights, answers(weights, calibrating))
    samples = [string.picture for string in strings(held_out, _SAMPLES, seed * 3 + 1)]
    Reader(weights, [_png(picture) for picture in samples]).save(folder / RUN_READER)
    summary = _evaluate(folder, weights, testing, losses=losses, seed=seed, source=source, start=start)
    _draw(folder, network, weights, tested, seed)
    return summary


def _read(
    network: Answer, digits: Digits, count: int, seed: int, path: Path, on_done: Callable[[int], None]
) -> Material:
    """Strings as lattices, but for what an interrupted run has left; each part is written when it is done."""
    made = strings(digits, count, seed)
    parts = []
    for part, start in enumerate(range(0, count, _PART)):
        file = path.with_name(path.name.format(part=part))
        size = min(_PART, count - start)
        if file.exists():
            parts.append(Material.load(file))
            on_done(size)
            made = strings(digits, count, seed, start=start + size)
            continue
        parts.append(read_strings(itertools.islice(made, size), network, on_done))
        file.parent.mkdir(parents=True, exist_ok=True)
        parts[-1].save(file)
    return Material.joined(parts)


def _evaluate(
    folder: Path, weights: Weights, testing: Material, *, losses: list[float], seed: int, source: Path, start: float
) -> Summary:
    """Write the figures of a reader, on strings of test digits, and draw how far they can be believed."""
    found, given = answers(weights, testing), answers(weights, testing, count_given=True)
    some = np.array([len(text) in _LENGTHS for text in testing.texts])
    said = confidence_of(weights, found)[some]
    right = found.right[some]
    pairs = [pair for pair, chosen in zip(zip(found.texts, testing.texts, strict=True), some, strict=True) if chosen]
    believed = reliability(said, right)
    summary = Summary(float(right.mean()), digit_error(pairs), believed.error, time.perf_counter() - start)
    metrics = {
        "recipe": "numbers",
        "source": source.name,
        "test_exact": summary.exact,
        "test_exact_with_count": float(given.right[some].mean()),
        "test_digit_error": summary.digit_error,
        "expected_calibration_error": summary.calibration_error,
        "answered_at_95_percent": coverage(said, right),
        "losses": losses,
        "seed": seed,
        "strings": len(pairs),
        "wall_seconds": round(summary.seconds, 3),
    }
    (folder / RUN_METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    title = f"numbers: expected calibration error {believed.error:.2%}, {len(right):,} strings"
    figures.reliability(folder / RELIABILITY, believed, title=title)
    draw_coverage(folder / "coverage.png", [("strings of test digits", said, right)], title="Coverage against accuracy")
    return summary


def _draw(folder: Path, network: Answer, weights: Weights, tested: Digits, seed: int) -> None:
    """Draw some strings of test digits with their boxes and answers."""
    drawn = list(strings(tested, _DRAWN, seed * 3 + 2))
    read = tf.function(numbers_signature(network, weights), autograph=False)
    found = read(tf.constant([_png(string.picture) for string in drawn]), tf.zeros([1], tf.int32))
    counts = found[COUNT].numpy()
    draw_strings(
        folder / "strings.png",
        [string.picture for string in drawn],
        [boxes[:count] for boxes, count in zip(found[BOXES].numpy(), counts, strict=True)],
        [text.decode() for text in found[TEXT].numpy()],
        [string.text for string in drawn],
        title="Strings of test digits, and how they are read",
    )


def digit_error(pairs: list[tuple[str, str]]) -> float:
    """Edit distance of texts to the true ones, for each true digit (Levenshtein 1966)."""
    wrong = sum(edit_distance(said, true) for said, true in pairs)
    return wrong / max(1, sum(len(true) for _, true in pairs))


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
