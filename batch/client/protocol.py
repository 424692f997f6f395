"""What a port speaks, where gRPC can make no connection to it: gRPC itself says only that it tries again.

Asks the port itself: does it shake hands over TLS, does it answer HTTP/1, does it greet as HTTP/2 does?
"""

import re
import socket
import ssl

from batch.client.naming import FLAGS, Naming
from batch.client.security import Security
from exporter.contract import DEFAULT_PORT

_REST_PORT = 8501  # TensorFlow Serving's
_PATIENCE_S = 1.0
_ADDRESS = re.compile(
    r"(?:dns:(?://[^/]*/)?|ipv[46]:)?(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:,/]+)):(?P<port>[0-9]+)(?:,.*)?"
)
_HTTP_1 = b"GET / HTTP/1.1\r\nHost: digits\r\nConnection: close\r\n\r\n"
# RFC 9113, 3.4 and 4.1: the client's preface with empty settings; the kind of a frame is its fourth byte.
_HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4


def mismatch(address: str, security: Security, naming: Naming = FLAGS) -> str | None:
    """Why no call over gRPC can be made to a port, for as long as one may wait.

    Args:
        address: a gRPC name of HOST:PORT; what others stand for is not looked into.
        security: of the channel.
        naming: what is to be changed there.

    Returns:
        What the port speaks and what to do; empty where nothing is wrong that can be seen; None where nobody listens.
    """
    named = _ADDRESS.fullmatch(address)
    if named is None:
        return ""
    host, port = named["v6"] or named["host"], int(named["port"])
    try:
        socket.create_connection((host, port), _PATIENCE_S).close()
        found = _over_tls(host, port, security, naming) if security.tls else _plainly(host, port, naming)
    except (OSError, OverflowError):
        return None
    return f"{address} {found}" if found else ""


def _plainly(host: str, port: int, naming: Naming) -> str:
    """What is wrong with a port that is spoken to without TLS."""
    try:
        is_http_2 = _shake_hands(host, port, _context(ca=None, checks=False))
    except OSError:
        return _rest("HTTP/1") if _says(host, port, _HTTP_1).startswith(b"HTTP/1") else ""
    return f"speaks TLS: add {naming.tls}" if is_http_2 else _rest("HTTP/1 over TLS")


def _over_tls(host: str, port: int, security: Security, naming: Naming) -> str:
    """What is wrong with a port that is spoken to over TLS."""
    try:
        is_http_2 = _shake_hands(host, port, _context(security.ca, checks=True))
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message.rstrip(".")
        return (
            f"has a certificate that is not trusted ({reason}): name its authority with {naming.ca}, or another address"
        )
    except OSError:
        if _says(host, port, _HTTP_1).startswith(b"HTTP/1"):
            return _rest("HTTP/1 without TLS")
        greeting = _says(host, port, _HTTP_2)
        return f"speaks no TLS: leave out {naming.plain}" if greeting[3:4] == bytes([_SETTINGS]) else ""
    return "" if is_http_2 else _rest("HTTP/1 over TLS")


def _rest(spoken: str) -> str:
    return (
        f"speaks {spoken}, not gRPC: it is a REST or web port; name the gRPC port, which is usually {DEFAULT_PORT} "
        f"where REST is {_REST_PORT}"
    )


def _context(ca: bytes | None, *, checks: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=None if ca is None else ca.decode("ascii", "ignore"))
    if not checks:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _shake_hands(host: str, port: int, context: ssl.SSLContext) -> bool:
    """Whether a TLS port takes HTTP/2, as every gRPC server does. Raises OSError if it shakes no hands."""
    with (
        socket.create_connection((host, port), _PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        return wrapped.selected_alpn_protocol() == "h2"


def _says(host: str, port: int, greeting: bytes) -> bytes:
    """The first bytes of a port's answer; none if there are none."""
    try:
        with socket.create_connection((host, port), _PATIENCE_S) as plain:
            plain.sendall(greeting)
            return plain.recv(16)
    except OSError:
        return b""
