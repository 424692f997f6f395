"""What ends the server: a signal, the end of standard input, or a failure while it starts."""

import os
import signal
import threading
from collections import deque
from types import FrameType

STDIN_EOF = "end of standard input"


class StopRequests:
    """Collects requests to stop, from signal handlers and threads, for the main thread to wait on.

    A pipe wakes it, the one thing that a signal handler can write to whatever lock the interrupted code holds.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)  # as set_wakeup_fd has it
        self._reasons: deque[str] = deque()

    def request(self, reason: str) -> None:
        """Ask the main thread to stop; `reason` is for the log."""
        self._reasons.append(reason)
        os.write(self._writing, b".")

    def wait(self) -> str:
        """Sleep until the first request; return its reason."""
        while not self._reasons:
            os.read(self._reading, 1)
        return self._reasons[0]

    def on_signals(self) -> None:
        """Let SIGTERM and SIGINT ask to stop; a second one ends the process at once."""
        # The system may give a signal to any thread; `_handle` runs in the main one, which sleeps until it is woken.
        signal.set_wakeup_fd(self._writing)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        self.request(signal.Signals(number).name)

    def on_stdin_eof(self) -> None:
        """Let the end of standard input ask to stop.

        A parent that holds the other end of the pipe can thus not leave the server behind, however it dies.
        """
        threading.Thread(target=self._read_stdin, name="read stdin", daemon=True).start()

    def _read_stdin(self) -> None:
        try:
            while os.read(0, 65536):
                pass
        except OSError:  # closed from the beginning: nobody holds it
            pass
        self.request(STDIN_EOF)
