"""One worker: which shards it answers, and in which order."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from batch.cluster.claims import Claims
from batch.cluster.folder import JobFolder, open_folder
from batch.cluster.manifest import ShardError
from batch.cluster.marker import Marker, read_marker
from batch.cluster.planned import open_job
from batch.cluster.reach import let_go
from batch.cluster.shard import Asking, Notify, missing, run_shard
from batch.engine import Listener
from exporter.command import UserError

_LOOK_EVERY_S = 1.0  # whether other workers are done, or gone

# Where each system says which of several workers this one is, counted from 0, or from what the second variable says.
_INDEX_VARIABLES = (
    ("JOB_COMPLETION_INDEX", ""),  # Kubernetes, Indexed Jobs
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", ""),
)


@dataclass(frozen=True)
class Share:
    """Every shard whose number leaves `index` when divided by `of`."""

    index: int
    of: int

    @classmethod
    def parse(cls, index: int | None, of: int | None, environment: Mapping[str, str]) -> "Share | None":
        """What --index and --of say; with --of alone, the index comes from the environment. None without both.

        Raises:
            UserError: one lacks the other, or they do not fit.
        """
        if of is None:
            if index is not None:
                raise UserError("--index needs --of: say how many workers there are")
            return None
        if index is None:
            index = _index_of(environment)
        if not 0 <= index < of:
            raise UserError(f"--index {index}: it counts from 0 to {of - 1} with --of {of}")
        return cls(index, of)


def _index_of(environment: Mapping[str, str]) -> int:
    for name, first in _INDEX_VARIABLES:
        try:
            return int(environment[name]) - int(environment.get(first, "0"))
        except KeyError:
            continue
        except ValueError:
            raise UserError(f"{name} is no number: give --index") from None
    names = ", ".join(name for name, _ in _INDEX_VARIABLES)
    raise UserError(f"--of needs --index, or one of the variables {names}")


@dataclass(frozen=True)
class Worked:
    """What a worker did.

    Attributes:
        done: its shards.
        failed: shards that could not be answered, with the reason.
    """

    done: int
    failed: dict[int, str]


def work(
    job: str,
    share: Share | None,
    asking: Asking,
    notify: Notify = lambda _: None,
    *,
    listeners: Sequence[Listener[Any]] = (),
    tell: Callable[[Marker], None] = lambda _: None,
) -> Worked:
    """Answer what is missing of a share, or of the whole job together with other workers.

    Args:
        job: the job's folder.
        share: the shards to answer; None for all that no other worker has claimed.
        asking: how to reach the model.
        notify: told in one line what the user should know while it goes.
        listeners: told of the answers.
        tell: told of each shard that is done.

    Raises:
        As `run_shard`, but for ShardError: the other shards are answered then.
    """
    folder = open_folder(job)
    failed: dict[int, str] = {}
    done = 0
    held: Callable[[int], AbstractContextManager[None]]
    if share is None:
        claims = Claims(folder)
        numbers = _unclaimed(folder, claims, failed)
        held = claims.held
    else:
        numbers = (number for number in missing(job) if number % share.of == share.index)
        held = _unheld
    try:
        for number in numbers:
            with held(number):
                try:
                    marker = run_shard(job, number, asking, notify, listeners=listeners)
                except ShardError as error:
                    failed[number] = str(error)
                    notify(str(error))
                    continue
            done += 1
            tell(marker)
    finally:
        let_go()
    return Worked(done, failed)


def _unheld(_number: int) -> AbstractContextManager[None]:
    return nullcontext()


def _unclaimed(folder: JobFolder, claims: Claims, failed: Mapping[int, str]) -> Iterator[int]:
    """Shards that are missing and that no other worker is at, until none is missing.

    Each worker begins somewhere else, so that they seldom want the same shard.
    """
    planned = open_job(folder)
    first = secrets.randbelow(planned.shards)
    left: Iterable[int] = (*range(first, planned.shards), *range(first))
    while left:
        others = []
        for number in left:
            if number in failed or read_marker(folder, planned, number) is not None:
                continue
            if claims.take(number):
                yield number
            else:
                others.append(number)
        left = others
        if left:
            time.sleep(_LOOK_EVERY_S)
