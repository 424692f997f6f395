"""What a person sees on standard error while a job is planned."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

_EVERY_S = 0.2


@contextlib.contextmanager
def planning() -> Iterator[Callable[[int], None]]:
    """Show how many images a walk has found, on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and not needed in a log

    console = Console(stderr=True)
    started = shown = time.monotonic()
    images = 0
    with console.status("planning") as status:

        def show(found: int) -> None:
            nonlocal images, shown
            images += found
            now = time.monotonic()
            if now - shown >= _EVERY_S:
                shown = now
                status.update(f"planning: {images:,} images, {images / (now - started):,.0f} images/s")

        yield show
