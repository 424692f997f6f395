"""Where a report may be written."""

from pathlib import Path

import pytest

from batch.accuracy.report import file_names
from batch.report.folder import prepare
from exporter.command import UserError


def test_where_a_report_must_not_be(tmp_path: Path) -> None:
    """Not among the scans, not over the table or a scan, not where nothing can be written; otherwise it is made."""
    scans = tmp_path / "scans"
    (scans / "1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(scans)
    table = tmp_path / "out.csv"
    for folder in (scans, scans / "report", tmp_path / "link" / "report"):
        with pytest.raises(UserError, match="would become scans"):
            prepare(folder, [str(scans)], table)
    with pytest.raises(UserError, match=r"would overwrite .*index\.html"):
        prepare(tmp_path, [str(scans)], tmp_path / "index.html")
    with pytest.raises(UserError, match=r"would overwrite .*mistakes-2\.png"):
        prepare(tmp_path, [str(tmp_path / "mistakes-2.png")], table, file_names())
    table.touch()
    (tmp_path / "loop").symlink_to("loop")
    for folder in (table, table / "report", Path("/proc/report"), tmp_path / "loop"):
        with pytest.raises(UserError, match=f"cannot write --report {folder}: "):
            prepare(folder, [str(scans)], tmp_path / "other.csv")
    prepare(tmp_path / "a" / "b", [str(scans)], table)
    assert list((tmp_path / "a" / "b").iterdir()) == []
