"""A process that answers shards for the local engine: `python -m batch.cluster.worker`.

Standard input has the job and how the model is reached, then the numbers of shards; standard output tells what becomes
of them. It ends at once with standard input, which not even SIGKILL of its parent can prevent from closing: a shard
that is under way is nobody's then.
"""

import gc
import json
import os
import pickle
import queue
import sys
import threading
from contextlib import suppress
from typing import Any

from batch.client.answers import Answer
from batch.cluster.shard import reason_of, run_shard
from batch.files.file import File
from exporter.command import UserError


def main() -> None:
    """Answer shards until standard input ends."""
    gc.set_threshold(100_000)  # as for digits-batch
    # Libraries that chatter are not to be taken for answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job, asking = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent
    lock = threading.Lock()

    def tell(**fact: Any) -> None:  # noqa: ANN401 - what JSON takes
        with lock:
            answers.write(json.dumps(fact) + "\n")
            answers.flush()

    rows = _Rows(tell)
    numbers = _numbers()
    tell(ready=True)
    while True:
        number = numbers.get()
        try:
            run_shard(job, number, asking, lambda text: tell(notice=text), listeners=[rows])
        except (UserError, OSError) as error:
            # What no other attempt changes ends the whole run: the user's mistakes.
            is_final = isinstance(error, UserError) and error.exit_code == UserError.exit_code
            tell(failed=number, reason=reason_of(error), final=is_final)
        else:
            tell(done=number)


class _Rows:
    """Tells of the answers of each request."""

    def __init__(self, tell: Any) -> None:  # noqa: ANN401 - takes any facts
        self._tell = tell

    def add(self, _files: list[File], answers: list[Answer]) -> None:
        self._tell(rows=len(answers), errors=sum(1 for answer in answers if answer.error))

    def start_over(self) -> None:
        """Never asked: a shard keeps to the version of its job."""


def _numbers() -> "queue.SimpleQueue[int]":
    """The shards that are asked for; standard input is read beside the work, to notice its end."""
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            numbers.put(int(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return numbers


if __name__ == "__main__":
    # The parent is gone in the middle of an answer: there is nobody to tell.
    with suppress(BrokenPipeError):
        main()
    os._exit(0)
