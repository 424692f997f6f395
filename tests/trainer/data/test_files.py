"""Labelled files on the disk and in archives: which are there, and what they hold."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from batch.archives.reading import read_members
from batch.stores.patience import Patience
from exporter.command import UserError
from exporter.contract import NO_DIGIT
from tests.batch.archives.support import EVERYTHING, Files, add_to_tar, tar_of, zip_of
from trainer.data.files import is_there, names_of, read_files
from trainer.data.labels import DIGITS, FIELDS, read_labels

FILES = {"3/a.png": b"a" * 700, "./none//b.png": b"b", "form.tif": b"d"}
ENDINGS = ["zip", "tar", "tar.gz", "TGZ"]


def _pack(path: Path, files: Files) -> None:
    """Write an archive, of the kind that its name says."""
    mode = "w" if path.suffix == ".tar" else "w:gz"
    path.write_bytes(zip_of(files) if path.suffix == ".zip" else tar_of(files, mode=mode))


def _in_table(archive: Path) -> set[str]:
    """The members' names as digits-batch has them."""
    return {member.name for member in read_members(str(archive), EVERYTHING, Patience())}


@pytest.mark.parametrize("ending", ENDINGS)
def test_members_are_named_as_in_the_table(tmp_path: Path, ending: str) -> None:
    """Their path follows the archive's, without `.` and doubled slashes; folders are no files."""
    archive = tmp_path / f"scans.{ending}"
    _pack(archive, FILES)
    assert names_of(archive) == {"3/a.png", "none/b.png", "form.tif"} == _in_table(archive)
    assert is_there(archive / "3" / "a.png", names_of)
    assert not is_there(archive / "3", names_of)
    assert not is_there(tmp_path / "gone.zip" / "a.png", names_of)


def test_odd_names_of_members(tmp_path: Path) -> None:
    """Names that are no UTF-8 keep their bytes; Windows' slashes become slashes; links are no files."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.GNU_FORMAT) as archive:
        add_to_tar(archive, "3/latin-\udce9.png", b"c")
        add_to_tar(archive, "3/" + "long" * 60 + ".png", b"c")
        add_to_tar(archive, "3", kind=tarfile.DIRTYPE)
    (tmp_path / "a.tar").write_bytes(tarred.getvalue())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name, system in (("3/\u65e5.png", 3), ("3/latin-\u0398.png", 3), ("3\\dos.png", 0), ("3/a\\b.png", 3)):
            info = zipfile.ZipInfo(name)
            info.create_system = system
            packed.writestr(info, b"c")
        packed.mkdir("4")
    # What zipfile writes as UTF-8 others write in their own code, without the flag.
    plain = (tmp_path / "a.zip").read_bytes().replace("\u0398".encode(), b"\xe9\xe9")
    (tmp_path / "b.zip").write_bytes(plain.replace(b"\x00\x08", b"\x00\x00"))
    for name in ("a.tar", "a.zip", "b.zip"):
        assert names_of(tmp_path / name) == _in_table(tmp_path / name)
    assert "3/latin-\udce9.png" in names_of(tmp_path / "a.tar")
    assert {"3/\u65e5.png", "3/dos.png", "3/a\\b.png"} < names_of(tmp_path / "a.zip")


@pytest.mark.parametrize("ending", ENDINGS)
def test_members_are_read_in_the_order_of_their_archive(tmp_path: Path, ending: str) -> None:
    """Once each archive, where its first member is asked for; a member may be asked for twice."""
    archive = tmp_path / f"scans.{ending}"
    _pack(archive, FILES)
    (tmp_path / "plain.png").write_bytes(b"plain")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "folder.zip" / "x.png").write_bytes(b"x")
    names = ["folder.zip/x.png", f"scans.{ending}/none/b.png", "plain.png"]
    names += [f"scans.{ending}/3/a.png", f"scans.{ending}/none/b.png", f"scans.{ending}/gone.png"]
    found = list(read_files([tmp_path / name for name in names]))
    assert found == [(0, b"x"), (3, b"a" * 700), (1, b"b"), (4, b"b"), (5, b""), (2, b"plain")]


@pytest.mark.parametrize("ending", ENDINGS)
def test_damaged_archives(tmp_path: Path, ending: str) -> None:
    """What is damaged holds nothing; of a tar that is cut off, members before the cut are whole."""
    archive = tmp_path / f"scans.{ending}"
    _pack(archive, FILES)
    content = archive.read_bytes()
    cut = content[: 512 * 4] if ending == "tar" else content[: len(content) // 2]
    archive.write_bytes(cut)
    names_of(archive)
    found = dict(read_files([archive / "3" / "a.png", archive / "form.tif"]))
    assert found[1] == b""
    assert found[0] in (b"", FILES["3/a.png"])
    archive.write_bytes(b"no archive")
    assert names_of(archive) == frozenset()


def test_a_damaged_member_of_a_zip(tmp_path: Path) -> None:
    """It holds nothing, and the others are read."""
    archive = tmp_path / "scans.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.png", b"a" * 100)
        zipped.writestr("b.png", b"b" * 100)
    archive.write_bytes(archive.read_bytes().replace(b"a" * 100, b"a" * 99 + b"!"))
    assert list(read_files([archive / "a.png", archive / "b.png"])) == [(0, b""), (1, b"b" * 100)]


def test_labels_of_members(tmp_path: Path) -> None:
    """The record of a review of archives, with pages; members that are not there are missing."""
    _pack(tmp_path / "scans.tar", FILES)
    _pack(tmp_path / "scans.zip", FILES)
    text = "path,was,confidence,label,by,when\n"
    for path, label in (("tar/3/a.png", "8"), ("zip/none/b.png", "none"), ("tar/form.tif#page=2", "1"), ("zip/x", "5")):
        text += f"scans.{path},3,0.51,{label},ann,2026-11-30T12:00:00Z\n"
    (tmp_path / "preds.review.csv").write_text(text)
    found = read_labels([tmp_path / "preds.review.csv"], DIGITS)
    assert [(each.file, each.page, each.label) for each in found.labelled] == [
        (tmp_path / "scans.tar" / "3" / "a.png", 0, 8),
        (tmp_path / "scans.zip" / "none" / "b.png", 0, NO_DIGIT),
        (tmp_path / "scans.tar" / "form.tif", 2, 1),
    ]
    assert found.missing == ["scans.zip/x"]
    assert found.labelled[0].folder == tmp_path / "scans.tar"
    assert read_labels([tmp_path / "preds.review.csv"], FIELDS).none == 1


def test_an_archive_that_cannot_be_opened(tmp_path: Path) -> None:
    """What is wrong, with its name."""
    with pytest.raises(UserError, match=r"gone.zip: No such file or directory; make it readable"):
        names_of(tmp_path / "gone.zip")
