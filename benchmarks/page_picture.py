"""The picture of the server's page in docs/serve.md, of a server that has the page.

python benchmarks/page_picture.py http://localhost:8501 benchmarks/pictures/page.png
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.serving.web.strokes import draw

_FILES = [Path("samples") / name for name in ("3/3-001.png", "7/7-026.png", "9/9-001.png")]
_PATIENCE_MS = 60_000
_COLOURS = 64  # of so plain a page; more would only make the file larger


def main() -> None:
    """Draw a number on the page named first, choose samples, and put a picture of it all where the second says."""
    address, picture = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1160, "height": 800})
        page.set_default_timeout(_PATIENCE_MS)
        page.goto(address)
        page.locator("#state[data-ready=true]").wait_for()
        page.set_input_files("#files", _FILES)
        page.locator("#answers .pixels").nth(len(_FILES) - 1).wait_for()
        page.check("[value=number]")
        for _ in range(2):  # the first answer of a kind takes seconds, which is not typical
            if page.locator("#clear").is_enabled():
                page.click("#clear")
            draw(page, "40275")
            page.locator("#drawing article:not([aria-busy]) .alternatives").wait_for()
        shot = page.screenshot(full_page=True)
        browser.close()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
