"""digits-batch --read numbers with the included model behind a real server, on fields of handwritten digits."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batch.numbers.checksums import is_right
from batch.numbers.choice import Checksum
from tests.batch.support import read_rows
from tests.conftest import RunBatch
from tests.support import Image as Pixels
from tests.support import field_png

COUNT = 24


@pytest.fixture
def fields(tmp_path: Path, mnist_sample: tuple[Pixels, Pixels]) -> dict[str, str]:
    """Fields of four digits with a right check digit of Luhn's, as PNG, and in an archive, as pages of a TIFF, as JPEG.

    Their texts by path. A broken file and a text lie among them.
    """
    images, labels = mnist_sample
    random = np.random.default_rng(11)
    texts: dict[str, str] = {}
    pictures: list[tuple[str, bytes]] = []
    while len(pictures) < COUNT:
        some = random.choice(len(images), 4, replace=False)
        text = "".join(str(labels[one]) for one in some)
        if is_right(Checksum.LUHN, text):
            pictures.append((text, field_png([images[one] for one in some])))
    folder = tmp_path / "fields"
    folder.mkdir()
    for number, (text, png) in enumerate(pictures[4:]):
        (folder / f"{number:02}.png").write_bytes(png)
        texts[f"fields/{number:02}.png"] = text
    with tarfile.open(folder / "more.tar", "w") as archive:
        member = tarfile.TarInfo("x.png")
        member.size = len(pictures[0][1])
        archive.addfile(member, io.BytesIO(pictures[0][1]))
    opened = [Image.open(io.BytesIO(png)) for _, png in pictures[:4]]
    opened[1].save(folder / "pages.tif", save_all=True, append_images=[opened[2]])
    opened[3].save(folder / "photo.jpg", quality=95)
    names = ("fields/more.tar/x.png", "fields/pages.tif#page=1", "fields/pages.tif#page=2", "fields/photo.jpg")
    texts |= {name: text for name, (text, _) in zip(names, pictures, strict=False)}
    (folder / "broken.png").write_bytes(pictures[0][1][:80])
    (folder / "letter.png").write_bytes(b"Dear reader")
    return texts


def test_fields_of_many_kinds(tmp_path: Path, digits_batch: RunBatch, server: str, fields: dict[str, str]) -> None:
    """Most texts are right and sure of it; what is known of them makes more of them right; bad files are told."""
    globs = [word for pattern in ("*.png", "*.tar", "*.tif", "*.jpg") for word in ("--glob", pattern)]
    (tmp_path / "truth.csv").write_text("".join(f"{path},{text}\n" for path, text in fields.items()))
    command = ["fields", *globs, "--read", "numbers", "--server", server, "--truth", "truth.csv"]
    exact = {}
    for name, known in (("free", []), ("known", ["--digits", "4", "--checksum", "luhn"])):
        report = ["--report", name, "--out", f"{name}.csv", "--probabilities"]
        result = digits_batch(*command, *known, *report)
        assert result.returncode == 1, result.stderr
        rows = {row["path"]: row for row in read_rows(tmp_path / f"{name}.csv")}
        assert rows.keys() == fields.keys() | {"fields/broken.png", "fields/letter.png"}
        assert rows["fields/broken.png"]["error"] == "corrupt"
        assert rows["fields/letter.png"]["error"] == "not an image"
        exact[name] = sum(rows[path]["text"] == text for path, text in fields.items())
        figures = json.loads((tmp_path / name / "accuracy.json").read_text())
        assert (figures["fields"], figures["exact"]) == (COUNT, exact[name])
        sure = [path for path in fields if float(rows[path]["confidence"]) > 0.9]
        assert sum(rows[path]["text"] == fields[path] for path in sure) >= 0.9 * len(sure)
        if known:
            assert all(is_right(Checksum.LUHN, rows[path]["text"]) for path in fields if not rows[path]["error"])
    assert 0.8 * COUNT <= exact["free"] <= exact["known"]
