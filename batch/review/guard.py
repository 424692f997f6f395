"""Who may talk to the server of digits-review: the browser that has its token, on a page of its own.

The token is in the address that is printed, as Jupyter does it, and in a cookie from then on. Host and Origin are
checked with every request, so that no name of another site that is made to lead here (DNS rebinding), and no page of
another site, gets anything.
"""

import hmac
import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_HEADERS = {
    # Scripts, styles and pictures are our own files; there is nothing else, and nobody may frame the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_DENIED = "Open the address that digits-review has printed: it holds a token, which this request lacks."


class Guard:
    """Checks requests.

    Attributes:
        port: where the server listens; set before the first request.
    """

    def __init__(self) -> None:
        self.port = 0
        self._token = secrets.token_urlsafe(32)

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://127.0.0.1:{self.port}/?token={self._token}"

    @property
    def _cookie(self) -> str:
        # Cookies are shared by all ports of a host.
        return f"digits-review-{self.port}"

    @property
    def middleware(self) -> Middleware:
        """For a web.Application."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._check_origin(request)
            if request.path == "/" and "token" in request.query:
                return self._admit(request.query["token"])
            if not self._is_token(request.cookies.get(self._cookie, "")):
                raise web.HTTPForbidden(text=_DENIED)
            return await handler(request)

        return check

    def _check_origin(self, request: web.Request) -> None:
        hosts = f"127.0.0.1:{self.port}", f"localhost:{self.port}"
        if request.headers.get("Host") not in hosts:
            raise web.HTTPForbidden(text="This server has another name.")
        origin = request.headers.get("Origin")
        # Browsers name it with every request that may change something.
        if origin != f"http://{request.headers['Host']}" and (origin is not None or request.method != "GET"):
            raise web.HTTPForbidden(text="This request comes from another page.")

    def _admit(self, token: str) -> web.Response:
        """Take the token out of the address, which is kept in the browser's history."""
        if not self._is_token(token):
            raise web.HTTPForbidden(text=_DENIED)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(self._cookie, token, httponly=True, samesite="Strict", path="/")
        return response

    def _is_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(errors="replace"), self._token.encode())


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Have browsers be strict with every response; for `on_response_prepare`."""
    response.headers.update(_HEADERS)
