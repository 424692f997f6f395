"""As much of Azure Blob Storage's REST API as is used here, over a dictionary; compared with Azurite by hand."""

import base64
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 7
"""Blobs in a page of a listing; the real one has five thousand."""
_TIME = "Fri, 02 Jan 2026 03:04:05 GMT"

Answer = tuple[int, bytes, dict[str, str]]


class Stored(NamedTuple):
    """A blob; a folder of an account with a hierarchical namespace is one, too."""

    content: bytes
    tag: str
    is_folder: bool = False


class AzureServer:
    """A server with one account and one container, called `scans`."""

    def __init__(self) -> None:
        self.blobs: dict[str, Stored] = {}
        self.failures: list[int] = []
        self._blocks: dict[str, bytes] = {}
        self._writes = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/account"
        key = base64.b64encode(b"no key at all").decode()
        self.connection = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};BlobEndpoint={endpoint};"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, name: str, content: bytes, *, is_folder: bool = False) -> None:
        """Write a blob."""
        self._writes += 1
        self.blobs[name] = Stored(content, f"0x{self._writes:X}", is_folder)

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class within has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                status, content, headers = server._respond(self.command, url.path, query, body, dict(self.headers))
                self.send_response(status)
                length = {} if "Content-Length" in headers else {"Content-Length": str(len(content))}
                for name, value in {**headers, **length}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_HEAD = _answer  # noqa: N815 - as http.server wants them

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _respond(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> Answer:
        if self.failures:
            return _error(self.failures.pop(), "ServerBusy")
        _, _, container, *rest = unquote(path).split("/", 3)
        if container != "scans":
            return _error(404, "ContainerNotFound")
        if query.get("comp") == "list":
            return 200, self._list(query).encode(), {"Content-Type": "application/xml"}
        if method == "PUT":
            return self._write(rest[0], query, body, headers)
        return self._read(method, rest[0], headers)

    def _list(self, query: dict[str, str]) -> str:
        prefix, delimiter, marker = (query.get(name, "") for name in ("prefix", "delimiter", "marker"))
        found: list[str] = []
        prefixes: set[str] = set()
        following = ""
        for name in sorted(self.blobs, key=str.encode):
            if not name.startswith(prefix) or name < marker:
                continue
            head, slash, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if slash:
                prefixes.add(prefix + head + slash)
            elif len(found) == PAGE:
                following = name
                break
            else:
                found.append(_listed(name, self.blobs[name]))
        folders = "".join(f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in sorted(prefixes))
        return (
            "<?xml version='1.0' encoding='utf-8'?><EnumerationResults ContainerName='scans'>"
            f"<Blobs>{''.join(found)}{folders}</Blobs><NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
        )

    def _read(self, method: str, name: str, headers: dict[str, str]) -> Answer:
        stored = self.blobs.get(name)
        if stored is None:
            return _error(404, "BlobNotFound")
        about = {"ETag": f'"{stored.tag}"', "Last-Modified": _TIME, "x-ms-blob-type": "BlockBlob"}
        about |= {"x-ms-meta-hdi_isfolder": "true"} if stored.is_folder else {}
        if method == "HEAD":
            return 200, b"", {**about, "Content-Length": str(len(stored.content))}
        if headers.get("If-Match", about["ETag"]) != about["ETag"]:
            return _error(412, "ConditionNotMet")
        wanted = headers.get("x-ms-range", headers.get("Range", "bytes=0-"))
        numbers = [int(number) for number in re.findall(r"\d+", wanted)]
        if numbers[0] >= len(stored.content) and numbers != [0]:
            return _error(416, "InvalidRange")
        end = min(numbers[1] + 1 if len(numbers) > 1 else len(stored.content), len(stored.content))
        span = f"bytes {numbers[0]}-{end - 1}/{len(stored.content)}"
        return 206, stored.content[numbers[0] : end], {**about, "Content-Range": span}

    def _write(self, name: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> Answer:
        if query.get("comp") == "block":
            self._blocks[query["blockid"]] = body
            return 201, b"", {}
        if headers.get("If-None-Match") == "*" and name in self.blobs:
            return _error(409, "BlobAlreadyExists")
        if query.get("comp") == "blocklist":
            numbers = re.findall(r"<Latest>(.*?)</Latest>", body.decode())
            body = b"".join(self._blocks[number] for number in numbers)
        self.put(name, body)
        return 201, b"", {"ETag": f'"{self.blobs[name].tag}"', "Last-Modified": _TIME}


def _listed(name: str, stored: Stored) -> str:
    folder = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>" if stored.is_folder else "<Metadata/>"
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{_TIME}</Last-Modified><Etag>{stored.tag}</Etag>"
        f"<Content-Length>{len(stored.content)}</Content-Length><BlobType>BlockBlob</BlobType></Properties>{folder}</Blob>"
    )


def _error(status: int, code: str) -> Answer:
    body = f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{code}</Code><Message>scripted</Message></Error>"
    return status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"}
