"""Jobs for tests: planned without a command, and their tables read back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batch.client.tensors import Target
from batch.cluster.folder import open_folder
from batch.cluster.plan import plan_job
from batch.cluster.planned import Plan, Planned
from batch.cluster.shard import Asking, run_shard
from batch.files.walk import Walk
from batch.job import begin
from batch.table.output import Form

BATCH = 4


def write_files(folder: Path, count: int) -> Path:
    """Files whose last byte is their number, which a scripted server takes for their digit."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.png").write_bytes(b"png" + bytes([number % 251]))
    return folder


def plan(job: Path, *paths: Path | str, shard_files: int = 20, **options: Any) -> Planned:  # noqa: ANN401 - of Plan
    """Plan a job for version 1."""
    usual: dict[str, Any] = {"form": Form(), "folder": str(Path.cwd()), "batch_size": BATCH}
    walk = options.pop("walk", None) or Walk(tuple(map(str, paths)))
    target = options.pop("target", None) or Target("digits", "serving_default", options.pop("version", 1))
    return plan_job(
        open_folder(str(job)),
        Plan(walk, target=target, shard_files=shard_files, **usual | options),
        begin(walk, (), expands=False),
    )


def asking(*servers: str, **options: Any) -> Asking:  # noqa: ANN401 - of Asking
    """How to ask these servers, without much patience."""
    return Asking(servers, **{"timeout": 5.0} | options)


def answer_all(job: Path, planned: Planned, *servers: str) -> None:
    """Answer every shard."""
    for number in range(planned.shards):
        run_shard(str(job), number, asking(*servers))


def workers_of(process: int) -> Iterator[int]:
    """The worker processes that are children of a process."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and b"batch.cluster.worker" in (entry / "cmdline").read_bytes():
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == process:
                    yield int(entry.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
