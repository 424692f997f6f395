"""Which files are taken, in which order, and how they are cut into requests."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.client.window import MAX_REQUEST_BYTES
from batch.files.file import File
from batch.files.requests import cut
from batch.files.skipped import Skipped
from batch.files.walk import Walk, count, walk
from exporter.command import UserError


def _taken(folder: Path) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in walk(Walk((str(folder),)), Skipped())]


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_are_walked_in_byte_order_depth_first(tmp_path: Path) -> None:
    """Names are sorted by bytes, capitals before small letters, and a folder's files come where its name stands."""
    _touch(tmp_path, "b.png", "a/2.png", "a/10.png", "B.PNG", "c/d/e.Png", "é.png", "a.png")
    assert _taken(tmp_path) == ["B.PNG", "a/10.png", "a/2.png", "a.png", "b.png", "c/d/e.Png", "é.png"]


def test_litter_is_left_out_and_other_images_are_counted(tmp_path: Path) -> None:
    """Hidden files and folders and `._*` are nothing; JPEGs and the like are counted; other files are ignored."""
    _touch(tmp_path, ".hidden.png", "._1.png", ".git/1.png", "1.jpg", "2.JPG", "3.tiff", "notes.txt", "1.png")
    skipped = Skipped()
    assert [Path(file.path).name for file in walk(Walk((str(tmp_path),)), skipped)] == ["1.png"]
    assert skipped.other_images == {".jpg": 2, ".tiff": 1}


def test_files_that_are_named_are_taken_whatever_their_name(tmp_path: Path) -> None:
    """A file given itself is taken, hidden or not a .png, twice if given twice, in the order given."""
    _touch(tmp_path, "b.scan", ".a")
    paths = [str(tmp_path / name) for name in ("b.scan", ".a", "b.scan")]
    assert [file.path for file in walk(Walk(tuple(paths)), Skipped())] == paths


def test_what_only_looks_like_a_png(tmp_path: Path) -> None:
    """A folder called x.png is walked, a FIFO is counted, a dangling link gets a row, a link in a loop ends it."""
    _touch(tmp_path, "folder.png/1.png")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "itself.png").symlink_to("itself.png")
    (tmp_path / "folder.png" / "up").symlink_to(tmp_path)
    skipped = Skipped()
    taken = [os.path.relpath(file.path, tmp_path) for file in walk(Walk((str(tmp_path),)), skipped)]
    assert taken == ["dangling.png", "folder.png/1.png", "itself.png"]
    assert skipped.specials == 1
    assert skipped.loops == [str(tmp_path / "folder.png" / "up")]


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ESTALE, "gone"), (errno.EIO, "gone"), (errno.EACCES, ""), (errno.ENOENT, None)]
)
def test_a_share_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str | None) -> None:
    """A folder that cannot be looked at is not lost unnoticed: it is told as one that cannot be listed."""
    _touch(tmp_path, "gone/1.png", "here/2.png")
    real = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        if path == str(tmp_path / "gone"):
            raise OSError(number, os.strerror(number))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    skipped = Skipped()
    assert [file.path for file in walk(Walk((str(tmp_path),)), skipped)] == [str(tmp_path / "here" / "2.png")]
    expected = {} if told is None else {str(tmp_path / told): os.strerror(number)}
    assert skipped.folders == expected


def test_missing_arguments_are_named(tmp_path: Path) -> None:
    """A path that is not there, and one that is no file, are refused by name."""
    with pytest.raises(UserError, match=r"scans: no such file or folder"):
        Walk((str(tmp_path), str(tmp_path / "scans"))).check()
    with pytest.raises(UserError, match="neither a file nor a folder"):
        Walk(("/dev/null",)).check()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(st.binary(min_size=1, max_size=20).filter(lambda name: not {0, 47} & set(name)), max_size=8))
def test_any_file_name_is_taken(tmp_path_factory: pytest.TempPathFactory, names: set[bytes]) -> None:
    """Names of any bytes, not only UTF-8, are taken and can be opened by the path that is reported."""
    folder = tmp_path_factory.mktemp("names")
    stored = {name + b".png" for name in names if not name.startswith(b".")}
    for name in stored:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(b"x")
    taken = [file.path for file in walk(Walk((str(folder),)), Skipped())]
    assert [os.fsencode(os.path.basename(path)) for path in taken] == sorted(stored)  # noqa: PTH119 - bytes
    assert all(os.path.exists(path) for path in taken)  # noqa: PTH110 - no UTF-8
    assert count(Walk((str(folder),))) == len(stored)


@given(sizes=st.lists(st.integers(0, MAX_REQUEST_BYTES * 2), max_size=60), limit=st.integers(1, 9))
def test_requests_keep_order_and_limits(sizes: list[int], limit: int) -> None:
    """Cutting loses and reorders nothing; a request exceeds the byte limit only with a single image."""
    files = [File(f"{place}.png", size, 0) for place, size in enumerate(sizes)]
    batches = list(cut(files, limit))
    assert [file for batch in batches for file in batch] == files
    for batch in batches:
        assert 1 <= len(batch) <= limit
        assert len(batch) == 1 or sum(file.size for file in batch) <= MAX_REQUEST_BYTES
