"""The folder of a report: made before the run, and nothing overwritten that is not a report's."""

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from exporter.command import UserError

PAGE = "index.html"


def prepare(folder: Path, paths: list[str], out: Path, names: Collection[str] = (PAGE,)) -> None:
    """Make the folder, and raise UserError where a report cannot or must not be written there.

    Args:
        folder: where the report will be.
        paths: the folders and files of the run.
        out: its table.
        names: of the report's files.
    """
    own = Path(os.path.realpath(folder))
    for path in map(Path, paths):
        if path.is_dir() and own.is_relative_to(os.path.realpath(path)):
            raise UserError(f"--report {folder} lies in {path}: its pictures would become scans; choose another folder")
    for path in (*map(Path, paths), out):
        if os.path.realpath(path.parent) == str(own) and path.name in names:
            raise UserError(f"the report would overwrite {path}: choose another folder for --report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"cannot write --report {folder}: {error.strerror}; choose another folder") from None
