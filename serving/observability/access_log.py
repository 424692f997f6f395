"""--access_log: one JSON object per request and line."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from exporter.command import UserError
from serving.observability.observe import Call


class AccessLog:
    """Appends to a file, or with `-` writes to standard output; an observer."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises UserError if it cannot be written to."""
        try:
            # Line by line, so that it can be followed; it lives as long as the process.
            self._file = sys.stdout if str(path) == "-" else path.open("a", buffering=1, encoding="utf-8")
        except OSError as error:
            raise UserError(f"--access_log {path}: {error.strerror}; name a file that can be written to") from None
        self._broken = False

    def __call__(self, call: Call) -> None:
        """Write a line; after a full disk or a closed pipe, none any more: requests matter more than their log."""
        if self._broken:
            return
        line = json.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "entrypoint": call.entrypoint,
                "method": call.method,
                "peer": call.peer,
                "model": call.model,
                "version": call.version,
                "signature": call.signature,
                "elements": call.elements,
                "status": call.status.name,
                "milliseconds": round(call.seconds * 1000, 3),
            }
        )
        try:
            self._file.write(f"{line}\n")
            self._file.flush()
        except (OSError, ValueError):
            self._broken = True
