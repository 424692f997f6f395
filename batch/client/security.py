"""TLS and call metadata: who the server is, who we are, and what is kept out of logs, journals and process lists."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import grpc

from batch.client.naming import ARGUMENTS, Naming
from exporter.command import UserError

METADATA_VARIABLE = "DIGITS_METADATA"

# What gRPC lets a metadata key and a value of printable ASCII be (PROTOCOL-HTTP2.md).
_KEY = re.compile(r"[a-z0-9_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Security:
    """How a channel is secured.

    Attributes:
        tls: whether the channel is encrypted, and the server's certificate checked.
        ca: PEM of the authorities that the server's certificate is checked against; None for the system's.
        certificate: PEM of our own certificate chain, for mutual TLS.
        key: PEM of its private key.
        metadata: sent with each call.
    """

    tls: bool = False
    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    metadata: Metadata = ()

    def __repr__(self) -> str:
        """Nothing secret."""
        return f"Security(tls={self.tls}, metadata={[name for name, _ in self.metadata]})"

    def channel(self, address: str, options: list[tuple[str, object]]) -> grpc.Channel:
        """Open a channel."""
        if not self.tls:
            return grpc.insecure_channel(address, options)
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(self.ca, self.key, self.certificate), options)


def read_security(
    *,
    tls: bool,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    metadata: Path | None,
    naming: Naming = ARGUMENTS,
) -> Security:
    """Read what the options name.

    Args:
        tls: TLS with the system's authorities.
        ca: file of the authorities; implies TLS, as the next two do.
        certificate: file of our certificate chain.
        key: file of its private key.
        metadata: file of metadata, a `name: value` on each line; without it, DIGITS_METADATA holds such lines.
        naming: what errors call these.

    Raises:
        UserError: a file cannot be read, or holds something else; never tells what is in it.
    """
    if (certificate is None) != (key is None):
        raise UserError(f"{naming.certificate} and {naming.key} go together: give both for mutual TLS")
    return Security(
        tls=tls or ca is not None or certificate is not None,
        ca=_read_pem(ca, naming.ca, "certificate"),
        certificate=_read_pem(certificate, naming.certificate, "certificate"),
        key=_read_pem(key, naming.key, "private key"),
        metadata=_read_metadata(metadata, naming.metadata),
    )


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror}; name a file that can be read") from None


def _read_pem(path: Path | None, option: str, kind: str) -> bytes | None:
    if path is None:
        return None
    pem = _read(path, option)
    wanted = b"PRIVATE KEY-----" if kind == "private key" else b"-----BEGIN CERTIFICATE-----"
    if wanted not in pem:
        raise UserError(f"{option} {path}: holds no {kind} in PEM form")
    return pem


def _read_metadata(path: Path | None, option: str) -> Metadata:
    if path is not None:
        return parse_metadata(_read(path, option).decode("utf-8-sig", errors="replace"), f"{option} {path}")
    return parse_metadata(os.environ.get(METADATA_VARIABLE, ""), METADATA_VARIABLE)


def parse_metadata(text: str, source: str) -> Metadata:
    """Read lines of `name: value`, empty ones left out.

    Raises:
        UserError: a line is something else; names `source` and the line's number, not its content.
    """
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not _KEY.fullmatch(name) or name.endswith("-bin") or not _VALUE.fullmatch(value):
            raise UserError(
                f"{source}, line {number}: wanted is 'name: value' in ASCII, as in 'authorization: Bearer ...'"
            )
        if name.startswith("grpc-"):
            raise UserError(f"{source}, line {number}: names that begin with grpc- are gRPC's own")
        pairs.append((name, value))
    return tuple(pairs)
