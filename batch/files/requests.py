"""How a walk is cut into requests: a pure function of it, so that the same files give the same bytes again."""

from collections.abc import Iterable, Iterator

from batch.client.window import MAX_REQUEST_BYTES
from batch.files.file import File

_FIRST = 125  # images in the first request; twice as many in each one after it, up to the usual number
_MOST_DOUBLINGS = 32  # far beyond any size


def cut(files: Iterable[File], size: int, number: int = 0) -> Iterator[list[File]]:
    """Cut a walk into requests of at most `size` images and MAX_REQUEST_BYTES.

    The first are smaller, so that a server has something to do while more is read.

    Args:
        files: of the walk, or of a part of it that begins with a request.
        size: most images in a request.
        number: of the first request of that part.
    """
    batch: list[File] = []
    octets, most = 0, min(size, _FIRST << min(number, _MOST_DOUBLINGS))
    for file in files:
        weight = file.size // file.pages
        if batch and (len(batch) == most or octets + weight > MAX_REQUEST_BYTES):
            yield batch
            batch, octets, most = [], 0, min(size, 2 * most)
        batch.append(file)
        octets += weight
    if batch:
        yield batch
