"""Google Cloud Storage, through gcsfs."""

import json
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO

from batch.stores.faults import Fault, Kind, LargeError, fault_of_connection, fault_of_response
from batch.stores.protocol import GETS, PART_BYTES, Again, Blob, Entry, Page

_CONNECT_S, _SILENCE_S = 5.0, 15.0  # as s3fs has them: a store that says nothing leaves time for another attempt
_FIELDS = "name,size,updated,generation"


class Gcs:
    """Credentials and project are found as Google's own tools find them; fsspec's configuration may say more.

    What others call ETag is the generation here: it changes with the content alone.
    """

    def __init__(self) -> None:
        import aiohttp  # noqa: PLC0415 - comes with the extra
        import gcsfs  # noqa: PLC0415 - an extra
        from fsspec.config import conf  # noqa: PLC0415 - likewise

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        session = {"timeout": timeout, **conf.get("gcs", {}).get("session_kwargs", {})}
        self._fs = gcsfs.GCSFileSystem(session_kwargs=session, use_listings_cache=False, skip_instance_cache=True)
        # A single attempt: attempts are counted in one place, which knows the timeout.
        self._request = partial(type(self._fs)._request.__wrapped__, self._fs)  # noqa: SLF001 - gcsfs has no public call for a single page
        assert GETS <= 100  # noqa: S101 - the connections that aiohttp makes

    async def page(self, bucket: str, prefix: str, token: str, *, folders: bool) -> Page:
        """See Client."""
        more = {"delimiter": "/"} if folders else {}
        if token:
            more["pageToken"] = token
        fields = f"kind,items({_FIELDS}),prefixes,nextPageToken"
        _, _, _, text = await self._request("GET", "b/{}/o", bucket, prefix=prefix, fields=fields, **more)
        listed = json.loads(text)
        if "kind" not in listed:
            # Of a proxy, or of a page to sign in at.
            raise ConnectionError
        entries = [_entry(one) for one in listed.get("items", [])]
        return Page(entries, listed.get("prefixes", []), listed.get("nextPageToken", ""))

    async def head(self, bucket: str, key: str) -> Entry:
        """See Client."""
        _, _, _, text = await self._request("GET", "b/{}/o/{}", bucket, key, fields=_FIELDS)
        return _entry(json.loads(text))

    async def get(self, bucket: str, key: str, most: int, span: tuple[int, int] | None, tag: str) -> Blob:
        """See Client."""
        # gcsfs reads all of a response; one byte more than wanted tells that there is more.
        start, end = span or (0, most + 1)
        more = {"ifGenerationMatch": tag} if tag else {}
        wanted = {"Range": f"bytes={start}-{end - 1}"} if start < end else {}
        try:
            _, headers, _, content = await self._request(
                "GET", "b/{}/o/{}", bucket, key, headers=wanted, alt="media", **more
            )
        except Exception as error:
            # Of an empty object no range can be had.
            if span is None and _status(error) == 416:
                return Blob(b"", tag)
            raise
        if len(content) > most:
            raise LargeError
        return Blob(content, headers.get("x-goog-generation", ""))

    async def put(self, bucket: str, key: str, content: bytes, *, replace: bool) -> None:
        """See Client."""
        await self._request(
            "POST",
            f"{self._fs._location}/upload/storage/v1/b/{{}}/o",  # noqa: SLF001 - as above
            bucket,
            data=content,
            headers={"Content-Type": "application/octet-stream"},
            uploadType="media",
            name=key,
            **({} if replace else {"ifGenerationMatch": "0"}),
        )

    async def delete(self, bucket: str, key: str) -> None:
        """See Client."""
        await self._request("DELETE", "b/{}/o/{}", bucket, key)

    async def put_file(self, bucket: str, key: str, file: BinaryIO, size: int, again: Again, *, replace: bool) -> None:
        """See Client."""
        begin = partial(
            self._request,
            "POST",
            f"{self._fs._location}/upload/storage/v1/b/{{}}/o",  # noqa: SLF001 - as above
            bucket,
            headers={"X-Upload-Content-Type": "application/octet-stream"},
            uploadType="resumable",
            name=key,
            **({} if replace else {"ifGenerationMatch": "0"}),
        )
        _, headers, _, _ = await again(begin)
        upload = headers["Location"]
        try:
            for start in range(0, size, PART_BYTES):
                file.seek(start)
                content = file.read(PART_BYTES)
                where = {"Content-Range": f"bytes {start}-{start + len(content) - 1}/{size}"}
                await again(partial(self._request, "PUT", upload, data=content, headers=where))
        except BaseException:
            with suppress(Exception):
                await self._request("DELETE", upload)
            raise

    def judge(self, error: Exception) -> Fault:
        """See Client."""
        from google.auth import exceptions  # noqa: PLC0415 - comes with the extra

        status = _status(error)
        if status:
            return fault_of_response(status, "")
        name = type(error).__name__
        if isinstance(error, exceptions.TransportError):
            return Fault(Kind.PASSING, name)
        if isinstance(error, exceptions.GoogleAuthError):
            return Fault(Kind.CREDENTIALS, name)
        if isinstance(error, json.JSONDecodeError):
            return Fault(Kind.PASSING, name)
        by_connection = fault_of_connection(error)
        # aiohttp's, which are no OSErrors: the connection went in the middle of a body.
        is_cut = type(error).__module__.startswith("aiohttp")
        return by_connection or Fault(Kind.PASSING if is_cut else Kind.OTHER, name)


def _status(error: Exception) -> int:
    """The status of the response that gcsfs has made an exception of; 0 if it is of something else."""
    from gcsfs.retry import HttpError  # noqa: PLC0415 - an extra
    from requests.exceptions import ProxyError  # noqa: PLC0415 - comes with the extra

    if isinstance(error, HttpError):
        return int(error.code or 0)
    if isinstance(error, ProxyError):
        return 502
    statuses: tuple[tuple[type[Exception], str, int], ...] = (
        (FileNotFoundError, "", 404),
        (FileExistsError, "", 412),
        (OSError, "Forbidden: ", 403),
        (ValueError, "Bad Request: ", 400),
    )
    return next((code for kind, start, code in statuses if type(error) is kind and str(error).startswith(start)), 0)


def _entry(found: dict[str, Any]) -> Entry:
    written = datetime.fromisoformat(found["updated"]).timestamp() if "updated" in found else 0
    return Entry(found["name"], int(found.get("size", 0)), int(written) * 10**9, str(found.get("generation", "")))
