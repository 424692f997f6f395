"""digits-review as a process: who is let in, what is answered, and that decisions outlive it."""

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batch.review.cli import app
from batch.review.decisions import Decisions
from batch.table.forms import Row
from exporter.command import UserError
from tests.batch.review.support import Running, running, samples, write_table
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the samples and of what must never be shown."""
    folder = tmp_path_factory.mktemp("review")
    page = folder / "page.png"
    page.write_text("<script>alert(1)</script>")
    odd = [("/etc/passwd", -1, "0.0000", "not an image"), ("page.png", -1, "0.0000", "not an image")]
    write_table(folder / "preds.csv", [*samples(folder), *odd])
    return folder


@pytest.fixture(scope="module")
def review(folder: Path) -> Iterator[Running]:
    """digits-review on that table."""
    with running(folder, "preds.csv", "--by", "Ann") as review:
        yield review


def test_rows_and_their_pictures(review: Running, folder: Path) -> None:
    """The page gets rows in order, and the bytes of their pictures."""
    table = review.get("/api/table")
    assert (table["name"], table["kind"], table["rows"], table["by"]) == ("preds.csv", "digits", 42, "Ann")
    assert table["folders"] == ["", "/etc", *(f"samples/{digit}" for digit in range(10))]
    rows = review.rows(error="none")
    assert [row["path"] for row in rows[:2]] == ["samples/9/9-076.png", "samples/9/9-051.png"]
    answer, content = review.ask("GET", f"/picture/{table['generation']}/{rows[0]['row']}")
    assert content == (folder / rows[0]["path"]).read_bytes()
    assert answer.getheader("Content-Type") == "image/png"


def test_files_that_are_no_pictures_stay_here(review: Running) -> None:
    """A row may name any file: unless that is a picture, nothing of it is sent."""
    generation = review.get("/api/table")["generation"]
    for row in review.rows(error="any"):
        answer, content = review.ask("GET", f"/picture/{generation}/{row['row']}")
        assert (answer.status, content) == (404, b"not an image")
        assert (answer.getheader("Content-Type") or "").startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e%2f__init__.py",
        "/page/%2fetc%2fpasswd",
        "/etc/passwd",
        "//etc/passwd",
        "/picture/etc/passwd",
        "/page/",
        "/page/.",
    ],
)
def test_only_the_pages_own_files_are_served(review: Running, path: str) -> None:
    """No address leads out of the page's folder."""
    assert review.ask("GET", path)[0].status == 404


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/table", "/picture/x/0", "/nowhere"])
def test_nothing_without_the_token(review: Running, path: str) -> None:
    """Each address asks for the cookie, and for the right one."""
    for cookie in ("", f"digits-review-{review.port}=", f"digits-review-{review.port}=wrong"):
        answer, content = review.ask("GET", path, headers={"Cookie": cookie})
        assert answer.status == 403
        assert b"token" in content
    assert review.ask("GET", "/?token=wrong")[0].status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "localhost:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_other_sites_get_nothing(review: Running, headers: dict[str, str]) -> None:
    """Neither by a name that was made to lead here, nor from a page of theirs, token or not."""
    assert review.ask("GET", "/api/table", headers=headers)[0].status == 403
    assert review.ask("GET", review.address.partition(str(review.port))[2], headers=headers)[0].status == 403


def test_a_decision_needs_an_origin(review: Running) -> None:
    """A form of another page that hides where it is from decides nothing."""
    body = {"generation": review.get("/api/table")["generation"], "row": 0, "label": "1", "seen": 0}
    assert review.ask("POST", "/api/decide", body, headers={"Origin": ""})[0].status == 403


def test_every_response_is_strict(review: Running) -> None:
    """What is answered, and what is refused, has the same headers."""
    for path in ("/", "/page/main.js", "/api/table", "/nowhere"):
        headers = review.ask("GET", path)[0].headers
        assert (headers["Content-Security-Policy"] or "").startswith("default-src 'none'; script-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({"row": 0}, 400),
        ({"row": 0, "label": "x", "seen": 0}, 400),
        ({"row": 0, "label": "12", "seen": 0}, 400),
        ({"row": True, "label": "1", "seen": 0}, 400),
        ({"row": "0", "label": "1", "seen": 0}, 400),
        ({"row": 99, "label": "1", "seen": 0}, 410),
        ({"row": -1, "label": "1", "seen": 0}, 410),
        ({"row": 0, "label": "1", "seen": 0, "more": "x" * 20000}, 413),
    ],
)
def test_wrong_decisions_are_refused(review: Running, folder: Path, body: object, status: int) -> None:
    """Nothing that is no decision gets into the file, and no request is of any size."""
    if isinstance(body, dict):
        body["generation"] = review.get("/api/table")["generation"]
    assert review.ask("POST", "/api/decide", body)[0].status == status
    assert not (folder / "preds.review.csv").exists()


def test_wrong_questions_are_refused(review: Running) -> None:
    """Numbers that are none, and views that are not there."""
    for path in ("/api/view?low=x", "/api/rows?first=nan", "/api/next?start=1e99", "/api/changes?since="):
        answer, content = review.ask("GET", path)
        assert answer.status == 400
        assert "is no number" in json.loads(content)["error"]
    assert review.ask("GET", "/api/rows?view=none")[0].status == 410


def test_decisions_are_on_the_disk_when_they_are_answered(tmp_path: Path) -> None:
    """SIGKILL right after an answer loses nothing: the next process goes on."""
    write_table(tmp_path / "preds.csv", samples(tmp_path))
    with running(tmp_path, "preds.csv", "--by", "Ann") as review:
        assert review.decide(3, "7")[1]["decision"]["number"] == 1
        review.process.kill()
        review.process.wait()
    with running(tmp_path, "preds.csv", "--by", "Ann") as review:
        assert [row["row"] for row in review.rows(state="decided")] == [3]
        assert review.get("/api/table")["decided"] == 1
        view = review.get("/api/view")
        assert review.get("/api/next", view=view["view"], start=36)["place"] == 37


def test_another_process_is_seen_and_not_overwritten(tmp_path: Path) -> None:
    """What somebody else decides comes with the changes; a decision that missed it is told, and not taken."""
    table = write_table(tmp_path / "preds.csv", samples(tmp_path))
    with running(tmp_path, "preds.csv", "--by", "Ann") as review:
        row = next(row for row in review.rows() if row["row"] == 0)
        bob = Decisions(table.with_name("preds.review.csv"), "Bob")
        bob.decide(Row(row["path"], "0", row["confidence"], ""), "6", 0)
        status, answer = review.decide(0, "1", 0)
        assert (status, answer["decision"]["by"], answer["decision"]["label"]) == (409, "Bob", "6")
        assert [(one["path"], one["label"]) for one in review.get("/api/changes", since=0)["decisions"]] == [
            (row["path"], "6")
        ]
        assert review.decide(0, "1", answer["decision"]["number"])[0] == 200
        bob.decide(Row("samples/0/0-026.png", "0", "0.9800", ""), "5", 0)
        _wait_for(lambda: len(review.get("/api/changes", since=2)["decisions"]) == 1)
        assert review.get("/api/table")["decided"] == 2


def test_a_table_that_goes_on_or_is_written_anew_is_read_again(tmp_path: Path) -> None:
    """Rows change, decisions stay with their paths; what a page knew of rows does no harm."""
    lines = samples(tmp_path)
    table = write_table(tmp_path / "preds.csv", lines)
    with running(tmp_path, "preds.csv") as review:
        old = review.get("/api/table")["generation"]
        with table.open("a", newline="") as file:
            file.write("new.png,4,0.0100,,1\r\n")
        _wait_for(lambda: review.get("/api/table")["rows"] == 41)
        assert (review.rows()[0]["path"], review.get("/api/table")["generation"]) == ("new.png", old)
        review.decide(0, "7")
        (tmp_path / "preds.csv.part").touch()
        _wait_for(lambda: "written anew" in review.get("/api/table")["notice"])
        write_table(table, reversed(lines))
        _wait_for(lambda: review.get("/api/table")["generation"] != old)
        (row,) = review.rows(state="decided")
        assert (row["path"], row["row"], row["decision"]["label"]) == (lines[0][0], 39, "7")
        body = {"generation": old, "row": 0, "label": "1", "seen": 0}
        assert review.ask("POST", "/api/decide", body)[0].status == 410
        (tmp_path / "other").write_text("nonsense")
        (tmp_path / "other").rename(table)
        _wait_for(lambda: "cannot be read" in review.get("/api/table")["notice"])
        assert len(review.rows()) == 40
        table.unlink()
        _wait_for(lambda: "is gone" in review.get("/api/table")["notice"])
        assert len(review.rows()) == 40


def test_a_server_shows_what_its_network_gets(tmp_path: Path, server: str) -> None:
    """The 28x28 of a sample, white on black, and the reason where there is none."""
    write_table(tmp_path / "preds.csv", [*samples(tmp_path), ("gone.png", -1, "0.0000", "unreadable")])
    with running(tmp_path, "preds.csv", "--server", server) as review:
        table = review.get("/api/table")
        assert table["sees"]
        answer, content = review.ask("GET", f"/seen/{table['generation']}/0")
        assert answer.getheader("Content-Type") == "image/png", content
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image)
        assert pixels.shape == (28, 28)
        assert pixels[0].max() == 0
        assert pixels.max() > 200
        assert review.ask("GET", f"/seen/{table['generation']}/40")[1] == b"there is no such file any more"
    with running(tmp_path, "preds.csv") as review:
        table = review.get("/api/table")
        assert not table["sees"]
        assert review.ask("GET", f"/seen/{table['generation']}/0")[0].status == 404


def test_paths_are_found_beside_the_table(tmp_path: Path) -> None:
    """Run from elsewhere, pictures are looked for in the table's own folder."""
    (tmp_path / "run").mkdir()
    write_table(tmp_path / "run" / "preds.csv", samples(tmp_path / "run"))
    with running(tmp_path, "run/preds.csv") as review:
        generation = review.get("/api/table")["generation"]
        assert review.ask("GET", f"/picture/{generation}/0")[0].status == 200


def test_what_keeps_it_from_starting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No table yet, one without rows, a port that is taken, a flag without its other one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.csv.part").touch()
    write_table(tmp_path / "empty.csv", [])
    write_table(tmp_path / "preds.csv", samples(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, reason in (
            (("nowhere.csv",), "No such file"),
            (("part.csv",), "a run is writing it"),
            (("s3://bucket/preds.csv",), "copy it to this machine"),
            (("empty.csv",), "nothing to review"),
            (("preds.csv", f"--port={port}", "--no-browser"), f"port {port} is taken"),
            (("preds.csv", "--force"), "only with --apply"),
            (("preds.csv", "--by="), "--by is empty"),
            (("preds.csv", "--apply", "preds.csv"), "choose another name"),
        ):
            with pytest.raises(UserError, match=reason):
                app(arguments, standalone_mode=False)


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_page_has_no_inline_script_or_style_and_no_foreign_host() -> None:
    """What the policy forbids is not there to begin with."""
    page = ROOT / "batch" / "review" / "page"
    text = (page / "index.html").read_text()
    assert "style=" not in text
    assert "<style" not in text
    assert text.count("<script") == text.count('<script type="module" src="/page/')
    for path in page.iterdir():
        content = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in content
        assert "https://" not in content
        assert "innerHTML" not in content
