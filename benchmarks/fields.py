"""How well fields of several digits are read: whole texts, digits, coverage and calibration, by the served signature.

    python benchmarks/fields.py FIELDS.csv [--model FOLDER] [--chart FILE.png] [--json FILE]

FIELDS.csv has a header, then for each field its path, relative to the CSV's folder, and its text. Strings made of
MNIST's test digits are measured too where --mnist names MNIST's files: as the reader's training makes them, and plain,
as they are and side by side. CPU time is of this process, after one request.
"""

import argparse
import csv
import io
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from exporter.command import UserError, quiet_tensorflow, run

quiet_tensorflow()

import numpy as np  # noqa: E402 - after TensorFlow's chatter is closed off
import numpy.typing as npt  # noqa: E402 - as above
import tensorflow as tf  # noqa: E402 - as above
from PIL import Image  # noqa: E402 - as above

from benchmarks.evaluate import SHIPPED, newest  # noqa: E402 - as above
from exporter.contract import CONFIDENCE, DIGITS, IMAGE_BYTES, NUMBERS_SIGNATURE, TEXT  # noqa: E402 - as above
from trainer.data.datasets import load  # noqa: E402 - as above
from trainer.evaluation.calibrate import reliability  # noqa: E402 - as above
from trainer.numbers.pictures import coverage, draw_coverage  # noqa: E402 - as above
from trainer.numbers.strings import Digits, strings  # noqa: E402 - as above
from trainer.numbers.training import digit_error  # noqa: E402 - as above

TOGETHER = 64  # fields in a request
STRINGS, SEED = 1000, 2024  # never a training's seed
LENGTHS = range(3, 9)


@dataclass(frozen=True)
class Field:
    """An encoded picture and what is written on it."""

    octets: bytes
    text: str


@dataclass(frozen=True)
class Figures:
    """What was found on a set of fields; shares are 0 to 1."""

    fields: int
    exact: float
    exact_with_count: float
    digit_error: float
    answered_at_95_percent: float
    calibration_error: float
    cpu_ms: float
    """Of a field, in requests of 64."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fields", type=Path, help="CSV of paths and texts")
    parser.add_argument("--mnist", type=Path, help="MNIST's files, for strings of test digits")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model folder; default: the shipped model")
    parser.add_argument("--chart", type=Path, help="draw coverage against accuracy")
    parser.add_argument("--json", type=Path, help="write the figures")
    arguments = parser.parse_args()
    folder = newest(arguments.model)
    model = tf.saved_model.load(str(folder))
    if NUMBERS_SIGNATURE not in model.signatures:
        raise UserError(f"{folder} reads no numbers; export it with --numbers")
    sets = {arguments.fields.parent.name: _fields(arguments.fields)}
    if arguments.mnist is not None:
        sets["plain strings of MNIST's test digits"] = plain(arguments.mnist)
        sets["strings of MNIST's test digits"] = made(arguments.mnist)
    figures, curves = {}, []
    for name, fields in sets.items():
        figures[name], confidence, right = measure(model.signatures[NUMBERS_SIGNATURE], fields)
        curves.append((f"{name}, {len(fields)}", confidence, right))
        print(name, json.dumps(asdict(figures[name]), indent=2))
    if arguments.chart is not None:
        draw_coverage(arguments.chart, curves, title="Fields answered, and how many of these are right")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({name: asdict(found) for name, found in figures.items()}, indent=2) + "\n")


def _fields(path: Path) -> list[Field]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    return [Field((path.parent / name).read_bytes(), text) for name, text, *_ in rows]


def made(mnist: Path) -> list[Field]:
    """Strings of three to eight of MNIST's test digits, as PNGs."""
    dataset = load(mnist)
    digits = Digits(dataset.x_test.astype(np.float32) / np.float32(255), dataset.y_test)
    some = (string for string in strings(digits, STRINGS, SEED) if len(string.text) in LENGTHS)
    return [Field(_png(string.picture), string.text) for string in some]


def plain(mnist: Path) -> list[Field]:
    """The same digits as they are, dark on white, each close to the one before it or touching it."""
    dataset = load(mnist)
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(STRINGS):
        chosen = rng.integers(0, len(dataset.x_test), rng.choice(LENGTHS))
        line = np.zeros([40, 32 * len(chosen) + 40], np.uint8)
        end = 10
        for image in dataset.x_test[chosen]:
            columns = np.flatnonzero(image.any(axis=0))
            part = image[:, columns[0] : columns[-1] + 1]
            start = end + int(rng.integers(-1, 7))
            end = start + part.shape[1]
            line[6:34, start:end] = np.maximum(line[6:34, start:end], part)
        text = "".join(map(str, dataset.y_test[chosen]))
        found.append(Field(_png(255 - line[:, : end + 10]), text))
    return found


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def measure(
    read: tf.types.experimental.GenericFunction, fields: list[Field]
) -> tuple[Figures, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Figures, the confidence of each answer, float32 [n], and which are right, bool [n]."""
    _answers(read, fields[:TOGETHER], count_given=False)
    start = time.process_time()
    texts, confidence = _answers(read, fields, count_given=False)
    seconds = time.process_time() - start
    given, _ = _answers(read, fields, count_given=True)
    right = np.array([said == field.text for said, field in zip(texts, fields, strict=True)])
    found = Figures(
        fields=len(fields),
        exact=float(right.mean()),
        exact_with_count=float(np.mean([said == field.text for said, field in zip(given, fields, strict=True)])),
        digit_error=digit_error([(said, field.text) for said, field in zip(texts, fields, strict=True)]),
        answered_at_95_percent=coverage(confidence, right),
        calibration_error=reliability(confidence, right).error,
        cpu_ms=1000 * seconds / len(fields),
    )
    return found, confidence, right


def _answers(
    read: tf.types.experimental.GenericFunction, fields: list[Field], *, count_given: bool
) -> tuple[list[str], npt.NDArray[np.float32]]:
    texts, confidence = [], []
    for start in range(0, len(fields), TOGETHER):
        some = fields[start : start + TOGETHER]
        digits = [len(field.text) * count_given for field in some]
        inputs = {IMAGE_BYTES: tf.constant([field.octets for field in some]), DIGITS: tf.constant(digits)}
        outputs = read(**inputs)
        texts += [text.decode() for text in outputs[TEXT].numpy()]
        confidence.append(outputs[CONFIDENCE].numpy())
    return texts, np.concatenate(confidence)


if __name__ == "__main__":
    run("fields", main)
