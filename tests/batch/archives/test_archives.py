"""digits-batch on archives, as its users run it."""

import io
import json
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.files.file import File
from batch.files.requests import cut
from batch.files.skipped import Skipped
from batch.files.walk import Walk, count, expand, walk
from exporter.contract import UNREADABLE
from tests.batch.archives.support import Files, Pack, add_to_tar, digits, streamed_zip_of, tar_of, zip_of
from tests.batch.conftest import ScriptedServer
from tests.batch.support import Client, Row, read_rows
from tests.conftest import ROOT, RunBatch


def _targz_of(files: Files) -> bytes:
    return tar_of(files, mode="w:gz")


PACKS: dict[str, Pack] = {
    "scans.tar": tar_of,
    "scans.TAR.GZ": _targz_of,
    "scans.tgz": _targz_of,
    "scans.zip": streamed_zip_of,
    "scans.ZIP": zip_of,
}


def _answers(rows: list[Row]) -> dict[str, str]:
    return {row["path"]: row["digit"] for row in rows}


@pytest.mark.parametrize("name", PACKS)
def test_a_row_for_each_member(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """The rows are those of the loose files, with the archive's name before theirs, in its order."""
    files = digits(700)
    (tmp_path / name).write_bytes(PACKS[name](files))
    result = digits_batch(name, "--out", "out.csv", "--server", scripted.address, TMPDIR=str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == [f"{name}/{member}" for member in files]
    assert [row["digit"] for row in rows] == [str(content[-1]) for content in files.values()]
    assert {path.name for path in tmp_path.iterdir()} == {name, "out.csv", "scripted.sock"}


def test_the_same_answers_as_of_loose_files(tmp_path: Path, digits_batch: RunBatch, server: str) -> None:
    """Samples through the included model: archived or not, digit and confidence are the same."""
    samples = {str(path.relative_to(ROOT / "samples")): path for path in sorted((ROOT / "samples").rglob("*.png"))}
    files = {name: path.read_bytes() for name, path in samples.items()}
    (tmp_path / "samples.tar").write_bytes(tar_of(files))
    (tmp_path / "samples.zip").write_bytes(zip_of(files))
    found = []
    for source in (ROOT / "samples", "samples.tar", "samples.zip"):
        result = digits_batch(source, "--out", "out.csv", "--force", "--server", server, "--truth", "parent")
        assert result.returncode == 0, result.stderr
        assert "of 40 images" in result.stdout
        rows = read_rows(tmp_path / "out.csv")
        found.append([(row["path"].removeprefix(f"{source}/"), row["digit"], row["confidence"]) for row in rows])
    assert found[0] == found[1] == found[2]


def test_which_members_are_taken(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """PNGs in either case; no hidden ones, nor macOS' own; other images, links and devices are counted."""
    taken = {"./1.png": b"\1", "a/./b//2.PNG": b"\2", "/etc/3.png": b"\3", "../../4.png": b"\4", "a/..b/5.png": b"\5"}
    left = [
        ".6.png",
        "a/._7.png",
        ".git/8.png",
        "__MACOSX/9.png",
        "a/__MACOSX/9.png",
        "x.txt",
        "1.jpg",
        "2.JPG",
        "3.tif",
    ]
    (tmp_path / "s.zip").write_bytes(zip_of(taken | dict.fromkeys(left, b"\0")))
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name, content in (taken | dict.fromkeys(left, b"\0")).items():
            add_to_tar(archive, name, content)
        add_to_tar(archive, "soft.png", kind=tarfile.SYMTYPE)
        add_to_tar(archive, "hard.png", kind=tarfile.LNKTYPE)
        add_to_tar(archive, "soft.txt", kind=tarfile.SYMTYPE)
        add_to_tar(archive, "fifo.png", kind=tarfile.FIFOTYPE)
    for name in ("s.zip", "s.tar"):
        result = digits_batch(name, "--out", f"{name}.csv", "--server", scripted.address, "--summary", f"{name}.json")
        assert result.returncode == 0, result.stderr
        rows = read_rows(tmp_path / f"{name}.csv")
        members = ["1.png", "a/b/2.PNG", "etc/3.png", "../../4.png"]
        assert _answers(rows) == {f"{name}/{one}": str(digit) for digit, one in enumerate(members, 1)}
        passed = json.loads((tmp_path / f"{name}.json").read_text())["passed_over"]
        assert passed["other_images"] == {".jpg": 2, ".tif": 1}
        assert (passed["links_in_archives"], passed["special_files"]) == ((2, 1) if name == "s.tar" else (0, 0))
    assert "passed over, links in archives: 2" in result.stdout


def test_archives_in_folders(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Patterns for archives open them where they stand, and the other patterns choose among their members."""
    folder = tmp_path / "scans"
    folder.mkdir()
    files = {"1.png": b"\1", "2.jpg": b"\2"}
    (folder / "b.tar").write_bytes(tar_of(files))
    (folder / "d.tar.gz").write_bytes(_targz_of(files))
    (folder / "e.zip").write_bytes(zip_of(files))
    for name, content in (("a.png", b"\3"), ("c.png", b"\4"), ("f.jpg", b"\5")):
        (folder / name).write_bytes(content)

    def taken(*globs: str) -> list[str]:
        options = [option for glob in globs for option in ("--glob", glob)]
        result = digits_batch("scans", *options, "--out", "o.csv", "--force", "--server", scripted.address)
        assert result.returncode == 0, result.stderr
        if not globs:
            assert "passed over, archives: 3" in result.stdout
        return [row["path"].removeprefix("scans/") for row in read_rows(tmp_path / "o.csv")]

    assert taken() == ["a.png", "c.png"]
    assert taken("*.tar") == ["b.tar/1.png"]
    assert taken("*.tar*", "*.jpg") == ["b.tar/2.jpg", "d.tar.gz/2.jpg", "f.jpg"]
    assert taken("*.png", "*.zip") == ["a.png", "c.png", "e.zip/1.png"]
    every = [f"{name}/{member}" for name in ("b.tar", "d.tar.gz", "e.zip") for member in files]
    assert taken("*") == sorted(["a.png", "c.png", "f.jpg", *every])


def test_a_list_names_archives(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A path on standard input is as one on the command line."""
    (tmp_path / "s.tar").write_bytes(tar_of({"1.png": b"\1"}))
    listed = [str(tmp_path / "s.tar"), str(tmp_path / "nowhere.tar")]
    assert [(file.path, file.content) for file in walk(Walk(("-",)), Skipped(), listed)] == [
        (f"{tmp_path}/s.tar/1.png", b"\1"),
        (f"{tmp_path}/nowhere.tar", None),
    ]


def test_true_digits_and_the_report(
    tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, mnist_pngs: list[bytes]
) -> None:
    """Folders in the archive name digits, a labels file names members as the table does; mistakes have pictures."""
    # The scripted server reads a byte behind the image's end.
    files = {f"{digit}/{digit}.png": mnist_pngs[digit] + bytes([digit or 1]) for digit in range(10)}
    (tmp_path / "s.zip").write_bytes(zip_of(files))
    (tmp_path / "labels.csv").write_text("".join(f"s.zip/{name},{name[0]}\n" for name in files))
    for truth in ("parent", "labels.csv"):
        command = ["s.zip", "--out", "out.csv", "--force", "--server", scripted.address, "--truth", truth]
        result = digits_batch(*command, "--report", "report")
        assert result.returncode == 0, result.stderr
        assert "of 10 images 9 right, 1 wrong" in result.stdout
        assert (tmp_path / "report" / "mistakes.csv").read_text().splitlines()[1].startswith("s.zip/0/0.png,0,1,")
    (tmp_path / "labels.csv").write_text("other.png,1\n")
    result = digits_batch("s.zip", "--out", "o.csv", "--server", scripted.address, "--truth", "labels.csv")
    assert result.returncode == 2
    assert "none of the 10 files has a label" in result.stderr


def test_names_that_are_odd(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Newlines, quotes, commas and bytes that are no UTF-8, in the archive's name and in its members'."""
    archive = 'caf\udce9, "x"\n.tar'
    files = {"a\nb.png": b"\1", "caf\udce9.png": b"\2", 'q"u,o.png': b"\3"}
    (tmp_path / archive).write_bytes(tar_of(files))
    result = digits_batch(archive, "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 0, result.stderr
    assert _answers(read_rows(tmp_path / "out.csv")) == {
        f"{archive}/{name}": str(content[0]) for name, content in files.items()
    }


@pytest.mark.parametrize("name", ["scans.tar", "scans.tgz", "scans.zip"])
def test_a_truncated_archive(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """Rows of what came before, one for the archive, a line that names it, exit code 1; other files are not harmed."""
    files = digits(400)
    whole = PACKS[name](files)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "after.png").write_bytes(b"\7")
    command = [name, "after.png", "--server", scripted.address, "--batch-size", "50"]
    result = digits_batch(*command, "--out", "out.csv", "--summary", "summary.json")
    assert result.returncode == 1, result.stderr
    *rows, archive, after = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == [f"{name}/{member}" for member in list(files)[: len(rows)]]
    assert len(rows) > 100
    assert (archive["path"], archive["error"], archive["digit"]) == (name, UNREADABLE, "-1")
    assert (after["path"], after["digit"]) == ("after.png", "7")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"{name} ")]
    assert "cut off" in line
    reasons = json.loads((tmp_path / "summary.json").read_text())["passed_over"]["archives_not_read_to_the_end"]
    assert list(reasons) == [name]


@pytest.mark.parametrize("name", ["scans.tar", "scans.tgz", "scans.zip"])
def test_an_archive_that_is_none(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """One row with its path, and a line that says why."""
    (tmp_path / name).write_bytes(b"Dear reader, this is no archive. " * 100)
    result = digits_batch(name, "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    assert [(row["path"], row["error"]) for row in read_rows(tmp_path / "out.csv")] == [(name, UNREADABLE)]
    assert f"{name} is no " in result.stdout


def test_an_archive_that_cannot_be_opened(tmp_path: Path) -> None:
    """Deleted after the listing, or turned into a FIFO: one row, and no waiting for who writes to it."""
    os.mkfifo(tmp_path / "fifo.tar")
    for name in ("gone.tar", "fifo.tar"):
        skipped = Skipped()
        archive = File(str(tmp_path / name), 5, 6)
        assert list(expand(archive, Walk(()), skipped)) == [archive._replace(fault=UNREADABLE)]
        assert "cannot be opened" in skipped.archives[archive.path]


def test_nothing_to_do(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """An archive without such members ends the run with what it holds instead."""
    (tmp_path / "s.zip").write_bytes(zip_of({"1.jpg": b"1", "notes.txt": b""}))
    result = digits_batch("s.zip", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 2
    assert "no *.png in s.zip (found 1 .jpg)" in result.stderr


def test_damaged_members(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Each is one row, its neighbours are not harmed, and the end says how many and why."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("1.png", b"\1")
        archive.writestr("2.png", b"\2", zipfile.ZIP_BZIP2)
        archive.writestr("3.png", b"\3" * 100)
        archive.writestr("4.png", b"\4")
    (tmp_path / "s.zip").write_bytes(made.getvalue().replace(b"\3" * 100, b"\4" * 100))
    result = digits_batch("s.zip", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["error"] for row in rows] == ["", "unreadable", "corrupt", ""]
    assert "in archives, damaged in a zip archive: 1" in result.stdout
    assert "in archives, packed by method 12 of zip: 1" in result.stdout


def test_no_name_leads_to_a_file(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Names that climb out of the archive, or begin at the root, read nothing and write nothing."""
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"\x09")
    names = ["../secret.png", f"{tmp_path}/secret.png", "../../../../../../tmp/new.png"]
    (folder / "s.tar").write_bytes(tar_of(dict.fromkeys(names, b"\1")))
    (folder / "s.zip").write_bytes(zip_of(dict.fromkeys(names, b"\1"), zipfile.ZIP_BZIP2))
    result = digits_batch("in/s.tar", "in/s.zip", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [(row["digit"], row["error"]) for row in rows] == [("1", "")] * 3 + [("-1", "unreadable")] * 3
    assert {path.name for path in tmp_path.iterdir()} == {"in", "secret.png", "out.csv", "scripted.sock"}
    assert {path.name for path in folder.iterdir()} == {"s.tar", "s.zip"}


@pytest.mark.parametrize("name", ["scans.tar", "scans.tgz", "scans.zip"])
def test_killed_and_resumed(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, name: str) -> None:
    """SIGKILL in the middle, then the same command: the bytes of an undisturbed run, and nothing asked twice."""
    files = digits(2000)
    (tmp_path / name).write_bytes(PACKS[name](files))
    command = [name, "--server", scripted.address, "--batch-size", "2", "--in-flight", "2"]
    quiet = digits_batch(*command, "--out", "quiet.csv")
    assert quiet.returncode == 0, quiet.stderr
    for answers in (50, 300):
        with Client(tmp_path, "out.csv", command) as client:
            client.wait_for_answers(answers)
            client.kill()
            kept = client.answered()
    calls = scripted.calls
    last = digits_batch(*command, "--out", "out.csv", "--summary", "summary.json")
    assert last.returncode == 0, last.stderr
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "quiet.csv").read_bytes()
    assert json.loads((tmp_path / "summary.json").read_text())["resumed_rows"] == 2 * kept
    assert scripted.calls - calls == 1000 - kept


def test_a_changed_archive_is_asked_again(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Members of the same names, sizes and times in an archive of another time: no answer of the old ones is kept."""
    (tmp_path / "s.tar").write_bytes(tar_of({f"{number}.png": b"\1" for number in range(4)}))
    os.utime(tmp_path / "s.tar", ns=(1, 1))
    command = ["s.tar", "after.png", "--server", scripted.address, "--batch-size", "1", "--in-flight", "1"]
    (tmp_path / "after.png").write_bytes(b"\5")
    is_killed = threading.Event()
    scripted.script = lambda number, _request, _context: number < 3 or is_killed.wait(60)
    with Client(tmp_path, "out.csv", command) as client:
        client.wait_for_answers(3)
        client.kill()
    is_killed.set()
    (tmp_path / "s.tar").write_bytes(tar_of({f"{number}.png": b"\2" for number in range(4)}))
    os.utime(tmp_path / "s.tar", ns=(2, 2))
    again = digits_batch(*command, "--out", "out.csv")
    assert again.returncode == 0, again.stderr
    assert [row["digit"] for row in read_rows(tmp_path / "out.csv")] == ["2", "2", "2", "2", "5"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["in/s.tar"], "in/s.tar"),
        (["in", "--glob", "*.tar"], "--glob '*.tar': --watch takes no archives"),
        (["in", "--glob", "*.png", "--glob", "*.parquet"], "--watch takes no archives"),
        (["in", "--bytes-column", "image"], "--bytes-column works not with --watch, which takes no archives"),
    ],
)
def test_archives_are_not_watched(tmp_path: Path, digits_batch: RunBatch, options: list[str], text: str) -> None:
    """Named or globbed, they are refused in one line."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tar").write_bytes(tar_of({"1.png": b"\1"}))
    refused = digits_batch(*options, "--watch", "--out", "out.csv", "--server", "localhost:1")
    assert refused.returncode == 2
    assert text in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_archive_is_one_file_for_who_expands_it_later(tmp_path: Path) -> None:
    """A walk that does not open archives gives them whole; `expand` then gives what the walk would have."""
    (tmp_path / "a.tar").write_bytes(tar_of(digits(30)))
    (tmp_path / "b.zip").write_bytes(zip_of(digits(20)))
    what = Walk((str(tmp_path),), ("*.tar", "*.zip", "*.png"))
    whole = list(walk(what, Skipped(), expands=False))
    assert [(Path(file.path).name, file.content) for file in whole] == [("a.tar", None), ("b.zip", None)]
    members = [member for file in whole for member in expand(file, what, Skipped())]
    assert members == list(walk(what, Skipped()))
    assert len(members) == 50


def test_how_many_there_will_be(tmp_path: Path) -> None:
    """Members are counted without being read, but for a compressed archive, of which nobody can know."""
    files = digits(30)
    (tmp_path / "a.tar").write_bytes(tar_of(files))
    (tmp_path / "b.zip").write_bytes(zip_of(files))
    (tmp_path / "c.tgz").write_bytes(_targz_of(files))
    names = [str(tmp_path / name) for name in ("a.tar", "b.zip", "c.tgz")]
    assert count(Walk(tuple(names[:2]))) == 60
    assert count(Walk(tuple(names))) is None
    assert [file.content for file in walk(Walk((names[0],)), Skipped(), reads=False)] == [None] * 30


def test_requests_are_cut_by_the_sizes_of_members(tmp_path: Path) -> None:
    """16 MiB of members fill a request, as those of files do."""
    (tmp_path / "s.tar").write_bytes(tar_of({f"{number}.png": bytes(6 << 20) for number in range(5)}))
    sizes = [len(batch) for batch in cut(walk(Walk((str(tmp_path / "s.tar"),)), Skipped()), 1000)]
    assert sizes == [2, 2, 1]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_random_damage(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer, data: st.DataObject) -> None:
    """Whatever is changed or cut off: a table, no traceback, exit code 0 or 1, or 2 where nothing is left."""
    name = data.draw(st.sampled_from(sorted(PACKS)))
    octets = bytearray(PACKS[name](digits(60)))
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=4)):
        octets[at] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(octets)) | st.just(len(octets)))
    (tmp_path / name).write_bytes(octets[:end])
    result = digits_batch(name, "--out", "out.csv", "--force", "--server", scripted.address)
    assert "Traceback" not in result.stderr
    if result.returncode == 2:
        assert "nothing to do" in result.stderr
        return
    rows = read_rows(tmp_path / "out.csv")
    assert result.returncode == int(any(row["error"] for row in rows)), result.stderr
    assert all(row["path"].startswith(name) for row in rows)
