"""Symbolic links in folders: each folder is visited once, and what was passed over is told."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows
from tests.conftest import RunBatch


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    """Seven folders with a file each, and links from each to all others."""
    folder = tmp_path / "mesh"
    for number in range(7):
        (folder / f"{number}").mkdir(parents=True)
        (folder / f"{number}" / "a.png").write_bytes(bytes([number]))
        for other in set(range(7)) - {number}:
            (folder / f"{number}" / f"to{other}").symlink_to(f"../{other}")
    return folder


def _taken(*paths: Path, follow_links: bool = True) -> tuple[list[str], Skipped]:
    skipped = Skipped()
    what = Walk(tuple(map(str, paths)), follow_links=follow_links)
    return [file.path for file in walk(what, skipped)], skipped


def test_folders_that_link_to_each_other(mesh: Path, scripted: ScriptedServer, digits_batch: RunBatch) -> None:
    """Seven files are seven rows; the screen names some of what was passed over, the summary all."""
    command = ("mesh", "--out", "out.csv", "--summary", "sum.json", "--server", scripted.address)
    result = digits_batch(*command)
    assert result.returncode == 0, result.stderr
    assert sorted(row["digit"] for row in read_rows(mesh.parent / "out.csv")) == list("0123456")
    assert result.stdout.count("a folder that was visited already: mesh/") == 5
    passed_over = json.loads((mesh.parent / "sum.json").read_text())["passed_over"]
    # Of the 42 links and 7 folders, 7 ways were gone.
    assert len(passed_over["link_loops"]) + len(passed_over["folders_visited_before"]) == 42
    assert "which --summary lists" in result.stdout


def test_a_folder_that_is_named_twice_is_walked_twice(mesh: Path) -> None:
    """Naming a folder is the user's word; a link in it is not."""
    plain = mesh.parent / "plain"
    (plain / "sub").mkdir(parents=True)
    (plain / "a.png").touch()
    (plain / "sub" / "b.png").touch()
    once, _ = _taken(plain)
    assert _taken(plain, plain / "sub", plain)[0] == [*once, once[1], *once]
    paths, skipped = _taken(mesh / "0", mesh / "1")
    # All seven come by way of the first; of the second argument, what it holds itself.
    assert len(paths) == 8
    assert paths[-1] == str(mesh / "1" / "a.png")
    assert len(skipped.loops) + len(skipped.repeats) == 42


def test_the_first_way_in_the_order_of_the_walk_counts(tmp_path: Path) -> None:
    """A link before the folder that it leads to is the one that is gone, and the folder is passed over."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").touch()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "c").symlink_to("b")
    paths, skipped = _taken(tmp_path)
    assert paths == [str(tmp_path / "a" / "1.png")]
    assert skipped.repeats == [str(tmp_path / "b"), str(tmp_path / "c")]


def test_links_that_are_not_to_be_followed(tmp_path: Path, scripted: ScriptedServer, digits_batch: RunBatch) -> None:
    """With --no-follow-links, links to folders and files are counted and left out; a PATH that is a link is walked."""
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "real" / "sub" / "1.png").write_bytes(b"\1")
    (tmp_path / "real" / "2.png").symlink_to("sub/1.png")
    (tmp_path / "real" / "3.png").symlink_to("nowhere")
    (tmp_path / "real" / "more").symlink_to("sub")
    (tmp_path / "real" / "notes.txt").symlink_to("nowhere")
    (tmp_path / "named").symlink_to("real")
    result = digits_batch("named", "--no-follow-links", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 0, result.stderr
    assert [row["path"] for row in read_rows(tmp_path / "out.csv")] == ["named/sub/1.png"]
    assert "passed over, symbolic links: 3" in result.stdout
    followed = digits_batch("named", "--out", "followed.csv", "--server", scripted.address)
    assert followed.returncode == 1
    paths = [row["path"] for row in read_rows(tmp_path / "followed.csv")]
    assert paths == ["named/2.png", "named/3.png", "named/more/1.png"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parents=st.lists(st.integers(0, 30), max_size=8),
    links=st.sets(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=16),
)
def test_any_links(tmp_path_factory: pytest.TempPathFactory, parents: list[int], links: set[tuple[int, int]]) -> None:
    """Whatever links to whatever, each file that can be reached has exactly one row, the same in each walk."""
    folders = [tmp_path_factory.mktemp("tree")]
    for number, parent in enumerate(parents):
        folders.append(folders[parent % len(folders)] / f"f{number}")
        folders[-1].mkdir()
    for folder in folders:
        (folder / "a.png").touch()
    for source, target in links:
        with contextlib.suppress(FileExistsError):
            (folders[source % len(folders)] / f"l{target}").symlink_to(folders[target % len(folders)])
    paths, _ = _taken(folders[0])
    assert sorted(map(os.path.realpath, paths)) == sorted(str(folder / "a.png") for folder in folders)
    assert _taken(folders[0])[0] == paths
