"""Objects are read before their turn: many requests of a store under way while a server answers."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from batch.files.file import File
from batch.stores.faults import Kind, LargeError, MissingError, StoreError
from batch.stores.patience import Patience
from batch.stores.protocol import GETS, Blob
from batch.stores.urls import is_url, parse_url
from exporter.contract import CHANGED, MAX_FILE_BYTES, TOO_LARGE, UNREADABLE

if TYPE_CHECKING:
    from concurrent.futures import Future

_MOST_FILES = 2 * GETS  # ahead of the request that is being put together: all that a store is asked for at once
_MOST_BYTES = 32 * 1024 * 1024  # likewise, and another request's


def is_remote(file: File) -> bool:
    """Whether a file is to be read from a store. Members of archives there come with their bytes, or with a fault."""
    return file.content is None and not file.fault and is_url(file.path)


class UnreadError(Exception):
    """An object has no content to be sent; the text is the contract's."""


class Ahead:
    """The contents of files at URLs, asked for in the order in which they are taken.

    Args:
        patience: how long faults of a store are waited out.
        as_planned: whether an object is read only if its tag is still the one that the walk found.

    Attributes:
        gone: objects that the walk found, and that are not there any more; counted only with `as_planned`.
    """

    def __init__(self, patience: Patience, *, as_planned: bool) -> None:
        self._patience = patience
        self._as_planned = as_planned
        self._coming: deque[tuple[int, Future[Blob] | None]] = deque()
        self._octets = 0
        self.gone = 0
        self._paged: tuple[str, Future[Blob]] | None = None

    def expect(self, files: Iterable[File]) -> None:
        """Begin to read those that are at URLs. Other files are left to their turn."""
        for file in files:
            if is_remote(file):
                self._coming.append((file.size, self._begin(file)))
                self._octets += file.size

    def wants_more(self, beyond: list[File]) -> bool:
        """Whether more files should be expected; never where none is at a URL.

        Args:
            beyond: expected files that are about to be taken, which do not count.
        """
        if not self._coming:
            return False
        at_hand = [file.size for file in beyond if is_remote(file)]
        return len(self._coming) - len(at_hand) < _MOST_FILES and self._octets - sum(at_hand) < _MOST_BYTES

    def take(self) -> bytes:
        """The content of the oldest file that was expected and not taken.

        Raises:
            UnreadError: there is none.
            StoreError: the store failed.
        """
        size, future = self._coming.popleft()
        self._octets -= size
        if future is None:
            raise UnreadError(TOO_LARGE)
        try:
            return future.result().content
        except MissingError:
            self.gone += self._as_planned
            raise UnreadError(CHANGED if self._as_planned else UNREADABLE) from None
        except StoreError as error:
            if error.kind is not Kind.CONDITION:
                raise
            raise UnreadError(CHANGED) from None
        except LargeError:
            raise UnreadError(TOO_LARGE) from None

    def close(self) -> None:
        """Give up what is under way."""
        for _, future in self._coming:
            if future is not None:
                future.cancel()
        self._coming.clear()

    def _begin(self, file: File) -> "Future[Blob] | None":
        """Ask for a file; None for one that is too large by the listing."""
        if file.size > MAX_FILE_BYTES:
            return None
        if file.page and self._paged is not None and self._paged[0] == file.source:
            return self._paged[1]
        from batch.stores.store import open_store  # noqa: PLC0415 - a run without URLs starts without it

        where = parse_url(file.source)
        tag = file.tag if self._as_planned else ""
        future = open_store(where).fetch(where, self._patience, most=MAX_FILE_BYTES, tag=tag)
        # The pages of a file come one after the other.
        self._paged = (file.source, future) if file.page else None
        return future
