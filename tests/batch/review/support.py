"""Tables as digits-batch writes them, and digits-review as a process that is asked over HTTP."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from batch.client.answers import Answer
from batch.files.file import File
from batch.numbers.answer import FieldAnswer
from batch.table.forms import Reading
from batch.table.number_form import NumberForm
from batch.table.output import Form, Output
from tests.conftest import ROOT, interruptible

Line = tuple[str, int, str, str]
"""Path, digit, confidence, error."""


def write_table(out: Path, lines: Iterable[Line], form: Form | None = None) -> Path:
    """A table of single digits, in the form that its ending names."""
    files, answers = [], []
    for path, digit, confidence, error in lines:
        files.append(File(path, 1, 1))
        answers.append(Answer(digit, confidence, error, "" if error else "1", ()))
    output = Output(out, form or Form())
    output.add(files, answers)
    output.sync()
    output.take_place(force=True)
    return out


def write_numbers(
    out: Path, lines: Iterable[tuple[str, str, str, str]], others: tuple[Reading, ...] | None = ()
) -> Path:
    """A table of fields of several digits: path, text, confidence, error; and the model's readings.

    These are the text and those others that are given; None for a table without them.
    """
    files, answers = [], []
    for path, text, confidence, error in lines:
        files.append(File(path, 1, 1))
        readings = (*(((text, confidence),) if text else ()), *(others or ()))
        answers.append(FieldAnswer(text, confidence, error, "1", readings))
    output = Output(out, NumberForm(probabilities=others is not None))
    output.add(files, answers)
    output.sync()
    output.take_place(force=True)
    return out


def samples(folder: Path) -> list[Line]:
    """Lines of the samples, which a link in a folder leads to, all right and each less sure than the one before."""
    (folder / "samples").symlink_to(ROOT / "samples")
    paths = sorted(path.relative_to(folder) for path in (folder / "samples").glob("?/*.png"))
    return [(str(path), int(path.parent.name), f"{0.99 - place / 100:.4f}", "") for place, path in enumerate(paths)]


class Running:
    """digits-review as a process.

    Attributes:
        address: what it has printed, with the token.
        port: where it listens.
        cookie: what a browser has after it has opened the address.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=\S+", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        self.address, self.port = found[0], int(found[1])
        self.cookie = ""
        answer, _ = self.ask("GET", self.address.partition(str(self.port))[2])
        assert answer.status == 303
        self.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request as the page would."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        own = {"Cookie": self.cookie}
        if method == "POST":
            own |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), own | (headers or {}))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """Ask for JSON."""
        answer, content = self.ask("GET", f"{path}?{urlencode(query)}")
        assert answer.status == 200, content
        found: dict[str, Any] = json.loads(content)
        return found

    def rows(self, **query: object) -> list[dict[str, Any]]:
        """The first rows of a view."""
        view = self.get("/api/view", **query)["view"]
        rows: list[dict[str, Any]] = self.get("/api/rows", view=view, first=0, count=100)["rows"]
        return rows

    def decide(self, row: int, label: str, seen: int = 0) -> tuple[int, dict[str, Any]]:
        """Decide on a row; returns the status and the answer."""
        generation = self.get("/api/table")["generation"]
        body = {"generation": generation, "row": row, "label": label, "seen": seen}
        answer, content = self.ask("POST", "/api/decide", body)
        return answer.status, json.loads(content)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """Start digits-review in a folder; SIGINT ends it, unless a test has."""
    command = [sys.executable, "-P", "-m", "batch.review.cli", *arguments, "--no-browser"]
    with interruptible():
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Running(process)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
