"""A job's shards on a Spark cluster: one Spark job of one task for each shard."""

import itertools
import os
import queue
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from batch.cluster.engines.attempt import MOST_AT_ONCE, Account, ClusterError, Errand, Outcome, one_line
from batch.cluster.local import ShowRows, Tell
from batch.cluster.shard import Asking, Notify
from exporter.command import UserError, require_extra

_CONNECT_S = 15.0
_LOOK_EVERY_S = 15.0  # while no shard ends
_MOST_MOVES = 5
"""How often executors on which a shard has failed may hand it back."""
_MOST_FRUITLESS = 3
"""Spark jobs that fail one after the other without ending a single shard: it is not the shards' fault."""

# How Spark names the task that has failed for good, and the last machine on which it did.
_CULPRIT = re.compile(r"Task (\d+) in stage \S+ failed \d+ times")
_LOST = re.compile(r"most recent failure: .*?\((\S+) executor \S+\): (.*)")
_NO_DIGITS = "No module named 'batch'"
_PYTHON_ERROR = re.compile(r"^[\w.]+(?:Error|Exception|Exit)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Spark:
    """How the Spark engine works.

    Attributes:
        master: URL of the cluster's master; None for the one that spark-submit was given.
        attempts: how often a shard is tried.
    """

    master: str | None
    attempts: int


def run_spark(
    job: str,
    numbers: Iterable[int],
    asking: Asking,
    tell: Tell,
    how: Spark,
    *,
    notify: Notify = lambda _: None,
    show: ShowRows = lambda _rows, _errors: None,
) -> None:
    """Answer shards on a Spark cluster.

    A shard that fails is tried again after the others, on an executor where it has not failed if there is one. Shards
    of an executor that dies are started again elsewhere by Spark; one over which several die counts as failed.

    Args:
        job: the job's folder or URL, as the workers name it.
        numbers: of the shards.
        asking: how each worker reaches the model.
        tell: told of each shard as it ends.
        how: which cluster, and how often a shard is tried.
        notify: told in one line what the user should know while it goes.
        show: told of rows as they are answered.

    Raises:
        UserError: PySpark or Java is not installed, or there can be no such master.
        ClusterError: the master cannot be reached, or the cluster ends the job.
    """
    require_extra("spark", "pyspark")
    if how.master is not None:
        _require_java()
        _reach(how.master, min(asking.timeout, _CONNECT_S))
        # Workers take the Python of this name; python3 is hardly ever the one that has digits.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    context = _connect(job, how.master)
    try:
        run = _Run(context, Errand.of(job, asking), Account(how.attempts, tell, notify, show))
        waiting = iter(numbers)
        while some := list(itertools.islice(waiting, MOST_AT_ONCE)):
            run.run(some)
    finally:
        # Its Java machine may have gone.
        with suppress(Exception):
            context.stop()


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None) is None:
        raise UserError("Spark needs Java 17 or newer, and there is no java: install a JRE, or set JAVA_HOME")


def _reach(master: str, seconds: float) -> None:
    """Find out whether a standalone master listens; Spark itself tries for a minute, then ends with a stack trace."""
    if not master.startswith("spark://"):
        return
    deadline = time.monotonic() + seconds
    while True:
        for address in master.removeprefix("spark://").split(","):
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal():
                raise UserError(f"--master {master}: wanted is spark://HOST:PORT, such as spark://HOST:7077")
            try:
                with socket.create_connection((host.strip("[]"), int(port)), timeout=max(1.0, seconds / 3)):
                    return
            except OSError as error:
                reason = error.strerror or str(error)
        if time.monotonic() > deadline:
            raise ClusterError(f"there is no Spark master at {master}: {reason}")
        time.sleep(0.5)


def _connect(job: str, master: str | None) -> Any:  # noqa: ANN401 - PySpark is an extra
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - the same
    from pyspark.errors import PySparkException  # noqa: PLC0415 - the same

    conf = SparkConf().setAppName(f"digits-job {job}").set("spark.ui.showConsoleProgress", "false")
    if master is not None:
        conf = conf.setMaster(master)
    try:
        context = SparkContext(conf=conf)
    except PySparkException as error:
        raise ClusterError(f"Spark does not start: {one_line(error)}") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "py4j":
            raise
        raise ClusterError(f"Spark does not start at {master}: {_reason(error)}") from None
    # Its warnings are stack traces of faults that we tell in a line.
    context.setLogLevel("ERROR")
    return context


@dataclass(frozen=True)
class _Shard:
    """A shard that is left.

    Attributes:
        number: of the shard.
        failed_at: the executors on which it has failed.
        moves: how often these have handed it back since it failed last.
    """

    number: int
    failed_at: tuple[str, ...] = ()
    moves: int = 0


# Of a shard of this number: what came of it; None where an executor on which it has failed has handed it back.
_Message = tuple[int, Outcome | None]


class _Mailbox:
    """The value of an accumulator where the shards are counted: hands on each message as it comes."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[_Message | Exception | None] = queue.SimpleQueue()

    def extend(self, messages: list[_Message]) -> None:
        for message in messages:
            self.messages.put(message)


class _Messages:
    """How messages accumulate. Spark counts those of each task once, however often it had to start the task."""

    def zero(self, _value: object) -> list[_Message]:
        return []

    def addInPlace(self, value: Any, messages: list[_Message]) -> Any:  # noqa: ANN401, N802 - Spark's interface
        value.extend(messages)
        return value


@dataclass(frozen=True)
class _Task:
    """What runs on the workers, with all that they need to know."""

    errand: Errand
    messages: Any

    def __call__(self, shards: Iterator[_Shard]) -> None:
        place = f"{socket.gethostname()}:{os.getcwd()}"  # noqa: PTH109 - each executor has a folder of its own
        for shard in shards:
            is_elsewhere = place not in shard.failed_at or shard.moves >= _MOST_MOVES
            outcome = self.errand.attempt(shard.number, place) if is_elsewhere else None
            self.messages.add([(shard.number, outcome)])


class _GivenUpError(Exception):
    """A Spark job failed, for the sake of the shard of this number if there is one."""

    def __init__(self, reason: str, number: int | None) -> None:
        super().__init__(reason)
        self.number = number


class _Run:
    """Shards in rounds: each round is a Spark job over those that are left.

    Args:
        context: the cluster.
        errand: what the workers are to do.
        account: where outcomes are counted.
    """

    def __init__(self, context: Any, errand: Errand, account: Account) -> None:  # noqa: ANN401 - PySpark is an extra
        self._context = context
        self._errand = errand
        self._account = account
        self._is_waiting_told = False

    def run(self, numbers: list[int]) -> None:
        """Have all these shards end."""
        left = {number: _Shard(number) for number in numbers}
        fruitless = 0
        while left:
            before = len(left)
            again: dict[int, _Shard] = {}
            failure: _GivenUpError | None = None
            try:
                for number, outcome in self._round(list(left.values())):
                    shard = left.pop(number)
                    if outcome is None:
                        again[number] = replace(shard, moves=shard.moves + 1)
                    elif not self._account.ends(number, outcome, len(shard.failed_at)):
                        again[number] = _Shard(number, (*shard.failed_at, outcome.place))
            except _GivenUpError as error:
                failure = error
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless == _MOST_FRUITLESS or (failure is not None and failure.number is None):
                raise ClusterError(f"Spark ended the job: {failure or 'it says nothing of its tasks'}")
            if failure is not None and failure.number is not None:
                # Spark has tried it several times already.
                del left[failure.number]
                self._account.ends(failure.number, Outcome("", str(failure), is_final=True), 0)
            left |= again

    def _round(self, shards: list[_Shard]) -> Iterator[_Message]:
        """Run one Spark job, a task for each shard. Raises _GivenUpError if it fails."""
        mailbox = _Mailbox()
        task = _Task(self._errand, self._context.accumulator(mailbox, _Messages()))

        def work() -> None:
            try:
                self._context.parallelize(shards, len(shards)).foreachPartition(task)
            except Exception as error:  # noqa: BLE001 - is raised below, where somebody waits for it
                mailbox.messages.put(error)
            else:
                mailbox.messages.put(None)

        threading.Thread(target=work, daemon=True).start()
        while isinstance(message := self._next(mailbox), tuple):
            yield message
        if message is not None:
            culprit = _CULPRIT.search(str(getattr(message, "java_exception", "")))
            raise _GivenUpError(_reason(message), None if culprit is None else shards[int(culprit[1])].number)

    def _next(self, mailbox: _Mailbox) -> _Message | Exception | None:
        while True:
            try:
                return mailbox.messages.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                # What the Java machine has no answer to, the thread that waits for it tells.
                with suppress(Exception):
                    self._look()

    def _look(self) -> None:
        """Look what is wrong while no shard ends."""
        # Not in Python's API. The driver is in the list, too.
        executors = self._context._jsc.sc().getExecutorMemoryStatus().size() - 1  # noqa: SLF001 - as said
        if not self._is_waiting_told and not executors:
            self._is_waiting_told = True
            self._account.notify(
                f"{self._context.master} has given no executor yet: waiting for one. Are its workers free, and large "
                "enough for spark.executor.memory and spark.executor.cores?"
            )


def _reason(error: BaseException) -> str:
    """What a stack trace of Java's, and one of Python's in it, come to in one line."""
    if isinstance(error, OSError):
        return "its Java machine has gone"
    text = str(getattr(error, "java_exception", None) or error)
    lost = _LOST.search(text)
    place = f" (on {lost[1]})" if lost else ""
    # Java's own traces have the class first, and are indented after that.
    of_python = [line for line in _PYTHON_ERROR.findall(text) if not line.startswith(("org.", "java."))]
    line = of_python[-1] if of_python else (lost[2] if lost else text.partition("\n")[0])
    remedy = "; install digits on all workers, in the Python that PYSPARK_PYTHON names" if _NO_DIGITS in line else ""
    return re.sub(r"^(?:org|java)\.[\w.$]+: ", "", line).partition(". Consider ")[0] + place + remedy
