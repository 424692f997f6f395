"""Where a table is written: the file that links lead to, as other programs write through them."""

import errno
import os
import stat
from pathlib import Path

from exporter.command import UserError


def place_of(out: Path) -> Path:
    """The file that an output's name stands for; it need not be there yet. Journal and temporary file lie beside it.

    Raises:
        UserError: links lead in a circle, or to something that is no file.
    """
    try:
        mode = out.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"--out {out}: its links lead in a circle; remove them, or choose another --out") from None
        # Nothing is there yet. Whether something can be is found out by writing the journal.
    else:
        if not stat.S_ISREG(mode):
            raise UserError(f"--out {out} is there and is no file; choose another --out")
    return Path(os.path.realpath(out)) if os.path.islink(out) else out  # noqa: PTH114 - never raises
