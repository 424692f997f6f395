"""The parts of a table, read back: checked while they are read."""

import csv
import hashlib
import sys
from collections.abc import Iterator
from typing import Any

from batch.client.answers import Row
from batch.cluster.folder import JobFolder
from batch.cluster.marker import Marker, marker_name
from batch.files.file import File
from batch.table.columns import Columns
from exporter.command import UserError

_CHUNK = 1 << 20
_ROWS = 1000  # handed on together


class UnfinishedError(UserError):
    """Shards are missing."""

    exit_code = 3


class DamagedError(UnfinishedError):
    """A part is not what its marker says; the marker is removed, so that the shard is answered again."""


def read_part(folder: JobFolder, marker: Marker) -> Iterator[bytes]:
    """The bytes of a part, without its header.

    Raises:
        DamagedError: they are not what the marker says; found at the end.
        OSError: they cannot be read.
    """
    digest = hashlib.sha256()
    size = 0
    with folder.open(marker.part) as file:
        header = file.readline()
        digest.update(header)
        size += len(header)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if (size, digest.hexdigest()) != (marker.size, marker.sha256):
        folder.remove(marker_name(marker.shard))
        raise DamagedError(
            f"{folder.name}/{marker.part} is damaged, and shard {marker.shard} is to be answered again: run digits-job "
            f"work {folder.name}"
        )


def read_rows(folder: JobFolder, marker: Marker, form: Columns[Any]) -> Iterator[tuple[list[File], list[Row]]]:
    """The rows of a part, some at a time. Raises as `read_part`."""
    # A path may be longer than the module's limit.
    csv.field_size_limit(sys.maxsize)
    files: list[File] = []
    answers: list[Row] = []
    for row in csv.reader(_lines(read_part(folder, marker))):
        path, answer = form.parse(row)
        files.append(File(path, 0, 0))
        answers.append(answer)
        if len(files) == _ROWS:
            yield files, answers
            files, answers = [], []
    if files:
        yield files, answers


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield (line + b"\n").decode("utf-8", "surrogateescape")
    if rest:
        yield rest.decode("utf-8", "surrogateescape")
