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


Port = Annotated[int, typer.Option("--port", help="TCP port of gRPC; 0: no TCP.", min=0, max=65535)]
Host = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0: all.")]
GrpcSocketPath = Annotated[Path | None, typer.Option("--grpc_socket_path", help="Unix socket to listen on as well.")]
GrpcChannelArguments = Annotated[
    str,
    typer.Option("--grpc_channel_arguments", help="Of the gRPC server: name=value,name=value.", show_default="none"),
]
SslConfigFile = Annotated[
    Path | None,
    typer.Option("--ssl_config_file", help="SSLConfig in text form, PEM texts in it: TLS on --port, mutual if asked."),
]
EnableGrpcHealthcheckService = Annotated[
    bool, _boolean("--enable_grpc_healthcheck_service", "Always on: grpc.health.v1.Health, SERVING once models serve.")
]
MaxRequestBytes = Annotated[
    int, typer.Option("--max_request_bytes", help="Largest request, gRPC and REST.", min=1, max=2**31 - 1)
]
RestApiPort = Annotated[int, typer.Option("--rest_api_port", help="TCP port of REST; 0: none.", min=0, max=65535)]
RestApiTimeoutInMs = Annotated[
    int, typer.Option("--rest_api_timeout_in_ms", help="Longest time a REST request may take.", min=1)
]
RestApiNumThreads = Annotated[
    int | None,
    typer.Option(
        "--rest_api_num_threads", help="REST requests run at a time.", min=1, show_default="4 x CPUs; 256 with batching"
    ),
]
MonitoringConfigFile = Annotated[
    Path | None,
    typer.Option("--monitoring_config_file", help="MonitoringConfig in text form: metrics on --rest_api_port."),
]
AccessLogFile = Annotated[
    Path | None, typer.Option("--access_log", help="File for one JSON object per request; -: standard output.")
]
TensorflowSessionParallelism = Annotated[
    int, typer.Option("--tensorflow_session_parallelism", help="Threads of TensorFlow; 0: its own choice.", min=0)
]
TensorflowIntraOpParallelism = Annotated[
    int,
    typer.Option("--tensorflow_intra_op_parallelism", help="Threads of one operation; 0: as the flag above.", min=0),
]
TensorflowInterOpParallelism = Annotated[
    int,
    typer.Option("--tensorflow_inter_op_parallelism", help="Operations at a time; 0: as the same flag.", min=0),
]
ModelName = Annotated[str, typer.Option("--model_name", help="Name under which the model is served.")]
ModelBasePath = Annotated[
    Path, typer.Option("--model_base_path", help="Folder of numbered versions.", show_default="the shipped model")
]
ModelConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--model_config_file",
        help="ModelServerConfig in text form: several models, version policies, labels; instead of the two above.",
    ),
]
ModelConfigFilePollWaitSeconds = Annotated[
    float,
    typer.Option(
        "--model_config_file_poll_wait_seconds",
        help="Seconds between two looks at --model_config_file; 0: read once.",
        min=0,
        max=_LONGEST_WAIT_SECONDS,
    ),
]
AllowVersionLabelsForUnavailableModels = Annotated[
    bool,
    _boolean(
        "--allow_version_labels_for_unavailable_models",
        "A label that is not in use yet may name a version that is not AVAILABLE yet; for labels at the start.",
    ),
]
FileSystemPollWaitSeconds = Annotated[
    float,
    typer.Option(
        "--file_system_poll_wait_seconds",
        help="Seconds between two looks for new versions; 0: look once.",
        min=0,
        max=_LONGEST_WAIT_SECONDS,
    ),
]
MaxNumLoadRetries = Annotated[
    int,
    typer.Option(
        "--max_num_load_retries",
        help="How often a version that failed to load is tried again; at once when its files change.",
        min=0,
    ),
]
LoadRetryIntervalMicros = Annotated[
    int, typer.Option("--load_retry_interval_micros", help="Microseconds between two such tries.", min=0)
]
NumLoadThreads = Annotated[int, typer.Option("--num_load_threads", help="Versions loaded at a time; 0: one.", min=0)]
EnableModelWarmup = Annotated[
    bool,
    _boolean("--enable_model_warmup", "Replay a version's warm-up requests before it serves; also =true, =false."),
]
EnableBatching = Annotated[bool, _boolean("--enable_batching", "Merge concurrent requests into batches.")]
BatchingParametersFile = Annotated[
    Path | None,
    typer.Option(
        "--batching_parameters_file",
        help="With --enable_batching: BatchingParameters in text form; without one its defaults.",
    ),
]
GrpcMaxThreads = Annotated[
    int | None,
    typer.Option("--grpc_max_threads", help="Requests run at a time, one thread each.", min=1, show_default="4 x CPUs"),
]
ExitOnStdinEof = Annotated[
    bool,
    _boolean(
        "--exit_on_stdin_eof",
        "Stop when standard input ends, and remove the socket's folder: for a parent that holds the pipe.",
    ),
]
