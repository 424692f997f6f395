"""The page of a run, read as text."""

import re
import tarfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from tests.batch.conftest import ScriptedServer
from tests.batch.report.conftest import NASTY_ERROR, Report, refused
from tests.conftest import RunBatch


class _Page(HTMLParser):
    """Texts, tags and addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def names(self) -> list[str]:
        return [text for text in self.texts if text.startswith("scans")]


def test_a_page_needs_nothing_else(report: Report) -> None:
    """No script, no address but of pictures in the page itself; texts from outside are text."""
    page = _Page(report())
    assert "script" not in page.tags
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert NASTY_ERROR in page.texts
    assert "scans/1/<img src=x onerror=alert(1)>\ufffdgnp.png" in page.texts


def test_a_page_tells_what_the_table_holds(report: Report, scripted: ScriptedServer) -> None:
    """Counts, errors with examples, the settings; the least sure answers in their order."""
    scripted.version = 7
    page = _Page(report("scans", "--min-confidence", "0.75"))
    text = " ".join(page.texts)
    assert "41 images 2 with an error" in text
    assert f"{NASTY_ERROR} 1 scans/9/3.png unreadable 1 scans/9/gone.png" in text
    assert "min-confidence 0.75" in text
    assert "7 (40 rows)" in text
    # The confidences rise with each row.
    assert page.names()[2:6] == ["scans/0/0.png", "scans/0/1.png", "scans/0/2.png", "scans/0/3.png"]
    assert page.tags.count("img") == 39


def test_with_the_truth_it_has_the_accuracy_too(report: Report) -> None:
    """Confusion and mistakes are on the page, and the files for programs beside it as before."""
    path = report("scans", "--truth", "parent")
    page = _Page(path)
    assert any(text.startswith("Accuracy 73.17% (95% interval") for text in page.texts), page.texts
    assert "mistakes.csv" in page.addresses
    assert sum(address.startswith("data:image/png") for address in page.addresses) == 2
    assert (path.parent / "confusion.png").exists()


def test_a_run_that_was_interrupted_has_its_earlier_rows(
    report: Report, tmp_path: Path, scripted: ScriptedServer, digits_batch: RunBatch
) -> None:
    """Rows that an earlier run had answered count as if this one had."""
    scripted.script = lambda number, _request, context: refused(context) if number > 2 else None
    options = ("--out", "out.csv", "--batch-size", "10", "--in-flight", "1", "--server", scripted.address)
    assert digits_batch("scans", *options).returncode == 3
    scripted.script = lambda _number, _request, _context: None
    page = _Page(report("scans", "--batch-size", "10", "--in-flight", "1"))
    text = " ".join(page.texts)
    assert "41 images" in text
    assert "were answered by an earlier run" in text
    assert page.tags.count("img") == 39


def test_pictures_in_archives_and_pages_of_tiffs_are_shown(report: Report, scans: Path, tmp_path: Path) -> None:
    """Members of a tar and each page of a TIFF have their pictures."""
    with tarfile.open(tmp_path / "scans.tar", "w") as archive:
        for number in range(3):
            archive.add(scans / "2" / f"{number}.png", f"{number}.png")
    with Image.open(scans / "3" / "0.png") as first, Image.open(scans / "3" / "1.png") as second:
        first.save(tmp_path / "two.tif", save_all=True, append_images=[second])
    page = _Page(report("scans.tar", "two.tif", exit_code=0))
    assert page.tags.count("img") == 5
    assert {"scans.tar/0.png", "two.tif#page=2"} <= set(page.texts)


_WITHOUT_PILLOW = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("PIL", "numpy") else found(name, *rest)
"""


def test_without_pillow_small_pictures_are_taken_as_they_are(report: Report, scans: Path, tmp_path: Path) -> None:
    """Nothing of the extra is needed; what cannot be shown without it says so."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(_WITHOUT_PILLOW)
    big = (scans / "0" / "0.png").read_bytes()[:-1]
    (scans / "0" / "0.png").write_bytes(big + bytes(70_000) + b"\0")
    with tarfile.open(tmp_path / "scans.tar", "w") as archive:
        archive.add(scans / "2" / "0.png", "0.png")
    path = report("scans", "scans.tar", PYTHONPATH=f"{tmp_path}/path:{Path.cwd()}")
    page = _Page(path)
    assert page.tags.count("img") == 39
    assert all(address.startswith("data:image/png") for address in page.addresses)
    assert "to see pictures of this size, install the extra train" in page.texts


def test_a_page_without_any_answer(report: Report) -> None:
    """Where every file has an error, the page says that there is nothing to show."""
    page = _Page(report("scans/9/3.png"))
    assert {"No file has an answer.", "There are none."} <= set(page.texts)


@pytest.mark.parametrize("out", ["out.csv", "-"])
def test_the_run_says_where_the_page_is(
    tmp_path: Path, scans: Path, scripted: ScriptedServer, digits_batch: RunBatch, out: str
) -> None:
    """The last line of the summary names it, on standard error where rows are on standard output."""
    result = digits_batch("scans/0", "--out", out, "--report", "new/folder", "--server", scripted.address)
    assert result.returncode == 0
    said = result.stderr if out == "-" else result.stdout
    assert re.search("^for a browser: new/folder/index.html$", said, re.MULTILINE)
