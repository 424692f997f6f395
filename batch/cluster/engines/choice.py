"""Which engine answers the shards of a job, and which of the options fit it."""

import os
from collections.abc import Iterable
from functools import partial
from typing import Protocol

from batch.cluster.local import Local, ShowRows, Tell, run_local
from batch.cluster.shard import Asking, Notify
from batch.formats.pool import cores
from exporter.command import UserError

_SUBMITTED = "PYSPARK_GATEWAY_PORT"  # set by spark-submit, which knows the master


class Run(Protocol):
    """An engine, ready to answer shards."""

    def __call__(
        self, job: str, numbers: Iterable[int], asking: Asking, tell: Tell, *, notify: Notify, show: ShowRows
    ) -> None:
        """Answer shards; `run_local` has it in full."""


def choose(
    engine: str, asking: Asking, attempts: int, *, workers: int | None, scheduler: str | None, master: str | None
) -> Run:
    """Make an engine of the options. Imports Dask and Spark only if asked for.

    Raises:
        UserError: the options do not fit.
    """
    given = {"--workers": ("local", workers), "--scheduler": ("dask", scheduler), "--master": ("spark", master)}
    for flag, (owner, value) in given.items():
        if value is not None and owner != engine:
            raise UserError(f"{flag} works only with --engine {owner}, not with --engine {engine}: leave one out")
    if engine == "local":
        return partial(run_local, how=Local(workers or cores(), attempts))
    if not asking.servers and asking.saved_model is None:
        raise UserError(
            f"--engine {engine} needs --server HOST:PORT, as the workers reach it, or --in-process: on a cluster "
            "nobody else says where the model is"
        )
    if engine == "dask":
        if scheduler is None:
            raise UserError("--scheduler is missing: name the cluster, such as --scheduler tcp://HOST:8786")
        from batch.cluster.engines.dask import Dask, run_dask  # noqa: PLC0415 - only if asked for

        return partial(run_dask, how=Dask(scheduler, attempts))
    if master is None and _SUBMITTED not in os.environ:
        raise UserError("--master is missing: name the cluster, such as --master spark://HOST:7077")
    from batch.cluster.engines.spark import Spark, run_spark  # noqa: PLC0415 - only if asked for

    return partial(run_spark, how=Spark(master, attempts))
