"""The options that digits-job has besides those of digits-batch, with their help."""

from enum import StrEnum
from typing import Annotated

import typer

from batch.client.window import MAX_REQUEST_BYTES
from batch.flags import What, option

DEFAULT_SHARD_FILES: dict[What, int] = {"digits": 100_000, "numbers": 5_000}
"""A few seconds to a minute of work: little is done again after a fault, and 10^9 files make 10,000 shards. A field of
several digits takes some hundred times as long as a digit; one shard has fewer of them."""

DEFAULT_ATTEMPTS = 3

JobPath = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="The job's folder, or a URL in an object store, which all workers can write.",
        show_default=False,
    ),
]

_SHARDS = "Shards"
ShardFiles = Annotated[
    int | None,
    option(
        _SHARDS,
        "--shard-files",
        f"Most images in a shard. Default: {DEFAULT_SHARD_FILES['digits']}, with --read numbers "
        f"{DEFAULT_SHARD_FILES['numbers']}.",
        min=1,
    ),
]
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


class EngineName(StrEnum):
    """What runs the workers of a job."""

    LOCAL = "local"
    DASK = "dask"
    SPARK = "spark"


_ENGINE = "Engine"
Engine = Annotated[
    EngineName,
    option(
        _ENGINE,
        "--engine",
        "What runs the workers: processes of this machine, a Dask cluster (dask extra), or a Spark cluster (spark "
        "extra).",
    ),
]
Workers = Annotated[
    int | None,
    option(_ENGINE, "--workers", "Processes of --engine local. Default: one for each core.", metavar="N", min=1),
]
Scheduler = Annotated[
    str | None,
    option(_ENGINE, "--scheduler", "The scheduler of --engine dask: tcp://HOST:8786.", metavar="URL"),
]
Master = Annotated[
    str | None,
    option(
        _ENGINE,
        "--master",
        "The cluster of --engine spark: spark://HOST:7077, yarn or k8s://URL. Leave it out under spark-submit, which "
        "names it.",
        metavar="URL",
    ),
]
Attempts = Annotated[
    int, option(_ENGINE, "--attempts", "How often a failing shard is tried before it is reported.", metavar="N", min=1)
]
IsInProcess = Annotated[
    bool,
    option(
        _ENGINE,
        "--in-process",
        "Each worker loads the model itself, and asks no server. Needs the serve extra.",
    ),
]
SavedModel = Annotated[
    str | None,
    option(
        _ENGINE,
        "--saved-model",
        "With --in-process: the SavedModel, a folder named by its version or the one above. Default: the included "
        "model.",
        metavar="FOLDER",
    ),
]

_OUTPUT = "Output"
Out = Annotated[
    str,
    option(
        _OUTPUT,
        "--out",
        "The table: .csv, .jsonl or .parquet; or a folder, or a name that ends with a slash, for a CSV part of each "
        "shard.",
        metavar="FILE|FOLDER",
    ),
]
AsJson = Annotated[bool, option(_OUTPUT, "--json", "Print JSON.")]
