"""A process that turns pictures in foreign formats into PNG: `python -m batch.formats.worker`.

It says on standard output that it is ready, then answers the questions on standard input in their order, and ends with
standard input, which not even SIGKILL of its parent can prevent from closing. It lives apart from its parent since
decoders are large and may crash, and since they would stop the parent's requests while they work.
"""

import os
import resource
import signal
import sys
import warnings
from contextlib import suppress
from struct import Struct

QUESTION = Struct(">II")
"""Page, and the length of the path that follows."""
ANSWER = Struct(">III")
"""Pages that nobody asks for, the length of the error text, and that of the PNG, which follow."""
READY = ANSWER.pack(0, 0, 0)

# Far beyond what a picture within the contract's limits takes: a file that claims more is refused, not the machine
# brought down.
_MEMORY_BYTES = 4 << 30
_CPU_S = 60.0  # for one picture; the process is ended then


def main() -> None:
    """Answer until standard input ends."""
    from batch.formats.picture import PictureError, Pictures, encode  # noqa: PLC0415 - a failure is told by _serve's caller
    from exporter.contract import TOO_LARGE  # noqa: PLC0415

    # Decoders that chatter are not to be taken for answers, nor to fill a disk with complaints.
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as devnull:  # noqa: PTH123 - a device, no path of ours
        os.dup2(devnull.fileno(), 1)
        os.dup2(devnull.fileno(), 2)
    warnings.simplefilter("ignore")
    with suppress(OSError, ValueError):  # where the system knows no such limit, or has a lower one
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    pictures = Pictures()
    answers.write(READY)
    answers.flush()
    while len(question := questions.read(QUESTION.size)) == QUESTION.size:
        page, length = QUESTION.unpack(question)
        path = os.fsdecode(questions.read(length))
        png, error, unread = b"", "", 0
        signal.setitimer(signal.ITIMER_PROF, _CPU_S)
        try:
            picture, unread = pictures.read(path, page)
            png = encode(picture)
        except PictureError as fault:
            error = fault.text
        except MemoryError:
            error = TOO_LARGE
        signal.setitimer(signal.ITIMER_PROF, 0)
        text = error.encode()
        answers.write(ANSWER.pack(unread, len(text), len(png)) + text + png)
        answers.flush()


if __name__ == "__main__":
    # The parent is gone in the middle of an answer: there is nobody to tell.
    with suppress(BrokenPipeError):
        main()
    os._exit(0)
