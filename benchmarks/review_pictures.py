"""The pictures of docs/review.md: the page of digits-review on the tests' sample of MNIST's test set.

python benchmarks/review_pictures.py benchmarks/pictures

Needs Chromium and the `serve` extra. The digits are run through digits-batch, with a damaged file and a blank one.
"""

import gzip
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.review import CHROMIUM, ROOT, chromium

_SAMPLE = ROOT / "tests" / "data" / "mnist_sample" / "t10k-images-idx3-ubyte.gz"


def main() -> None:
    """Write review.png and review-phone.png into a folder."""
    (out,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_scans(folder / "scans")
        batch = [sys.executable, "-P", "-m", "batch.cli", "scans", "--out", "preds.csv"]
        subprocess.run(batch, cwd=folder, check=False)  # 1, as two files carry errors
        command = [sys.executable, "-P", "-m", "batch.review.cli", "preds.csv", "--no-browser", "--by", "ann"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None  # noqa: S101 - tells mypy what Popen was asked for
            (address,) = re.findall(r"http\S+", process.stdout.readline())
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM)
                desk = browser.new_page(viewport={"width": 1160, "height": 700})
                _draw(desk, address, out / "review.png", "nu\n\n\n")
                phone = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme="dark")
                _draw(phone, address, out / "review-phone.png", "")
                browser.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _draw(page: Page, address: str, picture: Path, keys: str) -> None:
    page.goto(address)
    page.wait_for_selector(".tile img")
    for key in keys:
        page.keyboard.press("Enter" if key == "\n" else key)
        page.wait_for_timeout(200)
    page.wait_for_timeout(1000)
    page.screenshot(path=picture)
    with Image.open(picture) as image:
        image.convert("RGB").save(picture, optimize=True)


def _make_scans(folder: Path) -> None:
    images = np.frombuffer(gzip.decompress(_SAMPLE.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)
    for number, image in enumerate(images):
        path = folder / f"form-{number // 20 + 1:02}" / f"field-{number % 20 + 1:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - image).save(path)
    damaged = folder / "form-03" / "field-07.png"
    damaged.write_bytes(damaged.read_bytes()[:90])
    Image.new("L", (28, 28), 255).save(folder / "form-05" / "field-11.png")


if __name__ == "__main__":
    main()
