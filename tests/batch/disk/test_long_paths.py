"""Paths beyond PATH_MAX, trees deeper than Python's calls, and more links in a path than the system follows."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from batch.disk.long_paths import list_folder, open_path, stat_path
from batch.files.skipped import Skipped
from batch.files.walk import Walk, count, walk
from batch.job import Job, run_job
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed after the test by a program that knows no depth."""
    folder = tmp_path / "deep"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)  # noqa: S607


def _nest(folder: Path, depth: int, name: str) -> int:
    """Make folders in folders; returns the last one, open."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    return descriptor


def _write(descriptor: int, name: str, octets: bytes) -> None:
    with open(name, "wb", opener=lambda path, flags: os.open(path, flags, dir_fd=descriptor)) as file:
        file.write(octets)


@pytest.mark.parametrize(("depth", "name"), [(600, "d"), (5000, "d"), (30, "d" * 255)])
def test_a_deep_tree_has_its_rows(folder: Path, scripted: ScriptedServer, depth: int, name: str) -> None:
    """What lies at the bottom is found, read and answered, and so is what is named by its long path itself."""
    descriptor = _nest(folder, depth, name)
    _write(descriptor, "1.png", b"\1")
    _write(descriptor, "2.png", b"\2")
    os.close(descriptor)
    (folder / "z.png").write_bytes(b"\3")
    long = "/".join([str(folder), *[name] * depth, "2.png"])
    job = Job(Walk((str(folder), long)), folder.parent / "out.csv", (scripted.address,))
    _, skipped = run_job(job)
    rows = read_rows(job.out)
    assert [row["digit"] for row in rows] == ["1", "2", "3", "2"]
    assert rows[1]["path"] == rows[3]["path"] == long
    assert skipped == Skipped()


def test_pages_of_a_tiff_beyond_path_max(folder: Path, scripted: ScriptedServer) -> None:
    """Pages are counted and converted wherever the file lies."""
    descriptor = _nest(folder, 30, "d" * 255)
    page = Image.new("L", (28, 28))
    page.save(folder / "two.tif", save_all=True, append_images=[page])
    os.rename("two.tif", "two.tif", src_dir_fd=os.open(folder, os.O_RDONLY), dst_dir_fd=descriptor)
    os.close(descriptor)
    job = Job(Walk((str(folder),), globs=("*.tif",)), folder.parent / "out.csv", (scripted.address,))
    run_job(job)
    assert [row["error"] for row in read_rows(job.out)] == ["", ""]


def test_links_on_the_way(folder: Path) -> None:
    """A chain of a hundred folders, each with a link to the next, is walked to its end."""
    for number in range(100):
        (folder / f"{number}").mkdir()
        (folder / f"{number}" / "a.png").write_bytes(b"x")
        (folder / f"{number}" / "next").symlink_to(f"../{number + 1}")
    assert count(Walk((str(folder / "0"),))) == 100


def test_what_is_wrong_with_a_path_stays_wrong(folder: Path) -> None:
    """A name that is too long, a link to itself and a missing file beyond PATH_MAX fail as they do elsewhere."""
    (folder / "loop").symlink_to("loop")
    missing = "/".join(["d" * 255] * 30)
    for path, error in (("n" * 256, OSError), ("loop/x", OSError), (missing, FileNotFoundError)):
        for call in (stat_path, list_folder, lambda path: open_path(path, os.O_RDONLY)):
            with pytest.raises(error):
                call(f"{folder}/{path}")
    assert [file.size for file in walk(Walk((str(folder / "loop"),)), Skipped())] == [0]
