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
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class within has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with proxy._lock:
                    number = len(proxy.requests)
                    proxy.requests.append((self.command, self.path))
                    proxy._at_once += 1
                    proxy.most_at_once = max(proxy.most_at_once, proxy._at_once)
                try:
                    reply = proxy.script(number, self.command, self.path)
                    self._say(reply, body)
                finally:
                    with proxy._lock:
                        proxy._at_once -= 1

            def _say(self, reply: Reply | None, body: bytes) -> None:
                if reply == RESET:
                    self._reset()
                    return
                if reply is None or reply == CUT:
                    store = http.client.HTTPConnection(proxy._target)
                    store.request(self.command, proxy._rewrite(self.path), body, dict(self.headers))
                    answer = store.getresponse()
                    content = answer.read()
                    headers = {name: value for name, value in answer.getheaders() if name not in _OWN}
                    length = int(answer.headers.get("Content-Length", 0)) if self.command == "HEAD" else len(content)
                    self.send_response(answer.status)
                    store.close()
                else:
                    content, headers, length = reply.body, dict(reply.headers), len(reply.body)
                    self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if reply == CUT:
                    self.wfile.write(content[: len(content) // 2])
                    self._reset()
                elif self.command != "HEAD":
                    self.wfile.write(content)

            def _reset(self) -> None:
                self.close_connection = True
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - as http.server wants them

            def log_message(self, *_: object) -> None:
                pass

        return Handler


_OWN = ("Content-Length", "Connection", "Transfer-Encoding", "Date", "Server")


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients hang up, and sockets that were reset cannot be flushed."""
