"""TLS, mutual TLS and call metadata; nothing secret where others can read it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme

from batch.client.security import METADATA_VARIABLE, parse_metadata, read_security
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.conftest import RunBatch

SECRET = "Bearer c2VjcmV0"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whoever signs the certificates of these tests."""
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[Callable[..., ScriptedServer]]:
    """Starts a scripted server with TLS on localhost; `mutual` has it ask for a certificate."""
    servers = []

    def start(*, mutual: bool = False) -> ScriptedServer:
        certificate = authority.issue_cert("localhost")
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials(
            [(certificate.private_key_pem.bytes(), chain)],
            root_certificates=authority.cert_pem.bytes() if mutual else None,
            require_client_auth=mutual,
        )
        server = ScriptedServer("localhost:0", credentials)
        server.address = f"localhost:{server.port}"
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def scan(tmp_path: Path, authority: trustme.CA) -> Path:
    """A file to ask about, and the authority's certificate beside it."""
    (tmp_path / "scan.png").write_bytes(b"\7")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "scan.png"


def test_tls(tls_server: Callable[..., ScriptedServer], scan: Path, digits_batch: RunBatch) -> None:
    """With the authority the run finishes; without it the server is not trusted, and nothing is sent."""
    server = tls_server()
    command = ("scan.png", "--out", "out.csv", "--server", server.address, "--timeout", "2")
    plain = digits_batch(*command)
    assert plain.returncode == 3
    distrusted = digits_batch(*command, "--tls")
    assert distrusted.returncode == 3
    assert server.calls == 0
    trusted = digits_batch(*command, "--tls-ca", "ca.pem")
    assert trusted.returncode == 0, trusted.stderr
    assert server.calls == 1


def test_mutual_tls(
    tls_server: Callable[..., ScriptedServer], scan: Path, authority: trustme.CA, digits_batch: RunBatch
) -> None:
    """A server that asks for a certificate gets ours; without one there is no answer."""
    server = tls_server(mutual=True)
    ours = authority.issue_cert("someone@localhost")
    ours.cert_chain_pems[0].write_to_path(scan.parent / "cert.pem")
    ours.private_key_pem.write_to_path(scan.parent / "key.pem")
    command = ("scan.png", "--out", "out.csv", "--server", server.address, "--timeout", "2", "--tls-ca", "ca.pem")
    assert digits_batch(*command).returncode == 3
    swapped = digits_batch(*command, "--tls-cert", "key.pem", "--tls-key", "cert.pem")
    assert swapped.returncode == 2
    assert "holds no certificate" in swapped.stderr
    result = digits_batch(*command, "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("from_file", [True, False])
def test_metadata_reaches_the_server_and_nobody_else(
    scripted: ScriptedServer,
    scan: Path,
    digits_batch: RunBatch,
    from_file: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A bearer token goes with each call, from a file or the environment; no file and no output names it."""
    seen: list[object] = []

    def fail_once(number: int, _request: object, context: grpc.ServicerContext) -> None:
        seen.append(dict(context.invocation_metadata()).get("authorization"))
        if number == 0:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        if number == 2:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    scripted.script = fail_once
    (scan.parent / "token").write_text(f"Authorization: {SECRET}\n\n" if from_file else "")
    command = ["scan.png", "--server", scripted.address]
    command += ["--metadata", "token"] if from_file else []
    environment = {} if from_file else {METADATA_VARIABLE: f"authorization: {SECRET}"}
    result = digits_batch(*command, "--out", "out.csv", "--summary", "sum.json", **environment)
    assert result.returncode == 0, result.stderr
    refused = digits_batch(*command, "--out", "refused.csv", **environment)
    assert refused.returncode == 3
    assert "--metadata" in refused.stderr
    assert seen == [SECRET] * 3
    (scan.parent / "token").unlink()
    written = [path.read_bytes() for path in scan.parent.iterdir() if path.is_file()]
    texts = [result.stdout, result.stderr, refused.stdout, refused.stderr]
    assert not any(b"c2VjcmV0" in octets for octets in written)
    assert not any("c2VjcmV0" in text for text in texts)


def test_unencrypted_metadata_is_told(
    tls_server: Callable[..., ScriptedServer], scan: Path, digits_batch: RunBatch
) -> None:
    """Who sends a token in the clear to another machine is told so, and how to encrypt."""
    command = ("scan.png", "--out", "out.csv", "--server", "192.0.2.1:8500", "--timeout", "0.2")
    result = digits_batch(*command, DIGITS_METADATA=f"authorization: {SECRET}")
    assert "travels unencrypted" in result.stderr


def test_metadata_as_windows_writes_it(tmp_path: Path) -> None:
    """A byte order mark and CR LF are no part of names and values."""
    (tmp_path / "token.txt").write_bytes("\ufeffauthorization: x\r\nkey: y\r\n".encode())
    security = read_security(tls=False, ca=None, certificate=None, key=None, metadata=tmp_path / "token.txt")
    assert security.metadata == (("authorization", "x"), ("key", "y"))


@pytest.mark.parametrize(
    "line", ["no colon", "UPPER case: x", "grpc-timeout: 1", "token-bin: x", ": x", "key: \N{SNOWMAN}", "k: a\x07b"]
)
def test_wrong_metadata_is_told_without_telling_it(line: str) -> None:
    """The file and the line are named; its content, which may be secret, is not."""
    with pytest.raises(UserError, match=r"token\.txt, line 2") as refusal:
        parse_metadata(f"authorization: x\n{line}", "token.txt")
    assert line not in str(refusal.value)
