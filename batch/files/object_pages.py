"""The pages of TIFFs in a store, from the few blocks that hold their directories; many are looked at at once."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from batch.archives.kinds import is_archive
from batch.files.objects import Object
from batch.formats.pages import is_one_picture, pages_by
from batch.stores.faults import MissingError
from batch.stores.patience import Patience
from batch.stores.urls import parse_url
from exporter.contract import MAX_FILE_BYTES

if TYPE_CHECKING:
    from concurrent.futures import Future

_THREADS = 32  # each waits for a store most of the time
_BLOCK_BYTES = 64 * 1024  # all of a small TIFF, and the directory of most large ones


def with_pages(objects: Iterable[Object], patience: Patience) -> Iterator[tuple[Object, list[int]]]:
    """Objects with the numbers of their pages, from 1, as `pages_of` has them of files.

    Nothing is read of what is named .png, .jpg or .jpeg, nor of archives.

    Raises:
        StoreError: the store failed for too long.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a run without URLs starts without it

    waiting: deque[tuple[Object, Future[list[int]] | None]] = deque()
    threads = ThreadPoolExecutor(_THREADS)  # starts none before it is given work
    try:
        for one in objects:
            is_whole = is_one_picture(one.url) or is_archive(one.url) or not 0 < one.entry.size <= MAX_FILE_BYTES
            waiting.append((one, None if is_whole else threads.submit(_numbers, one, patience)))
            while waiting and (waiting[0][1] is None or len(waiting) > 2 * _THREADS):
                yield _finish(*waiting.popleft())
        while waiting:
            yield _finish(*waiting.popleft())
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _finish(one: Object, future: "Future[list[int]] | None") -> tuple[Object, list[int]]:
    return one, [1] if future is None else future.result()


def _numbers(one: Object, patience: Patience) -> list[int]:
    from batch.stores.store import open_store  # noqa: PLC0415 - a run without URLs starts without it

    where = parse_url(one.url)
    blocks: dict[int, bytes] = {}

    def block(number: int) -> bytes:
        if number not in blocks:
            start = number * _BLOCK_BYTES
            span = start, min(start + _BLOCK_BYTES, one.entry.size)
            found = open_store(where).fetch(where, patience, most=_BLOCK_BYTES, span=span)
            blocks[number] = found.result().content if span[0] < span[1] else b""
        return blocks[number]

    def read(count: int, at: int) -> bytes:
        numbers = range(at // _BLOCK_BYTES, (at + count - 1) // _BLOCK_BYTES + 1)
        start = at - numbers.start * _BLOCK_BYTES
        return b"".join(map(block, numbers))[start : start + count]

    try:
        return pages_by(read, one.entry.size)
    except MissingError:
        return [1]  # its row will say that it cannot be read
