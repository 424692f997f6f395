"""The options that digits-job has besides those of digits-batch, with their help."""

from typing import Annotated

import typer

from batch.files.walk import MAX_REQUEST_BYTES
from batch.flags import option

DEFAULT_SHARD_FILES = 100_000
"""A few seconds to a minute of work: little is done again after a fault, and 10^9 files make 10,000 shards."""

JobPath = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's folder, which all workers can write.", show_default=False)
]

_SHARDS = "Shards"
ShardFiles = Annotated[int, option(_SHARDS, "--shard-files", "Most images in a shard.", min=1)]
ShardBytes = Annotated[
    int | None,
    option(_SHARDS, "--shard-bytes", "Most bytes of image files in a shard.", metavar="B", min=MAX_REQUEST_BYTES),
]

Index = Annotated[
    int | None,
    option(
        _SHARDS,
        "--index",
        "Answer only the shards of this worker, counted from 0. Without it, --of takes the index that Kubernetes "
        "Indexed Jobs, Slurm arrays and AWS Batch arrays give each worker.",
        metavar="I",
        min=0,
    ),
]
Of = Annotated[int | None, option(_SHARDS, "--of", "How many workers there are, with --index.", metavar="N", min=1)]
