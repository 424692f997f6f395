"""How far a job is, from its markers alone."""

import heapq
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

from batch.cluster.folder import open_folder
from batch.cluster.marker import Failure, Marker, read_states
from batch.cluster.planned import open_job

_LATEST = 64  # shards that the rate is taken from
_MOST_FAILURES = 20  # told one by one
_AT_REST_S = 600.0  # without a shard done, nobody seems to be at work


@dataclass
class Status:
    """How far a job is.

    Attributes:
        shards: how many there are.
        done: with their part of the table whole.
        missing: the others.
        failed: those of the missing whose last attempt failed.
        images: in all shards; each archive counts once.
        archives: among them.
        rows: of the shards that are done.
        errors: of these rows, by text.
        versions: of these rows, by version of the model.
        rate: images/s of all workers together, lately; None if nobody seems to be at work.
        seconds_left: at that rate; None likewise.
        failures: of the first shards that failed, how.
    """

    shards: int
    images: int
    archives: int
    done: int = 0
    missing: int = 0
    failed: int = 0
    rows: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    rate: float | None = None
    seconds_left: float | None = None
    failures: list[Failure] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {
            **vars(self),
            "errors": dict(self.errors.most_common()),
            "versions": dict(self.versions.most_common()),
            "failures": [asdict(failure) for failure in self.failures],
        }


def status_of(job: str) -> Status:
    """How far a job is. Raises UserError if there is none, OSError if it cannot be read."""
    folder = open_folder(job)
    planned = open_job(folder)
    status = Status(planned.shards, planned.files, planned.archives)
    # When each of the latest shards ended, how long it took, and its rows.
    latest: list[tuple[float, float, int]] = []
    for found in read_states(folder, planned):
        if not isinstance(found, Marker):
            status.missing += 1
            _add_failure(status, found)
            continue
        status.done += 1
        status.rows += found.summary.rows
        status.errors.update(found.summary.errors)
        status.versions.update(found.summary.versions)
        heapq.heappush(latest, (found.ended, found.summary.seconds, found.summary.rows))
        if len(latest) > _LATEST:
            heapq.heappop(latest)
    if status.missing and latest:
        _estimate(status, latest)
    return status


def _add_failure(status: Status, failure: Failure | None) -> None:
    if failure is None:
        return
    status.failed += 1
    if len(status.failures) < _MOST_FAILURES:
        status.failures.append(failure)


def _estimate(status: Status, latest: list[tuple[float, float, int]]) -> None:
    """Take the rate from the latest shards on end, back to when nobody was at work."""
    began = time.time()
    ended, rows = 0.0, 0
    for end, seconds, count in sorted(latest, reverse=True):
        if began - end > max(_AT_REST_S, 3 * seconds):
            break
        began = min(began, end - seconds)
        ended = max(ended, end)
        rows += count
    if rows:
        status.rate = rows / max(ended - began, 1e-3)
        # How many images archives hold is known only of those that are done.
        left = status.missing * status.rows / status.done if status.archives else status.images - status.rows
        status.seconds_left = left / status.rate
