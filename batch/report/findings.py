"""What a report tells of the rows: how sure the answers are, the least sure ones, and errors with examples."""

import heapq
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from batch.client.answers import Row
from batch.files.file import File

WHOLE = 10_000
"""Confidence 1, in the units that it is counted in: it has four decimals."""

MOST_DOUBTFUL = 200
_MOST_ERRORS = 100  # texts
_MOST_EXAMPLES = 5  # of each


class Doubtful(NamedTuple):
    """A row whose answer is not sure.

    Attributes:
        path: as in the table.
        answer: what was read.
        confidence: with four decimals.
    """

    path: str
    answer: str
    confidence: str


class Findings:
    """Collects what a report tells. Its memory does not grow with the number of rows.

    Attributes:
        counts: rows with an answer by confidence, in ten-thousandths, [10001].
        examples: the first paths of each error.
    """

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Forget all rows."""
        self.counts = array("Q", bytes(8 * (WHOLE + 1)))
        self.examples: dict[str, list[str]] = {}
        self._rows = 0
        # The least sure so far, the surest of them on top. heapq has the least on top, so all is negative.
        self._heap: list[tuple[int, int, Doubtful]] = []

    def add(self, files: list[File], answers: Sequence[Row]) -> None:
        """Take in the answers of a request."""
        for file, answer in zip(files, answers, strict=True):
            self._rows += 1
            if answer.error:
                self._add_error(file.path, answer.error)
                continue
            confidence = min(max(round(float(answer.confidence) * WHOLE), 0), WHOLE)
            self.counts[confidence] += 1
            if len(self._heap) < MOST_DOUBTFUL:
                heapq.heappush(self._heap, self._entry(confidence, file, answer))
            elif confidence < -self._heap[0][0]:
                heapq.heapreplace(self._heap, self._entry(confidence, file, answer))

    def _entry(self, confidence: int, file: File, answer: Row) -> tuple[int, int, Doubtful]:
        return -confidence, -self._rows, Doubtful(file.path, str(answer[0]), str(answer.confidence))

    def _add_error(self, path: str, error: str) -> None:
        if error not in self.examples and len(self.examples) >= _MOST_ERRORS:
            return
        paths = self.examples.setdefault(error, [])
        if len(paths) < _MOST_EXAMPLES:
            paths.append(path)

    @property
    def doubtful(self) -> list[Doubtful]:
        """The least sure answers, the least sure first, in the order of the table among equals."""
        return [row for _, _, row in sorted(self._heap, reverse=True)]

    @property
    def answered(self) -> int:
        """How many rows have an answer."""
        return sum(self.counts)

    def below(self, confidence: float) -> int:
        """How many answers have less than a confidence."""
        return sum(self.counts[: round(confidence * WHOLE)])

    def bins(self, count: int) -> list[int]:
        """How many answers lie in each of so many equal ranges of confidence; the last one holds 1, too.

        Args:
            count: a divisor of WHOLE.
        """
        size = WHOLE // count
        found = [sum(self.counts[first : first + size]) for first in range(0, WHOLE, size)]
        found[-1] += self.counts[WHOLE]
        return found
