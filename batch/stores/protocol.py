"""What a store's own client can do, in coroutines that make one attempt each and keep the store's own exceptions."""

from collections.abc import Awaitable, Callable
from typing import BinaryIO, NamedTuple, Protocol, TypeVar

from batch.stores.faults import Fault

_Result = TypeVar("_Result")

GETS = 96
"""Requests to one store under way at once; each library's pool of connections is at least as large."""

PART_BYTES = 64 * 1024 * 1024
"""What is larger is put in parts of this size, which become one object at the end."""


class Entry(NamedTuple):
    """An object as a listing has it.

    Attributes:
        key: its name in the bucket.
        size: in bytes.
        mtime_ns: when it was written, in nanoseconds.
        tag: its ETag, without quotes; another one whenever the content is.
    """

    key: str
    size: int
    mtime_ns: int
    tag: str


class Page(NamedTuple):
    """A part of a listing.

    Attributes:
        entries: objects, in the store's order.
        folders: what begins alike up to the next slash, where that was asked; each ends with it.
        token: asks for the next page; empty with the last.
    """

    entries: list[Entry]
    folders: list[str]
    token: str


class Blob(NamedTuple):
    """The content of an object, or the part that was asked for, and the object's ETag."""

    content: bytes
    tag: str


class Again(Protocol):
    """Makes a request until it succeeds, or fails for good."""

    def __call__(self, attempt: Callable[[], Awaitable[_Result]], /) -> Awaitable[_Result]:
        """Do so."""


class Client(Protocol):
    """One kind of store. A call makes one request, `put_file` several of a large file."""

    async def page(self, bucket: str, prefix: str, token: str, *, folders: bool) -> Page:
        """A page of the objects whose keys begin so; with `folders`, those only that have no slash after it."""

    async def head(self, bucket: str, key: str) -> Entry:
        """What a listing would have of an object."""

    async def get(self, bucket: str, key: str, most: int, span: tuple[int, int] | None, tag: str) -> Blob:
        """Read an object.

        Args:
            bucket: its bucket.
            key: its name.
            most: bytes; LargeError for a larger one, without reading it.
            span: the first byte and the one after the last; None for all of them.
            tag: what its ETag must be; empty for any.
        """

    async def put(self, bucket: str, key: str, content: bytes, *, replace: bool) -> None:
        """Write an object whole; unless `replace`, only where nothing is."""

    async def put_file(self, bucket: str, key: str, file: BinaryIO, size: int, again: Again, *, replace: bool) -> None:
        """As `put`, of a file that is larger than PART_BYTES, in parts, each until it succeeds."""

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is not there may be an error of kind MISSING, or none."""

    def judge(self, error: Exception) -> Fault:
        """What an exception of one of these means."""
