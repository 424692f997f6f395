"""A store: list what is under a prefix, read objects, write one whole.

All calls wait out faults that may pass, and raise StoreError for others, in words that hold no secret.
"""

import asyncio
import io
import logging
import os
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from typing import BinaryIO, TypeVar

from batch.stores.faults import Fault, Kind, LargeError, MissingError, StoreError, TakenError
from batch.stores.patience import Patience
from batch.stores.protocol import GETS, PART_BYTES, Blob, Client, Entry, Page
from batch.stores.urls import ObjectUrl
from exporter.command import UserError, require_extra

_MODULES = {"s3": "s3fs", "gcs": "gcsfs", "azure": "adlfs"}
_NAMES = {"s3": "S3", "gcs": "Google Cloud Storage", "azure": "Azure Blob Storage"}
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gcs": "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
    "azure": "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and what proves your right to it",
}
# They print on standard error what nobody else does, URLs with signatures among it.
_CHATTERERS = ("s3fs", "gcsfs", "adlfs", "fsspec", "botocore", "aiobotocore", "azure", "google", "aiohttp", "asyncio")

_COMPARED_BYTES = 8 * 1024 * 1024

_Result = TypeVar("_Result")


class Store:
    """All buckets of one kind of store that one client reaches.

    Get one by `open_store`. `fetch` may be called from any thread, and so may the others, which block.
    """

    def __init__(self, extra: str, client: Client) -> None:
        from fsspec.asyn import get_loop  # noqa: PLC0415 - comes with the extras

        self._extra = extra
        self._client = client
        self._loop: asyncio.AbstractEventLoop = get_loop()
        self._room = asyncio.Semaphore(GETS)

    def pages(self, where: ObjectUrl, patience: Patience, *, recursive: bool = True) -> Iterator[Page]:
        """The objects whose keys begin as the URL's, in the store's order; the next page is asked for meanwhile.

        Args:
            where: the bucket and the prefix.
            patience: how long faults are waited out.
            recursive: whether objects with a slash in the rest of their keys are listed, or what they have before it.

        Raises:
            StoreError: they cannot be listed.
        """

        def ask(token: str) -> Future[Page]:
            return self._start(
                where.url,
                lambda: self._client.page(where.bucket, where.key, token, folders=not recursive),
                patience,
            )

        coming: Future[Page] | None = ask("")
        try:
            while coming is not None:
                page = self._result(where, coming)
                coming = ask(page.token) if page.token else None
                yield page
        finally:
            if coming is not None:
                coming.cancel()

    def find(self, where: ObjectUrl, patience: Patience) -> "Future[Entry]":
        """The object of that very key. The future raises MissingError if there is none, StoreError as `fetch`."""
        return self._start(where.url, lambda: self._client.head(where.bucket, where.key), patience)

    def fetch(
        self,
        where: ObjectUrl,
        patience: Patience,
        *,
        most: int,
        span: tuple[int, int] | None = None,
        tag: str = "",
    ) -> "Future[Blob]":
        """Begin to read an object; 96 are read at once, others wait their turn.

        Args:
            where: the object.
            patience: how long faults are waited out.
            most: the bytes that it may have.
            span: which of them: the first and the one after the last; None for all.
            tag: the ETag that it must have; empty for any.

        Returns:
            A future of its content, which raises MissingError, LargeError, or StoreError for a fault of the store.
        """
        return self._start(where.url, lambda: self._client.get(where.bucket, where.key, most, span, tag), patience)

    def put(self, where: ObjectUrl, content: bytes, patience: Patience, *, replace: bool = False) -> None:
        """Write an object with one request, so that it is there whole or not at all.

        Something of the same content that is there already is as good: a repeated request finds its own work done.

        Args:
            where: the object.
            content: what is to be in it.
            patience: how long faults are waited out.
            replace: overwrite what is there.

        Raises:
            TakenError: something else is there, and is not to be replaced.
            StoreError: it cannot be written.
        """
        self._put(where, io.BytesIO(content), len(content), patience, replace=replace, parts=False)

    def put_file(self, where: ObjectUrl, file: BinaryIO, patience: Patience, *, replace: bool = False) -> None:
        """As `put`, of an open file of any size; a large one in parts, which become one object at the end."""
        size = file.seek(0, os.SEEK_END)
        self._put(where, file, size, patience, replace=replace, parts=size > PART_BYTES)

    def delete(self, where: ObjectUrl, patience: Patience) -> None:
        """Delete an object, if it is there. Raises StoreError if it cannot be deleted."""
        with suppress(MissingError):
            self._start(where.url, lambda: self._client.delete(where.bucket, where.key), patience).result()

    def _put(
        self, where: ObjectUrl, file: BinaryIO, size: int, patience: Patience, *, replace: bool, parts: bool
    ) -> None:
        async def put(*, replaces: bool) -> None:
            if parts:
                await self._client.put_file(where.bucket, where.key, file, size, again, replace=replaces)
                return
            file.seek(0)
            content = file.read()
            await again(lambda: self._client.put(where.bucket, where.key, content, replace=replaces))

        def again(attempt: Callable[[], Awaitable[_Result]]) -> Awaitable[_Result]:
            return patience.outlast(where.url, attempt, self._client.judge)

        try:
            self._result(where, self._submit(where.url, lambda: put(replaces=replace)))
        except StoreError as error:
            if replace or error.kind not in (Kind.CONDITION, Kind.NOT_OFFERED):
                raise
            if self._holds(where, file, size, patience):
                return
            if error.kind is Kind.CONDITION or is_object(where, patience):
                raise TakenError from None
            # A store that takes no condition: looking first is all that can be done.
            self._result(where, self._submit(where.url, lambda: put(replaces=True)))

    def _result(self, where: ObjectUrl, coming: "Future[_Result]") -> _Result:
        """The result of what needs a bucket and no object."""
        try:
            return coming.result()
        except MissingError:
            fault = Fault(Kind.NO_BUCKET, "HTTP 404")
            raise StoreError(f"{where.url}: {_told(self._extra, fault)}", fault.kind) from None

    def _holds(self, where: ObjectUrl, file: BinaryIO, size: int, patience: Patience) -> bool:
        """Whether an object has the content of a file."""
        try:
            found = self.find(where, patience).result()
            if found.size != size:
                return False
            file.seek(0)
            for start in range(0, size, _COMPARED_BYTES):
                span = start, min(size, start + _COMPARED_BYTES)
                part = self.fetch(where, patience, most=_COMPARED_BYTES, span=span, tag=found.tag).result()
                if part.content != file.read(span[1] - start):
                    return False
        except MissingError:
            return False
        return True

    def _start(self, what: str, attempt: Callable[[], Awaitable[_Result]], patience: Patience) -> "Future[_Result]":
        """Make attempts in the store's own thread until one succeeds."""
        return self._submit(what, lambda: patience.outlast(what, attempt, self._client.judge))

    def _submit(self, what: str, work: Callable[[], Awaitable[_Result]]) -> "Future[_Result]":
        async def run() -> _Result:
            async with self._room:
                try:
                    return await work()
                except (StoreError, MissingError, LargeError):
                    raise
                except Exception as error:  # noqa: BLE001 - the libraries' are of many families
                    fault = self._client.judge(error)
                    if fault.kind is Kind.MISSING:
                        raise MissingError from None
                    raise StoreError(f"{what}: {_told(self._extra, fault)}", fault.kind) from None

        return asyncio.run_coroutine_threadsafe(run(), self._loop)


def open_store(where: ObjectUrl) -> Store:
    """The store that a URL is of, connected with the credentials that its library finds.

    Raises:
        UserError: the extra is not installed, or what configures it is wrong.
    """
    require_extra(where.extra, _MODULES[where.extra])
    # Not over a fork: what runs the requests does not live on in the child.
    return _connected(os.getpid(), where.extra, where.host)


def is_object(where: ObjectUrl, patience: Patience) -> bool:
    """Whether there is an object of that very key. Raises StoreError if the store failed."""
    try:
        open_store(where).find(where, patience).result()
    except MissingError:
        return False
    return True


@lru_cache
def _connected(_process: int, extra: str, host: str) -> Store:
    for name in _CHATTERERS:
        # Without a handler of their own, Python prints their warnings.
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Store(extra, _client(extra, host))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise UserError(
            f"{_NAMES[extra]} cannot be used ({type(error).__name__}): {_CREDENTIALS[extra]}; see docs/stores.md"
        ) from None


def _client(extra: str, host: str) -> Client:
    if extra == "s3":
        from batch.stores.s3 import S3  # noqa: PLC0415 - an extra

        return S3()
    if extra == "gcs":
        from batch.stores.gcs import Gcs  # noqa: PLC0415 - an extra

        return Gcs()
    from batch.stores.azure import Azure  # noqa: PLC0415 - an extra

    return Azure(host)


def _told(extra: str, fault: Fault) -> str:
    """A fault for people."""
    texts = {
        Kind.NO_BUCKET: f"there is no such bucket or container ({fault.name}); check its name",
        Kind.DENIED: f"no permission ({fault.name}); ask for the right to list and read there, and to write for --out",
        Kind.CREDENTIALS: f"no credentials that {_NAMES[extra]} takes ({fault.name}); {_CREDENTIALS[extra]}",
        Kind.NO_HOST: f"{_NAMES[extra]} cannot be reached: {fault.name}; check the endpoint that is configured",
        Kind.CONDITION: "it was changed in the meantime",
    }
    return texts.get(fault.kind, f"{_NAMES[extra]} cannot be used: {fault.name}; check how it is configured")
