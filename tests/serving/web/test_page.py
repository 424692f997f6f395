"""The files of the page as a browser gets them, without a browser."""

import http.client
import re
from collections.abc import Iterator

import pytest
from aiohttp import web

from serving.grpc_api.loop import LoopThread
from serving.rest.page import HEADERS, add_page
from tests.conftest import ROOT

FOLDER = ROOT / "serving" / "web"
FILES = sorted(path.name for path in FOLDER.iterdir())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server of the page and of nothing else."""
    loop = LoopThread()

    async def start() -> web.AppRunner:
        app = web.Application()
        add_page(app.router)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run(start())
    yield runner.addresses[0][1]
    loop.run(runner.cleanup())


def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Ask for a path as it is written; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_with_the_headers_that_keep_it_apart(port: int, name: str) -> None:
    """Each file has its type, which the browser must not guess, and the policy that forbids everything foreign."""
    status, headers, body = get(port, "/" if name == "index.html" else f"/web/{name}")
    assert status == 200
    assert body == (FOLDER / name).read_bytes()
    types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert headers["Content-Type"] == f"{types[name.rpartition('.')[2]]}; charset=utf-8"
    assert HEADERS.items() <= headers.items()
    policy = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/web",
        "/web/",
        "/web/index.html",
        "/web/../rest/page.py",
        "/web/..%2frest%2fpage.py",
        "/web/%2e%2e/rest/page.py",
        "/web//etc/passwd",
        "/web/%2fetc%2fpasswd",
        "/web/style.css/",
        "/web/style.css%00",
        "/../web/style.css",
    ],
)
def test_no_path_leaves_the_folder(port: int, path: str) -> None:
    """Only the files' own names are answered."""
    status, _, body = get(port, path)
    assert status in {400, 404}
    assert b"aiohttp" not in body
    assert b"root:" not in body


def test_all_that_a_file_names_is_there() -> None:
    """Links of the page, and imports of its modules, lead to files of it."""
    page = (FOLDER / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="web/([^"]+)"', page)) | {"index.html"}
    for path in FOLDER.glob("*.js"):
        named |= set(re.findall(r'from "\./([^"]+)"', path.read_text()))
    assert named == set(FILES)


def test_nothing_is_foreign_and_no_text_becomes_markup() -> None:
    """No file names another host, holds script or style in its markup, or makes markup of strings."""
    for name in FILES:
        text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|Function\(", text
        )
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|<script(?! type=\"module\" src=)|\son\w+=|\sstyle=", page)


def test_the_page_is_asked_for_and_not_told(port: int) -> None:
    """HEAD is answered as GET without the body; other methods are not the page's."""
    status, headers, body = get(port, "/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == (FOLDER / "index.html").stat().st_size
    assert get(port, "/", "POST")[0] == 405
