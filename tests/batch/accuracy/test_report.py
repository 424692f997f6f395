"""The report of a run: figures that add up, pictures that show what they should, nothing overwritten unasked."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batch.accuracy.report import write
from batch.accuracy.tally import Mistake, Tally, wilson_interval
from batch.accuracy.thumbnail import SIDE_PX, thumbnail
from batch.accuracy.truth import parent_digit
from exporter.figures import contact_sheet
from tests.batch.conftest import ScriptedServer
from tests.conftest import ROOT, RunBatch
from tests.support import Image as Pixels
from tests.support import write_png

CROSS = thumbnail("no such file")


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def _tally(*mistakes: Mistake, right: int = 0) -> Tally:
    """So many right answers to a 0, and these mistakes."""
    tally = Tally(parent_digit)
    tally.confusion[0][0] = right
    for mistake in mistakes:
        tally.confusion[mistake.truth][10 if mistake.error else mistake.digit] += 1
    tally.mistakes = list(mistakes)
    return tally


@pytest.fixture
def scans(tmp_path: Path, mnist_sample: tuple[Pixels, Pixels]) -> Path:
    """Real PNGs with a byte behind their end that the scripted server reads as digit: 3 of 4 right. One is gone."""
    folder = tmp_path / "scans"
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        (images, labels) = mnist_sample
        for number, image in enumerate(images[labels == digit][:4]):
            octets = write_png(image[:, :, None]) + bytes([digit + (number == 3)])
            (folder / str(digit) / f"{number}.png").write_bytes(octets)
    (folder / "9" / "gone.png").symlink_to("nowhere")
    return folder


def test_a_report_adds_up(tmp_path: Path, scans: Path, scripted: ScriptedServer, digits_batch: RunBatch) -> None:
    """Every figure is the one that the scripted answers make; all five files are there and said to be."""
    options = ("--out", "out.csv", "--truth", "parent", "--report", "new/report", "--server", scripted.address)
    result = digits_batch("scans", *options)
    assert result.returncode == 1, result.stderr
    assert result.stderr == ""
    assert "report in new/report: confusion.png, mistakes.png, mistakes.csv, accuracy.json" in result.stdout
    report = tmp_path / "new" / "report"
    assert sorted(path.name for path in report.iterdir()) == [
        "accuracy.json",
        "confusion.png",
        "index.html",
        "mistakes.csv",
        "mistakes.png",
    ]

    figures: dict[str, Any] = json.loads((report / "accuracy.json").read_text())
    assert {name: figures[name] for name in ("images", "right", "errors", "unlabelled")} == {
        "images": 41,
        "right": 30,
        "errors": 1,
        "unlabelled": 0,
    }
    assert figures["accuracy"] == pytest.approx(30 / 41)
    assert figures["interval_95"] == pytest.approx(wilson_interval(30, 41))
    assert np.array_equal(figures["confusion"], 3 * np.eye(10, dtype=int) + np.roll(np.eye(10, dtype=int), 1, axis=1))
    assert figures["classes"][9] == {
        "digit": 9,
        "accuracy": 0.6,
        "interval_95": pytest.approx(wilson_interval(3, 5)),
        "images": 5,
        "right": 3,
        "errors": 1,
        "most_confused": {"digit": 0, "images": 1},
    }

    expected = [
        {"path": f"scans/{digit}/3.png", "truth": str(digit), "digit": str((digit + 1) % 10), "confidence": "0.5000"}
        | {"error": ""}
        for digit in range(10)
    ]
    gone = {"path": "scans/9/gone.png", "truth": "9", "digit": "-1", "confidence": "0.0000", "error": "unreadable"}
    assert _rows(report / "mistakes.csv") == [*expected, gone]
    assert _pixels(report / "confusion.png").shape == (900, 1020, 3)
    height, width, _ = _pixels(report / "mistakes.png").shape
    assert 1500 < width < 2000
    assert 500 < height < 900  # two rows


def test_a_second_report_takes_the_place_of_the_first(tmp_path: Path, digits_batch: RunBatch, server: str) -> None:
    """The report's own files are overwritten, sheets that are no longer needed removed, other files left."""
    report = tmp_path / "report"
    report.mkdir()
    (report / "notes.txt").write_text("mine")
    (report / "mistakes-2.png").write_bytes(b"old")
    (report / "mistakes.csv").write_bytes(b"old")
    options = ("--out", "out.csv", "--truth", "parent", "--report", "report", "--server", server)
    assert digits_batch(ROOT / "samples", *options).returncode == 0
    assert (report / "notes.txt").read_text() == "mine"
    assert not (report / "mistakes-2.png").exists()
    right = json.loads((report / "accuracy.json").read_text())["right"]
    assert len(_rows(report / "mistakes.csv")) == 40 - right


def test_many_mistakes_are_cut_only_aloud(tmp_path: Path) -> None:
    """Ten sheets at most; that there are more mistakes is said, and the CSV has all of them, in order."""
    mistakes = [Mistake(f"scans/1/{number}.png", 1, 7, f"{number / 1000:.4f}", "") for number in range(500)]
    said = write(tmp_path, _tally(*mistakes, right=1))
    assert "mistakes.png to mistakes-10.png (the 480 most confident; all 500 are in mistakes.csv)" in said
    assert len(list(tmp_path.glob("mistakes*.png"))) == 10
    assert [row["path"] for row in _rows(tmp_path / "mistakes.csv")] == [
        f"scans/1/{number}.png" for number in reversed(range(500))
    ]
    assert "(" not in write(tmp_path, _tally(*mistakes[:49], right=1))
    assert sorted(path.name for path in tmp_path.glob("mistakes*.png")) == ["mistakes-2.png", "mistakes.png"]


def test_no_mistakes_and_hardly_any_images(tmp_path: Path) -> None:
    """A sheet without a picture, and no division by the nine digits that have no images."""
    write(tmp_path, _tally(right=1))
    assert _rows(tmp_path / "mistakes.csv") == []
    assert (_pixels(tmp_path / "mistakes.png") == 255).mean() > 0.95
    figures = json.loads((tmp_path / "accuracy.json").read_text())
    assert figures["accuracy"] == 1
    assert figures["classes"][3]["accuracy"] is None
    assert figures["classes"][3]["interval_95"] == [0, 1]


def test_the_order_of_answers_does_not_show(tmp_path: Path) -> None:
    """A resumed run, whose answers come in another order, has the same report."""
    mistakes = [Mistake(f"{number}.png", 1, 7, "0.5000", "") for number in range(5)]
    for name, order in (("one", mistakes), ("two", mistakes[::-1])):
        (tmp_path / name).mkdir()
        write(tmp_path / name, _tally(*order, right=1))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_strange_names_are_drawn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Dollars, line breaks, bytes that are no UTF-8 and letters that the font lacks: no fault, no warning."""
    names = ["$x^{$.png", "a\nb.png", "latin-\udce9.png", "数字.png", "/", ""]
    write(tmp_path, _tally(*(Mistake(name, 1, 7, "0.5000", "$\\frac") for name in names)))
    assert [row["path"] for row in _rows(tmp_path / "mistakes.csv")] == sorted(names)
    assert not recwarn.list


def test_a_report_that_cannot_be_written_leaves_the_table(
    tmp_path: Path, scans: Path, scripted: ScriptedServer, digits_batch: RunBatch
) -> None:
    """Exit code 3 and one line that tells what is complete and what is not."""
    (tmp_path / "report" / "accuracy.json").mkdir(parents=True)
    options = ("--out", "out.csv", "--truth", "parent", "--report", "report", "--server", scripted.address)
    result = digits_batch("scans", *options)
    assert result.returncode == 3
    assert result.stderr == (
        "digits-batch: out.csv is complete, but its report is not: report/accuracy.json: Is a directory\n"
    )
    assert len(_rows(tmp_path / "out.csv")) == 41


def test_thumbnails_show_the_ink(tmp_path: Path, all_odd_pngs: dict[str, bytes]) -> None:
    """Every form of PNG has light and dark where its digit is, transparency included."""
    path = tmp_path / "odd.png"
    for name, octets in all_odd_pngs.items():
        path.write_bytes(octets)
        tile = thumbnail(str(path))
        assert tile.shape == (SIDE_PX, SIDE_PX, 3), name
        middle = tile[40:-40, 40:-40].mean(axis=-1)
        assert np.ptp(np.percentile(middle, [2, 98])) > 120, name


def test_thumbnails_of_broken_files_are_crosses(tmp_path: Path, broken_pngs: dict[str, tuple[bytes, str]]) -> None:
    """What cannot be opened, or claims to be huge, has a cross and costs nothing."""
    path = tmp_path / "broken.png"
    for name in ("header alone", "zero bytes", "renamed text", "a GIF", "claims 20000x20000"):
        path.write_bytes(broken_pngs[name][0])
        assert np.array_equal(thumbnail(str(path)), CROSS), name


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_thumbnails_of_damaged_files(tmp_path: Path, all_odd_pngs: dict[str, bytes], data: st.DataObject) -> None:
    """Whatever bytes are wrong, there is a picture or a cross."""
    name = data.draw(st.sampled_from([name for name in sorted(all_odd_pngs) if "2000" not in name]))
    octets = bytearray(all_odd_pngs[name])
    for place in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=4)):
        octets[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.png"
    path.write_bytes(octets[: data.draw(st.integers(0, len(octets)))])
    assert thumbnail(str(path)).shape == (SIDE_PX, SIDE_PX, 3)


def test_notes_do_not_run_into_each_other(tmp_path: Path) -> None:
    """Paths of any length are cut to their image, with white between them."""
    path = tmp_path / "sheet.png"
    images = np.full((8, 28, 28, 3), 255, np.uint8)
    contact_sheet(path, images, [""] * 8, title="", columns=8, notes=["W" * 200] * 8)
    inked = (_pixels(path) < 128).all(axis=-1).any(axis=0)
    edges = np.flatnonzero(inked)
    assert (np.diff(edges) > 8).sum() == 7
