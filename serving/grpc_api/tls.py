"""--ssl_config_file: TLS on the gRPC port, with client certificates if asked."""

from pathlib import Path

import grpc

from exporter.command import UserError
from serving.config_file import read_config_file
from serving.config_pb2 import SSLConfig

_FLAG = "--ssl_config_file"


def read_credentials(path: Path | None) -> grpc.ServerCredentials | None:
    """Read an SSLConfig, whose fields hold key, certificate and authorities themselves, in PEM; None without a file.

    With `client_verify` callers must show a certificate of `custom_ca`. Raises UserError if the file is no SSLConfig or
    lacks something; never tells what is in it.
    """
    if path is None:
        return None
    config = read_config_file(path, _FLAG, SSLConfig())
    for field, wanted in (("server_key", "PRIVATE KEY-----"), ("server_cert", "-----BEGIN CERTIFICATE-----")):
        if wanted not in getattr(config, field):
            raise UserError(f"{_FLAG} {path}: {field} must hold PEM text, not the name of a file")
    if config.custom_ca and "-----BEGIN CERTIFICATE-----" not in config.custom_ca:
        raise UserError(f"{_FLAG} {path}: custom_ca must hold PEM text, not the name of a file")
    if config.client_verify and not config.custom_ca:
        raise UserError(f"{_FLAG} {path}: client_verify needs custom_ca, the authority of the clients' certificates")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def parse_channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """Read --grpc_channel_arguments, `name=value,name=value`; values that are whole numbers become numbers.

    Raises UserError for anything else.
    """
    arguments: list[tuple[str, int | str]] = []
    for pair in filter(None, text.split(",")):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError(f"--grpc_channel_arguments: {pair!r} is not of the form name=value")
        arguments.append((name, int(value) if value.lstrip("-").isdecimal() else value))
    return arguments
