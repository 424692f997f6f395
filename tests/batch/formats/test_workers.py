"""The processes that convert: killed, crashed, outlived; and runs that are killed and resumed."""

import io
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from batch.client import wire_pb2 as wire
from batch.files.contents import Contents, Fault
from batch.files.file import File
from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.formats.pool import ConverterError
from tests.batch.conftest import ScriptedServer
from tests.batch.formats.conftest import encoded, grey, tiff_of
from tests.batch.support import Client, read_rows, wait_for
from tests.conftest import ROOT, RunBatch, interruptible


def _workers(parent: int) -> list[int]:
    """The processes that convert for another, or that nobody has waited for."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(status[1]) == parent and b"batch.formats.worker" in line:
            found.append(int(folder.name))
    return found


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def contents() -> Iterator[Contents]:
    """Contents of files, with no process left behind."""
    contents = Contents()
    yield contents
    contents.close()
    assert _workers(os.getpid()) == []


def _write(folder: Path, count: int) -> list[File]:
    """Files that are converted, each of a grey of its own."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.tif").write_bytes(encoded(grey(number), "TIFF"))
    return list(walk(Walk((str(folder),), globs=("*.tif",)), Skipped()))


def _level(content: bytes | Fault) -> int | str:
    if isinstance(content, Fault):
        return content.text
    with Image.open(io.BytesIO(content)) as image:
        return int(image.getpixel((0, 0)))  # type: ignore[arg-type] # one band, one number


def test_none_before_the_first(tmp_path: Path, contents: Contents) -> None:
    """No process is started for PNGs, one for the first picture, and no more than there are cores for many."""
    (tmp_path / "scan.png").write_bytes(encoded(grey(1), "PNG"))
    png = File(str(tmp_path / "scan.png"), 0, 0)
    assert [_level(content) for content in contents.read([png, png])] == [1, 1]
    assert _workers(os.getpid()) == []
    files = _write(tmp_path / "scans", 30)
    assert [_level(content) for content in contents.read([png, files[7], png])] == [1, 7, 1]
    assert len(_workers(os.getpid())) == 1
    assert [_level(content) for content in contents.read(files)] == list(range(30))
    assert len(_workers(os.getpid())) <= len(os.sched_getaffinity(0))


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, contents: Contents) -> None:
    """Whoever ends these processes, at whatever moment, changes nothing of the answers."""
    files = _write(tmp_path / "scans", 60)
    levels = []
    for number, content in enumerate(contents.read(files)):
        levels.append(_level(content))
        if number % 7 == 0:
            for worker in _workers(os.getpid()):
                os.kill(worker, signal.SIGKILL)
    assert levels == list(range(60))


_FATAL = """
import os, signal
import batch.formats.picture as picture, batch.formats.worker as worker
worker._CPU_S = 0.2
encode = picture.encode
def fatal(image):
    while image.getpixel((0, 0)) == 2:
        {what}
    return encode(image)
picture.encode = fatal
worker.main()
"""


@pytest.mark.parametrize("what", ["os.kill(os.getpid(), signal.SIGSEGV)", "pass"])
def test_a_picture_that_ends_its_worker_is_corrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A picture that a decoder crashes over, or gets lost in, is given up the second time; its neighbours are not."""
    _start_instead(monkeypatch, _FATAL.format(what=what))
    contents = Contents()
    files = _write(tmp_path / "scans", 8)
    assert [_level(content) for content in contents.read(files)] == [0, 1, "corrupt", 3, 4, 5, 6, 7]
    contents.close()


def _start_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    popen = subprocess.Popen
    monkeypatch.setattr(
        "batch.formats.pool.subprocess.Popen",
        lambda _command, **options: popen([sys.executable, "-P", "-c", code], **options),
    )


def test_a_worker_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install that is broken is no fault of the files: the run stops and says what the process said last."""
    _start_instead(monkeypatch, "import PIL.no_such_module")
    contents = Contents()
    with pytest.raises(ConverterError, match="does not start: ModuleNotFoundError"):
        list(contents.read(_write(tmp_path / "scans", 2)))
    contents.close()


def test_an_install_that_is_broken(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """A Pillow that cannot be imported ends the run with exit code 3 and the reason; once mended, it is resumed."""
    _write(tmp_path / "scans", 2)
    (tmp_path / "broken" / "PIL").mkdir(parents=True)
    (tmp_path / "broken" / "PIL" / "__init__.py").write_text("raise ImportError('libjpeg is missing')")
    command = ["scans", "--glob", "*.tif", "--out", "out.csv", "--server", scripted.address]
    result = digits_batch(*command, PYTHONPATH=os.pathsep.join([str(tmp_path / "broken"), str(ROOT)]))
    assert result.returncode == 3
    assert "does not start: ImportError: libjpeg is missing; repeat the command to go on" in result.stderr
    assert result.stderr.count("\n") == 1
    assert digits_batch(*command).returncode == 0


def test_a_tile_that_claims_the_whole_memory(tmp_path: Path, contents: Contents) -> None:
    """A small picture in a tile of terabytes is refused by the process's limits; the next one is converted."""
    entries = [(256, 4, 1, 20), (257, 4, 1, 20), (258, 3, 1, 8), (259, 3, 1, 5), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(322, 4, 1, 1 << 20), (323, 4, 1, 1 << 20), (324, 4, 1, 200), (325, 4, 1, 50)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    (tmp_path / "bomb.tif").write_bytes((b"II*\0\x08\0\0\0" + directory).ljust(300, b"\0"))
    (tmp_path / "good.tif").write_bytes(encoded(grey(5), "TIFF"))
    files = list(walk(Walk((str(tmp_path),), globs=("*.tif",)), Skipped()))
    first, second = (_level(content) for content in contents.read(files))
    assert first in ("too large", "corrupt")
    assert second == 5


def test_no_worker_outlives_a_killed_run(tmp_path: Path, scripted: ScriptedServer) -> None:
    """SIGKILL of digits-batch ends its processes, those in the middle of an answer as well."""
    _write(tmp_path / "scans", 60)
    # Large ones, so that a process is at work or stuck with its answer.
    noise = Image.effect_noise((1500, 1500), 100)
    for number in range(60, 70):
        (tmp_path / "scans" / f"{number:03}.tif").write_bytes(encoded(noise, "TIFF", compression="tiff_lzw"))
    command = ["scans", "--glob", "*.tif", "--server", scripted.address, "--batch-size", "5", "--in-flight", "1"]
    scripted.script = lambda _number, _request, _context: time.sleep(0.1)
    with Client(tmp_path, "out.csv", command) as client:
        client.wait_for_answers(3)
        workers = _workers(client._process.pid)
        assert workers
        client.kill()
    wait_for(lambda: not any(map(_is_alive, workers)), seconds=20)


def test_no_worker_outlives_an_interrupted_run(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Ctrl-C, which a terminal sends to all, ends the run with its own words alone, and its processes."""
    _write(tmp_path / "scans", 60)
    command = ["scans", "--glob", "*.tif", "--server", scripted.address, "--batch-size", "5", "--in-flight", "1"]
    scripted.script = lambda _number, _request, _context: time.sleep(0.1)
    with interruptible(), Client(tmp_path, "out.csv", command) as client:
        client.wait_for_answers(3)
        workers = _workers(client._process.pid)
        assert workers
        client.signal(signal.SIGINT)
        finished = client.finish()
    assert finished.returncode == 130
    assert finished.stderr.count("\n") == 1
    assert not any(map(_is_alive, workers))


def test_killed_and_resumed(tmp_path: Path, digits_batch: RunBatch, server: str, three: Image.Image) -> None:
    """Runs over TIFFs, pages and PNGs that are killed at random moments and resumed write the quiet run's bytes."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(60):
        turned = three.rotate(number % 20 - 10, fillcolor=255)
        pages = [turned] * (number % 4 + 1)
        (folder / f"{number:02}.tif").write_bytes(tiff_of(pages, compression="tiff_lzw"))
        (folder / f"{number:02}.png").write_bytes(encoded(turned, "PNG" if number % 3 else "WEBP"))
    command = ["scans", "--glob", "*.tif", "--glob", "*.png", "--server", server, "--batch-size", "3"]
    quiet = digits_batch(*command, "--out", "quiet.csv")
    assert quiet.returncode == 0, quiet.stderr
    assert len(read_rows(tmp_path / "quiet.csv")) == 60 + 15 * (1 + 2 + 3 + 4)

    random = np.random.default_rng(1)
    kept = 0
    for _ in range(5):
        with Client(tmp_path, "out.csv", command) as client:
            client.wait_for_answers(kept + int(random.integers(1, 10)))
            client.kill()
        assert client.answered() > kept
        kept = client.answered()
    last = digits_batch(*command, "--out", "out.csv")
    assert last.returncode == 0, last.stderr
    assert "rows from the run before" in last.stdout
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "quiet.csv").read_bytes()


def test_a_file_that_changed_is_asked_again(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Resuming keeps the pages of files that are as they were, and asks for those of a file that is not."""
    (tmp_path / "scans").mkdir()
    for name in "abcd":
        (tmp_path / "scans" / f"{name}.tif").write_bytes(tiff_of([grey(1), grey(2)]))
    command = ["scans", "--glob", "*.tif", "--out", "out.csv", "--server", scripted.address]
    command += ["--batch-size", "2", "--in-flight", "1", "--timeout", "1"]

    def stop(number: int, _request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        if number >= 3:
            context.abort(grpc.StatusCode.INTERNAL, "broken")

    scripted.script = stop
    assert digits_batch(*command).returncode == 3
    (tmp_path / "scans" / "b.tif").write_bytes(tiff_of([grey(3), grey(4), grey(5)]))
    scripted.script = lambda *_: None
    scripted.sizes.clear()
    result = digits_batch(*command)
    assert result.returncode == 0, result.stderr
    # a's request stands; b has a page more, which moves all that come after it into other requests.
    assert scripted.sizes == [2, 2, 2, 1]
    names = [row["path"] for row in read_rows(tmp_path / "out.csv")]
    pages = {"a": 2, "b": 3, "c": 2, "d": 2}
    assert names == [f"scans/{name}.tif#page={n}" for name, count in pages.items() for n in range(1, count + 1)]
