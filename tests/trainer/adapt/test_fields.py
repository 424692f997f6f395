"""Adapting the included network and reader to fields that they read wrong, and publishing both."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console

from exporter.command import SHIPPED_READER
from exporter.network.served import served
from exporter.network.source import load_source
from exporter.numbers.stored import Reader
from tests.conftest import ROOT
from trainer.adapt.given import Asked
from trainer.adapt.report import Outcome, table, verdict
from trainer.adapt.settings import Settings
from trainer.adapt.training import adapt
from trainer.data.datasets import load
from trainer.data.labels import DIGITS, FIELDS, read_labels
from trainer.numbers.alignment import align
from trainer.numbers.material import Material, judged_anew, read_strings
from trainer.numbers.strings import String, digits_of, strings

pytestmark = pytest.mark.training

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"
SETTINGS = Settings(
    labelled=64,
    lessons=128,
    steps=(50, 50),
    field_copies=1,
    strings=40,
    tested_strings=16,
    field_epochs=6,
)
COUNT = 150


@dataclass(frozen=True)
class Made:
    """What the tests look at."""

    fields: Path
    """A CSV of fields whose digits are twice as wide as usual, of three writers."""
    asked: Asked
    run: Path
    kept: Path
    outcome: Outcome

    @property
    def metrics(self) -> dict[str, Any]:
        """Its figures."""
        found: dict[str, Any] = json.loads((self.run / "metrics.json").read_text())
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shipped_model: Path) -> Made:
    """One adaptation for all tests."""
    folder = tmp_path_factory.mktemp("fields")
    pictures = folder / "pictures"
    pictures.mkdir()
    training, _, _ = digits_of(load(SAMPLE))
    lines = ["path,text,writer"]
    for place, string in enumerate(strings(training, COUNT, 7)):
        picture = Image.fromarray(string.picture)
        picture.resize((2 * picture.width, picture.height)).save(pictures / f"{place:03}.png")
        lines.append(f"{place:03}.png,{string.text},writer {place % 3}")
    (pictures / "broken.png").write_bytes(b"no picture")
    Image.new("L", (90, 40), 255).save(pictures / "empty.png")
    lines += ["broken.png,12,writer 0", "empty.png,12,writer 0", "gone.png,3,writer 0", "000.png,none,writer 0"]
    lines[1:2] = []  # what holds no number
    (folder / "pictures" / "fields.csv").write_text("\n".join(lines) + "\n")
    run = folder / "run"
    run.mkdir()
    fields = pictures / "fields.csv"
    asked = Asked(
        fields=read_labels([fields], FIELDS),
        source=shipped_model / "1",
        reader=SHIPPED_READER,
        data=SAMPLE,
        group="writer",
        seed=0,
    )
    kept = folder / "kept"
    outcome = adapt(asked, folder=run, kept=kept, console=Console(quiet=True), settings=SETTINGS)
    return Made(fields, asked, run, kept, outcome)


def test_labels_of_fields_make_both_better(made: Made) -> None:
    """More fields of held-out writers are read exactly after adapting."""
    adapted = made.metrics["adapted"]
    held_out = adapted["fields"]["held_out"]
    assert held_out["images"] == COUNT
    assert held_out["new"]["right"] > held_out["old"]["right"] + 10
    assert held_out["new"]["digit_error"] < held_out["old"]["digit_error"]
    assert held_out["difference_interval"][0] < held_out["difference"]
    assert adapted["held_out"] is None
    assert (adapted["groups"], adapted["folds"]) == (3, 3)
    labels = adapted["fields"]["labels"]
    assert (labels["fields"], labels["none"], labels["unreadable"], labels["missing"]) == (COUNT, 1, 1, 1)


def test_a_run_shows_before_and_after(made: Made) -> None:
    """Rows for the fields, for MNIST and for strings of its digits; a sentence; the pictures."""
    assert table(made.outcome).row_count == 3
    assert "field" in verdict(made.outcome)[0]
    for name in ("before_after.png", "coverage.png"):
        assert (made.run / name).stat().st_size > 10_000, name
    assert (made.run / "doubted.csv").read_text().startswith("path,label,old,")


def test_an_interrupted_run_goes_on(made: Made, tmp_path: Path) -> None:
    """Readers of folds that are done are not fitted again, and the figures are the same."""
    readers = sorted(made.kept.glob("reader-*.npz"))
    assert len(readers) == 3
    readers[2].unlink()
    before = [path.stat().st_mtime_ns for path in readers[:2]]
    adapt(made.asked, folder=tmp_path, kept=made.kept, console=Console(quiet=True), settings=SETTINGS)
    assert [path.stat().st_mtime_ns for path in readers[:2]] == before
    again = json.loads((tmp_path / "metrics.json").read_text())["adapted"]["fields"]["held_out"]["new"]
    first = made.metrics["adapted"]["fields"]["held_out"]["new"]
    assert abs(again["right"] - first["right"]) <= 2  # sums in another order


def test_the_export_takes_both(made: Made, tmp_path: Path) -> None:
    """Without --numbers, what is published reads fields as the adapted network and reader do."""
    to = tmp_path / "models"
    command = [sys.executable, "-P", "-m", "exporter.cli", str(made.run), "--to", str(to), "--accept-worse"]
    published = subprocess.run(command, capture_output=True, text=True, check=False)
    assert published.returncode == 0, published.stderr
    read = tf.saved_model.load(str(to / "1")).signatures["numbers"]
    texts = dict(line.split(",")[:2] for line in made.fields.read_text().splitlines()[1:])
    files = sorted(made.fields.parent.glob("[0-9]*.png"))[1:]
    contents = tf.constant([path.read_bytes() for path in files])
    said = read(image_bytes=contents, digits=tf.constant([0]))["text"].numpy()
    right = sum(text.decode() == texts[path.name] for text, path in zip(said, files, strict=True))
    old = made.metrics["adapted"]["fields"]["held_out"]["old"]["right"]
    assert right > old + 10


def test_digits_and_fields_together(made: Made, tmp_path: Path) -> None:
    """Both kinds of labels are judged, each for itself; a writer is in one fold with both."""
    digits = tmp_path / "digits"
    dataset = load(SAMPLE)
    digits.mkdir()
    lines = ["path,label,writer"]
    for place in range(60):
        Image.fromarray(255 - np.pad(dataset.x_train[place], 10)).save(digits / f"{place}.png")
        lines.append(f"{place}.png,{dataset.y_train[place]},writer {place % 3}")
    (digits / "labels.csv").write_text("\n".join(lines) + "\n")
    run = tmp_path / "run"
    run.mkdir()
    few = made.fields.with_name("few.csv")
    few.write_text("\n".join(made.fields.read_text().splitlines()[:21]) + "\n")
    asked = replace(made.asked, labels=read_labels([digits / "labels.csv"], DIGITS), fields=read_labels([few], FIELDS))
    short = replace(SETTINGS, steps=(4, 4), field_epochs=1, strings=8, tested_strings=8)
    outcome = adapt(asked, folder=run, kept=tmp_path / "kept", console=Console(quiet=True), settings=short)
    adapted = json.loads((run / "metrics.json").read_text())["adapted"]
    assert adapted["held_out"]["images"] == 60
    assert adapted["fields"]["held_out"]["images"] == 20
    assert (adapted["groups"], adapted["folds"]) == (3, 3)
    assert table(outcome).row_count == 4


@pytest.fixture(scope="module")
def lattices(shipped_model: Path) -> tuple[Material, Reader]:
    """Strings as the included network sees them, and the included reader."""
    _, held_out, _ = digits_of(load(SAMPLE))
    network = served(*load_source(shipped_model / "1"))
    blank = String(np.full([40, 90], 255, np.uint8), "7")
    made = [*strings(held_out, 40, 3), blank]
    return read_strings(iter(made), network, lambda _: None), Reader.load(SHIPPED_READER)


def test_the_digits_of_a_text_are_found(lattices: tuple[Material, Reader]) -> None:
    """Most digits of texts that are known, in their order, each where the network sees that digit too."""
    material, reader = lattices
    found = align(reader.weights, material)
    assert found.forms.dtype == np.uint8
    for place, text in enumerate(material.texts[:-1]):
        said = "".join(map(str, found.labels[found.field == place]))
        assert len(said) <= len(text)
    whole = [text == "".join(map(str, found.labels[found.field == at])) for at, text in enumerate(material.texts)]
    assert sum(whole) > 30
    assert not (found.field == len(material.texts) - 1).any()  # a blank one holds none


def test_lattices_are_judged_anew(lattices: tuple[Material, Reader], shipped_model: Path) -> None:
    """By the same network they stay what they are, but for the rounding of forms; what was chosen keeps its edges."""
    material, _ = lattices
    again = judged_anew(material, served(*load_source(shipped_model / "1")))
    assert np.abs(again.logs - material.logs).mean() < 0.02
    assert np.abs(again.measures - material.measures).mean() < 0.02
    chosen = material.of(np.array([5, 2, 40]))
    assert chosen.texts == [material.texts[place] for place in (5, 2, 40)]
    for new, old in enumerate((5, 2, 40)):
        one, other = chosen.edge[:, 0] == new, material.edge[:, 0] == old
        assert (chosen.edge[one, 1:] == material.edge[other, 1:]).all()
        assert (chosen.forms[one] == material.forms[other]).all()
