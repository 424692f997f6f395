"""The server of digits-review: the page and what the page asks, on the loopback interface.

All requests carry the cookie of `guard.py`. Answers are JSON unless said otherwise. A table has a generation, which
changes when its file does; a view is a filtered selection of rows in order, which stays as it is.

| request | answer |
|---|---|
| `GET /`, `GET /page/NAME` | the page and its files |
| `GET /api/table` | `name`, `kind` (digits or numbers), `errors`, `folders`, `by`, `sees`, and all of `/api/changes` |
| `GET /api/view?answer=&low=&high=&folder=&error=&state=` | `view`, `generation`, `rows`, `of`: a view; see `Filter` |
| `GET /api/rows?view=&first=&count=` | `rows`: `row`, the fields of `forms.Row`, `alternatives`, `decision` or null |
| `GET /api/next?view=&start=` | `place` in the view of the first undecided row from there on, or null |
| `GET /picture/GENERATION/ROW` | a PNG, JPEG, GIF, WebP or BMP; 404 with the reason as text |
| `GET /seen/GENERATION/ROW` | a PNG, 28x28: what the network gets of it, where `sees` is true; 404 likewise |
| `POST /api/decide` | takes `generation`, `row`, `label`, `seen`; answers `decision` once it is on the disk |
| `GET /api/changes?since=` | `decisions` after that number, `generation`, `rows`, `decided`, `number`, `notice` |

`alternatives` are the model's readings of a field other than the answer, each with its confidence, the best first; null
where the table has none. In an audit, rows have null for `answer`, `confidence` and `alternatives`, `/api/table` has
`is_blind`, and `/api/changes` has `result`: lines of text once all rows are decided.

A decision has `number`, `path`, `was` (the table's answer), `label`, `by`, `when`. A label is a digit or a text,
`none`, `unsure`, or empty to take the latest decision back. `seen` is the number of the decision that the person saw
on the row, 0 for none. Statuses: 409 with `decision` where somebody else has decided since; 410 where generation or
view are no more; 400 and 507 with `error`, where the request is wrong, and where the decision cannot be written.
"""

import asyncio
import contextlib
import errno
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from batch.review.decisions import ConflictError
from batch.review.guard import Guard, add_headers
from batch.review.pictures import NoPictureError, Pictures
from batch.review.rows import Filter
from batch.review.seen import Seen
from batch.review.session import Session, StaleError, described
from exporter.command import UserError

_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PNG = "image/png"
_LOOK_EVERY_S = 1.0
_READERS = 4  # of pictures at a time
_MOST_BYTES = 16384  # of a request's body


class Handlers:
    """Answers requests about one table.

    Args:
        session: the table.
        pictures: reads its pictures.
        seen: asks what a network gets of them; None to ask nobody.
    """

    def __init__(self, session: Session, pictures: Pictures, seen: Seen | None) -> None:
        self._session = session
        self._pictures = pictures
        self._seen = seen
        self._readers = asyncio.Semaphore(_READERS)

    def routes(self) -> list[web.RouteDef]:
        """What is answered; see above."""
        return [
            web.get("/", self.index),
            web.get("/page/{name}", self.page_file),
            web.get("/api/table", self.table),
            web.get("/api/view", self.view),
            web.get("/api/rows", self.rows),
            web.get("/api/next", self.next),
            web.get("/api/changes", self.changes),
            web.post("/api/decide", self.decide),
            web.get("/picture/{generation}/{row:[0-9]{1,12}}", self.picture),
            web.get("/seen/{generation}/{row:[0-9]{1,12}}", self.seen),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        """The page."""
        return _page_file("index.html")

    async def page_file(self, request: web.Request) -> web.Response:
        """A file of the page."""
        return _page_file(request.match_info["name"])

    async def table(self, _request: web.Request) -> web.Response:
        """What a page should know first."""
        described = await asyncio.to_thread(self._session.describe)
        return web.json_response({**described, "sees": self._seen is not None})

    async def view(self, request: web.Request) -> web.Response:
        """A new view."""
        query = request.query
        wanted = Filter(
            answer=query.get("answer", ""),
            low=_number(query.get("low") or "0"),
            high=_number(query.get("high") or "1"),
            folder=query.get("folder", ""),
            error=query.get("error", ""),
            state=query.get("state", ""),
        )
        return web.json_response(await asyncio.to_thread(self._session.view, wanted))

    async def rows(self, request: web.Request) -> web.Response:
        """Rows of a view."""
        query = request.query
        first, count = int(_number(query.get("first", "0"))), int(_number(query.get("count", "100")))
        found = await asyncio.to_thread(self._session.rows, query.get("view", ""), first, count)
        await asyncio.to_thread(self._pictures.expect, [row["path"] for row in found])
        return web.json_response({"rows": found})

    async def next(self, request: web.Request) -> web.Response:
        """Where to go on in a view."""
        start = int(_number(request.query.get("start", "0")))
        place = await asyncio.to_thread(self._session.next, request.query.get("view", ""), max(0, start))
        return web.json_response({"place": place})

    async def changes(self, request: web.Request) -> web.Response:
        """What others have decided."""
        since = int(_number(request.query.get("since", "0")))
        return web.json_response(await asyncio.to_thread(self._session.changes, since))

    async def decide(self, request: web.Request) -> web.Response:
        """A decision, which is on the disk before the answer goes out."""
        try:
            asked = json.loads(await request.text())
            generation, row, label, seen = (asked[name] for name in ("generation", "row", "label", "seen"))
        except (ValueError, KeyError, TypeError):
            raise UserError("the request is no decision") from None
        if not (isinstance(label, str) and type(row) is int and type(seen) is int):
            raise UserError("the request is no decision")
        try:
            decision = await asyncio.to_thread(self._session.decide, generation, row, label, seen)
        except ConflictError as conflict:
            return web.json_response({"decision": described(conflict.decision)}, status=409)
        except OSError as error:
            return web.json_response({"error": error.strerror or str(error)}, status=507)
        return web.json_response({"decision": decision})

    async def picture(self, request: web.Request) -> web.Response:
        """The picture of a row."""
        return await self._picture(request, self._pictures.read)

    async def seen(self, request: web.Request) -> web.Response:
        """What the network gets of it."""
        seen = self._seen
        if seen is None:
            raise web.HTTPNotFound
        return await self._picture(request, lambda path: (seen.read(self._pictures.read(path, as_sent=True)[0]), _PNG))

    async def _picture(self, request: web.Request, read: Callable[[str], tuple[bytes, str]]) -> web.Response:
        number = int(request.match_info["row"])
        path = await asyncio.to_thread(self._session.path, request.match_info["generation"], number)
        try:
            # A store that is slow must not keep decisions waiting for a thread.
            async with self._readers:
                content, media_type = await asyncio.to_thread(read, path)
        except NoPictureError as error:
            return web.Response(status=404, text=str(error), headers={"Cache-Control": "no-store"})
        # The address names one row of one reading of one table.
        keep = {"Cache-Control": "private, max-age=3600"}
        return web.Response(body=content, content_type=media_type, headers=keep)


def make_app(session: Session, pictures: Pictures, seen: Seen | None, guard: Guard) -> web.Application:
    """The application of a table; it looks after changes of others while it runs."""
    app = web.Application(client_max_size=_MOST_BYTES, middlewares=[guard.middleware, _errors])
    app.add_routes(Handlers(session, pictures, seen).routes())
    app.on_response_prepare.append(add_headers)

    async def looking(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_look(session))
        yield
        task.cancel()

    app.cleanup_ctx.append(looking)
    return app


async def serve(
    session: Session, pictures: Pictures, seen: Seen | None, *, port: int, show: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        session: the table.
        pictures: reads its pictures; closed in the end.
        seen: asks what a network gets of them, likewise; None to ask nobody.
        port: where; 0 for a free one.
        show: called with the address once it answers.

    Raises:
        UserError: the port is taken, or not for this user.
    """
    guard = Guard()
    runner = web.AppRunner(make_app(session, pictures, seen, guard), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise UserError(f"port {port} {reason}; choose another --port, or leave it out") from None
        guard.port = runner.addresses[0][1]
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        show(guard.address)
        await stop.wait()
    finally:
        await runner.cleanup()
        pictures.close()
        if seen is not None:
            seen.close()


async def _look(session: Session) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.to_thread(session.refresh)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except StaleError:
        return web.json_response({"error": "the table has changed"}, status=410)
    except UserError as error:
        return web.json_response({"error": str(error)}, status=400)
    return response


def _page_file(name: str) -> web.Response:
    path = _PAGE / name
    # Only what lies there under that very name.
    with contextlib.suppress(OSError, ValueError):
        if path.name == name and path.suffix in _TYPES and path.parent == _PAGE:
            media_type = _TYPES[path.suffix]
            headers = {"Cache-Control": "no-cache"}
            return web.Response(body=path.read_bytes(), content_type=media_type, charset="utf-8", headers=headers)
    raise web.HTTPNotFound


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"{text[:40]!r} is no number") from None
    if not abs(number) < 1e15:
        raise UserError(f"{text[:40]!r} is no number")
    return number
