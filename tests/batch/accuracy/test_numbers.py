"""Fields against their true texts: edit distances, counts that add up, a report that shows where digits were found."""

import csv
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batch.accuracy.number_tally import NumberTally
from batch.accuracy.thumbnail import View, thumbnail
from batch.accuracy.truth import parse_labels
from batch.client.fields import Box
from batch.files.file import File
from batch.numbers.answer import FieldAnswer
from exporter.command import UserError
from exporter.label_file import TEXTS
from tests.batch.conftest import ScriptedServer
from tests.conftest import RunBatch
from tests.support import write_png

BOX = (217, 115, 13)
texts = st.text("0123456789", max_size=7)


@given(st.lists(st.tuples(texts.filter(bool), texts), max_size=20))
def test_counts_add_up(pairs: list[tuple[str, str]]) -> None:
    """Over all fields and for each number of digits; an empty text has an error, and all its digits are wrong."""
    tally = NumberTally(lambda path: pairs[int(path)][0] if path != "none" else None)
    answers = [FieldAnswer(text, "0.5000", "" if text else "blank", "1") for _, text in pairs]
    files = [File(str(number), 0, 0) for number in range(len(pairs))]
    tally.add([*files, File("none", 0, 0)], [*answers, FieldAnswer("1", "0.5000", "", "1")])
    total = tally.total
    assert tally.unlabelled == 1
    assert (total.fields, total.exact) == (len(pairs), sum(truth == text for truth, text in pairs))
    assert total.errors == sum(not text for _, text in pairs)
    assert total.digits == sum(len(truth) for truth, _ in pairs)
    assert total.digit_errors == sum(mistake.digit_errors for mistake in tally.mistakes)
    assert len(tally.mistakes) == total.fields - total.exact
    for length, count in tally.counts.items():
        assert count.fields == sum(len(truth) == length for truth, _ in pairs)
    tally.start_over()
    assert tally.total.fields == tally.unlabelled == len(tally.mistakes) == 0


@pytest.mark.parametrize("label", ["12.50", "1 250", "", "-5", "٤٢", "1" * 33, "12a", "²"])
def test_labels_are_digits_alone(label: str) -> None:
    """The message names the line, and says what a label may be."""
    with pytest.raises(UserError, match=r"labels.csv, line 2: label .* is no text of 1 to 32 digits alone, without"):
        parse_labels(["a.png,0042\n", f'b.png,"{label}"\n'], "labels.csv", TEXTS)


def test_labels_keep_their_zeros() -> None:
    """With a header or without, a label is the text as it stands."""
    for header in ([], ["path,text\n"]):
        assert parse_labels([*header, "a.png,0042\n", "b.png, 7 \n"], "labels.csv", TEXTS) == {
            "a.png": "0042",
            "b.png": "7",
        }


def _field(readings: str) -> bytes:
    """A grey picture, 210x48, of which the scripted server says these readings."""
    return write_png(np.full([48, 210, 1], 200, np.uint8)) + b"\n" + readings.encode()


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Six fields, one of them in an archive, and their labels: three exact, two wrong, one broken; one has no label."""
    folder = tmp_path / "fields"
    folder.mkdir()
    fields = {"a": "0042", "b": "125 1250", "c": "77", "d": "5", "e": "31"}
    for name, readings in fields.items():
        (folder / f"{name}.png").write_bytes(_field(readings))
    (folder / "gone.png").symlink_to("nowhere")
    with tarfile.open(folder / "more.tar", "w") as archive:
        member = tarfile.TarInfo("f.png")
        content = _field("9999")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    labels = {"a": "0042", "b": "1250", "c": "77", "d": "5", "gone": "123"}
    lines = [f"{name}.png,{label}\n" for name, label in labels.items()]
    (folder / "labels.csv").write_text("path,label\n" + "".join(lines) + "more.tar/f.png,999\n")
    return folder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_report_adds_up(labelled: Path, reader: ScriptedServer, digits_batch: RunBatch) -> None:
    """The terminal and all three files say what the scripted answers make; the boxes are where they were answered."""
    filters = []
    reader.script = lambda _number, request, _context: filters.append(set(request.output_filter))
    options = ["--truth", "fields/labels.csv", "--report", "report", "--server", reader.address]
    files = ["fields", "--glob", "*.png", "--glob", "*.tar"]
    result = digits_batch(*files, "--read", "numbers", "--out", "out.csv", *options)
    assert result.returncode == 1, result.stderr
    said = result.stdout.splitlines()
    assert "fields exact 50.00% (95% interval 18.76% to 81.24%): of 6 fields 3 exact, 2 wrong, 1 with an error" in said
    assert "digit error 29.41%: of 17 digits 5 to insert, remove or change" in said
    assert "without a label, not counted: 1 files" in said
    assert said[-2] == "report in report: mistakes.png, mistakes.csv, accuracy.json"
    assert filters == [set(reader.signatures.signature_def["numbers"].outputs)]

    report = labelled.parent / "report"
    page = (report / "index.html").read_text()
    assert "Fields exact: 50.00% (95% interval 18.76% to 81.24%). 3 of 6 fields are exact, 1 have an error." in page
    assert '<ol class="wall wide">' in page
    assert _rows(report / "mistakes.csv") == [
        _mistake("fields/b.png", "1250", "125", "0.7500", "", "1"),
        _mistake("fields/more.tar/f.png", "999", "9999", "0.7500", "", "1"),
        _mistake("fields/gone.png", "123", "", "0.0000", "unreadable", "3"),
    ]
    figures: dict[str, Any] = json.loads((report / "accuracy.json").read_text())
    assert (figures["fields"], figures["exact"], figures["errors"], figures["unlabelled"]) == (6, 3, 1, 1)
    assert (figures["digits"], figures["digit_errors"]) == (17, 5)
    assert {each["length"]: each["exact"] for each in figures["by_length"]} == {1: 1, 2: 1, 3: 0, 4: 1}

    with Image.open(report / "mistakes.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    # Tiles begin below the title. Each picture is drawn twice as large: a digit's right edge is every 20 pixels.
    for left, digits in ((12, 3), (12 + 432, 4)):
        edges = np.flatnonzero((pixels[42 + 20, left + 1 : left + 420] == BOX).all(axis=1)) + 1
        assert [int(edge) for edge in edges] == [20 * place for place in range(1, digits + 1)]


def _mistake(*values: str) -> dict[str, str]:
    names = ("path", "truth", "text", "confidence", "error", "digit_errors")
    return dict(zip(names, values, strict=True))


def test_a_report_without_the_truth(labelled: Path, reader: ScriptedServer, digits_batch: RunBatch) -> None:
    """It is the page alone, and no boxes are asked for."""
    filters = []
    reader.script = lambda _number, request, _context: filters.append(set(request.output_filter))
    options = ["--read", "numbers", "--server", reader.address, "--out", "out.csv", "--report", "report"]
    assert digits_batch("fields", *options).returncode == 1
    assert [path.name for path in (labelled.parent / "report").iterdir()] == ["index.html"]
    assert filters == [{"text", "confidence", "error"}]


def test_folders_named_by_their_text(
    tmp_path: Path, reader: ScriptedServer, digits_batch: RunBatch, labelled: Path
) -> None:
    """`parent` takes them; other folders are told."""
    (tmp_path / "0042").mkdir()
    (tmp_path / "0042" / "x.png").write_bytes(b"0042")
    options = ["--read", "numbers", "--truth", "parent", "--server", reader.address, "--out", "out.csv"]
    result = digits_batch("0042", *options)
    assert result.returncode == 0, result.stderr
    assert "of 1 fields 1 exact" in result.stdout
    refused = digits_batch("fields", *options, "--force")
    assert refused.returncode == 2
    assert "wanted are folders named by their text, or a CSV of path,label" in refused.stderr


def test_a_report_is_resumed(labelled: Path, reader: ScriptedServer, digits_batch: RunBatch) -> None:
    """A run that stopped goes on with the same options and has the same report; one without boxes is not continued."""
    command = ["fields", "--read", "numbers", "--server", reader.address, "--truth", "fields/labels.csv"]
    command += ["--batch-size", "1", "--in-flight", "1", "--out"]
    assert digits_batch(*command, "whole.csv", "--report", "whole").returncode == 1

    def stop(number: int, _request: object, context: Any) -> None:  # noqa: ANN401 - grpc's
        if number % 4 == 3:
            context.abort(13, "broken")

    for number, more in enumerate(([], ["--report", "report"])):
        reader.calls = 0
        reader.script = stop
        assert digits_batch(*command, f"{number}.csv", *more).returncode == 3
    reader.script = lambda *_: None
    refused = digits_batch(*command, "0.csv", "--report", "other")
    assert refused.returncode == 2
    assert "(report was False)" in refused.stderr
    assert digits_batch(*command, "1.csv", "--report", "report").returncode == 1
    for name in ("mistakes.csv", "accuracy.json", "mistakes.png"):
        one, other = ((labelled.parent / folder / name).read_bytes() for folder in ("whole", "report"))
        assert one == other


def test_a_turned_photo_is_drawn_upright(tmp_path: Path) -> None:
    """Boxes are in pixels of the upright picture, and so is what they are drawn onto."""
    picture = Image.fromarray(np.full([210, 48], 255, np.uint8))
    picture.paste(0, (0, 0, 48, 70))  # the left third, once it is turned
    exif = Image.Exif()
    exif[0x0112] = 8
    picture.save(tmp_path / "turned.png", exif=exif)
    view = View(420, 96, is_upright=True, boxes=(Box(10, 100, 30, 120),))
    tile: npt.NDArray[np.uint8] = thumbnail(str(tmp_path / "turned.png"), view)
    assert tile.shape == (96, 420, 3)
    assert tuple(tile[40, 200]) == BOX
    dark = (tile[48] < 40).all(axis=1)
    assert 130 < dark.sum() < 150
