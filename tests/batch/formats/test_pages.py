"""TIFFs of several pages: a row for each, counted without decoding."""

import csv
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batch.accuracy.thumbnail import thumbnail
from batch.files.file import File
from batch.files.requests import cut
from batch.files.skipped import Skipped
from batch.files.walk import Walk, count, walk
from batch.formats.pages import MAX_PAGES, page_name, pages_of, split_page
from tests.batch.conftest import ScriptedServer
from tests.batch.formats.conftest import Forms, encoded, grey, tiff_of
from tests.batch.support import read_rows
from tests.conftest import RunBatch


def _directories(count: int, *, big: bool = False, order: str = "<", flags: tuple[int, ...] = ()) -> bytes:
    """A TIFF of directories alone, each with a NewSubfileType, the given flags or 0."""
    mark = b"II" if order == "<" else b"MM"
    number, size = ("Q", 16) if big else ("L", 8)
    header = mark + struct.pack(f"{order}H", 43 if big else 42)
    header += struct.pack(f"{order}HHQ", 8, 0, size) if big else struct.pack(f"{order}L", size)
    body = b""
    for place in range(count):
        flag = flags[place] if place < len(flags) else 0
        entry = struct.pack(f"{order}HH{number}L", 254, 4, 1, flag) + bytes(4 if big else 0)
        length = (8 if big else 2) + len(entry) + (8 if big else 4)
        following = size + (place + 1) * length if place + 1 < count else 0
        body += struct.pack(f"{order}{'Q' if big else 'H'}", 1) + entry + struct.pack(f"{order}{number}", following)
    return header + body


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_pages_are_counted(tmp_path: Path, order: str, big: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Classic TIFFs and BigTIFFs of either byte order; smaller copies and masks are no pages, though they count."""
    path = tmp_path / "scan.tif"
    path.write_bytes(_directories(3, big=big, order=order))
    assert pages_of(str(path)) == [1, 2, 3]
    path.write_bytes(_directories(5, big=big, order=order, flags=(0, 1, 2, 4, 2)))
    assert pages_of(str(path)) == [1, 3, 5]
    path.write_bytes(_directories(3, big=big, order=order, flags=(1, 1, 1)))
    assert pages_of(str(path)) == [1]


def test_pages_that_pillow_wrote(tmp_path: Path) -> None:
    """What Pillow writes is counted as it was meant, one page or many, compressed or not, big or not."""
    path = tmp_path / "scan.tif"
    for number in (1, 2, 7):
        for options in ({}, {"compression": "tiff_lzw"}, {"compression": "group4"}, {"big_tiff": True}):
            mode = "1" if options.get("compression") == "group4" else "L"
            path.write_bytes(tiff_of([grey(level).convert(mode) for level in range(number)], **options))
            assert pages_of(str(path)) == list(range(1, number + 1))


def test_chains_that_lead_astray(tmp_path: Path) -> None:
    """A ring ends where it closes; a chain that leads out of the file has one page more, which will be corrupt."""
    path = tmp_path / "scan.tif"
    whole = _directories(3)
    ring = whole[:-4] + struct.pack("<L", 8)
    for octets, numbers in (
        (ring, [1, 2, 3]),
        (whole[:-4] + struct.pack("<L", 1 << 31), [1, 2, 3, 4]),
        (whole[:-2], [1, 2, 3]),
        (whole[:-5], [1, 2, 3]),
        (whole[:6], [1]),
        (b"II*\0\0\0\0\0", [1]),
        (b"II+\0" + bytes([8, 0, 0, 0]) + b"\xff" * 8, [1]),
        (b"", [1]),
        (encoded(grey(1), "PNG"), [1]),
    ):
        path.write_bytes(octets)
        assert pages_of(str(path)) == numbers
    os.mkfifo(tmp_path / "fifo.tif")
    assert pages_of(str(tmp_path / "fifo.tif")) == [1]
    assert pages_of(str(tmp_path / "nowhere.tif")) == [1]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(max_size=200), start=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]))
def test_any_bytes_have_pages(tmp_path: Path, octets: bytes, start: bytes) -> None:
    """Whatever follows a TIFF's first bytes, there is a page at least, and the first is 1."""
    (tmp_path / "scan.tif").write_bytes(start + octets)
    numbers = pages_of(str(tmp_path / "scan.tif"))
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_too_many_pages_are_too_large(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """A file of as many pages as no scanner makes has one row, which says so; the most pages have a row each."""
    (tmp_path / "most.tif").write_bytes(_directories(MAX_PAGES))
    assert len(pages_of(str(tmp_path / "most.tif"))) == MAX_PAGES
    (tmp_path / "more.tif").write_bytes(_directories(MAX_PAGES + 1))
    assert pages_of(str(tmp_path / "more.tif")) == []
    result = digits_batch("more.tif", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    assert [(row["path"], row["error"]) for row in read_rows(tmp_path / "out.csv")] == [("more.tif", "too large")]


def test_the_walk_has_a_file_for_each_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages come in their order where their file stands; only what is not named as PNG or JPEG is opened."""
    several, one = tiff_of([grey(1), grey(2)]), encoded(grey(1), "TIFF")
    for name in ("a.png", "b.tif", "c.JPG", "d.jpeg", "e.scan", "g.tiff"):
        (tmp_path / name).write_bytes(several)
    (tmp_path / "f.tif").write_bytes(one)
    opened: list[str] = []
    really_open = os.open

    def note(path: str, flags: int) -> int:
        opened.append(path)
        return really_open(path, flags)

    monkeypatch.setattr("batch.formats.pages.os.open", note)
    what = Walk((str(tmp_path),), globs=("*",))
    files = list(walk(what, Skipped()))
    names = ["a.png", "b.tif#page=1", "b.tif#page=2", "c.JPG", "d.jpeg", "e.scan#page=1", "e.scan#page=2", "f.tif"]
    assert [Path(file.path).name for file in files] == [*names, "g.tiff#page=1", "g.tiff#page=2"]
    assert [Path(path).name for path in opened] == ["b.tif", "e.scan", "f.tif", "g.tiff"]
    assert {Path(file.source).name for file in files} == {path.name for path in tmp_path.iterdir()}
    assert {file.size for file in files} == {len(several), len(one)}
    assert count(what) == 10


def test_a_page_weighs_its_share() -> None:
    """A large file of many pages is cut into requests by the share of each page."""
    size = 100 << 20
    files = [File(page_name("scan.tif", page), size, 0, page, 100) for page in range(1, 101)]
    assert [len(batch) for batch in cut(files, 1000)] == [16, 16, 16, 16, 16, 16, 4]


def test_names_of_pages(tmp_path: Path) -> None:
    """A name leads back to its file and page, unless a file itself is called so."""
    assert split_page("a/scan.tif#page=12") == ("a/scan.tif", 12)
    for name in ("scan.tif", "scan.tif#page=0", "scan.tif#page=", "scan.tif#page=1x", "#page=2/scan.tif"):
        assert split_page(name) == (name, 0)
    odd = str(tmp_path / "scan.tif#page=2")
    assert split_page(odd) == (str(tmp_path / "scan.tif"), 2)
    Path(odd).touch()
    assert split_page(odd) == (odd, 0)


def test_a_row_for_each_page(
    tmp_path: Path, digits_batch: RunBatch, server: str, three: Image.Image, forms: Forms
) -> None:
    """Each page is read by the model; one that is broken has its error; a file of one page is called as ever."""
    blank = Image.new("L", three.size, 255)
    cut_off = tiff_of([three, three, three], compression="tiff_lzw")[:-200]
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.tif").write_bytes(tiff_of([three, blank, three.convert("RGB").rotate(360)]))
    (tmp_path / "scans" / "b.tif").write_bytes(forms["TIFF L jpeg"])
    (tmp_path / "scans" / "c.tif").write_bytes(cut_off)
    result = digits_batch("scans", "--glob", "*.tif", "--out", "out.csv", "--server", server)
    assert result.returncode == 1, result.stderr
    assert [(row["path"], row["digit"], row["error"]) for row in read_rows(tmp_path / "out.csv")] == [
        ("scans/a.tif#page=1", "3", ""),
        ("scans/a.tif#page=2", "-1", "blank"),
        ("scans/a.tif#page=3", "3", ""),
        ("scans/b.tif", "3", ""),
        ("scans/c.tif#page=1", "3", ""),
        ("scans/c.tif#page=2", "3", ""),
        ("scans/c.tif#page=3", "-1", "corrupt"),
    ]


def test_true_digits_of_pages(tmp_path: Path, digits_batch: RunBatch, server: str, three: Image.Image) -> None:
    """A labels file names pages as the table does; the parent folder counts for all pages; a report shows them."""
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "scan.tif").write_bytes(tiff_of([three, three, three]))
    (tmp_path / "labels.csv").write_text("path,label\n3/scan.tif#page=1,3\n3/scan.tif#page=3,8\n")
    command = ["3", "--glob", "*.tif", "--server", server]
    labelled = digits_batch(*command, "--out", "out.csv", "--truth", "labels.csv", "--report", "report")
    assert labelled.returncode == 0, labelled.stderr
    assert "of 2 images 1 right, 1 wrong" in labelled.stdout
    assert "without a label, not counted: 1 files" in labelled.stdout
    with (tmp_path / "report" / "mistakes.csv").open(newline="") as file:
        assert [(row["path"], row["truth"]) for row in csv.DictReader(file)] == [("3/scan.tif#page=3", "8")]
    parent = digits_batch(*command, "--out", "parent.csv", "--truth", "parent")
    assert "of 3 images 3 right" in parent.stdout


def test_thumbnails(tmp_path: Path, forms: Forms, three: Image.Image) -> None:
    """The report shows each format and page, not a cross; a cross for what is broken."""
    (tmp_path / "broken.tif").write_bytes(b"II*\0 broken")
    cross = thumbnail(str(tmp_path / "broken.tif"))
    for name, octets in forms.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(octets)
        shown = thumbnail(str(path))
        assert (shown != cross).mean() > 0.3, name
        assert shown[20:-20, 20:-20].min() < 100, name
    (tmp_path / "scan.tif").write_bytes(tiff_of([grey(0), grey(200), three]))
    for page, level in ((1, 0), (2, 200)):
        assert thumbnail(page_name(str(tmp_path / "scan.tif"), page))[96, 96].tolist() == [level] * 3
    assert (thumbnail(page_name(str(tmp_path / "scan.tif"), 9)) == cross).all()
