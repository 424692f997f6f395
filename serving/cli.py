"""digits-serve: the built-in server, with the flags of TensorFlow Serving's tensorflow_model_server."""

import math
import os
import sys
from pathlib import Path

import typer

from exporter.command import UserError, VersionOption, require_extra, run
from exporter.contract import DEFAULT_PORT, MODEL_NAME
from serving.command import flags
from serving.command.inert_flags import drop_inert_flags
from serving.lifecycle.versions import local_folder

_SHIPPED_MODEL = Path(__file__).parent / "models" / MODEL_NAME
# Each REST request that waits for its batch holds a thread.
_BATCHING_THREADS = 256
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

# Plain help: in 80 columns the framed kind cuts the names of flags as long as these.
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def digits_serve(
    *,
    port: flags.Port = DEFAULT_PORT,
    host: flags.Host = "127.0.0.1",
    grpc_socket_path: flags.GrpcSocketPath = None,
    grpc_channel_arguments: flags.GrpcChannelArguments = "",
    ssl_config_file: flags.SslConfigFile = None,
    enable_grpc_healthcheck_service: flags.EnableGrpcHealthcheckService = True,
    max_request_bytes: flags.MaxRequestBytes = 2**31 - 1,
    rest_api_port: flags.RestApiPort = 0,
    rest_api_timeout_in_ms: flags.RestApiTimeoutInMs = 30_000,
    rest_api_num_threads: flags.RestApiNumThreads = None,
    rest_api_enable_cors_support: flags.RestApiEnableCorsSupport = False,
    web: flags.Web = True,
    monitoring_config_file: flags.MonitoringConfigFile = None,
    access_log: flags.AccessLogFile = None,
    tensorflow_session_parallelism: flags.TensorflowSessionParallelism = 0,
    tensorflow_intra_op_parallelism: flags.TensorflowIntraOpParallelism = 0,
    tensorflow_inter_op_parallelism: flags.TensorflowInterOpParallelism = 0,
    model_name: flags.ModelName = MODEL_NAME,
    model_base_path: flags.ModelBasePath = str(_SHIPPED_MODEL),
    model_config_file: flags.ModelConfigFile = None,
    model_config_file_poll_wait_seconds: flags.ModelConfigFilePollWaitSeconds = 0,
    allow_version_labels_for_unavailable_models: flags.AllowVersionLabelsForUnavailableModels = False,
    file_system_poll_wait_seconds: flags.FileSystemPollWaitSeconds = 1,
    max_num_load_retries: flags.MaxNumLoadRetries = 5,
    load_retry_interval_micros: flags.LoadRetryIntervalMicros = 60_000_000,
    num_load_threads: flags.NumLoadThreads = 0,
    enable_model_warmup: flags.EnableModelWarmup = True,
    enable_batching: flags.EnableBatching = False,
    batching_parameters_file: flags.BatchingParametersFile = None,
    grpc_max_threads: flags.GrpcMaxThreads = None,
    exit_on_stdin_eof: flags.ExitOnStdinEof = False,
    version: VersionOption = False,
) -> None:
    """Serve models over gRPC with TensorFlow Serving's API. Without arguments: the shipped model on port 8500.

    Flags have TensorFlow Serving's names. Boolean flags also take =true and =false.
    """
    del version  # its callback has acted
    require_extra(
        "serve", "tensorflow", "tensorflow_serving", "aiohttp", "grpc_health", "grpc_reflection", "prometheus_client"
    )
    for name, seconds in (
        ("file_system_poll_wait_seconds", file_system_poll_wait_seconds),
        ("model_config_file_poll_wait_seconds", model_config_file_poll_wait_seconds),
    ):
        if math.isnan(seconds):
            raise UserError(f"--{name}: nan is no number of seconds")
    if not model_name:
        raise UserError("--model_name is empty; give the name under which clients ask for the model")
    try:
        base_path = local_folder(model_base_path)
    except ValueError as error:
        raise UserError(f"--model_base_path: {error}") from None
    if base_path == _SHIPPED_MODEL and not model_config_file and not base_path.exists():
        raise UserError(f"the shipped model is not at {base_path}; reinstall digits or give a --model_base_path")

    if batching_parameters_file and not enable_batching:
        raise UserError("--batching_parameters_file is for --enable_batching; give both or neither")

    if not enable_grpc_healthcheck_service:
        raise UserError("--enable_grpc_healthcheck_service=false: the health service is always on; leave the flag out")
    if monitoring_config_file and not rest_api_port:
        raise UserError("--monitoring_config_file: metrics are served on the REST port; give a --rest_api_port, too")

    from serving.command.settings import Settings  # the same
    from serving.grpc_api.tls import parse_channel_arguments, read_credentials  # the same
    from serving.observability.monitoring import read_monitoring_config  # imports gRPC, the same
    from serving.predict.batching.parameters import (
        read_batching_parameters,  # imports protobuf, which --help does not need
    )
    from serving.server import serve  # the same

    threads = 4 * (os.cpu_count() or 1)

    serve(
        Settings(
            host=host,
            port=port,
            grpc_socket_path=grpc_socket_path,
            grpc_channel_arguments=parse_channel_arguments(grpc_channel_arguments),
            credentials=read_credentials(ssl_config_file),
            max_request_bytes=max_request_bytes,
            rest_api_port=rest_api_port,
            rest_api_timeout_in_ms=rest_api_timeout_in_ms,
            rest_api_num_threads=rest_api_num_threads or (_BATCHING_THREADS if enable_batching else threads),
            rest_api_enable_cors_support=rest_api_enable_cors_support,
            web=web,
            metrics_path=read_monitoring_config(monitoring_config_file),
            access_log=access_log,
            tensorflow_intra_op_parallelism=tensorflow_intra_op_parallelism or tensorflow_session_parallelism,
            tensorflow_inter_op_parallelism=tensorflow_inter_op_parallelism or tensorflow_session_parallelism,
            model_name=model_name,
            model_base_path=base_path,
            model_config_file=model_config_file,
            model_config_file_poll_wait_seconds=model_config_file_poll_wait_seconds,
            allow_version_labels_for_unavailable_models=allow_version_labels_for_unavailable_models,
            file_system_poll_wait_seconds=file_system_poll_wait_seconds,
            max_num_load_retries=max_num_load_retries,
            load_retry_interval_micros=load_retry_interval_micros,
            num_load_threads=num_load_threads or 1,
            enable_model_warmup=enable_model_warmup,
            batching=read_batching_parameters(batching_parameters_file) if enable_batching else None,
            grpc_max_threads=grpc_max_threads or threads,
            exit_on_stdin_eof=exit_on_stdin_eof,
        )
    )


def normalise_flags(arguments: list[str]) -> list[str]:
    """Turn `--flag=true` and `--flag=false` of the boolean flags into Typer's spelling; leave everything else.

    Raises UserError for another value.
    """
    return [_normalise_flag(argument) for argument in arguments]


def _normalise_flag(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    if flag not in flags.BOOLEANS or not equals:
        return argument
    if value.lower() not in _BOOLEANS:
        raise UserError(f"{flag}={value}: give true or false")
    return flag if _BOOLEANS[value.lower()] else flag.replace("--", "--no-", 1)


def main() -> None:
    """Run digits-serve with the process's arguments."""
    # Before grpc is imported: it would explain a port in use in four lines of its own, before ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    run("digits-serve", lambda: app(normalise_flags(drop_inert_flags(sys.argv[1:])), prog_name="digits-serve"))


if __name__ == "__main__":
    main()
