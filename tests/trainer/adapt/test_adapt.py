"""Adapting a small network to labels of pictures that it reads wrong, and publishing it."""

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from rich.console import Console

from exporter.command import SHIPPED_READER, UserError
from tests.conftest import ROOT
from trainer.adapt.given import Asked
from trainer.adapt.report import Outcome, table, verdict
from trainer.adapt.settings import Settings
from trainer.adapt.training import adapt
from trainer.data.datasets import Dataset, load
from trainer.data.labels import DIGITS, Labelled, read_labels
from trainer.data.pictures import read_pictures, thumbnails

pytestmark = pytest.mark.training

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"
SETTINGS = Settings(labelled=64, lessons=32, steps=(100, 100), learning_rate=0.003, share=1.0)
"""A network of 128 units has more to learn, and less to lose."""


def _train(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "trainer.cli", *map(str, arguments), "--data", str(SAMPLE)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Made:
    """What the tests look at."""

    old: Path
    """Run folder of a small network on the sample."""
    labels: Path
    """A CSV of pictures of slanted digits, with writers, some letters and some wrong labels."""
    wrong: list[str]
    """Paths with wrong labels."""
    outcome: Outcome
    """Of adapting the network."""
    said: str
    """What was printed meanwhile."""
    asked: Asked
    """What it was made from."""
    run: Path
    """The run folder."""
    kept: Path
    """What would have been left of it, had it been interrupted."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Its figures."""
        found: dict[str, Any] = json.loads((self.run / "metrics.json").read_text())
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One adaptation for all tests."""
    folder = tmp_path_factory.mktemp("adapt")
    old = folder / "old"
    result = _train("dense-128", "--out", old, "--seed", "1")
    assert result.returncode == 0, result.stderr
    wrong = _draw(folder / "pictures", load(SAMPLE))
    run = folder / "adapted"
    run.mkdir()
    said = io.StringIO()
    labels = folder / "pictures" / "labels.csv"
    labelled = read_labels([labels], DIGITS)
    asked = Asked(labels=labelled, source=old, reader=SHIPPED_READER, data=SAMPLE, group="writer", seed=0)
    outcome = adapt(asked, folder=run, kept=folder / "kept", console=Console(file=said, width=200), settings=SETTINGS)
    return Made(old, labels, wrong, outcome, said.getvalue(), asked, run, folder / "kept")


def _draw(folder: Path, dataset: Dataset) -> list[str]:
    """Digits that lean to the left, dark on light, as PNG, TIFF and BMP; returns those with wrong labels."""
    folder.mkdir()
    lines, wrong = ["path,label,writer"], []
    for place in range(300):
        name = f"{place:03}.{('png', 'tif', 'bmp')[place % 3]}"
        Image.fromarray(_leaning(dataset.x_train[place])).save(folder / name)
        label = int(dataset.y_train[place])
        if place in (10, 20, 30):
            label = (label + 5) % 10
            wrong.append(name)
        lines.append(f"{name},{label},writer {place // 10}")
    for place in range(6):
        Image.effect_noise((40, 40), 90).save(folder / f"noise-{place}.png")
        lines.append(f"noise-{place}.png,none,nobody")
    (folder / "broken.png").write_bytes(b"no picture")
    Image.new("L", (40, 40), 255).save(folder / "empty.png")
    lines += ["broken.png,3,nobody", "empty.png,4,nobody", "gone.png,5,nobody"]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return wrong


def _leaning(digit: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Dark on light, each row moved by as many pixels as it is below the middle."""
    picture = np.pad(255 - digit, 16, constant_values=255)
    return np.stack([np.roll(row, place - 30) for place, row in enumerate(picture)])


def test_labels_make_the_network_better(made: Made) -> None:
    """Leaning digits of held-out writers are read better after adapting, and MNIST's nearly as well as before."""
    adapted = made.metrics["adapted"]
    held_out = adapted["held_out"]
    assert held_out["images"] == 301
    assert held_out["new"]["right"] > held_out["old"]["right"] + 40
    assert held_out["difference_interval"][0] > 0
    assert held_out["mcnemar_p"] < 1e-6
    assert held_out["old"]["interval"][1] < held_out["new"]["interval"][0]
    assert adapted["mnist"]["difference"] > -0.1
    assert (adapted["groups"], adapted["folds"]) == (31, 5)


def test_what_is_passed_over_is_counted(made: Made) -> None:
    """A file that is none, a broken one, a blank one, which nobody reads right, and pictures of no digit."""
    counted = made.metrics["adapted"]["labels"]
    assert (counted["digits"], counted["none"], counted["blank"], counted["unreadable"], counted["missing"]) == (
        301,
        6,
        1,
        1,
        1,
    )
    assert "1 labelled file is not there: gone.png" in made.said
    assert "1 file holds no picture: " in made.said


def test_a_run_shows_before_and_after(made: Made) -> None:
    """The table, the verdict, and the pictures."""
    assert [column.header for column in table(made.outcome).columns][1:4] == ["pictures", "before", "after"]
    assert table(made.outcome).row_count == 2
    assert verdict(made.outcome)[0] == "It is better on labels that it has not seen."
    for name in ("before_after.png", "confusion_before.png", "confusion.png", "reliability.png", "doubted.png"):
        assert (made.run / name).stat().st_size > 10_000, name


def test_wrong_labels_are_listed(made: Made) -> None:
    """A label that is wrong is among the few that both networks doubt, though neither network is a good one."""
    listed = [line.split(",")[0] for line in (made.run / "doubted.csv").read_text().splitlines()[1:]]
    found = {Path(path).name for path in listed}
    assert found & set(made.wrong)
    assert len(found) < 20


def test_pages_and_thumbnails(tmp_path: Path) -> None:
    """A page of a TIFF is read as it stands, and the sheet has the pictures themselves, whole and in white squares."""
    digits = [Image.fromarray(_leaning(digit)) for digit in load(SAMPLE).x_train[:2]]
    digits[0].save(tmp_path / "scan.tif", save_all=True, append_images=digits[1:])
    digits[1].crop((0, 10, 60, 50)).save(tmp_path / "second.png")
    pages = [Labelled(tmp_path / "scan.tif", page, 3) for page in (0, 1, 2)]
    pictures = read_pictures([*pages, Labelled(tmp_path / "second.png", 0, 3)], lambda _: None)
    assert (pictures.forms[0] == pictures.forms[1]).all()
    assert (
        np.abs(pictures.images[2] - pictures.images[3]).mean()
        < 0.02
        < np.abs(pictures.images[1] - pictures.images[2]).mean()
    )
    assert len(set(pictures.digests)) == 4
    square = thumbnails(pictures.labelled)[3]
    assert square.shape == (112, 112)
    assert (square[:18] == 255).all()
    assert square.min() < 100


def test_the_gate_publishes_what_is_better(made: Made, tmp_path: Path) -> None:
    """A run that loses too much of MNIST needs --accept-worse; what is published answers as the adapted network."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    run = tmp_path / "run"
    shutil.copytree(made.run, run)
    metrics = made.metrics
    metrics["adapted"]["mnist"]["new"]["accuracy"] = metrics["adapted"]["mnist"]["old"]["accuracy"] - 0.002
    (run / "metrics.json").write_text(json.dumps(metrics))
    to = tmp_path / "models"
    refused = _export(run, to)
    assert refused.returncode == 2
    assert "0.20 points less" in refused.stderr
    assert "--accept-worse" in refused.stderr
    assert not to.exists()
    accepted = _export(run, to, "--accept-worse")
    assert accepted.returncode == 0, accepted.stderr
    assert "accepted: it reads" in accepted.stdout
    answer = tf.saved_model.load(str(to / "1")).signatures["serving_default"]
    files = [path.read_bytes() for path in sorted(made.labels.parent.glob("*.png"))[:60]]
    lines = dict(line.split(",")[:2] for line in made.labels.read_text().splitlines())
    labels = [int(lines[path.name]) for path in sorted(made.labels.parent.glob("*.png"))[:60]]
    digits = answer(image_bytes=tf.constant(files))["digit"].numpy()
    assert (digits == labels).mean() > 0.8


def _export(run: Path, to: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "exporter.cli", str(run), "--to", str(to), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_interrupted_run_goes_on(made: Made, tmp_path: Path) -> None:
    """Folds that are done are not fitted again, and the same seed gives the same figures; another run is refused."""
    folds = sorted(made.kept.glob("fold-*.npz"))
    assert len(folds) == 5
    for path in folds[3:]:
        path.unlink()
    before = [path.stat().st_mtime_ns for path in folds[:3]]
    outcome = adapt(made.asked, folder=tmp_path, kept=made.kept, console=Console(quiet=True), settings=SETTINGS)
    assert [path.stat().st_mtime_ns for path in folds[:3]] == before
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert again["adapted"] == made.metrics["adapted"]
    assert outcome.temperature == pytest.approx(made.outcome.temperature)
    other = replace(made.asked, seed=4)
    with pytest.raises(UserError, match="holds an interrupted run of other labels"):
        adapt(other, folder=tmp_path, kept=made.kept, console=Console(quiet=True), settings=SETTINGS)


def test_one_group_cannot_be_judged(made: Made, tmp_path: Path) -> None:
    """Where all pictures are of one writer, nobody knows whether the network is better, and it is said."""
    out = tmp_path / "run"
    lines = made.labels.read_text().splitlines()
    (made.labels.parent / "few.csv").write_text("\n".join(lines[:20]) + "\n")
    result = _train(
        "adapt", "--labels", made.labels.parent / "few.csv", "--group", "parent", "--from", made.old, "--out", out
    )
    assert result.returncode == 0, result.stderr
    assert "nobody can tell whether it is better" in result.stdout
    assert json.loads((out / "metrics.json").read_text())["adapted"]["held_out"] is None
    refused = _export(out, tmp_path / "models")
    assert refused.returncode == 2
    assert "nobody knows whether it is better" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a CSV or a folder of them with --labels"),
        (["--labels", "nothing.csv"], "nothing.csv: No such file"),
        (["--labels", str(SAMPLE)], "folders named 0 to 9"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], told: str, tmp_path: Path) -> None:
    """One line, and exit code 2."""
    result = _train("adapt", *arguments, "--out", tmp_path / "run")
    assert result.returncode == 2
    assert told in result.stderr
    assert not os.listdir(tmp_path)  # noqa: PTH208 - names
