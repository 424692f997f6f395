"""What gRPC calls the address that a user wrote, or what is wrong with it."""

import ipaddress
import os
import re

from batch.client.naming import FLAGS, Naming
from exporter.command import UserError
from exporter.contract import DEFAULT_PORT

LONGEST_SOCKET_PATH = 107
"""Bytes: the kernel's sockaddr_un has one more, which is zero."""

_GRPC_NAMES = ("unix:", "dns:", "ipv4:", "ipv6:")


def target_of(named: str, naming: Naming = FLAGS) -> str:
    """A gRPC target; TensorFlow Serving's port where none is given.

    Args:
        named: HOST, HOST:PORT, [IPv6], [IPv6]:PORT, or a gRPC name such as unix:PATH or dns:///NAME:PORT.
        naming: what an error calls it.

    Raises:
        UserError: it is something else; says what to write.
    """
    if "://" in named and not named.startswith(("unix://", "dns://")):
        raise UserError(
            f"{naming.server} {named}: give HOST:PORT of the gRPC port, without {named.partition('://')[0]}://"
        )
    if named.startswith(_GRPC_NAMES):
        path = named.removeprefix("unix:").removeprefix("//") if named.startswith("unix:") else ""
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise UserError(
                f"{naming.server} {named}: the path of a Unix socket has at most {LONGEST_SOCKET_PATH} bytes"
            )
        return named
    if re.search(r"[,;\s]", named):
        raise UserError(f"{naming.server} {named}: give {naming.several}")
    if not named.startswith("[") and named.count(":") > 1:
        raise UserError(f"{naming.server} {named}: put brackets around an IPv6 address, as in {_bracketed(named)}")
    return named if ":" in named.rpartition("]")[2] else f"{named}:{DEFAULT_PORT}"


def _bracketed(named: str) -> str:
    """An IPv6 address in brackets, with its last number as the port where it can be one."""
    host, _, port = named.rpartition(":")
    try:
        ipaddress.IPv6Address(host)
        return f"[{host}]:{int(port)}"
    except ValueError:
        return f"[{named}]:{DEFAULT_PORT}"
