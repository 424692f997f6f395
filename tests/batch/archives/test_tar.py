"""Members of tar archives, in every form that programs write, whole and damaged."""

import gzip
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.archives.member import DEVICE, LINK, Selection
from batch.archives.source import Stream
from batch.archives.tar import BLOCK, read_tar
from exporter.contract import MAX_FILE_BYTES, TOO_LARGE, UNREADABLE
from tests.batch.archives.support import EVERYTHING, add_to_tar, collect, contents, digits, read_all, tar_of

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_every_form(tmp_path: Path, form: int, mode: str) -> None:
    """ustar, GNU and pax archives give their members in order, compressed or not."""
    files = digits(300)
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(files, form, mode))
    members, reason = read_all(path)
    assert not reason
    assert contents(members) == files
    assert [member.name for member in members] == list(files)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_length_and_bytes(tmp_path: Path, form: int) -> None:
    """Long names, names with newlines and such that are no UTF-8 keep every byte."""
    files = {
        "d/" * 200 + "long.png": b"1",
        "a" * 99 + ".png": b"2",
        "b" * 100: b"3",
        "line\nbreak.png": b"4",
        "caf\udce9.png": b"5",
        "日本.png": b"6",
    }
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(files, form))
    assert contents(read_all(path)[0]) == files


def test_a_name_in_two_pieces(tmp_path: Path) -> None:
    """Ustar splits names of up to 256 bytes at a slash."""
    files = {"f" * 120 + "/" + "g" * 90 + ".png": b"1"}
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(files, tarfile.USTAR_FORMAT))
    assert contents(read_all(path)[0]) == files


def test_v7(tmp_path: Path) -> None:
    """Before ustar there was no magic, no type of files, and folders were names with a slash at the end."""
    path = tmp_path / "a.tar"
    folder, file = bytearray(tar_of({"f/": b""})[:BLOCK]), bytearray(tar_of({"f/1.png": b"one"})[: 2 * BLOCK])
    for header in (folder, file):
        header[257:BLOCK] = bytes(BLOCK - 257)
        header[156] = 0
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:BLOCK])
    path.write_bytes(bytes(folder + file) + bytes(2 * BLOCK))
    assert read_all(path) == ([("f/1.png", 3, b"one", "", "", "")], "")


def test_sizes_in_base_256() -> None:
    """GNU tar writes sizes of eight gigabytes and more in binary: such a member is `too large`, and passed over."""
    size = 9 << 30
    header = bytearray(tar_of({"big.png": b""})[:BLOCK])
    header[124:136] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    made = io.BytesIO(bytes(header))
    members = read_tar(Stream(made), EVERYTHING)
    assert next(members) == ("big.png", size, None, TOO_LARGE, "", "")
    assert "cut off after 1 member" in collect(members)[1]


def test_a_pax_size_counts(tmp_path: Path) -> None:
    """The size in a pax record replaces the header's."""
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("1.png")
    info.size = 3
    info.pax_headers = {"size": "3", "comment": "no matter"}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(info, io.BytesIO(b"one"))
    octets = bytearray(made.getvalue())
    header = octets[2 * BLOCK : 3 * BLOCK]
    header[124:136] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    octets[2 * BLOCK : 3 * BLOCK] = header
    path.write_bytes(octets)
    assert contents(read_all(path)[0]) == {"1.png": b"one"}


@pytest.mark.parametrize("form", ["gnu", "--posix --sparse-version=0.0", "--posix --sparse-version=0.1", "--posix"])
def test_sparse_files(tmp_path: Path, form: str) -> None:
    """Files that tar -S wrote without their zeros get them back."""
    whole = bytearray(3 << 20)
    for at in range(0, 3 << 20, 1 << 17):
        whole[at + 10 : at + 13] = b"ink"
    with (tmp_path / "sparse.bmp").open("wb") as file:
        for at in range(0, 3 << 20, 1 << 17):
            file.seek(at + 10)
            file.write(b"ink")
        file.truncate(3 << 20)
    (tmp_path / "after.png").write_bytes(b"after")
    options = ["--format=gnu"] if form == "gnu" else form.split()
    tar = shutil.which("tar")
    assert tar is not None
    subprocess.run([tar, "-c", "-S", *options, "-f", "a.tar", "sparse.bmp", "after.png"], cwd=tmp_path, check=True)
    path = tmp_path / "a.tar"
    assert path.stat().st_size < 1 << 20
    assert contents(read_all(path)[0]) == {"sparse.bmp": bytes(whole), "after.png": b"after"}
    others = Selection(lambda name: name == "after.png", lambda _: True)
    assert contents(read_all(path, others)[0]) == {"after.png": b"after"}


def test_what_is_no_file(tmp_path: Path) -> None:
    """Links and devices are told as such, folders are nothing; nothing of them is read."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        add_to_tar(archive, "folder", kind=tarfile.DIRTYPE)
        add_to_tar(archive, "soft.png", kind=tarfile.SYMTYPE)
        add_to_tar(archive, "hard.png", kind=tarfile.LNKTYPE)
        add_to_tar(archive, "fifo.png", kind=tarfile.FIFOTYPE)
        add_to_tar(archive, "tty.png", kind=tarfile.CHRTYPE)
        add_to_tar(archive, "1.png", b"one", kind=tarfile.CONTTYPE)
    members, reason = read_all(path)
    assert not reason
    assert [(member.name, member.other) for member in members] == [
        ("soft.png", LINK),
        ("hard.png", LINK),
        ("fifo.png", DEVICE),
        ("tty.png", DEVICE),
        ("1.png", ""),
    ]


def test_what_is_not_wanted_is_passed_over(tmp_path: Path) -> None:
    """Members that are not taken, or not to be read, cost no memory, and the next ones come."""
    files = {"1.txt": bytes(5 << 20), "2.png": b"two", "3.png": bytes(3 << 20), "4.png": b"four"}
    for mode in ("w", "w:gz"):
        path = tmp_path / "a.tar"
        path.write_bytes(tar_of(files, mode=mode))
        selection = Selection(lambda name: name.endswith("png"), lambda name: name != "3.png")
        members, reason = read_all(path, selection)
        assert not reason
        assert [(member.name, member.size, member.content) for member in members] == [
            ("2.png", 3, b"two"),
            ("3.png", 3 << 20, None),
            ("4.png", 4, b"four"),
        ]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_an_archive_that_was_cut_off(tmp_path: Path, mode: str, share: float) -> None:
    """All members before the cut come, and the error says that it is cut off and after how many."""
    files = {name: bytes(range(256)) * 4 for name in digits(300)}
    whole = tar_of(files, mode=mode)
    path = tmp_path / "a.tar"
    path.write_bytes(whole[: int(len(whole) * share)])
    members, reason = read_all(path)
    assert "cut off" in reason
    assert contents(members) == dict(list(files.items())[: len(members)])
    assert members


def test_an_archive_without_its_end_mark(tmp_path: Path) -> None:
    """Cut off between two members, only the end mark is missing: that is told, too."""
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"1.png": b"one"}, tarfile.USTAR_FORMAT)[: 2 * BLOCK])
    members, reason = read_all(path)
    assert contents(members) == {"1.png": b"one"}
    assert reason == "is cut off after 1 member"


def test_several_archives_in_one_file(tmp_path: Path) -> None:
    """What follows the end mark is not passed over in silence."""
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"1.png": b"one"}) + tar_of({"2.png": b"two"}))
    members, reason = read_all(path)
    assert len(members) == 1
    assert "goes on behind its end mark" in reason


def test_a_damaged_header(tmp_path: Path) -> None:
    """It ends the archive, and is told: Python's tarfile would end there without a word."""
    octets = bytearray(tar_of({"1.png": b"one", "2.png": b"two", "3.png": b"three"}, tarfile.USTAR_FORMAT))
    octets[2 * BLOCK] ^= 1
    path = tmp_path / "a.tar"
    path.write_bytes(octets)
    members, reason = read_all(path)
    assert contents(members) == {"1.png": b"one"}
    assert reason == "is damaged after 1 member, and cannot be read further"


def test_damaged_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    """Members whose bytes come out before the damage are there, though zlib gives nothing of a call that fails."""
    files = {f"{number:04}.png": number.to_bytes(2, "big") * 200 for number in range(2000)}
    whole = bytearray(gzip.compress(tar_of(files)))
    whole[len(whole) // 2] ^= 0xFF
    path = tmp_path / "a.tgz"
    path.write_bytes(whole)
    members, reason = read_all(path)
    assert len(members) > 600
    assert list(contents(members).items())[:600] == list(files.items())[:600]
    assert reason


def test_a_checksum_of_gzip_that_is_wrong(tmp_path: Path) -> None:
    """The whole archive came out, and is not what was packed: that is told."""
    whole = bytearray(gzip.compress(tar_of({"1.png": b"one"})))
    whole[-5] ^= 1
    path = tmp_path / "a.tgz"
    path.write_bytes(whole)
    members, reason = read_all(path)
    assert len(members) == 1
    assert "cannot be decompressed further" in reason


def test_gzip_in_pieces(tmp_path: Path) -> None:
    """Several gzip files one after the other are one stream, as gzip says; zeros may follow."""
    whole = tar_of(digits(50))
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(whole[:5000]) + gzip.compress(whole[5000:]) + bytes(700))
    members, reason = read_all(path)
    assert (len(members), reason) == (50, "")


@pytest.mark.parametrize("content", [b"", b"x" * 5000, bytes(100), b"\x1f\x8b", b"\x1f\x8b" + bytes(600)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    """Nothing, text, zeros, and gzip's first bytes alone are no archives."""
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    members, reason = read_all(path)
    assert not members
    assert reason


def test_records_that_would_fill_the_memory(tmp_path: Path) -> None:
    """A pax header of gigabytes is damage, not a reason to read it."""
    header = bytearray(tar_of({"1.png": b""}, tarfile.USTAR_FORMAT)[:BLOCK])
    header[156:157] = b"x"
    header[124:136] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(header) + bytes(5000))
    assert read_all(path) == ([], "is no tar archive, or is damaged from its beginning")


def test_a_member_beyond_the_limit_is_passed_over(tmp_path: Path) -> None:
    """`too large`, unread, also where gzip makes it of a few kilobytes; the next one is read."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as packed:
        info = tarfile.TarInfo("bomb.png")
        info.size = MAX_FILE_BYTES + 1
        packed.write(info.tobuf())
        for _ in range(256):
            packed.write(bytes(1 << 20))
        packed.write(bytes(BLOCK) + tar_of({"1.png": b"one"}))
    path = tmp_path / "a.tgz"
    path.write_bytes(made.getvalue())
    members, reason = read_all(path)
    assert not reason
    assert members == [
        ("bomb.png", MAX_FILE_BYTES + 1, None, TOO_LARGE, "", ""),
        ("1.png", 3, b"one", "", "", ""),
    ]


def test_a_file_that_began_in_another_volume(tmp_path: Path) -> None:
    """The rest of a file of several volumes is no image."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        add_to_tar(archive, "1.png", b"rest", kind=b"M")
        add_to_tar(archive, "2.png", b"two")
    (first, second), reason = read_all(path)
    assert (first.fault, second.content, reason) == (UNREADABLE, b"two", "")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), form=st.sampled_from(FORMS), is_packed=st.booleans())
def test_damage_anywhere(data: st.DataObject, form: int, is_packed: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever is cut off or changed: no error but the one that says so, and members before the damage as they were."""
    files = digits(40)
    octets = bytearray(gzip.compress(tar_of(files, form)) if is_packed else tar_of(files, form))
    first = len(octets)
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=5)):
        octets[at] ^= data.draw(st.integers(1, 255))
        first = min(first, at)
    end = data.draw(st.integers(0, len(octets)))
    members, _ = collect(read_tar(Stream(io.BytesIO(octets[:end])), EVERYTHING))
    if not is_packed:
        kept = [name for name in files if _end_of(name, files, form) <= min(first, end)]
        assert [member.name for member in members][: len(kept)] == kept
        assert all(member.content == files[member.name] for member in members[: len(kept)])


def _end_of(name: str, files: dict[str, bytes], form: int) -> int:
    """Where a member's bytes end in the archive of these files."""
    names = list(files)
    before = {one: files[one] for one in names[: names.index(name) + 1]}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for one, content in before.items():
            add_to_tar(archive, one, content)
        return archive.offset
