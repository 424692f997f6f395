"""A job's shards on a Dask cluster: one task for each, whose result is the shard's error or nothing."""

import logging
import queue
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from batch.cluster.engines.attempt import MOST_AT_ONCE, Account, ClusterError, Errand, Outcome, one_line
from batch.cluster.local import ShowRows, Tell
from batch.cluster.shard import Asking, Notify
from exporter.command import UserError, require_extra

_CONNECT_S = 15.0
_LOOK_EVERY_S = 5.0  # while no shard ends


@dataclass(frozen=True)
class Dask:
    """How the Dask engine works.

    Attributes:
        scheduler: its address.
        attempts: how often a shard is tried.
    """

    scheduler: str
    attempts: int


def run_dask(
    job: str,
    numbers: Iterable[int],
    asking: Asking,
    tell: Tell,
    how: Dask,
    *,
    notify: Notify = lambda _: None,
    show: ShowRows = lambda _rows, _errors: None,
) -> None:
    """Answer shards on a Dask cluster.

    A shard that fails is tried again, on a worker where it has not failed if there is one. Shards of a worker that dies
    are started again elsewhere by Dask; one over which several workers die counts as failed.

    Args:
        job: the job's folder or URL, as the workers name it.
        numbers: of the shards.
        asking: how each worker reaches the model.
        tell: told of each shard as it ends.
        how: which cluster, and how often a shard is tried.
        notify: told in one line what the user should know while it goes.
        show: told of rows as they are answered.

    Raises:
        UserError: Dask is not installed, or there can be no such scheduler.
        ClusterError: the scheduler cannot be reached, or has gone.
    """
    require_extra("dask", "distributed")
    client = _connect(how.scheduler, min(asking.timeout, _CONNECT_S))
    try:
        _Run(client, Errand.of(job, asking), Account(how.attempts, tell, notify, show)).run(numbers)
    finally:
        # What is under way ends by itself; what waits on the scheduler is dropped.
        client.close()


def _connect(scheduler: str, seconds: float) -> Any:  # noqa: ANN401 - Dask has no types to speak of
    from distributed import Client  # noqa: PLC0415 - an extra, and slow to import

    # What it logs is told here, or put right.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            with warnings.catch_warnings():
                # Of versions that differ between here and there: what does not work says so itself.
                warnings.simplefilter("ignore")
                answers.put(Client(scheduler, timeout=seconds, set_as_default=False))
        except Exception as error:  # noqa: BLE001 - is raised below
            answers.put(error)

    # With something else at that port, which says nothing, it would wait without end.
    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds + _LOOK_EVERY_S)
    except queue.Empty:
        answer = TimeoutError("what listens there does not answer as one")
    if isinstance(answer, ValueError):
        raise UserError(f"--scheduler {scheduler}: {answer}")
    if isinstance(answer, Exception):
        raise ClusterError(f"there is no Dask scheduler at {scheduler}: {answer}")
    return answer


class _Run:
    """The shards under way.

    Args:
        client: of the cluster.
        errand: what the workers are to do.
        account: where outcomes are counted.
    """

    def __init__(self, client: Any, errand: Errand, account: Account) -> None:  # noqa: ANN401 - as above
        self._client = client
        self._scheduler = client.scheduler.addr
        self._errand = errand
        self._account = account
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._shards: dict[Any, int] = {}
        self._failed_at: dict[int, list[str]] = {}
        self._elsewhere: set[Any] = set()
        self._is_waiting_told = False

    def run(self, numbers: Iterable[int]) -> None:
        """Submit shards as others end, until none is left."""
        for number in numbers:
            self._submit(number)
            self._settle(at_most=MOST_AT_ONCE - 1)
        self._settle(at_most=0)

    def _settle(self, *, at_most: int) -> None:
        """Take what comes of shards, until at most so many are under way."""
        while len(self._shards) > at_most or not self._ended.empty():
            try:
                future = self._ended.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                self._look()
                continue
            if future in self._shards:
                self._take(future)

    def _submit(self, number: int, workers: Iterable[str] = ()) -> None:
        options = {"workers": list(workers), "allow_other_workers": True} if workers else {}
        # Not pure: the same shard again is another task.
        with self._at_scheduler():
            future = self._client.submit(_on_worker, self._errand, number, pure=False, **options)
        self._shards[future] = number
        if workers:
            self._elsewhere.add(future)
        future.add_done_callback(self._ended.put)

    def _take(self, future: Any) -> None:  # noqa: ANN401 - as above
        """Take what came of a shard: tell of it, or submit it once more."""
        if future.status == "pending":
            # Its worker died before the result was fetched, so that Dask has started it again.
            future.add_done_callback(self._ended.put)
            return
        number = self._shards.pop(future)
        self._elsewhere.discard(future)
        outcome = self._outcome(future)
        failed_at = self._failed_at.pop(number, [])
        if not self._account.ends(number, outcome, len(failed_at)):
            self._failed_at[number] = failed_at = [*failed_at, outcome.place]
            self._submit(number, [worker for worker in self._workers() if worker not in failed_at])

    def _outcome(self, future: Any) -> Outcome:  # noqa: ANN401 - as above
        from distributed import CancelledError, KilledWorker  # noqa: PLC0415 - as above

        try:
            outcome: Outcome = future.result()
        except CancelledError:
            raise self._gone() from None
        except KilledWorker as error:
            place = error.last_worker.address
            return Outcome(place, f"worker after worker died over it, the last at {place}")
        except Exception as error:  # noqa: BLE001 - of any kind, such as of a worker that has no digits
            return Outcome("", one_line(error))
        return outcome

    def _look(self) -> None:
        """Look what is wrong while no shard ends."""
        if not self._workers():
            if not self._is_waiting_told:
                self._account.notify(f"the Dask scheduler at {self._scheduler} has no workers: waiting for one")
            self._is_waiting_told = True
            return
        # Dask forgets that other workers are allowed if all are gone when a task becomes ready, and gives the task to
        # nobody.
        with self._at_scheduler():
            given = {key for keys in self._client.processing().values() for key in keys}
        for future in [future for future in self._elsewhere if not future.done() and future.key not in given]:
            self._elsewhere.discard(future)
            self._submit(self._shards.pop(future))
            future.cancel()

    def _workers(self) -> list[str]:
        with self._at_scheduler():
            return list(self._client.nthreads())

    @contextmanager
    def _at_scheduler(self) -> Iterator[None]:
        """Turn what is raised when there is no scheduler any more into ClusterError."""
        try:
            yield
        except Exception as error:
            # Its class differs from call to call.
            if isinstance(error, OSError) or self._client.status != "running":
                raise self._gone() from None
            raise

    def _gone(self) -> ClusterError:
        return ClusterError(f"the Dask scheduler at {self._scheduler} has gone")


def _on_worker(errand: Errand, number: int) -> Outcome:
    """Answer a shard on a worker."""
    from distributed import get_worker  # noqa: PLC0415 - runs on workers

    return errand.attempt(number, get_worker().address)
