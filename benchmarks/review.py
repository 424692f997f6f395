"""digits-review on a long table: the first picture, frames while the wall scrolls, decisions a minute.

python benchmarks/review.py [--rows 100000]

Needs Chromium. The table is made up; its pictures are the samples, each under many paths.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
_SPEEDS = {"slow, 1,200 px/s": 1200, "fast, 12,000 px/s": 12000}
_DECISIONS = 60

# Frames of the page while its wall moves by so many pixels a second, for three seconds; the longest one in ms.
_SCROLL = """(speed) => new Promise((resolve) => {
  const wall = document.getElementById("wall");
  const times = [];
  const step = (now) => {
    times.push(now);
    wall.scrollTop = (speed * (now - times[0])) / 1000;
    if (now - times[0] < 3000) requestAnimationFrame(step);
    else resolve({ rate: (times.length - 1) / ((now - times[0]) / 1000),
                   longest: Math.max(...times.slice(1).map((time, place) => time - times[place])) });
  };
  requestAnimationFrame(step);
})"""
_FIRST_PICTURE = """() => new Promise((resolve) => {
  const look = () => {
    const image = document.querySelector(".tile img");
    if (image && image.complete && image.naturalWidth) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_table(folder, rows)
        print(f"digits-review on {rows:,} rows\n\n| what | measured |\n|---|---:|")
        started = time.monotonic()
        command = [sys.executable, "-P", "-m", "batch.review.cli", "preds.csv", "--no-browser"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None  # noqa: S101 - tells mypy what Popen was asked for
            found = re.search(r"http\S+", process.stdout.readline())
            if found is None:
                sys.exit("digits-review did not start")
            print(f"| from its start to its address | {time.monotonic() - started:.2f} s |")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM)
                _measure_page(browser.new_page(viewport={"width": 1280, "height": 800}), found[0])
                browser.close()
            status = Path(f"/proc/{process.pid}/status").read_text()
            (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
            print(f"| most memory of digits-review | {int(peak) / 1024:.0f} MB |")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _measure_page(page: Page, address: str) -> None:
    page.goto(address, wait_until="commit")
    print(f"| from opening the page to its first picture | {page.evaluate(_FIRST_PICTURE) / 1000:.2f} s |")
    for name, speed in _SPEEDS.items():
        frames = page.evaluate(_SCROLL, speed)
        print(f"| frames a second, scrolling {name} | {frames['rate']:.0f} |")
        print(f"| longest frame | {frames['longest']:.0f} ms |")
    page.keyboard.press("Home")
    path = page.locator("#path")
    started = time.monotonic()
    for _ in range(_DECISIONS):
        before = path.inner_text()
        page.keyboard.press("3")
        page.wait_for_function("(before) => document.getElementById('path').textContent !== before", arg=before)
    page.wait_for_function(f"() => document.getElementById('progress').textContent.startsWith('{_DECISIONS} ')")
    rate = _DECISIONS / (time.monotonic() - started) * 60
    print(f"| decisions a minute, synced, as fast as the page goes on | {rate:,.0f} |")


def _make_table(folder: Path, rows: int) -> None:
    scans = folder / "scans"
    scans.mkdir()
    for path in sorted((ROOT / "samples").glob("?/*.png")):
        shutil.copy(path, scans)
    names = sorted(path.name for path in scans.iterdir())
    lines = ["path,digit,confidence,error,model_version"]
    for number in range(rows):
        batch, place = divmod(number, len(names))
        if not place:
            (folder / f"batch-{batch}").symlink_to(scans)
        lines.append(f"batch-{batch}/{names[place]},{names[place][0]},{number * 7919 % 10000 / 10000:.4f},,1")
    (folder / "preds.csv").write_text("".join(line + "\r\n" for line in lines), newline="")


def chromium() -> str:
    """The path of Debian's Chromium; ends the program if there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("chromium is missing: apt-get install chromium")
    return found


if __name__ == "__main__":
    main()
