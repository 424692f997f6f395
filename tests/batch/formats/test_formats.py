"""digits-batch on TIFF, BMP, GIF, WebP and HEIC: the shipped model behind a real server, as users run it."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from PIL import Image

from batch.client import wire_pb2 as wire
from batch.files.walk import Walk
from batch.job import Job, run_job
from tests.batch.conftest import ScriptedServer
from tests.batch.formats.conftest import Broken, Forms, encoded, grey, tiff_of
from tests.batch.support import read_rows
from tests.conftest import ROOT, RunBatch

_CODE = (
    "import importlib.util\n"
    "find = importlib.util.find_spec\n"
    "importlib.util.find_spec = lambda name: None if name in {missing!r} else find(name)\n"
    "from batch.cli import app\n"
    "from exporter.command import run\n"
    "try: run('digits-batch', app)\n"
    "except SystemExit as end: print('code', end.code)\n"
    "print(sorted({{'PIL', 'pillow_heif', 'numpy', 'tensorflow'}} & set(sys.modules)))"
)


def _probe(
    folder: Path, *arguments: str, missing: tuple[str, ...] = (), python: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run digits-batch in a Python that finds some modules missing, and print its exit code and what it imported."""
    script = f"import sys\nsys.argv = {['digits-batch', *arguments]!r}\n{_CODE.format(missing=missing)}"
    command = [sys.executable, *python, "-P", "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def _levels(request: wire.PredictRequest) -> list[int]:
    """The grey of the first pixel of each PNG in a request."""
    levels = []
    for image in request.inputs["image_bytes"].string_val:
        assert image.startswith(b"\x89PNG")
        with Image.open(io.BytesIO(image)) as opened:
            levels.append(int(opened.convert("L").getpixel((0, 0))))  # type: ignore[arg-type] # one band, one number
    return levels


def test_every_format_is_answered(tmp_path: Path, digits_batch: RunBatch, server: str, forms: Forms) -> None:
    """Each form of each format is read as the digit that it shows, under its own name and in the walk's order."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, octets in forms.items():
        (folder / f"{name}.scan").write_bytes(octets)
    result = digits_batch("scans", "--glob", "*.scan", "--out", "out.csv", "--server", server)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == sorted(f"scans/{name}.scan" for name in forms)
    assert {row["path"]: row["digit"] for row in rows if row["digit"] != "3"} == {}
    assert min(float(row["confidence"]) for row in rows) > 0.9


def test_broken_files_have_their_errors(
    tmp_path: Path, digits_batch: RunBatch, server: str, forms: Forms, broken: Broken
) -> None:
    """What is cut off is corrupt, what claims too much too large, what is unknown no image; no neighbour is harmed."""
    folder = tmp_path / "scans"
    folder.mkdir()
    files = {name: octets for name, (octets, _) in broken.items()} | {"GIF": forms["GIF"], "HEIC": forms["HEIC"]}
    for name, octets in files.items():
        (folder / f"{name}.png").write_bytes(octets)
    result = digits_batch("scans", "--out", "out.csv", "--server", server)
    assert result.returncode == 1, result.stderr
    found = {Path(row["path"]).stem: row["error"] for row in read_rows(tmp_path / "out.csv")}
    assert found == {name: error for name, (_, error) in broken.items()} | {"GIF": "", "HEIC": ""}
    assert "Pillow cannot read what these files hold: write them anew as PNG" in result.stdout


def test_the_samples_as_other_formats(tmp_path: Path, digits_batch: RunBatch, server: str) -> None:
    """Lossless copies of the samples have the samples' own digits and confidences, whatever their format or ending."""
    endings = {"TIFF": "tif", "BMP": "bmp", "GIF": "png", "WEBP": "jpg"}
    kinds = list(endings)
    folder = tmp_path / "copies"
    samples = sorted((ROOT / "samples").rglob("*.png"))
    for place, path in enumerate(samples):
        form = kinds[place % len(kinds)]
        copy = folder / path.parent.name / f"{path.stem}.{endings[form]}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            mode = image.mode if form == "TIFF" or (image.mode == "P" and form == "GIF") else "RGB"
            copy.write_bytes(encoded(image.convert(mode), form, **({"lossless": True} if form == "WEBP" else {})))
    assert digits_batch(ROOT / "samples", "--out", "own.csv", "--server", server).returncode == 0
    globs = [argument for ending in endings.values() for argument in ("--glob", f"*.{ending}")]
    result = digits_batch("copies", *globs, "--out", "out.csv", "--server", server, "--truth", "parent")
    assert result.returncode == 0, result.stderr
    own, copied = read_rows(tmp_path / "own.csv"), read_rows(tmp_path / "out.csv")
    assert [Path(row["path"]).stem for row in copied] == [Path(row["path"]).stem for row in own]
    assert [row["digit"] for row in copied] == [row["digit"] for row in own]
    for one, other in zip(own, copied, strict=True):
        assert abs(float(one["confidence"]) - float(other["confidence"])) < 0.02


def test_order_among_pngs(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Images are sent in the order of their files, converted or not, and each row has its own file's answer."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(200):
        form = ("PNG", "TIFF", "PNG", "GIF", "BMP")[number % 5]
        (folder / f"{number:03}.png").write_bytes(encoded(grey(number), form))
    sent: dict[int, list[int]] = {}
    scripted.script = lambda number, request, _context: sent.__setitem__(number, _levels(request))
    command = ["scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "30", "--in-flight", "1"]
    result = digits_batch(*command)
    assert result.returncode == 0, result.stderr
    assert [level for number in sorted(sent) for level in sent[number]] == list(range(200))
    assert [row["path"] for row in read_rows(tmp_path / "out.csv")] == [f"scans/{n:03}.png" for n in range(200)]


def test_requests_keep_to_their_size_as_png(
    tmp_path: Path, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are many times as large as PNG go out in more requests, none above the limit, no more at a time."""
    limit = 2 << 20  # the scripted server takes no more than four megabytes
    monkeypatch.setattr("batch.client.exchange.MAX_REQUEST_BYTES", limit)
    noise = Image.merge("RGB", [Image.effect_noise((500, 500), 255) for _ in range(3)])
    webp = encoded(noise, "WEBP", quality=10, method=0)
    assert len(webp) < limit // 16
    (tmp_path / "scans").mkdir()
    for number in range(12):
        (tmp_path / "scans" / f"{number:02}.webp").write_bytes(webp)
    sizes: list[int] = []
    under_way: list[int] = [0]
    most: list[int] = []

    def script(_number: int, request: wire.PredictRequest, _context: grpc.ServicerContext) -> None:
        under_way[0] += 1
        most.append(under_way[0])
        sizes.append(request.ByteSize())
        time.sleep(0.1)
        under_way[0] -= 1

    scripted.script = script
    walk = Walk((str(tmp_path / "scans"),), globs=("*.webp",))
    summary, _ = run_job(Job(walk, tmp_path / "out.csv", (scripted.address,), in_flight=2))
    assert summary.rows == sum(scripted.sizes) == 12
    assert summary.splits == 0
    assert len(sizes) > 2
    assert max(sizes) <= limit + 1000
    assert max(most) <= 2
    assert len(read_rows(tmp_path / "out.csv")) == 12


def test_a_server_that_fails_meanwhile(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Parts of a request that the server refuses or is too busy for are sent again and halved like whole ones."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "many.tif").write_bytes(tiff_of([grey(level) for level in range(40)]))

    def script(number: int, request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        if number == 0:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        if 7 in _levels(request) and number < 200:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not that one")

    scripted.script = script
    result = digits_batch("scans", "--glob", "*.tif", "--out", "out.csv", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    errors = {row["path"]: row["error"] for row in read_rows(tmp_path / "out.csv") if row["error"]}
    assert errors == {"scans/many.tif#page=8": "refused by the server"}


def test_a_run_without_such_files_is_thin(tmp_path: Path, scripted: ScriptedServer) -> None:
    """PNGs alone: no Pillow is imported and no process is started."""
    (tmp_path / "scan.png").write_bytes(encoded(grey(1), "PNG"))
    audit = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('subprocess.Popen', 'os.fork', 'os.posix_spawn'): print('started', args)\n"
        "sys.addaudithook(hook)\n"
    )
    script = audit + f"sys.argv = ['digits-batch', 'scan.png', '--out', 'out.csv', '--server', {scripted.address!r}]\n"
    command = [sys.executable, "-P", "-c", script + _CODE.format(missing=())]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-2:] == ["code 0", "[]"]
    assert "started" not in result.stdout


def test_a_run_with_such_files_is_thin_itself(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Pillow is imported by the process that converts, not by digits-batch."""
    (tmp_path / "scan.tif").write_bytes(encoded(grey(1), "TIFF"))
    result = _probe(tmp_path, "scan.tif", "--out", "out.csv", "--server", scripted.address)
    assert result.stdout.splitlines()[-2:] == ["code 0", "[]"]


@pytest.mark.parametrize(
    ("missing", "unsupported", "lacking"),
    [
        (("PIL", "pillow_heif"), {"a.tif#page=1", "a.tif#page=2", "b.png", "c.heic"}, "Pillow is not installed"),
        (("pillow_heif",), {"c.heic"}, "for HEIC, pillow-heif is not installed"),
    ],
)
def test_without_the_extra(
    tmp_path: Path,
    scripted: ScriptedServer,
    forms: Forms,
    missing: tuple[str, ...],
    unsupported: set[str],
    lacking: str,
) -> None:
    """The rows say that the format is not supported, and the summary which extra to install and how."""
    (tmp_path / "a.tif").write_bytes(tiff_of([grey(1), grey(2)]))
    (tmp_path / "b.png").write_bytes(forms["WebP"])
    (tmp_path / "c.heic").write_bytes(forms["HEIC"])
    (tmp_path / "d.png").write_bytes(encoded(grey(1), "PNG"))
    paths = ["a.tif", "b.png", "c.heic", "d.png"]
    result = _probe(tmp_path, *paths, "--out", "out.csv", "--server", scripted.address, missing=missing)
    assert "code 1" in result.stdout
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == ["a.tif#page=1", "a.tif#page=2", "b.png", "c.heic", "d.png"]
    assert {row["path"] for row in rows if row["error"] == "format not supported"} == unsupported
    assert {row["error"] for row in rows} == {"", "format not supported"}
    hint = "run pip install '.[formats]' in a checkout of digits, or pip install 'WHEEL[formats]' with its wheel file"
    assert f"format not supported: {len(unsupported)}; {lacking}: {hint}, then run with --force" in result.stdout


def test_a_misnamed_tiff_of_several_pages(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """A TIFF named .png is one picture, its first page; the summary counts the others and says what to do."""
    (tmp_path / "scan.png").write_bytes(tiff_of([grey(5), grey(6), grey(7)]))
    sent: list[int] = []
    scripted.script = lambda _number, request, _context: sent.extend(_levels(request))
    result = digits_batch("scan.png", "--out", "out.csv", "--server", scripted.address, "--summary", "summary.json")
    assert result.returncode == 0, result.stderr
    assert sent == [5]
    assert [row["path"] for row in read_rows(tmp_path / "out.csv")] == ["scan.png"]
    assert "not read, further pages of TIFFs that are named .png or .jpg: 2; name these files .tif" in result.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["passed_over"]["pages_of_misnamed_tiffs"] == 2
