"""A share that offers less: system calls that fail in a command's process as they do there."""

import os
from pathlib import Path

# Python runs a file of this name first of all; -P leaves PYTHONPATH alone.
_FAULTS = """
import errno, fcntl, os

def fail(number):
    def call(*_):
        raise OSError(number, os.strerror(number))
    return call

if "NO_FLOCK" in os.environ:
    fcntl.flock = fail(int(os.environ["NO_FLOCK"]))
if "NO_FSYNC" in os.environ:
    os.fsync = fail(int(os.environ["NO_FSYNC"]))
"""


def python_path_to_faults(folder: Path) -> str:
    """A PYTHONPATH with which a command's variables NO_FLOCK and NO_FSYNC name the error of these calls.

    Args:
        folder: an empty one, or one that is not there yet.
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_FAULTS)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
