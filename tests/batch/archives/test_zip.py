"""Members of zip archives, as packers write them, whole, damaged and meant ill."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.archives import zip_directory
from batch.archives.member import DEVICE, LINK, Selection
from batch.archives.zip import read_zip
from exporter.contract import CORRUPT, MAX_FILE_BYTES, TOO_LARGE, UNREADABLE
from tests.batch.archives.support import (
    EVERYTHING,
    Files,
    Pack,
    Pipe,
    collect,
    contents,
    digits,
    read_all,
    streamed_zip_of,
    zip_of,
)


def _stored(files: Files) -> bytes:
    return zip_of(files, zipfile.ZIP_STORED)


def _wide(files: Files) -> bytes:
    """Each member with sizes of 64 bits, and a directory at an offset told in 64 bits."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(content)
    octets = made.getvalue()
    end = octets.rindex(b"PK\5\6")
    count, _, size, offset = struct.unpack("<HHLL", octets[end + 8 : end + 20])
    wide = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    narrow = struct.pack("<4sHHHHLLH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return octets[:end] + wide + locator + narrow


def _with_something_before(files: Files) -> bytes:
    return b'#!/bin/sh\nexec unzip "$0"\n' + zip_of(files)


def _with_a_comment(files: Files) -> bytes:
    made = io.BytesIO(zip_of(files))
    with zipfile.ZipFile(made, "a") as archive:
        archive.comment = b"scanned on Monday " * 100
    return made.getvalue()


PACKS = [zip_of, _stored, streamed_zip_of, _wide, _with_something_before, _with_a_comment]


@pytest.mark.parametrize("pack", PACKS)
def test_every_form(tmp_path: Path, pack: Pack) -> None:
    """Stored and deflated members, sizes behind the bytes or of 64 bits: all come, in the order of the directory."""
    files = digits(300)
    path = tmp_path / "a.zip"
    path.write_bytes(pack(files))
    members, reason = read_all(path)
    assert not reason
    assert contents(members) == files
    assert [member.name for member in members] == list(files)


def test_more_members_than_a_small_directory_counts(tmp_path: Path) -> None:
    """70,000 members: the directory is of 64 bits, longer than the piece that is read at a time, and read in pieces."""
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({f"{number:06}.png": b"x" for number in range(70_000)}, zipfile.ZIP_STORED))
    members, reason = read_all(path)
    assert not reason
    assert [member.name for member in members] == [f"{number:06}.png" for number in range(70_000)]


def test_names_keep_their_bytes(tmp_path: Path) -> None:
    """UTF-8, and the bytes of any other encoding, as in names of files."""
    archive = zip_of({"日本.png": b"1", "caf?.png": b"2"}, zipfile.ZIP_STORED).replace(b"caf?", b"caf\xe9")
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    assert contents(read_all(path)[0]) == {"日本.png": b"1", "caf\udce9.png": b"2"}


def test_separators_of_windows(tmp_path: Path) -> None:
    """Names that a program on Windows wrote with backslashes are in folders, too."""
    archive = zip_of({"7|1.png": b"7"}, zipfile.ZIP_STORED).replace(b"7|1", b"7\\1")
    directory = archive.index(b"PK\1\2")
    path = tmp_path / "a.zip"
    path.write_bytes(archive[: directory + 5] + b"\0" + archive[directory + 6 :])
    assert contents(read_all(path)[0]) == {"7/1.png": b"7"}


def test_what_is_no_file(tmp_path: Path) -> None:
    """Links and devices are told as such; folders are nothing."""
    path = tmp_path / "a.zip"
    kinds = {"link.png": stat.S_IFLNK, "fifo.png": stat.S_IFIFO, "folder.png/": stat.S_IFDIR, "1.png": stat.S_IFREG}
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind in kinds.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, "/etc/passwd")
    members, reason = read_all(path)
    assert not reason
    assert [(member.name, member.other) for member in members] == [
        ("link.png", LINK),
        ("fifo.png", DEVICE),
        ("1.png", ""),
    ]


def test_one_damaged_member(tmp_path: Path) -> None:
    """Its bytes are not what the directory says: it is corrupt, and the others come."""
    for pack in (zip_of, _stored):
        octets = bytearray(pack({f"{number}.png": bytes(range(100)) for number in range(3)}))
        octets[octets.index(b"1.png") + 20] ^= 0xFF
        path = tmp_path / "a.zip"
        path.write_bytes(octets)
        members, reason = read_all(path)
        assert not reason
        assert [member.fault for member in members] == ["", CORRUPT, ""]


def test_a_member_that_is_not_where_it_should_be(tmp_path: Path) -> None:
    """A local header that is damaged, or of another member, is not read past."""
    octets = bytearray(zip_of({"1.png": b"one", "2.png": b"two"}))
    octets[octets.index(b"1.png")] = ord("3")
    path = tmp_path / "a.zip"
    path.write_bytes(octets)
    members, reason = read_all(path)
    assert not reason
    assert [member.fault for member in members] == [CORRUPT, ""]


def test_encrypted_and_unknown_methods(tmp_path: Path) -> None:
    """Members that need a password, or are packed by bzip2 or LZMA, are unreadable, and why is told."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("1.png", b"one", zipfile.ZIP_BZIP2)
        archive.writestr("2.png", b"two", zipfile.ZIP_LZMA)
        archive.writestr("3.png", b"three")
        archive.writestr("4.png", b"four")
    octets = bytearray(made.getvalue())
    at = octets.index(b"3.png", octets.index(b"PK\1\2"))
    octets[at - 46 + 8] |= 1
    path = tmp_path / "a.zip"
    path.write_bytes(octets)
    members, _ = read_all(path)
    assert [(member.fault, member.reason) for member in members] == [
        (UNREADABLE, "packed by method 12 of zip"),
        (UNREADABLE, "packed by method 14 of zip"),
        (UNREADABLE, "encrypted"),
        ("", ""),
    ]


def test_bombs(tmp_path: Path) -> None:
    """A member that says it is too large is not read; one that says less than it holds is not inflated beyond it."""
    path = tmp_path / "a.zip"
    made = Pipe()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("honest.png", "w", force_zip64=True) as member:
            for _ in range(MAX_FILE_BYTES // (1 << 20) + 1):
                member.write(bytes(1 << 20))
        archive.writestr("liar.png", bytes(10 << 20))
    octets = bytes(made.written).replace((10 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(octets)
    members, reason = read_all(path)
    assert not reason
    assert [(member.name, member.size, member.fault) for member in members] == [
        ("honest.png", MAX_FILE_BYTES + (1 << 20), TOO_LARGE),
        ("liar.png", 100, CORRUPT),
    ]


def test_members_on_top_of_each_other(tmp_path: Path) -> None:
    """A directory of a thousand members with the same bytes makes gigabytes of a megabyte: it is read no further."""
    whole = _stored({"1.png": bytes(100_000)})
    directory, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    entries = whole[directory:end] * 1000
    counts = struct.pack("<HHLL", 1000, 1000, len(entries), directory)
    path = tmp_path / "a.zip"
    path.write_bytes(whole[:directory] + entries + whole[end : end + 8] + counts + whole[end + 20 :])
    members, reason = read_all(path)
    assert len(members) <= 3
    assert "members that overlap" in reason


@pytest.mark.parametrize("pack", [zip_of, _stored, streamed_zip_of])
def test_an_archive_that_was_cut_off(tmp_path: Path, pack: Pack) -> None:
    """Without its directory, members are found as they lie, up to the cut."""
    files = {name: bytes(range(200)) for name in digits(100)}
    whole = pack(files)
    path = tmp_path / "a.zip"
    path.write_bytes(whole[: whole.index(b"PK\1\2") // 2])
    members, reason = read_all(path)
    assert reason.startswith("is cut off, or has lost its directory; ")
    assert 45 < len(members) < 55
    assert contents(members) == dict(list(files.items())[: len(members)])


def test_without_a_directory_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """A member that goes on beyond the limit ends what can be found, and takes no memory."""
    made = Pipe()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("1.png", b"one")
        with archive.open("bomb.png", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(made.written[: made.written.index(b"PK\1\2")]))
    members, reason = read_all(path)
    assert contents(members) == {"1.png": b"one"}
    assert "1 member" in reason


def test_an_archive_in_an_archive_that_was_cut_off(tmp_path: Path) -> None:
    """The directory of the inner one is not taken for that of the outer one."""
    inner = zip_of({"inner.png": b"no"})
    outer = _stored({"1.png": b"one", "a.zip": inner, "2.png": b"two"})
    path = tmp_path / "a.zip"
    path.write_bytes(outer[: outer.index(b"PK\1\2") - 2])
    members, reason = read_all(path, Selection(lambda name: name.endswith("png"), lambda _: True))
    assert contents(members) == {"1.png": b"one"}
    assert reason


def test_a_damaged_directory(tmp_path: Path) -> None:
    """What it lists before the damage comes; then it is told."""
    octets = bytearray(zip_of({f"{number}.png": b"x" for number in range(10)}))
    octets[octets.index(b"5.png", octets.index(b"PK\1\2")) - 46] ^= 1
    path = tmp_path / "a.zip"
    path.write_bytes(octets)
    members, reason = read_all(path)
    assert [member.name for member in members] == [f"{number}.png" for number in range(5)]
    assert "damaged directory" in reason


def test_one_of_several_volumes(tmp_path: Path) -> None:
    """The last volume alone is no whole archive."""
    octets = bytearray(zip_of({"1.png": b"one"}))
    octets[octets.rindex(b"PK\5\6") + 4] = 2
    path = tmp_path / "a.zip"
    path.write_bytes(octets)
    assert read_all(path) == ([], "is one of several volumes: put them together first")


@pytest.mark.parametrize("content", [b"", b"x" * 5000, b"PK\5\6", b"PK\3\4" + bytes(20)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    """Nothing, text, and the first bytes of headers alone are no archives."""
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    members, reason = read_all(path)
    assert not members
    assert reason


def test_an_empty_archive(tmp_path: Path) -> None:
    """It is whole, and has no members."""
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({}))
    assert read_all(path) == ([], "")


def test_an_offset_beyond_the_file() -> None:
    """A member that should lie where no file reaches is corrupt."""
    octets = bytearray(zip_of({"1.png": b"one"}))
    at = octets.index(b"PK\1\2") + 42
    octets[at : at + 4] = b"\xfe\xff\xff\xff"
    members, reason = collect(read_zip(io.BytesIO(octets), EVERYTHING))
    assert ([member.fault for member in members], reason) == ([CORRUPT], "")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), pack=st.sampled_from([zip_of, streamed_zip_of, _wide]))
def test_damage_anywhere(data: st.DataObject, pack: Pack) -> None:
    """Whatever is cut off or changed: no error but the one that says so, and no bytes that are no member's."""
    files = {name: content * 3 for name, content in digits(30).items()}
    octets = bytearray(pack(files))
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=5)):
        octets[at] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(octets)) | st.just(len(octets)))
    members, reason = collect(read_zip(io.BytesIO(octets[:end]), EVERYTHING))
    assert reason or end
    allowed = set(files.values())
    # A checksum of 32 bits may be changed together with a method; not by a handful of random bytes.
    assert sum(member.content not in allowed for member in members if member.content is not None) <= 1


def test_pieces_of_the_directory() -> None:
    """Wherever a piece ends, within an entry or between two, the entries are the same."""
    octets = zip_of(digits(40))
    file = io.BytesIO(octets)
    directory = zip_directory.find_directory(file)
    assert directory is not None
    whole = octets[directory.at : directory.at + directory.size]
    entries, rest = zip_directory._split(whole)
    assert (len(entries), rest) == (40, b"")
    for end in range(0, len(whole), 7):
        first, rest = zip_directory._split(whole[:end])
        assert first + zip_directory._split(rest + whole[end:])[0] == entries
