"""TIFF, BMP, GIF, WebP and HEIC as members of archives: as loose files are."""

import io
import os
import signal
import tarfile
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from batch.accuracy.thumbnail import member_thumbnails, thumbnail
from batch.client import wire_pb2 as wire
from batch.files.copies import Copies
from batch.files.walk import Walk
from tests.batch.archives.support import add_to_tar, tar_of, zip_of
from tests.batch.conftest import ScriptedServer
from tests.batch.formats.conftest import Broken, Forms, encoded, grey, tiff_of
from tests.batch.support import Client, read_rows, wait_for
from tests.conftest import RunBatch


def test_every_format_is_answered(tmp_path: Path, digits_batch: RunBatch, server: str, forms: Forms) -> None:
    """Each form of each format is read as the digit that it shows; no copy is left."""
    (tmp_path / "s.tar").write_bytes(tar_of({f"{name}.scan": octets for name, octets in forms.items()}))
    (tmp_path / "tmp").mkdir()
    command = ("s.tar", "--glob", "*.scan", "--out", "out.csv", "--server", server)
    result = digits_batch(*command, TMPDIR=str(tmp_path / "tmp"))
    assert result.returncode == 0, result.stdout + result.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == [f"s.tar/{name}.scan" for name in forms]
    assert {row["path"]: row["digit"] for row in rows if row["digit"] != "3"} == {}
    assert not list((tmp_path / "tmp").iterdir())


def test_broken_members_have_their_errors(tmp_path: Path, digits_batch: RunBatch, server: str, broken: Broken) -> None:
    """The errors are those of loose files."""
    (tmp_path / "s.zip").write_bytes(zip_of({f"{name}.png": octets for name, (octets, _) in broken.items()}))
    result = digits_batch("s.zip", "--out", "out.csv", "--server", server)
    assert result.returncode == 1, result.stderr
    found = {Path(row["path"]).stem: row["error"] for row in read_rows(tmp_path / "out.csv")}
    assert found == {name: error for name, (_, error) in broken.items()}


def _levels(request: wire.PredictRequest) -> list[int]:
    """The grey of the first pixel of each PNG in a request."""
    images = [Image.open(io.BytesIO(image)) for image in request.inputs["image_bytes"].string_val]
    return [int(image.convert("L").getpixel((0, 0))) for image in images]  # type: ignore[arg-type] # one band


def test_pages(tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer) -> None:
    """Each page has its row and its picture, also where two members have one name; one named .png has one."""
    asked: list[int] = []

    def note(_number: int, request: wire.PredictRequest, _context: grpc.ServicerContext) -> None:
        asked.extend(_levels(request))

    scripted.script = note
    first, second = tiff_of([grey(10), grey(20), grey(30)]), tiff_of([grey(40), grey(50), grey(60)])
    files = {"a/form.tif": first, "b/form.tif": second, "c.tif": encoded(grey(70), "TIFF"), "d.png": first}
    # The same name twice, as tar's own way to replace a file leaves it.
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name, octets in (*files.items(), ("a/form.tif", second)):
            add_to_tar(archive, name, octets)
    command = ["s.tar", "--glob", "*.tif", "--glob", "*.png", "--server", scripted.address, "--in-flight", "1"]
    result = digits_batch(*command, "--out", "out.csv", "--batch-size", "2")
    assert result.returncode == 0, result.stderr
    pages = [f"s.tar/{name}/form.tif#page={page}" for name in "ab" for page in (1, 2, 3)]
    paths = [row["path"] for row in read_rows(tmp_path / "out.csv")]
    assert paths == [*pages, "s.tar/c.tif", "s.tar/d.png", *pages[:3]]
    assert asked == [10, 20, 30, 40, 50, 60, 70, 10, 40, 50, 60]
    assert "further pages of TIFFs that are named .png or .jpg: 2" in result.stdout


def test_a_killed_run_leaves_no_copy(tmp_path: Path, scripted: ScriptedServer) -> None:
    """The copies have no names, so that SIGKILL leaves none of them."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not show open files as paths")
    scripted.script = lambda _number, _request, _context: wait_for(lambda: is_killed)
    is_killed = False
    (tmp_path / "s.tar").write_bytes(tar_of({f"{number}.bmp": encoded(grey(number), "BMP") for number in range(50)}))
    before = os.environ.get("TMPDIR")
    (tmp_path / "tmp").mkdir()
    os.environ["TMPDIR"] = str(tmp_path / "tmp")
    command = ["s.tar", "--glob", "*.bmp", "--server", scripted.address, "--batch-size", "10", "--in-flight", "2"]
    try:
        with Client(tmp_path, "out.csv", command) as client:
            wait_for(lambda: scripted.calls > 0)
            client.signal(signal.SIGKILL)
    finally:
        is_killed = True
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
    assert not list((tmp_path / "tmp").iterdir())


def test_copies() -> None:
    """One of the same object is shared; each is there until its last user is done with it."""
    copies = Copies()
    first, second = bytes(range(100)), bytes(range(50))
    paths = [copies.add(first), copies.add(first), copies.add(second), copies.add(first)]
    assert paths[0] == paths[1]
    assert len(set(paths)) == 3
    assert [Path(path).read_bytes() for path in paths] == [first, first, second, first]
    copies.remove(paths[0])
    assert Path(paths[0]).read_bytes() == first
    copies.remove(paths[1])
    copies.remove("something else")
    assert not Path(paths[1]).exists()
    copies.close()
    assert not any(Path(path).exists() for path in paths)


def test_thumbnails_of_members(tmp_path: Path) -> None:
    """The report shows members as it shows loose files; what cannot be read has no picture."""
    files = {"1.png": encoded(grey(90), "PNG"), "2.bmp": encoded(grey(100), "BMP"), "3.png": b"no image"}
    files["4.tif"] = tiff_of([grey(110), grey(120)])
    (tmp_path / "s.tar").write_bytes(tar_of(files))
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    loose = {name: str(tmp_path / name) for name in ("1.png", "2.bmp", "3.png", "4.tif#page=2")}
    tiles = member_thumbnails([f"{tmp_path}/s.tar/{name}" for name in (*loose, "none.png")], Walk((), ("*",)))
    assert set(tiles) == {f"{tmp_path}/s.tar/{name}" for name in loose}
    for name, path in loose.items():
        assert np.array_equal(tiles[f"{tmp_path}/s.tar/{name}"], thumbnail(path)), name
    assert tiles[f"{tmp_path}/s.tar/4.tif#page=2"][96, 96].tolist() == [120] * 3
