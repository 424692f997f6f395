"""Where the built-in server's socket is."""

import tempfile
from pathlib import Path

import pytest

from batch.client import server
from exporter.command import UserError
from tests.conftest import ROOT, RunBatch


def test_a_long_tmpdir(tmp_path: Path, digits_batch: RunBatch, nobody_listens: None) -> None:
    """A TMPDIR too long for a socket's path is no hindrance, and nothing is left in it."""
    long = tmp_path / ("t" * 120)
    long.mkdir()
    result = digits_batch(ROOT / "samples", "--out", "out.csv", TMPDIR=str(long))
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 41
    assert not list(long.iterdir())


@pytest.mark.parametrize("name", ["t" * 120, "a b", "100%", "a#b", "é"])
def test_folders_that_no_socket_can_be_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Nor is one whose name means something else in gRPC's addresses; a usual one is taken."""
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    monkeypatch.setattr(server, "_SHORT", str(tmp_path / "short"))
    with pytest.raises(UserError, match=r"short: No such file or directory; set TMPDIR"):
        server._private_folder()
    (tmp_path / "short").mkdir()
    folder = server._private_folder()
    assert folder.parent == tmp_path / "short"
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "short"))
    monkeypatch.setattr(server, "_SHORT", str(tmp_path / "nowhere"))
    assert server._private_folder().parent == tmp_path / "short"
