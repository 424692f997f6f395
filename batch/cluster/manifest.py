"""The files of each shard, as the walk found them: compressed JSON Lines.

The first line says how many requests the walk has before the shard's first; each other line has the files of a request.
A shard holds whole requests, and whoever cuts its files with that number gets the very requests that a walk of all
files is cut into.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from batch.archives.kinds import is_archive
from batch.cluster.folder import Draft, JobFolder
from batch.cluster.opening import BYTES_AN_IMAGE
from batch.files.file import File
from exporter.command import UserError

MANIFESTS = "manifests"
_FASTEST = 1
_FIELDS = 5  # of a file; content and fault come when an archive is opened
_GZIP = 31  # zlib's number for a gzip header, with the largest window


class ShardError(UserError):
    """One shard cannot be answered, here or anywhere; others may be."""

    exit_code = 3


@dataclass
class Totals:
    """What was written: shards, images, archives among these, and their bytes."""

    shards: int = 0
    files: int = 0
    archives: int = 0
    octets: int = 0


class Manifests:
    """Writes the shards of one plan, each when the one before is full.

    Args:
        folder: of the job.
        plan: names the plan among others of the same folder that may not have come to their end.
        most_files: in a shard.
        most_bytes: in a shard, unless a request has more.
    """

    def __init__(self, folder: JobFolder, plan: str, most_files: int, most_bytes: int | None) -> None:
        self.totals = Totals()
        self._folder = folder
        self._plan = plan
        self._most_files = most_files
        self._most_bytes = most_bytes

    def write(self, requests: Iterable[list[File]]) -> Iterator[int]:
        """Write all requests of a walk; yields after each the number of its files. Raises OSError."""
        rest = enumerate(requests)
        waiting = next(rest, None)
        while waiting is not None:
            with self._folder.draft() as draft:
                shard = _Shard(draft, waiting[0])
                files = octets = images = 0
                while waiting is not None:
                    weight = sum([file.size // file.pages for file in waiting[1]])
                    archives = [file.size for file in waiting[1] if is_archive(file.path)]
                    # Nobody knows how many images an archive holds before it is read to its end.
                    guess = len(waiting[1]) + sum(archives) // BYTES_AN_IMAGE
                    if files and self._is_full(images + guess, octets + weight):
                        break
                    shard.add(waiting[1])
                    files, octets, images = files + len(waiting[1]), octets + weight, images + guess
                    self.totals.archives += len(archives)
                    yield len(waiting[1])
                    waiting = next(rest, None)
                shard.finish(manifest_name(self._plan, self.totals.shards))
            self.totals.shards += 1
            self.totals.files += files
            self.totals.octets += octets

    def _is_full(self, images: int, octets: int) -> bool:
        return images > self._most_files or (self._most_bytes is not None and octets > self._most_bytes)


class _Shard:
    """A manifest that is being written."""

    def __init__(self, draft: Draft, requests_before: int) -> None:
        self._draft = draft
        self._compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
        self._write({"requests_before": requests_before})

    def add(self, files: list[File]) -> None:
        self._write([(*file[:_FIELDS], file.tag) if file.tag else file[:_FIELDS] for file in files])

    def finish(self, name: str) -> None:
        self._draft.write(self._compressor.flush())
        self._draft.put(name)

    def _write(self, line: object) -> None:
        # In ASCII: a name that is no UTF-8 is read again as it was.
        octets = json.dumps(line, separators=(",", ":")).encode()
        self._draft.write(self._compressor.compress(octets + b"\n"))


@dataclass(frozen=True)
class Shard:
    """A shard's files.

    Attributes:
        requests_before: how many requests the walk has before its first.
        files: in the order of the walk.
    """

    requests_before: int
    files: Iterator[File]


def manifest_name(plan: str, number: int) -> str:
    """Where the files of a shard are listed."""
    return f"{manifests_of(plan)}/{number:05}.jsonl.gz"


def manifests_of(plan: str) -> str:
    """The folder of a plan's manifests."""
    return f"{MANIFESTS}/{plan}"


def read_shard(folder: JobFolder, plan: str, number: int) -> Shard:
    """Open a shard; its files are read as they are wanted.

    Raises:
        ShardError: it is damaged, found now or while its files are read.
        OSError: it cannot be read.
    """
    name = manifest_name(plan, number)
    try:
        lines = _lines(folder.open(name), f"{folder.name}/{name}")
    except FileNotFoundError:
        raise _damaged(f"{folder.name}/{name}", "it is gone") from None
    first = next(lines, None)
    if first is None:
        raise _damaged(f"{folder.name}/{name}", "it is empty")
    return Shard(first["requests_before"], (_file(*row) for request in lines for row in request))


def _file(path: str, size: int, mtime_ns: int, page: int, pages: int, tag: str = "") -> File:
    return File(path, size, mtime_ns, page, pages, tag=tag)


def _lines(file: BinaryIO, name: str) -> Iterator[Any]:
    try:
        with file, gzip.GzipFile(fileobj=file) as lines:
            for line in lines:
                yield json.loads(line)
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise _damaged(name, str(error)) from None


def _damaged(name: str, reason: str) -> ShardError:
    return ShardError(f"{name} is damaged ({reason}): plan the job anew, in another folder")
