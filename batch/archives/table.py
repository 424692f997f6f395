"""Rows of Parquet and Arrow files with a column of images, in order. Needs the `parquet` extra."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from batch.archives.kinds import PARQUET
from batch.archives.member import ArchiveError, Member, Selection
from exporter.command import require_extra
from exporter.contract import MAX_FILE_BYTES, TOO_LARGE, UNREADABLE

EXTRA = "parquet"
"""The extra that reads these files."""

_LIKELY = ("image", "bytes", "png", "img", "jpg", "jpeg", "image_bytes", "content", "data")
"""Names of columns, in lower case, that are taken where several hold bytes, the first first."""

_MOST_ROWS = 1000  # in memory at a time
_MOST_BYTES = 16 << 20  # likewise, as far as the file tells the truth
_PAGE_BYTES = 1 << 20  # read at a time of a Parquet column
_FILE_START, _FILE_END = b"ARROW1\0\0", b"ARROW1"
_OLD_FEATHER = b"FEA1"
_STREAM_ENDS = (b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\0")


def read_table(file: BinaryIO, kind: str, selection: Selection) -> Iterator[Member]:
    """All rows.

    Args:
        file: Parquet or Arrow, seekable.
        kind: PARQUET or ARROW.
        selection: says which columns.

    Raises:
        ArchiveError: it is no such file, has no such columns, or cannot be read further.
        UserError: pyarrow is not installed.
    """
    require_extra(EXTRA, "pyarrow")
    import pyarrow as pa  # noqa: PLC0415 - an extra

    count = 0
    # What pyarrow raises for files that are broken in one way or another; its own errors are of these classes.
    broken = (pa.ArrowException, ValueError, OSError, EOFError, KeyError, NotImplementedError, MemoryError)
    try:
        batches = _parquet(file, selection) if kind == PARQUET else _arrow(file, selection)
        for rows, images, ids in batches:
            names = _names(ids, count, rows)
            if images is None:
                yield from (Member(name, 0) for name in names)
            else:
                yield from map(_row, names, _octets(images))
            count += rows
    except ArchiveError:
        raise
    except broken as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        if not count:
            raise ArchiveError(f"cannot be read as {kind} ({reason})") from None
        raise ArchiveError(f"is damaged or cut off after {count:,} rows ({reason})") from None


Batch = tuple[int, Any, Any]
"""How many rows, and arrays of images and of ids: None for what is not wanted."""


def _parquet(file: BinaryIO, selection: Selection) -> Iterator[Batch]:
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    with parquet.ParquetFile(file, buffer_size=_PAGE_BYTES, pre_buffer=False) as table:
        image, identity = _columns(table.schema_arrow, selection)
        rows = max(1, table.metadata.num_rows)
        groups = (table.metadata.row_group(number) for number in range(table.num_row_groups))
        octets = sum(group.total_byte_size for group in groups)
        size = max(1, min(_MOST_ROWS, _MOST_BYTES * rows // max(octets, 1)))
        names = [name for name in (image if selection.rows else None, identity) if name is not None]
        if not names:
            yield table.metadata.num_rows, None, None
            return
        for batch in table.iter_batches(size, columns=names, use_threads=False):
            yield _batch(batch, image, identity, selection)


def _arrow(file: BinaryIO, selection: Selection) -> Iterator[Batch]:
    """Batches of an IPC file or stream: a file is a stream between two marks, which is read as far as it goes."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    start = file.read(len(_FILE_START))
    if start.startswith(_OLD_FEATHER):
        raise ArchiveError("is of Feather's first version: write it anew with pyarrow.feather.write_feather")
    is_file = start == _FILE_START
    file.seek(-len(_FILE_END if is_file else _STREAM_ENDS[0]), os.SEEK_END)
    tail = file.read()
    file.seek(len(_FILE_START) if is_file else 0)
    count = 0
    with pa.ipc.open_stream(file) as stream:
        image, identity = _columns(stream.schema, selection)
        for batch in stream:
            for first in range(0, batch.num_rows, _MOST_ROWS):
                yield _batch(batch.slice(first, _MOST_ROWS), image, identity, selection)
            count += batch.num_rows
    if not tail.endswith(_FILE_END if is_file else _STREAM_ENDS):
        raise ArchiveError(f"has no end mark after {count:,} rows, so it may be cut off")


def _batch(rows: Any, image: str, identity: str | None, selection: Selection) -> Batch:  # noqa: ANN401 - pyarrow has no types
    """A part of a table, with what is wanted of it."""
    return (
        rows.num_rows,
        rows.column(image) if selection.rows else None,
        None if identity is None else rows.column(identity),
    )


def _columns(schema: Any, selection: Selection) -> tuple[str, str | None]:  # noqa: ANN401 - pyarrow has no types
    """The names of the column of images and of that of ids. Raises ArchiveError if there are none such."""
    held = ", ".join(schema.names)
    wanted = selection.bytes_column
    if wanted is not None and (wanted not in schema.names or not _holds_bytes(schema.field(wanted).type)):
        what = "no column" if wanted not in schema.names else "no bytes in its column"
        raise ArchiveError(f"has {what} {wanted!r}, which --bytes-column names; its columns are {held}")
    if selection.id_column is not None and selection.id_column not in schema.names:
        raise ArchiveError(f"has no column {selection.id_column!r}, which --id-column names; its columns are {held}")
    if wanted is None:
        found = [field.name for field in schema if _holds_bytes(field.type)]
        likely = sorted((_LIKELY.index(name.lower()), name) for name in found if name.lower() in _LIKELY)
        if not found or (len(found) > 1 and not likely):
            which = "several columns" if found else "no column"
            raise ArchiveError(f"has {which} of bytes: name the one of the images with --bytes-column; it has {held}")
        wanted = found[0] if len(found) == 1 else likely[0][1]
    if schema.names.count(wanted) > 1 or schema.names.count(selection.id_column) > 1:
        raise ArchiveError(f"has two columns of one name; its columns are {held}")
    return wanted, selection.id_column


def _holds_bytes(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Whether a column of this type holds images: bytes, or as Hugging Face writes them, {bytes, path}."""
    from pyarrow import types  # noqa: PLC0415 - an extra

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    is_view = getattr(types, "is_binary_view", lambda _: False)
    tests = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, is_view)
    return any(test(kind) for test in tests)


def _octets(images: Any) -> list[bytes | None]:  # noqa: ANN401 - pyarrow has no types
    from pyarrow import types  # noqa: PLC0415 - an extra

    if types.is_struct(images.type):
        images.validate()
        # A row that is null has fields all the same, which need not be.
        images = images.flatten()[images.type.get_field_index("bytes")]
    # In a damaged Arrow file an image may begin and end anywhere in the memory.
    images.validate(full=True)
    found: list[bytes | None] = images.to_pylist()
    return found


def _names(ids: Any, first: int, count: int) -> list[str]:  # noqa: ANN401 - pyarrow has no types
    """What the rows are called: their ids, or their numbers from 0 where there are none."""
    if ids is None:
        return [str(number) for number in range(first, first + count)]
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type):
        # Text that is no UTF-8 keeps its bytes, as names of files do.
        ids = ids.cast(pa.binary() if pa.types.is_string(ids.type) else pa.large_binary())
    ids.validate(full=True)
    return [_text(value, number) for number, value in enumerate(ids.to_pylist(), first)]


def _text(value: object, number: int) -> str:
    if value is None:
        return str(number)
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _row(name: str, image: bytes | None) -> Member:
    if image is None:
        return Member(name, 0, fault=UNREADABLE, reason="rows of tables without bytes")
    if len(image) > MAX_FILE_BYTES:
        return Member(name, len(image), fault=TOO_LARGE)
    return Member(name, len(image), image)
