"""What a person sees on standard error while a run goes on. Imports Rich only when it is needed."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from batch.terminal.streams import is_live, may_be_lost

if TYPE_CHECKING:
    from batch.client.answers import Row
    from batch.engine import Listener
    from batch.files.file import File


@contextlib.contextmanager
def progress(count: Callable[[], int | None] | None, *, is_hidden: bool = False) -> "Iterator[Listener[Any]]":
    """Show progress on a terminal, as `display.progress` does; elsewhere nothing.

    Args:
        count: how many images there will be; None where nobody can know.
        is_hidden: show nothing on a terminal, either.
    """
    if is_hidden or not is_live():
        yield _Loader()
        return
    from batch.terminal import display  # noqa: PLC0415 - as the module's first line says

    with display.progress(count) as show:
        yield show


class _Loader:
    """Imports what prints the summary, a tenth of a short run's start, while the first requests are under way."""

    def add(self, _files: "list[File]", _answers: "list[Row]") -> None:
        import batch.terminal.display  # noqa: F401, PLC0415 - for those who import it at the end

    def start_over(self) -> None:
        pass


def notify(text: str) -> None:
    """Print a line that the user should read; the run goes on if it cannot be printed."""
    from batch.terminal.screen import print_notice, standard_error  # noqa: PLC0415 - as the module's first line says

    with may_be_lost(2):
        print_notice(standard_error(), text)
