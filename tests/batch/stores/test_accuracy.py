"""Truth and report of objects in a store."""

import io
import json
import zipfile
from pathlib import Path

import PIL.Image
import pytest

from batch.accuracy.thumbnail import member_thumbnails, thumbnail
from batch.accuracy.truth import parent_digit
from batch.files.walk import Walk
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.support import Bucket
from tests.conftest import RunBatch
from tests.support import Image, write_png

pytestmark = pytest.mark.clusters


def test_the_digit_is_the_folder_of_the_key() -> None:
    """As with files."""
    assert parent_digit("s3://bucket/scans/7/x.png") == 7
    assert parent_digit("s3://bucket/scans/x.png") is None


def test_truth_and_report(
    bucket: Bucket, scripted: ScriptedServer, digits_batch: RunBatch, mnist_sample: tuple[Image, Image], tmp_path: Path
) -> None:
    """Labels name URLs as the table does; the report shows the pictures of the mistakes."""
    # The scripted model reads the last byte of a PNG, which is the same in each: 0x82, so 0.
    urls = [bucket.put(f"{digit}/x.png", write_png(mnist_sample[0][digit][:, :, None])) for digit in (0, 3)]
    command = (bucket.url, "--server", scripted.address, "--report", "report", "--force")
    by_parent = digits_batch(*command, "--truth", "parent", "--out", "out.csv")
    assert by_parent.returncode == 0, by_parent.stderr
    figures = json.loads((tmp_path / "report" / "accuracy.json").read_text())
    (tmp_path / "labels.csv").write_text("".join(f"{url},{digit}\n" for url, digit in zip(urls, (0, 3), strict=True)))
    by_list = digits_batch(*command, "--truth", "labels.csv", "--out", "out.csv")
    assert by_list.returncode == 0, by_list.stderr
    assert json.loads((tmp_path / "report" / "accuracy.json").read_text()) == figures
    assert (figures["images"], figures["right"]) == (2, 1)
    assert urls[1] in (tmp_path / "report" / "mistakes.csv").read_text()


def test_pictures_of_members(bucket: Bucket) -> None:
    """An archive in a store is read once more for them."""
    png = io.BytesIO()
    PIL.Image.new("L", (30, 30), 255).save(png, "PNG")
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as archive:
        archive.writestr("3/x.png", png.getvalue())
    url = bucket.put("in.zip/a.zip", octets.getvalue())
    tiles = member_thumbnails([f"{url}/3/x.png", f"{bucket.url}/in.zip/b.png"], Walk(()))
    assert [path for path, tile in tiles.items() if tile[96, 96].tolist() == [255, 255, 255]] == [f"{url}/3/x.png"]
    assert len(tiles) == 1


def test_a_picture_from_a_store(bucket: Bucket) -> None:
    """An object, one page of another, and one that has gone: a cross."""
    black, white = (PIL.Image.new("L", (30, 30), grey) for grey in (0, 255))
    pages = io.BytesIO()
    black.save(pages, "TIFF", save_all=True, append_images=[white])
    tiff = bucket.put("scan.tif", pages.getvalue())
    png = io.BytesIO()
    white.save(png, "PNG")
    named = bucket.put("scan.tif#page=9", png.getvalue())
    assert thumbnail(f"{tiff}#page=1")[96, 96].tolist() == [0, 0, 0]
    assert thumbnail(f"{tiff}#page=2")[96, 96].tolist() == [255, 255, 255]
    assert thumbnail(named)[96, 96].tolist() == [255, 255, 255]
    cross = thumbnail(f"{bucket.url}/gone.png")
    assert cross[96, 96].tolist() == pytest.approx([150, 160, 175])
    assert thumbnail(f"{tiff}#page=7").tolist() == cross.tolist()
