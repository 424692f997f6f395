"""The page in Chromium, before a real server with the shipped model."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tensorflow as tf
from PIL import Image
from playwright.sync_api import FilePayload, Page, Request, expect

from tests.browser import serious_faults
from tests.conftest import ROOT
from tests.serving.conftest import model_entry, model_list
from tests.serving.rest.test_rest import free_port
from tests.serving.web.strokes import draw

if TYPE_CHECKING:
    from tests.serving.conftest import Server, Start

pytestmark = pytest.mark.browser

MOST_BYTES = 3_000_000
SAMPLES = sorted((ROOT / "samples").glob("*/*.png"))
SAMPLE = ROOT / "samples" / "3" / "3-001.png"
NAME = "<img src=x onerror=document.title='hit'>.png"
THREE = FilePayload(name=SAMPLE.name, mimeType="image/png", buffer=SAMPLE.read_bytes())
SLOW_MS = 60_000  # the first question of a kind, on a busy machine


@pytest.fixture(scope="module")
def models(shipped_model: Path, saved_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with the shipped model, one that says a digit and nothing else, and one of other things."""
    folder = tmp_path_factory.mktemp("models")

    def plain(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"digit": tf.fill([tf.size(image_bytes)], tf.constant(4, tf.int64))}

    function = tf.function(plain, input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    for version in ("1", "2"):
        tf.saved_model.save(tf.Module(), str(folder / "plain" / version), signatures=function)
    (folder / "lengths").mkdir()
    (folder / "lengths" / "1").symlink_to(saved_model)
    config = folder / "models.config"
    every = "model_version_policy { all {} }"
    config.write_text(
        model_list(
            model_entry("plain", folder / "plain", every),
            model_entry("lengths", folder / "lengths"),
            model_entry("digits", shipped_model),
        )
    )
    return config


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(start_module: "Start", shipped_model: Path, models: Path, port: int) -> "Server":
    """A server of all of them, with a small limit."""
    flags = [f"--model_config_file={models}", f"--rest_api_port={port}", f"--max_request_bytes={MOST_BYTES}"]
    return start_module(shipped_model, *flags, ready="digits version 1 AVAILABLE")


@pytest.fixture
def site(server: "Server", port: int, page: Page) -> Iterator[Page]:
    """The page, open and ready; nothing may have been against its policy."""
    assert server.process.poll() is None
    refused: list[str] = []
    page.on("console", lambda line: refused.append(line.text) if "Security Policy" in line.text else None)
    page.set_default_timeout(SLOW_MS)
    open_page(page, port)
    yield page
    assert not refused
    assert page.title() == "digits"


def open_page(page: Page, port: int, query: str = "") -> None:
    page.goto(f"http://127.0.0.1:{port}/{query}")
    expect(page.locator("#state")).to_have_attribute("data-ready", "true", timeout=SLOW_MS)


def drawn(page: Page, text: str) -> str:
    """Draw in the place of what was there, and return the large answer."""
    if page.locator("#clear").is_enabled():
        page.click("#clear")
    draw(page, text)
    page.locator("#drawing article:not([aria-busy]) .digit").wait_for()
    return page.locator("#drawing .digit").inner_text()


def choose(page: Page, *files: Any) -> list[str]:  # noqa: ANN401 - what `file` gives
    """Choose files when there are none yet; return the answers as text, in their order."""
    page.set_input_files("#files", files)
    answers = page.locator("#answers article")
    expect(answers).to_have_count(len(files))
    expect(page.locator("#answers article[aria-busy]")).to_have_count(0, timeout=SLOW_MS)
    return [re.sub(r"\s+", " ", text) for text in answers.locator(".answer").all_inner_texts()]


def file(name: str, content: bytes, kind: str = "image/png") -> FilePayload:
    return FilePayload(name=name, mimeType=kind, buffer=content)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401 - what Pillow takes
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_every_digit_is_drawn_and_read(site: Page) -> None:
    """Digits drawn by mouse are read; each has ten bars, and the picture as the network saw it."""
    assert [drawn(site, str(digit)) for digit in range(10)] == [str(digit) for digit in range(10)]
    expect(site.locator("#drawing .bars tbody tr")).to_have_count(10)
    expect(site.locator("#drawing .more .hint")).to_contain_text(re.compile(r"by version 1 in [\d.]+ ms\. Sent: .* kB"))
    ink = site.locator("#drawing canvas.pixels")
    ink.wait_for()
    levels = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 == 0)"
    pixels = ink.evaluate(levels)
    assert len(pixels) == 784
    assert max(pixels) == 255
    assert sum(pixels[:28]) == 0
    site.click("#undo")
    expect(site.locator("#drawing")).to_have_text("Nothing is drawn yet.")


def test_a_finger_draws_and_does_not_scroll(server: "Server", port: int, chromium: Any) -> None:  # noqa: ANN401 - no name for it
    """On a telephone a finger draws a digit, which is read, and the page stays where it is; a second finger is none."""
    assert server.process.poll() is None
    context = chromium.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    open_page(page, port)
    box = page.locator("#pad").bounding_box()
    devices = context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": number}
            for number, (x, y) in enumerate(places)
        ]
        devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.5, 0.2))
    touch("touchStart", (0.5, 0.2), (0.1, 0.8))
    for step in range(2, 9):
        touch("touchMove", (0.5, step / 10), (0.1 + step / 20, 0.8))
    touch("touchEnd")
    page.locator("#drawing article:not([aria-busy]) .digit").wait_for(timeout=SLOW_MS)
    assert page.locator("#drawing .digit").inner_text() == "1"
    assert page.evaluate("scrollY") == 0
    context.close()


def test_a_number_is_drawn_and_read(site: Page) -> None:
    """A drawn number is read, with boxes and other readings; one that is expected to be longer gets an error's text."""
    site.check("[value=number]")
    assert drawn(site, "40275") == "40275"
    expect(site.locator("#drawing .wide canvas")).to_have_attribute("aria-label", re.compile("digits: 4 0 2 7 5$"))
    rows = site.locator("#drawing .alternatives tbody tr").all_inner_texts()
    assert rows[0].startswith("40275")
    assert len(rows) > 1
    site.fill("#expected input", "32")
    site.locator("#expected input").press("Tab")
    expect(site.locator("#drawing .error")).to_contain_text("cannot be read as so many digits")


def test_a_picture_of_a_number_is_read(site: Page) -> None:
    """A field of three samples beside each other, chosen as a number, is read from left to right."""
    field = Image.new("L", (120, 40), 255)
    for place, digit in enumerate("750"):
        field.paste(Image.open(SAMPLE.parents[1] / digit / f"{digit}-001.png").convert("L"), (6 + 38 * place, 6))
    site.check("[value=number]")
    (answer,) = choose(site, file("field.png", encoded(field, "PNG")))
    assert answer.startswith("750 ")
    boxes = site.locator("#answers .wide canvas")
    expect(boxes).to_have_attribute("aria-label", re.compile("digits: 7 5 0$"))


def test_samples_are_dropped(site: Page) -> None:
    """Forty files dropped at once are all answered, and right; one button removes them."""
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in SAMPLES]
    site.evaluate(
        """files => {
            const dataTransfer = new DataTransfer();
            for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
                dataTransfer.items.add(new File([bytes], name, {type: "image/png"}));
            }
            const where = document.querySelector("h1");
            where.dispatchEvent(new DragEvent("dragover", {dataTransfer, bubbles: true, cancelable: true}));
            where.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        files,
    )
    expect(site.locator("#answers article")).to_have_count(len(SAMPLES))
    expect(site.locator("#answers article[aria-busy]")).to_have_count(0, timeout=SLOW_MS)
    names, answers = (site.locator(f"#answers {each}").all_inner_texts() for each in ("h3", ".digit"))
    assert names == [path.name for path in SAMPLES]
    assert answers == [path.parent.name for path in SAMPLES]
    expect(site.locator("#drop")).to_be_hidden()
    site.click("text=Remove all")
    expect(site.locator("#answers article")).to_have_count(0)


def test_a_picture_is_pasted(site: Page) -> None:
    """What the clipboard holds is answered after a paste by keyboard."""
    site.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.evaluate(
        """async content => {
            const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
            await navigator.clipboard.write([new ClipboardItem({"image/png": new Blob([bytes], {type: "image/png"})})]);
        }""",
        base64.b64encode(SAMPLE.read_bytes()).decode(),
    )
    site.keyboard.press("Control+V")
    expect(site.locator("#answers .digit")).to_have_text("3")


def test_formats_that_the_model_does_not_take_are_redrawn(site: Page) -> None:
    """PNG and JPEG are sent as they are; WebP, GIF, BMP and SVG are sent as PNG, and read as the same digit."""
    image = Image.open(SAMPLE).convert("RGB").resize((112, 112))
    paper, one = (
        "<rect width='100%' height='100%' fill='white'/>",
        "<path d='M150 20V130' stroke='#000' stroke-width='12'/>",
    )
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'>{paper}{one}</svg>".encode()
    files = {name: encoded(image, name) for name in ("PNG", "JPEG", "WEBP", "GIF", "BMP")} | {"SVG": svg}
    sent: list[bytes] = []

    def note(request: Request) -> None:
        body = request.post_data_json
        if body and body["signature_name"] == "serving_default":
            sent.append(base64.b64decode(body["instances"][0]["image_bytes"]["b64"]))

    site.on("request", note)
    kinds = {"SVG": "image/svg+xml"}
    answers = choose(site, *(file(f"x.{n}", c, kinds.get(n, f"image/{n.lower()}")) for n, c in files.items()))
    assert [answer[0] for answer in answers] == ["3", "3", "3", "3", "3", "1"]
    assert sent[:2] == [files["PNG"], files["JPEG"]]
    assert all(content.startswith(b"\x89PNG") for content in sent[2:])
    facts = site.locator("#answers .more > .hint").all_inner_texts()
    assert ["drawn anew" in text for text in facts] == [False, False, True, True, True, True]


def test_what_cannot_be_read_says_why(site: Page) -> None:
    """A text, a damaged PNG, blank paper and files beyond the page's and the server's limits: each says what it is."""
    blank = encoded(Image.new("L", (50, 50), 255), "PNG")
    noise = encoded(Image.frombytes("L", (1600, 1600), os.urandom(1600 * 1600)), "PNG")
    assert len(noise) * 4 / 3 > MOST_BYTES
    answers = choose(
        site,
        file("a.txt", b"Dear reader", "text/plain"),
        file("b.png", SAMPLE.read_bytes()[:200]),
        file("c.png", blank),
        file("d.png", noise),
        THREE,
    )
    assert "Neither the model nor this browser knows the format" in answers[0]
    assert "damaged" in answers[1]
    assert "the paper is blank" in answers[2]
    assert "2.6 MB" in answers[3]
    assert "--max_request_bytes" in answers[3]
    assert answers[4].startswith("3 ")
    # Made in the browser: a driver takes seconds to hand over so much.
    site.locator("#files").evaluate(
        """input => {
            const chosen = new DataTransfer();
            chosen.items.add(new File([new Uint8Array(21 * 2 ** 20)], "e.png"));
            input.files = chosen.files;
            input.dispatchEvent(new Event("change"));
        }"""
    )
    expect(site.locator("#answers .error").first).to_contain_text("at most 20 MB")


def test_names_are_never_markup(site: Page, port: int) -> None:
    """A file's name and a model's name that are markup stay text, in answers, errors, and lines to copy."""
    for number, content in enumerate((SAMPLE.read_bytes(), b"no picture")):
        choose(site, file(NAME, content))
        expect(site.locator("#answers h3")).to_have_text(NAME)
        expect(site.locator("#answers img")).to_have_count(1 - number)
        if not number:
            site.click("#answers summary")
            expect(site.locator("#answers pre").first).to_contain_text("<img src=x")
        site.click("text=Remove all")
    site.goto(f"http://127.0.0.1:{port}/?model=%3Cimg src=x onerror=document.title='hit'%3E")
    expect(site.locator("#state")).to_contain_text("no model <img src=x onerror=")
    expect(site.locator("img")).to_have_count(0)


def test_the_lines_ask_the_same(site: Page, tmp_path: Path) -> None:
    """The lines for curl and Python, run beside the file, give the page's answer, whatever the file is called."""
    name = 'it\'s $HOME `3` "x".png'
    (tmp_path / name).write_bytes(SAMPLE.read_bytes())
    (answer,) = choose(site, file(name, SAMPLE.read_bytes()))
    site.click("#answers summary")
    curl, python = site.locator("#answers pre").all_inner_texts()
    for command in (["bash", "-c", curl], [sys.executable, "-c", python]):
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
        (row,) = json.loads(said)["predictions"]
        assert str(row["digit"]) == answer[0]
        assert len(row["probabilities"]) == 10


def test_other_models(site: Page, port: int) -> None:
    """A model is chosen by name, a version from a list; what a model does not say is not shown."""
    site.fill("#model input", "plain")
    site.press("#model input", "Enter")
    expect(site.locator("#state")).to_contain_text("Model plain, version 2, is ready.")
    for each in ("#kind", "#expected"):
        expect(site.locator(each)).to_be_hidden()
    site.select_option("#versions select", "1")
    expect(site.locator("#state")).to_contain_text("Model plain, version 1, is ready.")
    assert choose(site, THREE) == ["4"]
    expect(site.locator("#answers table, #answers .pixels")).to_have_count(0)
    site.goto(f"http://127.0.0.1:{port}/?model=lengths")
    expect(site.locator("#state")).to_contain_text("takes no pictures of digits")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(site: Page, scheme: Any) -> None:  # noqa: ANN401 - a literal to mypy
    """Nothing keeps people with a screen reader from any state of the page; it fits screens of 360 to 2,560 pixels."""
    site.emulate_media(color_scheme=scheme)
    assert serious_faults(site) == []
    choose(site, THREE, file("a.txt", b"Dear reader", "text/plain"))
    site.locator("#answers .pixels").wait_for()
    site.click("#answers summary")
    site.check("[value=number]")
    drawn(site, "12")
    for width in (360, 2560):
        site.set_viewport_size({"width": width, "height": 800})
        assert serious_faults(site) == []
        assert site.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything(site: Page) -> None:
    """Tab goes to every control there is, in the order of the page, and what has been answered is announced."""
    choose(site, THREE)
    expect(site.locator("#said")).to_contain_text("3-001.png: 3, ")
    site.locator("h1").click()
    seen = []
    for _ in range(9):
        site.keyboard.press("Tab")
        seen.append(
            site.evaluate("document.activeElement.matches(':focus-visible') && document.activeElement.outerHTML")
        )
    order = ['name="model"', "Choose<", 'value="digit"', 'id="files"', 'id="forget"', "<summary"]
    assert [next(place for place, html in enumerate(seen) if html and part in html) for part in order] == list(range(6))


def test_a_server_that_goes_and_comes_back(
    site: Page, server: "Server", start: "Start", shipped_model: Path, port: int
) -> None:
    """Without its server the page says so, sees it load when it is back, and asks again what has failed."""
    server.stop()
    choose(site, THREE)
    expect(site.locator("#answers .error")).to_contain_text("The server does not answer")
    expect(site.locator("#state")).to_contain_text("This page looks again")
    start(shipped_model, "--model_name=digits", f"--rest_api_port={port}", ready=" loading ")
    expect(site.locator("#state")).to_contain_text("is loading", timeout=SLOW_MS)
    expect(site.locator("#state")).to_contain_text("is ready", timeout=SLOW_MS)
    site.click("text=Try again")
    expect(site.locator("#answers .digit")).to_have_text("3")
