"""One attempt at a shard, on whatever machine a cluster chose for it."""

import socket
from dataclasses import dataclass
from pathlib import Path

from batch.cluster.local import ShardFailedError, ShowRows, Tell
from batch.cluster.shard import Asking, Notify, reason_of, run_shard
from exporter.command import UserError

MOST_AT_ONCE = 10_000
"""Shards that a cluster holds at a time: enough for any cluster, and little memory where they are counted."""


class ClusterError(UserError):
    """A cluster does not do its part; the shards that are done stay done."""

    exit_code = 3


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt; this travels back.

    Attributes:
        place: the worker.
        reason: why it failed, in one line; None if it did not.
        rows: that are answered.
        errors: how many of them carry an error.
        is_final: whether another attempt is of no use.
    """

    place: str
    reason: str | None
    rows: int = 0
    errors: int = 0
    is_final: bool = False


@dataclass(frozen=True)
class Errand:
    """What the workers of a cluster are to do, but for the number of the shard; this travels to them.

    Attributes:
        job: the job's folder or URL, as it is named wherever the workers are.
        asking: how the workers reach the model; its secrets are in no setting and on no command line.
    """

    job: str
    asking: Asking

    @classmethod
    def of(cls, job: str, asking: Asking) -> "Errand":
        """For a job that may be named from here."""
        return cls(job if "://" in job else str(Path(job).absolute()), asking)

    def attempt(self, number: int, place: str) -> Outcome:
        """Answer a shard. A failure is not raised: a cluster that sees one throws away more than that shard."""
        try:
            summary = run_shard(self.job, number, self.asking).summary
        except (UserError, OSError) as error:
            reason = reason_of(error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours is to be seen where the shards are counted
            reason = one_line(error)
        else:
            return Outcome(place, None, summary.rows, summary.errors.total())
        return Outcome(place, f"{reason} (on {socket.gethostname()})")


@dataclass(frozen=True)
class Account:
    """Where outcomes are counted.

    Attributes:
        attempts: how often a shard is tried.
        tell: told of each shard as it ends.
        notify: told in one line what the user should know while it goes.
        show: told of rows as they are answered.
    """

    attempts: int
    tell: Tell
    notify: Notify
    show: ShowRows

    def ends(self, number: int, outcome: Outcome, failures: int) -> bool:
        """Take the outcome of a shard that has failed so often before; return whether that was its last attempt."""
        if outcome.reason is None:
            self.show(outcome.rows, outcome.errors)
            self.tell(number, None)
            return True
        if outcome.is_final or failures + 1 >= self.attempts:
            self.tell(number, ShardFailedError(outcome.reason))
            return True
        self.notify(f"shard {number} will be tried again: {outcome.reason}")
        return False


def one_line(error: BaseException) -> str:
    """An error that was not meant for people, in one line."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
