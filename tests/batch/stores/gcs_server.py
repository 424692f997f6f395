"""As much of Google Cloud Storage's JSON API as is used here, over a dictionary: list, get, put, with conditions."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 7
"""Objects in a page of a listing; the real one has a thousand."""


class Stored(NamedTuple):
    """An object."""

    content: bytes
    generation: int


class GcsServer:
    """A server with one bucket, called `scans`."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self._generation = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        with self._lock:
            self._generation += 1
            self.objects[name] = Stored(content, self._generation)

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class within has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.requests.append(f"{self.command} {self.path}")
                url = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                status, content, headers = server._respond(url.path, query, body, dict(self.headers))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - as http.server wants them

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _respond(
        self, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        found = re.fullmatch(r"(?:/upload)?/storage/v1/b/([^/]+)/o(?:/([^/]+))?", path)
        if found is None or found[1] != "scans":
            return _error(404, "The specified bucket does not exist.")
        if path.startswith("/upload"):
            return self._upload(query, body, headers)
        if found[2] is None:
            return 200, json.dumps(self._list(query)).encode(), {}
        return self._object(unquote(found[2]), query, headers)

    def _object(self, name: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        stored = self.objects.get(name)
        if stored is None:
            return _error(404, f"No such object: scans/{name}")
        if query.get("alt") != "media":
            return 200, json.dumps(_resource(name, stored)).encode(), {}
        if query.get("ifGenerationMatch", str(stored.generation)) != str(stored.generation):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        return _media(stored, headers.get("Range", ""))

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter, token = (query.get(name, "") for name in ("prefix", "delimiter", "pageToken"))
        items: list[Any] = []
        prefixes: list[str] = []
        for name in sorted(self.objects, key=str.encode):
            if not name.startswith(prefix) or name.encode() < token.encode():
                continue
            head, slash, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if slash:
                if prefix + head + slash not in prefixes:
                    prefixes.append(prefix + head + slash)
            elif len(items) == PAGE:
                return {"kind": "storage#objects", "items": items, "prefixes": prefixes, "nextPageToken": name}
            else:
                items.append(_resource(name, self.objects[name]))
        return {"kind": "storage#objects", "items": items, "prefixes": prefixes}

    def _upload(self, query: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        if "upload_id" in query:
            upload = self.uploads[query["upload_id"]]
            start, end, size = map(int, re.findall(r"\d+", headers["Content-Range"]))
            assert (start, end + 1 - start) == (len(upload["content"]), len(body))
            upload["content"] += body
            if end + 1 < size:
                return 308, b"", {"Range": f"bytes=0-{end}"}
            query, body = upload["query"], upload["content"]
        elif query.get("ifGenerationMatch") == "0" and query["name"] in self.objects:
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        elif query["uploadType"] == "resumable":
            number = str(len(self.uploads))
            self.uploads[number] = {"query": query, "content": b""}
            return 200, b"", {"Location": f"{self.endpoint}/upload/storage/v1/b/scans/o?upload_id={number}"}
        self.put(query["name"], body)
        return 200, json.dumps(_resource(query["name"], self.objects[query["name"]])).encode(), {}


def _resource(name: str, stored: Stored) -> dict[str, str]:
    return {
        "name": name,
        "size": str(len(stored.content)),
        "updated": "2026-01-02T03:04:05.678Z",
        "generation": str(stored.generation),
    }


def _media(stored: Stored, wanted: str) -> tuple[int, bytes, dict[str, str]]:
    headers = {"x-goog-generation": str(stored.generation)}
    if not wanted:
        return 200, stored.content, headers
    start, end = map(int, re.findall(r"\d+", wanted))
    if start >= len(stored.content):
        return _error(416, "The requested range cannot be satisfied.")
    return 206, stored.content[start : end + 1], headers


def _error(status: int, message: str) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps({"error": {"code": status, "message": message}}).encode(), {}
