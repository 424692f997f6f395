"""The flags of digits-serve with their help, spelled as TensorFlow Serving spells them."""

from pathlib import Path
from typing import Annotated

import typer

_LONGEST_WAIT_SECONDS = 1e6
BOOLEANS: list[str] = []
"""Flags that take =true and =false, or no value at all."""


def _boolean(flag: str, text: str) -> typer.models.OptionInfo:
    BOOLEANS.append(flag)
    option: typer.models.OptionInfo = typer.Option(f"{flag}/{flag.replace('--', '--no-', 1)}", help=text)
    return option


Port = Annotated[int, typer.Option("--port", help="TCP port for gRPC. 0: do not listen on TCP.", min=0, max=65535)]
Host = Annotated[str, typer.Option("--host", help="Address to listen on. 0.0.0.0: all addresses.")]
GrpcSocketPath = Annotated[
    Path | None, typer.Option("--grpc_socket_path", help="Unix socket for gRPC, in addition to --port.")
]
GrpcChannelArguments = Annotated[
    str,
    typer.Option(
        "--grpc_channel_arguments", help="Arguments of the gRPC server: name=value,name=value.", show_default="none"
    ),
]
SslConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--ssl_config_file", help="File with an SSLConfig in text form, which holds PEM texts. Turns on TLS on --port."
    ),
]
EnableGrpcHealthcheckService = Annotated[
    bool,
    _boolean(
        "--enable_grpc_healthcheck_service",
        "gRPC health service. It is always on, and says SERVING when all models serve.",
    ),
]
MaxRequestBytes = Annotated[
    int, typer.Option("--max_request_bytes", help="Largest request in bytes, for gRPC and REST.", min=1, max=2**31 - 1)
]
RestApiPort = Annotated[int, typer.Option("--rest_api_port", help="TCP port for REST. 0: no REST.", min=0, max=65535)]
RestApiTimeoutInMs = Annotated[
    int, typer.Option("--rest_api_timeout_in_ms", help="Longest time a REST request may take, in milliseconds.", min=1)
]
RestApiNumThreads = Annotated[
    int | None,
    typer.Option(
        "--rest_api_num_threads",
        help="Most REST requests that run at a time.",
        min=1,
        show_default="4 x CPUs; 256 with batching",
    ),
]
RestApiEnableCorsSupport = Annotated[
    bool,
    _boolean("--rest_api_enable_cors_support", "Let web pages of any origin call the REST API: send CORS headers."),
]
Web = Annotated[
    bool,
    _boolean("--web", "With --rest_api_port: answer / with a page that reads digits people draw or choose."),
]
MonitoringConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--monitoring_config_file", help="File with a MonitoringConfig in text form. Serves metrics on --rest_api_port."
    ),
]
AccessLogFile = Annotated[
    Path | None,
    typer.Option("--access_log", help="Write one JSON object per request to this file. -: standard output."),
]
TensorflowSessionParallelism = Annotated[
    int,
    typer.Option(
        "--tensorflow_session_parallelism", help="Threads that TensorFlow uses. 0: TensorFlow decides.", min=0
    ),
]
TensorflowIntraOpParallelism = Annotated[
    int,
    typer.Option(
        "--tensorflow_intra_op_parallelism",
        help="Threads within one operation. 0: as --tensorflow_session_parallelism.",
        min=0,
    ),
]
TensorflowInterOpParallelism = Annotated[
    int,
    typer.Option(
        "--tensorflow_inter_op_parallelism", help="Operations at a time. 0: as --tensorflow_session_parallelism.", min=0
    ),
]
ModelName = Annotated[str, typer.Option("--model_name", help="Name by which clients ask for the model.")]
ModelBasePath = Annotated[
    str,
    typer.Option(
        "--model_base_path",
        help="Folder that holds the numbered version folders: a path or a file:// URI.",
        show_default="the shipped model",
    ),
]
ModelConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--model_config_file",
        help="File with a ModelServerConfig in text form: several models, version policies, labels. Replaces "
        "--model_name and --model_base_path.",
    ),
]
ModelConfigFilePollWaitSeconds = Annotated[
    float,
    typer.Option(
        "--model_config_file_poll_wait_seconds",
        help="Seconds between two reads of --model_config_file. 0: read it once.",
        min=0,
        max=_LONGEST_WAIT_SECONDS,
    ),
]
AllowVersionLabelsForUnavailableModels = Annotated[
    bool,
    _boolean(
        "--allow_version_labels_for_unavailable_models",
        "Allow a new label to name a version that is not AVAILABLE yet. Needed for labels in the first configuration.",
    ),
]
FileSystemPollWaitSeconds = Annotated[
    float,
    typer.Option(
        "--file_system_poll_wait_seconds",
        help="Seconds between two looks for new versions. 0: look once.",
        min=0,
        max=_LONGEST_WAIT_SECONDS,
    ),
]
MaxNumLoadRetries = Annotated[
    int,
    typer.Option(
        "--max_num_load_retries",
        help="How often to retry a version that failed to load. A version whose files change is retried at once.",
        min=0,
    ),
]
LoadRetryIntervalMicros = Annotated[
    int, typer.Option("--load_retry_interval_micros", help="Microseconds between two such retries.", min=0)
]
NumLoadThreads = Annotated[int, typer.Option("--num_load_threads", help="Versions to load at a time. 0: one.", min=0)]
EnableModelWarmup = Annotated[
    bool,
    _boolean("--enable_model_warmup", "Replay a version's warm-up requests before it serves."),
]
EnableBatching = Annotated[bool, _boolean("--enable_batching", "Merge concurrent requests into batches.")]
BatchingParametersFile = Annotated[
    Path | None,
    typer.Option(
        "--batching_parameters_file",
        help="With --enable_batching: file with BatchingParameters in text form.",
    ),
]
GrpcMaxThreads = Annotated[
    int | None,
    typer.Option(
        "--grpc_max_threads",
        help="Most gRPC requests that run at a time, one thread each.",
        min=1,
        show_default="4 x CPUs",
    ),
]
ExitOnStdinEof = Annotated[
    bool,
    _boolean(
        "--exit_on_stdin_eof",
        "Stop when standard input ends, and remove the socket's folder. For a parent process that holds the pipe.",
    ),
]
