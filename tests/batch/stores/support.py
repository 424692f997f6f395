"""A real S3 server with a bucket in it, and a proxy before a store that fails as a test says."""

import http.client
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

SECRET = "do-not-print-this-secret"  # noqa: S105 - it opens nothing


@dataclass
class Bucket:
    """A bucket on a server of moto."""

    name: str
    endpoint: str
    client: Any

    @property
    def url(self) -> str:
        """Of the bucket, without a slash at its end."""
        return f"s3://{self.name}"

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a process needs that is to reach it, by the way of another endpoint if one is given."""
        return s3_environment(endpoint or self.endpoint)

    def put(self, key: str, content: bytes) -> str:
        """Write an object and return its URL."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return f"{self.url}/{key}"

    def put_numbered(self, prefix: str, count: int) -> list[str]:
        """Write objects of one byte each, their own number; returns their URLs in order."""
        return [self.put(f"{prefix}{number:03}.png", bytes([number])) for number in range(count)]

    def read(self, key: str) -> bytes:
        """The content of an object."""
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def keys(self) -> list[str]:
        """All keys; a thousand at most."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]


def s3_environment(endpoint: str) -> dict[str, str]:
    """Variables by which an S3 server on this machine is found, and no configuration of whoever runs the tests."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Reply(NamedTuple):
    """What a faulty proxy answers in the store's place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


RESET = Reply(0)
"""The connection is reset before a word is said."""
CUT = Reply(-1)
"""The store's own answer, cut off in the middle of its body."""
LOST = Reply(-2)
"""The store does what it is asked, and its answer is lost."""

Script = Callable[[int, str, str], Reply | None]
"""What is answered to a request, by its number, method and path; None for the store's own answer."""


def s3_error(status: int, code: str, message: str = "as scripted") -> Reply:
    """An error as S3 sends it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})


class FaultyProxy:
    """An HTTP proxy in front of a store on this machine.

    Args:
        endpoint: the store.
        script: what goes wrong.
        rewrite: the path of a request as the store gets it.
    """

    def __init__(
        self, endpoint: str, script: Script = lambda *_: None, rewrite: Callable[[str], str] = lambda path: path
    ) -> None:
        self.script = script
        self._rewrite = rewrite
        self.requests: list[tuple[str, str]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._target = endpoint.removeprefix("http://")
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: "_Handler") -> None:
        """Answer a request as the script says."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            number = len(self.requests)
            self.requests.append((handler.command, handler.path))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self.script(number, handler.command, handler.path)
            if reply in (RESET, LOST):
                if reply == LOST:
                    self._ask(handler, body)
                handler.reset()
            elif reply in (None, CUT):
                handler.say(*self._ask(handler, body), is_cut=reply == CUT)
            elif reply is not None:
                handler.say(reply.status, {**reply.headers, "Content-Length": str(len(reply.body))}, reply.body)
        finally:
            with self._lock:
                self._at_once -= 1

    def _ask(self, handler: "_Handler", body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the store's own answer."""
        store = http.client.HTTPConnection(self._target)
        store.request(handler.command, self._rewrite(handler.path), body, dict(handler.headers))
        answer = store.getresponse()
        content = answer.read()
        store.close()
        headers = {name: value for name, value in answer.getheaders() if name not in _OWN}
        if handler.command != "HEAD":
            headers["Content-Length"] = str(len(content))
        return answer.status, headers, content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def _answer(self) -> None:
        self.server.proxy.answer(self)

    def say(self, status: int, headers: Mapping[str, str], content: bytes, *, is_cut: bool = False) -> None:
        """Send an answer, or a part of it."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self.reset()

    def reset(self) -> None:
        """Hang up as a machine does that goes down."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - as http.server wants them

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_OWN = ("Connection", "Transfer-Encoding", "Date", "Server")


class _Server(ThreadingHTTPServer):
    proxy: FaultyProxy
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients hang up, and sockets that were reset cannot be flushed."""
