"""The page of the server: files of `serving/web/`, which ask the REST API from the browser and know nothing else."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

_FOLDER = Path(__file__).parent.parent / "web"
_START = "index.html"
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
HEADERS: Final = {
    # Nothing from elsewhere, no script or style in the page itself; blob: is pictures that people have chosen.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A newer version of the server has a newer page.
    "Cache-Control": "no-cache",
}
"""Of every answer here, and of docker/web.conf."""


def add_page(router: web.UrlDispatcher) -> None:
    """Answer `/` with the page, and `/web/NAME` with what it is made of.

    The files are read once, now: no request names a path in the file system.
    """
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            router.add_get("/" if path.name == _START else f"/web/{path.name}", _always(path))


def _always(path: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answer each request with what the file holds now."""
    content = path.read_bytes()
    headers = {hdrs.CONTENT_TYPE: f"{_TYPES[path.suffix]}; charset=utf-8", **HEADERS}

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=content, headers=headers)

    return answer
