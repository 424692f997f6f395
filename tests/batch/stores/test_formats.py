"""Pictures in a store that the server does not take: they are converted as files are, pages and all."""

import io
from collections import Counter
from pathlib import Path

import PIL.Image
import pytest

from batch.files import object_pages
from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.job import Job, run_job
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.support import Bucket, FaultyProxy
from tests.batch.support import read_rows

pytestmark = pytest.mark.clusters


def _tiff(pages: int) -> bytes:
    octets = io.BytesIO()
    first, *others = (PIL.Image.new("L", (40, 40), 20 * number) for number in range(pages))
    first.save(octets, "TIFF", save_all=True, append_images=others)
    return octets.getvalue()


def test_pages_of_a_tiff(
    bucket: Bucket, scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row for each page; the object is read once for all of them, and nothing stays in the temporary folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(object_pages, "_BLOCK_BYTES", 1000)
    (tmp_path / "many.tif").write_bytes(_tiff(7))
    urls = [bucket.put("in/many.tif", _tiff(7)), bucket.put("in/one.tif", _tiff(1)), bucket.put("in/x.tif", b"text")]
    gif = io.BytesIO()
    PIL.Image.new("L", (9, 9)).save(gif, "GIF")
    bucket.put("in/a.gif", gif.getvalue())
    with FaultyProxy(bucket.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        what = Walk((f"{bucket.url}/in",), ("*.tif", "*.gif"))
        run_job(Job(what, tmp_path / "out.csv", (scripted.address,), batch_size=3))
    rows = read_rows(tmp_path / "out.csv")
    pages = [f"{urls[0]}#page={number}" for number in range(1, 8)]
    assert [row["path"] for row in rows] == [f"{bucket.url}/in/a.gif", *pages, *urls[1:]]
    assert not [row for row in rows if row["error"]]
    monkeypatch.chdir(tmp_path)
    on_disk = [file.path.removeprefix("many.tif") for file in walk(Walk(("many.tif",)), Skipped())]
    assert [path.removeprefix(urls[0]) for path in pages] == on_disk
    whole = Counter(path for method, path in proxy.requests if method == "GET" and path.endswith("one.tif"))
    assert whole.total() <= 3  # blocks of its directory, then all of it
    assert not list((tmp_path / "tmp").iterdir())
