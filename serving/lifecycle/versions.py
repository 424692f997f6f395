"""Versions of a model as they lie on disk: which folders count, and whether one has changed."""

import os
import re
from pathlib import Path

from exporter.command import UserError

_LARGEST_VERSION = 2**63 - 1
# As tsl/platform/path.cc of TensorFlow takes URIs apart.
_URI = re.compile(r"([a-zA-Z][0-9a-zA-Z.]*)://([^/]*)(.*)", re.DOTALL)
_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")

Fingerprint = tuple[tuple[str, int, int], ...]
"""Relative path, size in bytes and modification time in nanoseconds of every file of a version."""


def local_folder(base_path: str) -> Path:
    """Return the folder that a base path names: as a path, or as a `file://` URI, whose host means nothing.

    Raises ValueError for a URI of another scheme.
    """
    uri = _URI.fullmatch(base_path)
    if uri is None:
        return Path(base_path)
    if uri[1] != "file":
        raise ValueError(
            f"File system scheme '{uri[1]}' not implemented (file: '{base_path}'); this server reads local folders: "
            "give a path or a file:// URI"
        )
    return Path(uri[3])


def find_versions(base_path: Path) -> dict[int, Path]:
    """List the folders of `base_path` that are named by a positive integer; other names do not count.

    Leading zeros are allowed, and of several names of one number the last in byte order is taken, as in TensorFlow
    Serving's sources/storage_path/file_system_storage_path_source.cc. Raises OSError if the base path cannot be read.
    """
    versions = {}
    for folder in sorted(base_path.iterdir()):
        name = folder.name
        if name.isascii() and name.isdigit() and 0 < int(name) <= _LARGEST_VERSION and folder.is_dir():
            versions[int(name)] = folder
    return versions


def fingerprint(folder: Path) -> Fingerprint:
    """Tell the present contents of a version folder from earlier ones without reading them."""
    files = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                stat = path.stat()
            except OSError:  # gone since it was listed: different either way
                continue
            files.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(files))


def check_base_path(base_path: Path) -> None:
    """Raise UserError unless `base_path` is a folder that versions can lie in; it may be empty yet."""
    if not base_path.is_dir():
        state = "is not a folder" if base_path.exists() else "does not exist"
        raise UserError(f"--model_base_path {base_path} {state}; name the folder that holds the numbered versions")
    try:
        versions = find_versions(base_path)
    except OSError as error:
        raise UserError(f"--model_base_path {base_path} cannot be read: {error.strerror}") from None
    if not versions and any((base_path / name).exists() for name in _SAVED_MODEL_FILES):
        raise UserError(
            f"--model_base_path {base_path} is itself a SavedModel; it needs a numeric version folder: "
            f"move it to {base_path / '1'}"
        )
