"""The objects that URLs stand for: one, or all under a prefix whose names are taken.

They come in the order in which the store lists them, by the bytes of their keys. A folder's walk goes depth first,
which differs where a name goes on with a byte below that of `/`: `a-b/x.png` comes before `a/x.png` here, after it
there.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from batch.archives.kinds import is_archive
from batch.files.skipped import Skipped
from batch.stores.faults import Kind, MissingError, StoreError
from batch.stores.patience import Patience
from batch.stores.protocol import GETS, Entry
from batch.stores.urls import ObjectUrl, is_url, parse_url
from exporter.command import UserError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from batch.stores.store import Store


def _open(where: ObjectUrl) -> "Store":
    from batch.stores.store import open_store  # noqa: PLC0415 - a run without URLs starts without it

    return open_store(where)


class Object(NamedTuple):
    """An object to be taken, and the URL that the table has for it."""

    url: str
    entry: Entry


class Objects:
    """Walks URLs with the rules of one run.

    Args:
        takes: whether a name is taken under a prefix.
        recursive: whether objects are taken that have further slashes in their keys.
        patience: how long faults of a store are waited out.
        skipped: filled with what is passed over.
    """

    def __init__(
        self, takes: Callable[[str], object], patience: Patience, skipped: Skipped, *, recursive: bool
    ) -> None:
        self._takes = takes
        self._recursive = recursive
        self._patience = patience
        self._skipped = skipped
        self._asked: deque[Future[Entry] | None] = deque()

    def ahead(self, paths: Iterable[str]) -> Iterator[str]:
        """Pass on paths; stores are asked about the URLs among them while those before them are walked."""
        waiting: deque[str] = deque()
        for path in paths:
            waiting.append(path)
            if is_url(path):
                self._asked.append(_ask(parse_url(path), self._patience))
            while waiting and (len(waiting) > GETS or not is_url(waiting[0])):
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def walk(self, url: str) -> Iterator[Object]:
        """What a URL stands for that has come out of `ahead`.

        Raises:
            UserError: it is no URL of a store that can be read.
            StoreError: the store failed.
        """
        where = parse_url(url)
        asked = self._asked.popleft()
        entry = None if asked is None else _found(asked)
        if entry is not None:
            yield Object(url, entry)
            return
        is_empty = True
        for found in self._under(where):
            is_empty = False
            if found is not None:
                yield found
        if is_empty and asked is not None:
            # It was there when the run began, or it is of a list. Its row will say that it cannot be read.
            yield Object(url, Entry(where.key, 0, 0, ""))

    def _under(self, where: ObjectUrl) -> Iterator[Object | None]:
        """The objects under a prefix; None for each that is not taken."""
        prefix = _prefix(where)
        top = where._replace(key=prefix)
        for page in _open(where).pages(top, self._patience, recursive=self._recursive):
            for folder in page.folders:
                self._skipped.unwalked += not _is_hidden(folder[len(prefix) :])
                yield None
            for entry in page.entries:
                rest = entry.key[len(prefix) :]
                name = rest.rpartition("/")[2]
                if name and not _is_hidden(rest):
                    if self._takes(name):
                        yield Object(where.base + entry.key, entry)
                        continue
                    self._skipped.note_other_image(name)
                    self._skipped.unopened += is_archive(name)
                yield None


def check_url(url: str, patience: Patience) -> None:
    """Raise UserError unless there is such an object, or a prefix with something under it, that can be listed.

    Raises:
        StoreError: the store did not answer in time.
    """
    where = parse_url(url)
    try:
        asked = _ask(where, patience)
        if asked is not None and _found(asked) is not None:
            return
        top = where._replace(key=_prefix(where))
        page = next(_open(where).pages(top, patience, recursive=False))
    except StoreError as error:
        if error.kind is Kind.PASSING:
            raise
        raise UserError(str(error)) from None
    if where.key and not (page.entries or page.folders or page.token):
        raise UserError(f"{url}: no such object, and nothing under {top.url}")


def find_object(url: str, patience: Patience) -> Entry | None:
    """The object of that very URL; None if there is none. Raises StoreError."""
    try:
        return _open(where := parse_url(url)).find(where, patience).result()
    except MissingError:
        return None


def _ask(where: ObjectUrl, patience: Patience) -> "Future[Entry] | None":
    """Begin to look whether a URL is that of an object; None where it can only be a prefix."""
    return None if not where.key or where.key.endswith("/") else _open(where).find(where, patience)


def _found(asked: "Future[Entry]") -> Entry | None:
    try:
        return asked.result()
    except MissingError:
        return None
    except StoreError as error:
        # Where one may not list, a store says so of what is not there; and S3 gives no reasons here. Listing tells.
        if error.kind in (Kind.DENIED, Kind.OTHER):
            return None
        raise


def _prefix(where: ObjectUrl) -> str:
    """What the keys under a URL begin with."""
    return where.key if not where.key or where.key.endswith("/") else where.key + "/"


def _is_hidden(rest: str) -> bool:
    """Whether a file of that path in a folder would be left out."""
    return rest.startswith(".") or "/." in rest
