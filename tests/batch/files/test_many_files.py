"""Jobs of very many files."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.conftest import ScriptedServer

_SOURCES = 25  # a file system may allow no more than 65,000 links to one file
# Of a process that a large one starts, the kernel reports the large one's peak: a small one starts it, and says both
# exit code and peak.
_MEASURE = """
import os, sys
child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-P", "-m", "batch.cli", *sys.argv[1:]])
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss // 1024)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed after the test, and not kept for a look as others are."""
    folder = tmp_path / "many"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def _name(number: int, per_folder: int) -> str:
    return f"scans/{number // per_folder:04}/{number:07}.png"


def _write(folder: Path, count: int, per_folder: int) -> None:
    """Write files whose last bytes are their numbers modulo _SOURCES."""
    sources = [folder / f"{number}.source" for number in range(_SOURCES)]
    for number, source in enumerate(sources):
        source.write_bytes(bytes(300) + bytes([number]))
    for number in range(count):
        name = _name(number, per_folder)
        if number % per_folder == 0:
            (folder / name).parent.mkdir(parents=True)
        os.link(sources[number % _SOURCES], f"{folder}/{name}")


@pytest.mark.parametrize(
    ("count", "per_folder"),
    [
        (20_000, 1000),
        pytest.param(1_000_000, 1000, marks=pytest.mark.soak),
        pytest.param(1_000_000, 1_000_000, marks=pytest.mark.soak),
    ],
)
def test_memory_does_not_grow_with_the_files(
    folder: Path, scripted: ScriptedServer, count: int, per_folder: int
) -> None:
    """A million files take the client less than 150 MB, and each has its one row, in order, rightly answered."""
    _write(folder, count, per_folder)
    command = [sys.executable, "-c", _MEASURE, "scans", "--out", "out.csv", "--server", scripted.address]
    measured = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    code, megabytes = map(int, measured.stdout.splitlines()[-1].split())
    assert code == 0, measured.stderr
    assert megabytes < 150
    with (folder / "out.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        for number in range(count):
            row = next(rows)
            assert (row["path"], row["digit"]) == (_name(number, per_folder), str(number % _SOURCES % 10))
        assert next(rows, None) is None
