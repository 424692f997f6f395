"""What digits-batch --watch refuses, and what it says then."""

from pathlib import Path

import pytest

from tests.batch.watch.support import Watching, drop
from tests.conftest import RunBatch


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["incoming", "--settle", "3"], "--settle works only with --watch"),
        (["incoming", "--roll", "daily"], "--roll works only with --watch"),
        (["incoming", "--watch", "--force"], "--force works not with --watch"),
        (["incoming", "--watch", "--truth", "parent"], "--truth works not with --watch"),
        (["incoming", "--watch", "--roll", "weekly"], "--roll weekly: give hourly, daily"),
        (["incoming", "--watch", "--roll", "0"], "--roll 0: give hourly, daily"),
        (["-", "--watch"], "not a list on standard input"),
        (["incoming/a.png", "--watch"], "incoming/a.png is a file"),
        (["nowhere", "--watch"], "nowhere: no such file or folder"),
        (["incoming", "--watch", "--move-done", "."], "--move-done . holds the watched folder incoming"),
        (["incoming", "--watch", "--move-failed", "incoming"], "--move-failed incoming holds the watched folder"),
        (["incoming", "--watch", "--move-done", "incoming/a.png"], "--move-done incoming/a.png"),
    ],
)
def test_what_cannot_be_watched(tmp_path: Path, digits_batch: RunBatch, options: list[str], text: str) -> None:
    """Exit code 2 and one line that names the option."""
    drop(tmp_path / "incoming/a.png", b"\1")
    refused = digits_batch(*options, "--out", "preds.csv", "--server", "localhost:1")
    assert refused.returncode == 2, refused.stderr
    assert text in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.glob("preds*"))


def test_tables_that_cannot_grow(tmp_path: Path, digits_batch: RunBatch) -> None:
    """Standard output, Parquet without --roll, and a table that no watcher wrote are refused."""
    drop(tmp_path / "incoming/a.png", b"\1")
    (tmp_path / "preds.csv").write_text("precious")
    for out, text in (
        ("-", "--out - cannot"),
        ("p.parquet", "cannot grow; add --roll"),
        ("preds.csv", "choose another"),
    ):
        refused = digits_batch("incoming", "--watch", "--out", out, "--server", "localhost:1")
        assert refused.returncode == 2
        assert text in refused.stderr
    assert (tmp_path / "preds.csv").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"incoming", "preds.csv"}


def test_other_columns_are_refused(tmp_path: Path, command: list[str]) -> None:
    """A table has the columns that it began with."""
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, tmp_path / "preds.csv")
        assert watcher.stop() == 0
    with Watching(tmp_path, [*command, "--probabilities"]) as watcher:
        assert watcher.wait() == 2
        assert watcher.says("begun without --probabilities")
