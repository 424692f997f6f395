"""digits-batch as its users run it: real PNGs, the shipped model, real servers."""

import csv
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from batch.client.window import DEFAULT_BATCH_SIZE
from tests.batch.conftest import ScriptedServer
from tests.conftest import ROOT, RunBatch, interruptible
from tests.support import Image, write_png

COLUMNS = ["path", "digit", "confidence", "error", "model_version"]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def _wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_samples_through_the_built_in_server(tmp_path: Path, digits_batch: RunBatch, nobody_listens: None) -> None:
    """With no server about, the built-in one is started and stopped; every sample has its row, rightly read."""
    result = digits_batch(ROOT / "samples", "--out", "preds.csv", TMPDIR=str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = _rows(tmp_path / "preds.csv")
    assert list(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == sorted(str(path) for path in (ROOT / "samples").rglob("*.png"))
    right = sum(Path(row["path"]).parent.name == row["digit"] for row in rows)
    assert right >= len(rows) - 1
    assert {row["model_version"] for row in rows} == {"1"}
    assert "starting the built-in server" in result.stderr
    assert "model version 1" in result.stdout
    # Neither the socket nor the journal is left behind.
    assert [path.name for path in tmp_path.iterdir()] == ["preds.csv"]


def test_the_built_in_server_dies_with_a_killed_client(tmp_path: Path, nobody_listens: None) -> None:
    """SIGKILL of the client stops the server it had started and removes the socket and its folder."""
    scan = (ROOT / "samples" / "0" / "0-001.png").read_bytes()
    (tmp_path / "scan.png").write_bytes(scan)
    # Naming one file many times keeps the client busy long enough to be killed at work.
    command = [sys.executable, "-P", "-m", "batch.cli", *["scan.png"] * 5000, "--out", "out.csv", "--batch-size", "1"]
    client = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert _wait_for(lambda: (tmp_path / "out.csv.part").exists() and _lines(tmp_path / "out.csv.part") > 10)
    servers = _processes_naming(str(tmp_path))
    assert len(servers) == 1
    client.send_signal(signal.SIGKILL)
    client.wait()
    assert _wait_for(lambda: not _processes_naming(str(tmp_path)))
    assert _wait_for(lambda: not list(tmp_path.glob("digits-*")))


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _processes_naming(text: str) -> list[int]:
    """Processes of serving.cli whose command line holds the text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in line and "serving.cli" in line:
            found.append(int(path.parent.name))
    return found


def test_odd_and_broken_files_beside_each_other(
    tmp_path: Path,
    digits_batch: RunBatch,
    server: str,
    all_odd_pngs: dict[str, bytes],
    broken_pngs: dict[str, tuple[bytes, str]],
) -> None:
    """One request of every odd and every broken PNG: a digit for the former, the right error row for the latter."""
    folder = tmp_path / "scans"
    folder.mkdir()
    expected = {f"{name}.png": ("3", "") for name in all_odd_pngs}
    errors = {name: error for name, (_, error) in broken_pngs.items()}
    errors["a GIF"] = "corrupt"  # to the server it is no image; digits-batch knows GIFs, and that this one is cut off
    expected |= {f"{name}.png": ("-1", error) for name, error in errors.items()}
    files = all_odd_pngs | {name: octets for name, (octets, _) in broken_pngs.items()}
    for name, octets in files.items():
        (folder / f"{name}.png").write_bytes(octets)
    result = digits_batch("scans", "--out", "out.csv", "--server", server)
    assert result.returncode == 1, result.stderr
    rows = _rows(tmp_path / "out.csv")
    assert {row["path"].removeprefix("scans/"): (row["digit"], row["error"]) for row in rows} == expected
    assert all((row["confidence"] == "0.0000") == (row["digit"] == "-1") for row in rows)
    for error, count in Counter(errors.values()).items():
        (line,) = [line for line in result.stdout.splitlines() if f"error: {error}" in line]
        assert str(count) in line


@pytest.mark.parametrize("name", ["truncated", "zero bytes", "renamed text", "wrong CRC", "claims 20000x20000"])
def test_a_broken_file_alone(
    tmp_path: Path, digits_batch: RunBatch, server: str, broken_pngs: dict[str, tuple[bytes, str]], name: str
) -> None:
    """A run of a single broken file finishes with its error row and exit code 1."""
    octets, error = broken_pngs[name]
    (tmp_path / "scan").write_bytes(octets)
    result = digits_batch("scan", "--out", "out.csv", "--server", server)
    assert result.returncode == 1, result.stderr
    assert _rows(tmp_path / "out.csv") == [
        {"path": "scan", "digit": "-1", "confidence": "0.0000", "error": error, "model_version": "1"}
    ]


def test_ten_thousand_mnist_images(
    tmp_path: Path, digits_batch: RunBatch, server: str, shared_data: Path, shipped_model: Path
) -> None:
    """MNIST's test set as PNGs: a row each, and the answers of the same SavedModel in process, to the last image."""
    import gzip  # noqa: PLC0415

    import tensorflow as tf  # noqa: PLC0415 - seconds

    octets = gzip.decompress((shared_data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    images: Image = np.frombuffer(octets, np.uint8, offset=16).reshape(-1, 28, 28)
    octets = gzip.decompress((shared_data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    labels = np.frombuffer(octets, np.uint8, offset=8)
    pngs = [write_png(image[:, :, None]) for image in images]
    for number, png in enumerate(pngs):
        path = tmp_path / "mnist" / f"{number // 1000}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)

    result = digits_batch("mnist", "--out", "out.csv", "--server", server)
    assert result.returncode == 0, result.stderr
    rows = _rows(tmp_path / "out.csv")
    assert [Path(row["path"]).stem for row in rows] == [f"{number:05}" for number in range(10_000)]

    size = DEFAULT_BATCH_SIZE
    predict = tf.saved_model.load(str(shipped_model / "1")).signatures["serving_default"]
    batches = [predict(image_bytes=tf.constant(pngs[start : start + size])) for start in range(0, 10_000, size)]
    digits = np.concatenate([batch["digit"].numpy() for batch in batches])
    assert [int(row["digit"]) for row in rows] == digits.tolist()
    served = np.array([int(row["digit"]) for row in rows])
    assert (served == labels).sum() == (digits == labels).sum()
    assert (served == labels).mean() > 0.97


def test_real_scans_have_no_error_rows(tmp_path: Path, digits_batch: RunBatch, server: str, shared_data: Path) -> None:
    """A thousand drawn digits and the cells of scanned forms are all answered, and most of them rightly."""
    drawn, cells = shared_data / "hwd_1000" / "img", shared_data / "scans"
    result = digits_batch(drawn, cells, "--out", "out.csv", "--server", server)
    assert result.returncode == 0, result.stderr
    rows = _rows(tmp_path / "out.csv")
    assert len(rows) == 1000 + 384
    truth = [Path(row["path"]).name[0] if i < 1000 else Path(row["path"]).parent.name for i, row in enumerate(rows)]
    right = [row["digit"] == digit for row, digit in zip(rows, truth, strict=True)]
    assert np.mean(right[:1000]) > 0.98
    assert np.mean(right[1000:]) > 0.85


def test_the_same_files_give_the_same_bytes(tmp_path: Path, digits_batch: RunBatch, server: str) -> None:
    """Two runs over the same folder write identical tables, with lines that end as RFC 4180 says."""
    for name in ("one.csv", "two.csv"):
        assert digits_batch(ROOT / "samples", "--out", name, "--server", server).returncode == 0
    octets = (tmp_path / "one.csv").read_bytes()
    assert octets == (tmp_path / "two.csv").read_bytes()
    assert octets.count(b"\r\n") == 41


def test_strange_file_names_survive(tmp_path: Path, digits_batch: RunBatch, server: str) -> None:
    """Commas, quotes, line breaks and bytes that are no UTF-8 come out of the table as they went in."""
    scan = (ROOT / "samples" / "7" / "7-001.png").read_bytes()
    names = [b"a,b.png", b'quote".png', b"line\nbreak.png", b"latin-\xe9.png", b"-dash.png", "ünï.png".encode()]
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(scan)
    result = digits_batch("scans", "--out", "out.csv", "--server", server)
    assert result.returncode == 0, result.stderr
    rows = _rows(tmp_path / "out.csv")
    assert [os.fsencode(row["path"]) for row in rows] == [b"scans/" + name for name in sorted(names)]
    assert {row["digit"] for row in rows} == {"7"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "out.csv"], ["nowhere", "no such file or folder"]),
        (["empty", "--out", "out.csv"], ["nothing to do", "empty", "1 .jpg"]),
        (["scan.png", "--out", "nowhere/out.csv"], ["nowhere/out.csv.part", "--out"]),
        (["scan.png", "--out", "out.csv", "--model", "letters"], ["letters", "--model"]),
        (["scan.png", "--out", "out.csv", "--signature", "pixles"], ["pixles", "pixels, serving_default"]),
        (["scan.png", "--out", "out.csv", "--signature", "pixels"], ["takes pixels", "encoded images"]),
        (["scan.png", "--out", "out.csv", "--model-version", "77"], ["77", "--model-version"]),
        (["scan.png", "--out", "out.csv", "--model-label", "stable"], ["stable"]),
        (["scan.png", "--out", "out.csv", "--server", "http://localhost:8501"], ["HOST:PORT"]),
        (["scan.png", "--out", "out.csv", "--model-version", "1", "--model-label", "x"], ["exclude each other"]),
        (["scan.png"], ["--out"]),
        (["scan.png", "--out", "out.csv", "--bogus"], ["--bogus"]),
        ([], ["PATH"]),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    tmp_path: Path, digits_batch: RunBatch, server: str, arguments: list[str], words: list[str]
) -> None:
    """Exit code 2, a message that names the flag or the file, no traceback and nothing written."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "photo.jpg").write_bytes(b"x")
    (tmp_path / "scan.png").write_bytes(b"x")
    result = digits_batch(*arguments, DIGITS_SERVER=server)
    assert result.returncode == 2, result.stderr
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_server_that_is_not_there(tmp_path: Path, digits_batch: RunBatch) -> None:
    """A named server that does not answer within --timeout ends the run with exit code 3 and its address."""
    (tmp_path / "scan.png").write_bytes(b"x")
    result = digits_batch("scan.png", "--out", "out.csv", "--server", "localhost:9", "--timeout", "0.5")
    assert result.returncode == 3
    assert "localhost:9" in result.stderr
    assert "Traceback" not in result.stderr


def test_interrupting_keeps_what_is_done(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Ctrl-C ends at once with exit code 130 and says how to go on; the same command then finishes."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.png").write_bytes(bytes([number]))
    hold = threading.Event()
    scripted.script = lambda number, _request, _context: hold.wait(20) and None if number >= 6 else None
    command = [sys.executable, "-P", "-m", "batch.cli", "scans", "--out", "out.csv", "--server", scripted.address]
    command += ["--batch-size", "4", "--in-flight", "2"]
    with interruptible():
        client = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert _wait_for(lambda: scripted.calls >= 7)
    client.send_signal(signal.SIGINT)
    _, said = client.communicate(timeout=5)
    hold.set()
    assert client.returncode == 130
    assert "repeat the command" in said
    assert "Traceback" not in said
    scripted.sizes.clear()
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    assert sum(scripted.sizes) <= 40 - 6 * 4 + 4
    assert [row["digit"] for row in _rows(tmp_path / "out.csv")] == [str(number % 10) for number in range(40)]


def test_a_full_disk_is_told_as_such(tmp_path: Path, scripted: ScriptedServer) -> None:
    """A journal that cannot grow ends the run with exit code 3; with room again the same command finishes."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.png").write_bytes(bytes([number]))
    command = [sys.executable, "-P", "-m", "batch.cli", "scans", "--out", "out.csv", "--server", scripted.address]
    command += ["--batch-size", "4"]

    stopped = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    # From outside: what a fork does before it starts a program does not go with gRPC's threads in this process.
    resource.prlimit(stopped.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    _, errors = stopped.communicate()
    assert stopped.returncode == 3, errors
    assert "out.csv" in errors
    assert "make room" in errors
    assert "Traceback" not in errors
    finished = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "rows from the run before" in finished.stdout
    assert len(_rows(tmp_path / "out.csv")) == 200


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path, server: str) -> None:
    """On a terminal a bar with counts and rate; into a pipe nothing of it."""
    command = [sys.executable, "-P", "-m", "batch.cli", str(ROOT / "samples"), "--out", "out.csv", "--server", server]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    shown = subprocess.run(
        ["script", "-qec", " ".join([*command, "--force"]), "/dev/null"],  # noqa: S607 - a terminal of its own
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "100", "TERM": "xterm"},
    )
    assert "40/40" in shown.stdout
    assert "images/s" in shown.stdout


def test_help_is_quick_and_thin() -> None:
    """`--help` takes less than half a second of CPU time, names the options, imports no TensorFlow and no gRPC."""
    probe = (
        "import sys, resource\n"
        "sys.argv = ['digits-batch', '--help']\n"
        "from batch.cli import app\n"
        "from exporter.command import run\n"
        "try: run('digits-batch', app)\n"
        "except SystemExit: pass\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = sorted({'tensorflow', 'grpc', 'numpy'} & set(sys.modules))\n"
        "print('CPU', used.ru_utime + used.ru_stime, 'heavy', heavy)"
    )
    result = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True)
    last = result.stdout.splitlines()[-1].split()
    assert float(last[1]) < 0.5
    assert last[3] == "[]"
    assert "--in-flight" in result.stdout


def test_a_run_imports_no_tensorflow(tmp_path: Path, server: str) -> None:
    """A whole run in one process leaves TensorFlow and NumPy unimported."""
    probe = (
        "import sys\n"
        f"sys.argv = ['digits-batch', {str(ROOT / 'samples')!r}, '--out', 'out.csv', '--server', {server!r}]\n"
        "from batch.cli import app\n"
        "from exporter.command import run\n"
        "try: run('digits-batch', app)\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'tensorflow', 'tensorflow_serving', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
