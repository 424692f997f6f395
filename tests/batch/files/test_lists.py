"""Lists on standard input as Windows writes them: line ends, byte order marks, UTF-16."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.files.paths import PathList
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files in the current folder."""
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(bytes([number]))
    return tmp_path


def _run(listed: bytes, scripted: ScriptedServer) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-P", "-m", "batch.cli", "-", "--out", "out.csv", "--server", scripted.address]
    return subprocess.run(command, input=listed, capture_output=True, check=False)


def _read(octets: bytes) -> list[str]:
    return list(PathList(io.BytesIO(octets)))


@pytest.mark.parametrize("mark", ["", _MARK])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_marks(scans: Path, mark: str, end: str) -> None:
    """CR and a byte order mark are no part of a path, empty lines none at all; a second walk gives the same."""
    paths = PathList(io.BytesIO((mark + end.join(["1.png", "", "2.png", "nowhere.png", ""])).encode()))
    assert list(paths) == list(paths) == ["1.png", "2.png", "nowhere.png"]


def test_files_that_are_called_so(scans: Path) -> None:
    """A file whose name ends in CR, or begins with a mark, is taken by its name."""
    (scans / "3.png\r").touch()
    (scans / f"{_MARK}4.png").touch()
    assert _read(f"{_MARK}4.png\r\n3.png\r\n1.png\r\n".encode()) == [f"{_MARK}4.png", "3.png\r", "1.png"]
    assert _read(f"{_MARK}4.png\n{_MARK}4.png\n".encode()) == [f"{_MARK}4.png"] * 2
    assert _read(f"{_MARK}1.png\0003.png\r\0001.png\r\0".encode()) == ["1.png", "3.png\r", "1.png\r"]


def test_names_of_one_letter_are_no_utf_16(scans: Path) -> None:
    """A list with NULs of folders that are named by their digits."""
    for digit in range(3):
        (scans / f"{digit}").mkdir()
    assert _read(b"0\0" + b"1\0" + b"2\0") == ["0", "1", "2"]
    assert _read(b"/\0") == ["/"]
    assert _read(b".\0./1.png\0") == [".", "./1.png"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_utf_16_is_refused(scans: Path, scripted: ScriptedServer, encoding: str) -> None:
    """One line says what to do, nothing is sent, and nothing but the list is looked at."""
    listed = f"{scans}/1.png\r\n{scans}/2.png\r\n".encode(encoding)
    result = _run(listed, scripted)
    assert result.returncode == 2
    assert b"UTF-16" in result.stderr
    assert b"Out-File -Encoding utf8" in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert scripted.calls == 0
    assert sorted(path.name for path in scans.iterdir() if path.is_file()) == ["1.png", "2.png"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.sampled_from("ab1/\\.: é日本\N{PILE OF POO}"), min_size=1, max_size=12), min_size=1, max_size=6
    ),
    encoding=st.sampled_from(["utf-16", "utf-16-le", "utf-16-be"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_list_in_utf_16(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], encoding: str, end: str
) -> None:
    """No list of pictures in UTF-16 is ever taken for one with NULs: not a single path comes of it."""
    text = "".join(f"{name}.png{end}" for name in names)
    with contextlib.chdir(tmp_path_factory.getbasetemp()), pytest.raises(UserError, match="UTF-16"):
        _read(text.encode(encoding))


def test_a_list_of_windows_through_the_command(scans: Path, scripted: ScriptedServer) -> None:
    """`digits-batch - < list.txt` of Notepad or `Out-File -Encoding utf8` answers the files."""
    listed = f"{_MARK}1.png\r\n2.png\r\n".encode()
    result = _run(listed, scripted)
    assert result.returncode == 0, result.stderr
    assert [(row["path"], row["digit"]) for row in read_rows(scans / "out.csv")] == [("1.png", "1"), ("2.png", "2")]
