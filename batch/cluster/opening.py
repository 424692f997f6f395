"""The archives of a shard, opened where it is answered: a plan has each as one file."""

from collections.abc import Iterable, Iterator

from batch.archives.kinds import is_archive
from batch.disk.long_paths import stat_path
from batch.files.file import File
from batch.files.objects import find_object
from batch.files.skipped import Skipped
from batch.files.walk import Walk, expand
from batch.stores.urls import is_url
from exporter.contract import CHANGED

BYTES_AN_IMAGE = 1024
"""What a small PNG takes in a tar. A plan counts so many bytes of an archive as one image."""


def at(file: File, prefix: str) -> File:
    """A file as it is found here, if a relative path begins with a prefix."""
    return file if file.path.startswith("/") or is_url(file.path) else file._replace(path=prefix + file.path)


class Opening:
    """Puts the members of archives in their place.

    Args:
        walk: the patterns that choose members, and the columns of tables.
        prefix: what is put before relative paths to find the archives here.

    Attributes:
        skipped: what is passed over in them.
        gone: how many archives are not there any more.
    """

    def __init__(self, walk: Walk, prefix: str) -> None:
        self._walk = walk
        self._prefix = prefix
        self.skipped = Skipped()
        self.gone = 0

    def open(self, files: Iterable[File]) -> Iterator[File]:
        """The files of a shard, with the paths that their rows have. An archive that has changed gives one row."""
        for file in files:
            if not is_archive(file.path):
                yield file
                continue
            here = at(file, self._prefix)
            if file.mtime_ns and not self._is_as_planned(here):
                yield file._replace(fault=CHANGED)
                continue
            for member in expand(here, self._walk, self.skipped):
                yield member._replace(path=file.path + member.path[len(here.path) :])

    def _is_as_planned(self, archive: File) -> bool:
        if is_url(archive.path):
            entry = find_object(archive.path, self._walk.patience)
            self.gone += entry is None
            return entry is not None and entry.tag == archive.tag
        try:
            status = stat_path(archive.path)
        except OSError:
            self.gone += 1
            return False
        return (status.st_size, status.st_mtime_ns) == (archive.size, archive.mtime_ns)
