"""What stands on a terminal while digits-batch and digits-job work."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows
from tests.batch.terminal.support import in_terminal, screen

_NOTICE = "the metadata of the calls travels unencrypted; --tls-ca or --tls encrypts it"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A scripted server that can be reached by an address which is not known to be this machine's."""
    server = ScriptedServer("127.0.0.1:0")
    yield server
    server.stop()


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """1,200 files, which take several requests."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(1200):
        (folder / f"{number:04}.png").write_bytes(bytes([number % 10]))
    (tmp_path / "metadata").write_text("a: b\n")
    return folder


def _command(scripted: ScriptedServer, out: str = "out.csv") -> list[str]:
    """A run that has something to tell as it begins."""
    server = f"0.0.0.0:{scripted.port}"
    arguments = ["scans", "--out", out, "--server", server, "--metadata", "metadata", "--batch-size", "100"]
    return [sys.executable, "-P", "-m", "batch.cli", *arguments]


@pytest.mark.parametrize(("columns", "no_color"), [(60, ""), (80, "1"), (200, "")])
def test_notices_stand_above_the_bar(scripted: ScriptedServer, scans: Path, columns: int, no_color: str) -> None:
    """A notice has a line of its own, the bar is left once and complete, on one line at any width."""
    code, printed = in_terminal(_command(scripted), scans.parent, columns, variables={"NO_COLOR": no_color})
    assert code == 0
    lines = screen(printed)
    assert lines[0] == _NOTICE
    assert re.fullmatch(r"━+  1,200/1,200( images)?(  [\d,]+( images)?/s)?  0 errors", lines[1])
    assert len(lines[1]) <= columns - len("^C ")
    assert sum("━  " in line for line in lines) == 1
    assert "out.csv" in lines[2]
    assert ("\x1b[38;5" in printed) == (not no_color)


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}])
def test_no_bar_where_lines_cannot_be_drawn_anew(
    scripted: ScriptedServer, scans: Path, variables: dict[str, str]
) -> None:
    """In a CI's log, and on a dumb terminal, there are notices and the table at the end, and nothing that moves."""
    code, printed = in_terminal(_command(scripted), scans.parent, variables=variables)
    assert code == 0
    assert screen(printed)[0] == _NOTICE
    assert "images/s" in printed
    assert not re.search("\x1b\\[[\\d;]*[A-L]", printed)
    assert "1,200/1,200" not in printed


def test_rows_on_the_terminal_are_not_disturbed(scripted: ScriptedServer, scans: Path) -> None:
    """With `--out -` and no redirection, rows go where the bar would stand: there is none."""
    code, printed = in_terminal(_command(scripted, "-"), scans.parent)
    assert code == 0
    lines = screen(printed)
    assert lines[:2] == ["path,digit,confidence,error,model_version", _NOTICE]
    assert lines[2:1202] == [f"scans/{number:04}.png,{number % 10},0.5000,,1" for number in range(1200)]


def test_a_terminal_that_goes_away_does_not_end_the_run(scripted: ScriptedServer, scans: Path) -> None:
    """As after a lost connection: nobody reads any more, and the table is complete."""
    code, _ = in_terminal(_command(scripted), scans.parent, at=lambda printed: _NOTICE in printed)
    assert code == 0
    assert len(read_rows(scans.parent / "out.csv")) == 1200


def test_a_job_shows_shards_images_and_what_failed(scripted: ScriptedServer, scans: Path) -> None:
    """digits-job has the same line, with notices above it."""
    job = [sys.executable, "-P", "-m", "batch.cluster.cli"]
    server = ["--server", f"0.0.0.0:{scripted.port}", "--metadata", "metadata"]
    code, printed = in_terminal([*job, "plan", "job", "scans", "--shard-files", "100", *server], scans.parent)
    assert code == 0, printed
    code, printed = in_terminal([*job, "run", "job", "--workers", "1", *server], scans.parent, 200)
    assert code == 0, printed
    lines = screen(printed)
    bars = [line for line in lines if "shards  " in line]
    assert len(bars) == 1
    assert re.fullmatch(r"━+  12/12 shards  1,200 images(  [\d,]+ images/s)?  0 errors", bars[0])
    assert all(line in ("", _NOTICE) for line in lines[: lines.index(bars[0])])
    assert lines[lines.index(bars[0]) + 1].startswith("done: 12 shards")
    code, printed = in_terminal([*job, "finish", "job", "--out", "out.csv"], scans.parent)
    assert code == 0, printed
    assert re.fullmatch("━+  1,200/1,200 rows written", screen(printed)[0])
