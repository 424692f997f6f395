"""HTTP for the REST API, the metrics and the page, by aiohttp."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import unquote

import grpc
from aiohttp import hdrs, web

from serving.observability import metrics
from serving.observability.observe import Call, Observers
from serving.rest.body import uncompressed
from serving.rest.handler import HTTP_STATUS, Handler, Request, answer_json
from serving.rest.page import add_page
from serving.status import StatusError, from_exception, invalid_argument

_JSON = "application/json"
_LONGEST_DRAIN_SECONDS = 30.0
# As in TensorFlow Serving's model_servers/http_rest_api_util.cc.
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@dataclass(frozen=True, kw_only=True)
class RestSettings:
    """How REST is served."""

    timeout_seconds: float
    threads: int
    most_waiting: int
    """Requests that may wait for a thread; more are answered 429."""
    max_request_bytes: int
    enable_cors_support: bool
    """Whether web pages of any origin may call."""
    web: bool
    """Whether `/` is answered with the page."""
    metrics_path: str | None
    metrics_text: Callable[[], bytes]


class RestServer:
    """Serves from `start` to `stop`; both run in the event loop that it is to use."""

    def __init__(self, settings: RestSettings, handler: Handler, observers: Observers) -> None:
        self._settings = settings
        self._handler = handler
        self._observers = observers
        self._headers = _CORS_HEADERS if settings.enable_cors_support else {}
        self._pool = ThreadPoolExecutor(settings.threads, "rest")
        self._under_way = 0  # only the event loop's thread changes it
        self._runner: web.AppRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve who connects to the socket."""
        app = web.Application(client_max_size=self._settings.max_request_bytes)
        if self._settings.metrics_path:
            app.router.add_get(self._settings.metrics_path, self._metrics)
        if self._settings.web:
            add_page(app.router)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # Compressed bodies are ours: aiohttp takes one that is cut short for whole.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_LONGEST_DRAIN_SECONDS, auto_decompress=False
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def stop(self, seconds: float) -> None:
        """Take no more connections; let requests under way finish, so many seconds at most."""
        if self._runner:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._runner.cleanup(), seconds)

    async def _metrics(self, _request: web.Request) -> web.Response:
        text = await asyncio.get_running_loop().run_in_executor(None, self._settings.metrics_text)
        return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _answer(self, http: web.Request) -> web.Response:
        call = Call("REST", "", http.remote or "")
        if http.method == hdrs.METH_OPTIONS:
            return self._preflight(http, call)
        try:
            body = await self._in_time(http, call)
        except StatusError as error:
            return self._refuse(call, error, HTTP_STATUS[error.code])
        except web.HTTPRequestEntityTooLarge:
            text = "the request is larger than --max_request_bytes"
            return self._refuse(call, StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, text), 413)
        except web.RequestPayloadError as error:
            return self._refuse(call, invalid_argument(f"the body cannot be read: {error}"), 400)
        except asyncio.CancelledError:  # the caller hung up
            call.end(self._observers, grpc.StatusCode.CANCELLED)
            raise
        call.end(self._observers)
        return web.Response(body=body, content_type=_JSON, headers=self._headers)

    def _preflight(self, http: web.Request, call: Call) -> web.Response:
        """Answer a browser that asks whether a page may call, as in model_servers/http_server.cc."""
        asks = re.search("https?://", http.headers.get("Origin", ""))
        code = grpc.StatusCode.OK if asks else grpc.StatusCode.FAILED_PRECONDITION
        call.end(self._observers, code)
        return web.Response(status=HTTP_STATUS[code], headers=self._headers)

    def _refuse(self, call: Call, error: StatusError, status: int) -> web.Response:
        call.end(self._observers, error.code)
        return web.Response(body=answer_json(error), status=status, content_type=_JSON, headers=self._headers)

    async def _in_time(self, http: web.Request, call: Call) -> bytes:
        """Answer in a thread of the pool, or raise StatusError if that takes too long or too many wait already."""
        settings = self._settings
        deadline = time.monotonic() + settings.timeout_seconds
        content = await http.read()
        if self._under_way >= settings.threads + settings.most_waiting:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests wait; try again later")
        abandoned = threading.Event()
        request = Request(http.method, unquote(http.raw_path.partition("?")[0]), content, deadline, _not(abandoned))
        encoding = http.headers.get("Content-Encoding", "")
        self._under_way += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._work, request, encoding, call, abandoned)
        work.add_done_callback(self._one_less)
        try:
            return await asyncio.wait_for(asyncio.shield(work), settings.timeout_seconds)
        except TimeoutError:
            raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None
        finally:
            abandoned.set()

    def _work(self, request: Request, encoding: str, call: Call, abandoned: threading.Event) -> bytes:
        if abandoned.is_set():  # it gave up while it waited for a thread
            raise StatusError(grpc.StatusCode.CANCELLED, "the caller is gone")
        body = uncompressed(request.body, encoding, self._settings.max_request_bytes)
        try:
            return self._handler.handle(replace(request, body=body), call)
        except Exception as error:
            raise from_exception(error) from error

    def _one_less(self, work: "asyncio.Future[bytes]") -> None:
        self._under_way -= 1
        if not work.cancelled():
            work.exception()  # heard of by whoever still waits


def _not(event: threading.Event) -> Callable[[], bool]:
    return lambda: not event.is_set()
