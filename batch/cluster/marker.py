"""A shard's marker: its part of the table is whole, and this is what it holds.

A part's name ends with the beginning of its checksum, and of the markers for one shard the first stays. So whoever
answers a shard a second time can harm neither its part nor its marker.
"""

import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from batch.cluster.folder import JobFolder
from batch.cluster.planned import Planned
from batch.files.skipped import Skipped
from batch.summary import Summary

if TYPE_CHECKING:
    from concurrent.futures import Future

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Marker:
    """What a shard was answered with.

    Attributes:
        job: the id of its job.
        shard: its number.
        part: the name of its part of the table, CSV.
        size: of the part, in bytes.
        sha256: of the part.
        host: where it was answered.
        ended: when, in seconds since 1970.
        summary: counts, digits, errors, versions, retries, and the seconds it took.
        skipped: what was passed over in archives.
    """

    job: str
    shard: int
    part: str
    size: int
    sha256: str
    host: str
    ended: float
    summary: Summary
    skipped: Skipped

    def to_json(self) -> bytes:
        """As it stands in its file."""
        facts = {**vars(self), "rows": self.summary.rows, "summary": vars(self.summary), "skipped": vars(self.skipped)}
        return json.dumps(facts, indent=2).encode() + b"\n"

    @classmethod
    def of(cls, content: bytes) -> Self:
        """What `to_json` gave. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
        facts = json.loads(content)
        found = facts["summary"]
        found["digits"] = Counter({int(digit): count for digit, count in found["digits"].items()})
        found["confidence"] = defaultdict(
            float, {int(digit): confidence for digit, confidence in found["confidence"].items()}
        )
        for name in ("errors", "versions"):
            found[name] = Counter(found[name])
        if facts.pop("rows") != (summary := Summary(**found)).rows:
            raise ValueError("its counts do not add up")
        return cls(**(facts | {"summary": summary, "skipped": Skipped.of(facts["skipped"])}))


@dataclass(frozen=True)
class Failure:
    """An attempt at a shard that failed. A marker makes it out of date.

    Attributes:
        shard: its number.
        host: where it was tried.
        reason: for people.
        time: when, for people.
        attempts: how many failed so far.
    """

    shard: int
    host: str
    reason: str
    time: str
    attempts: int


def marker_name(number: int) -> str:
    """Where the marker of a shard is."""
    return f"done/{number:05}.json"


def failure_name(number: int) -> str:
    """Where the last failed attempt at a shard is noted."""
    return f"failed/{number:05}.json"


def read_marker(folder: JobFolder, planned: Planned, number: int) -> Marker | None:
    """The marker of a shard, if it is of this job and its part is there in its size. Raises OSError."""
    try:
        marker = Marker.of(folder.read(marker_name(number)))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    is_right = (marker.job, marker.shard) == (planned.id, number) and folder.size(marker.part) == marker.size
    return marker if is_right else None


def read_failure(folder: JobFolder, number: int) -> Failure | None:
    """The last failed attempt at a shard, if there is one. Raises OSError."""
    try:
        facts: dict[str, Any] = json.loads(folder.read(failure_name(number)))
        return Failure(**facts)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def read_markers(folder: JobFolder, planned: Planned) -> Iterator[Marker | None]:
    """The markers of all shards, in their order. As `read_marker`."""
    return _in_order(partial(read_marker, folder, planned), planned.shards, folder.readers)


def read_states(folder: JobFolder, planned: Planned) -> Iterator[Marker | Failure | None]:
    """Of each shard its marker, or else how its last attempt failed, if any did. Raises OSError."""

    def read(number: int) -> Marker | Failure | None:
        return read_marker(folder, planned, number) or read_failure(folder, number)

    return _in_order(read, planned.shards, folder.readers)


def _in_order(read: Callable[[int], _Found], count: int, readers: int) -> Iterator[_Found]:
    """What is read for each shard, by so many threads, a few shards ahead of their turn."""
    if readers == 1:
        yield from map(read, range(count))
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a job in a folder starts without it

    threads = ThreadPoolExecutor(readers)
    coming: deque[Future[_Found]] = deque()
    try:
        for number in range(count):
            coming.append(threads.submit(read, number))
            if len(coming) == 2 * readers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        # A store that is away keeps a request for long: nobody waits for it after Ctrl-C.
        threads.shutdown(wait=False, cancel_futures=True)


def note_failure(folder: JobFolder, number: int, host: str, reason: str) -> None:
    """Write down that an attempt failed. Raises OSError."""
    before = read_failure(folder, number)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    failure = Failure(number, host, reason, now, 1 + (0 if before is None else before.attempts))
    folder.put(failure_name(number), json.dumps(asdict(failure), indent=2).encode() + b"\n")
