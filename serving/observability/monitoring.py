"""--monitoring_config_file: whether there are metrics, and under which path."""

from pathlib import Path

from exporter.command import UserError
from serving.config_file import read_config_file
from serving.config_pb2 import MonitoringConfig

_DEFAULT_PATH = "/monitoring/prometheus/metrics"


def read_monitoring_config(path: Path | None) -> str | None:
    """Return the path under which metrics are served; None where they are not.

    Raises UserError if the file is no MonitoringConfig, or its path does not begin with a slash.
    """
    if path is None:
        return None
    config = read_config_file(path, "--monitoring_config_file", MonitoringConfig()).prometheus_config
    if not config.enable:
        return None
    where = config.path or _DEFAULT_PATH
    if not where.startswith("/"):
        raise UserError(f"--monitoring_config_file {path}: the path {where!r} must begin with a slash")
    return where
