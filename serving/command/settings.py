"""What the command line says: the flags of digits-serve, by their own names."""

from dataclasses import dataclass
from pathlib import Path

import grpc

from serving.predict.batching.parameters import BatchingParameters


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Values of the flags of the same names; None where a flag was not given."""

    host: str
    port: int
    """0: no TCP."""
    grpc_socket_path: Path | None
    grpc_channel_arguments: list[tuple[str, int | str]]
    credentials: grpc.ServerCredentials | None
    """Of --ssl_config_file."""
    max_request_bytes: int
    rest_api_port: int
    """0: no REST."""
    rest_api_timeout_in_ms: int
    rest_api_num_threads: int
    rest_api_enable_cors_support: bool
    web: bool
    metrics_path: str | None
    """Of --monitoring_config_file; None where metrics are not enabled."""
    access_log: Path | None
    tensorflow_intra_op_parallelism: int
    """Or --tensorflow_session_parallelism. 0: as TensorFlow likes."""
    tensorflow_inter_op_parallelism: int
    """The same."""
    model_name: str
    model_base_path: Path
    model_config_file: Path | None
    """In the place of the two above."""
    model_config_file_poll_wait_seconds: float
    """0: read once."""
    allow_version_labels_for_unavailable_models: bool
    file_system_poll_wait_seconds: float
    max_num_load_retries: int
    load_retry_interval_micros: int
    num_load_threads: int
    enable_model_warmup: bool
    batching: BatchingParameters | None
    """Of --batching_parameters_file; None without --enable_batching."""
    grpc_max_threads: int
    exit_on_stdin_eof: bool
