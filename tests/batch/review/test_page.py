"""The page of digits-review in a real browser: keys, two tabs, many rows, odd names, sizes, dark and light."""

import csv
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.batch.review.support import Line, Running, running, samples, write_numbers, write_table
from tests.browser import serious_faults
from tests.conftest import ROOT

pytestmark = pytest.mark.browser


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The samples, each less sure than the one before."""
    return write_table(tmp_path / "preds.csv", samples(tmp_path))


@contextmanager
def _open(page: Page, folder: Path, *arguments: str) -> Iterator[Running]:
    with running(folder, *(arguments or ("preds.csv", "--by", "Ann"))) as review:
        _visit(page, review)
        yield review


def _visit(page: Page, review: Running) -> None:
    page.goto(review.address)
    expect(page.locator("#path")).not_to_be_empty()
    assert "token" not in page.url


def _focused(page: Page) -> str:
    return page.locator("#path").inner_text()


def _tile(page: Page, path: str) -> Locator:
    return page.locator(f'.tile[aria-label^="{path}. "]')


def _labels(table: Path) -> dict[str, str]:
    """What counts in the file of decisions."""
    with table.with_suffix(".review.csv").open(newline="") as file:
        labels = {row["path"]: row["label"] for row in csv.DictReader(file)}
    return {path: label for path, label in labels.items() if label}


def _press(page: Page, key: str) -> None:
    """Press a key for the row in focus, and wait until its decision is on the disk."""
    path = _focused(page)
    page.keyboard.press(key)
    expect(_tile(page, path)).to_have_attribute("aria-label", re.compile("Decided"))


def test_forty_rows_by_keyboard_with_a_kill_in_between(page: Page, table: Path) -> None:
    """Each row takes one key; what was shown as done when the server is killed is done, and one goes on from there."""
    with running(table.parent, "preds.csv", "--by", "Ann") as review:
        _visit(page, review)
        for _ in range(20):
            _press(page, Path(_focused(page)).parent.name)
        before = _labels(table)
        review.process.kill()
        review.process.wait()
        page.keyboard.press("5")
        expect(page.locator("#fault")).to_contain_text("Not saved")
    with _open(page, table.parent):
        expect(page.locator("#progress")).to_have_text("20 of 40 decided")
        assert _labels(table) == before
        for _ in range(19):
            _press(page, Path(_focused(page)).parent.name)
        page.keyboard.press(Path(_focused(page)).parent.name)
        expect(page.locator("#status")).to_have_text(re.compile("Saved|All rows"))
        expect(page.locator("#progress")).to_have_text("40 of 40 decided")
    labels = _labels(table)
    assert len(labels) == 40
    assert all(Path(path).parent.name == label for path, label in labels.items())


def test_every_key_and_button(page: Page, table: Path) -> None:
    """No digit, unsure, right, skip, undo, arrows, zoom; buttons do as the keys do."""
    with _open(page, table.parent):
        paths = [_focused(page)]
        for key in ("n", "u", "Enter"):
            _press(page, key)
            paths.append(_focused(page))
        page.keyboard.press("s")
        assert _focused(page) not in paths
        page.keyboard.press("ArrowLeft")
        assert _focused(page) == paths[3]
        page.keyboard.press("Space")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        page.keyboard.press("4")
        page.keyboard.press("z")
        assert _focused(page) == paths[3]
        expect(page.locator("#decision")).to_have_text("Not decided")
        page.get_by_role("button", name="8").click()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#decision")).to_have_text("Not decided")
        page.get_by_role("button", name="No digit").click()
        expect(page.locator("#progress")).to_have_text("3 of 40 decided")
        page.keyboard.press("Home")
        assert _focused(page) == paths[0]
        page.keyboard.press("Control+z")
        assert _focused(page) == paths[3]
        expect(page.locator("#decision")).to_have_text("Not decided")
    assert _labels(table) == {paths[0]: "none", paths[1]: "unsure", paths[2]: Path(paths[2]).parent.name}


def test_two_tabs_do_not_overwrite_each_other(page: Page, table: Path) -> None:
    """One tab sees what the other decides; on a row that both decide, the second is told."""
    with _open(page, table.parent) as review:
        other = page.context.new_page()
        _visit(other, review)
        path = _focused(page)
        assert _focused(other) == path
        # The second has not heard of it yet.
        other.route("**/api/changes*", lambda route: route.abort())
        _press(page, "3")
        other.keyboard.press("4")
        expect(other.locator("#fault")).to_contain_text(f"Ann has meanwhile set {path} to 3")
        assert _labels(table) == {path: "3"}
        other.unroute("**/api/changes*")
        second = _focused(page)
        _press(page, "5")
        expect(_tile(other, second)).to_have_attribute("aria-label", re.compile("Decided: 5"))
        other.keyboard.press("Home")
        other.keyboard.press("4")
        expect(_tile(page, path)).to_have_attribute("aria-label", re.compile("Decided: 4"))
    assert _labels(table) == {path: "4", second: "5"}


def test_filters(page: Page, table: Path) -> None:
    """Rows of an answer, of a folder, of a range of confidence, and those that nobody has decided."""
    with _open(page, table.parent):
        _press(page, "9")
        tiles = page.locator(".tile:not([hidden])")
        page.get_by_label("Answer", exact=True).select_option("3")
        expect(tiles).to_have_count(4)
        page.get_by_role("button", name="Show all").click()
        page.get_by_label("Folder", exact=True).fill("samples/7")
        page.get_by_label("Folder", exact=True).press("Enter")
        expect(tiles).to_have_count(4)
        page.get_by_role("button", name="Show all").click()
        page.get_by_label("to, %").fill("60.5")
        page.get_by_label("to, %").press("Enter")
        expect(tiles).to_have_count(1)
        page.get_by_label("Rows", exact=True).select_option("undecided")
        expect(page.locator("#empty")).to_be_visible()
        assert serious_faults(page) == []


def test_numbers_are_typed(page: Page, tmp_path: Path) -> None:
    """The text stands there already; Enter takes it, letters are the other decisions."""
    samples(tmp_path)
    lines = [(f"samples/{digit}/{digit}-001.png", f"00{digit}", f"0.{digit}000", "") for digit in range(1, 5)]
    table = write_numbers(tmp_path / "preds.csv", lines)
    with _open(page, tmp_path):
        expect(page.get_by_label("Text")).to_be_focused()
        expect(page.get_by_label("Text")).to_have_value("001")
        expect(page.locator("#readings button")).to_have_count(0)
        page.keyboard.press("Enter")
        page.keyboard.type("12")
        page.keyboard.press("Enter")
        page.keyboard.press("n")
        page.keyboard.type("4x")
        page.keyboard.press("Enter")
        expect(page.locator("#fault")).to_contain_text("digits alone")
        page.get_by_label("Text").fill("0004")
        page.keyboard.press("Enter")
        expect(page.locator("#progress")).to_have_text("4 of 4 decided")
        assert serious_faults(page) == []
    assert list(_labels(table).values()) == ["001", "12", "none", "0004"]


def test_other_readings_take_a_key_or_a_click(page: Page, tmp_path: Path) -> None:
    """Each reading of the model but the answer has a button and a letter; a row that has none has no buttons."""
    samples(tmp_path)
    lines = [(f"samples/{digit}/{digit}-001.png", f"00{digit}", f"0.{digit}000", "") for digit in range(2, 6)]
    lines.append(("samples/1/1-001.png", "", "0.0000", "no reading fits"))
    others = (("801", "0.1000"), ("004", "0.0500"), ("8011", "0.0010"))
    table = write_numbers(tmp_path / "preds.csv", lines, others)
    with _open(page, tmp_path):
        buttons = page.locator("#readings button")
        expect(buttons).to_have_text(["801 10.00 % A", "004 5.00 % B", "8011 0.10 % C"])
        page.keyboard.press("d")  # there is no fourth
        page.keyboard.press("A")
        expect(page.locator("#path")).to_have_text(lines[0][0])
        expect(page.get_by_label("Text")).to_be_focused()
        page.keyboard.press("c")
        buttons.nth(1).click()
        expect(page.locator("#path")).to_have_text(lines[2][0])
        expect(page.get_by_label("Text")).to_be_focused()
        # The answer itself is taken with Enter.
        expect(buttons).to_have_text(["801 10.00 % A", "8011 0.10 % B"])
        page.keyboard.press("b")
        page.keyboard.press("z")
        expect(page.locator("#decision")).to_have_text("Not decided")
        page.keyboard.press("Tab")
        expect(buttons.first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#progress")).to_have_text("4 of 5 decided")
        assert serious_faults(page) == []
    assert list(_labels(table).values()) == ["801", "8011", "004", "801"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_other_readings_on_a_narrow_page(chromium: Browser, tmp_path: Path, scheme: str) -> None:
    """On a phone all buttons are in sight, long texts are folded, and the reading that was taken is told."""
    samples(tmp_path)
    lines = [(f"samples/{digit}/{digit}-001.png", f"00{digit}", f"0.{digit}000", "") for digit in range(1, 5)]
    others = (("12345678901234567890123456789012", "0.1000"), ("801", "0.0500"), ("8011", "0.0100"), ("80", "0.0010"))
    write_numbers(tmp_path / "preds.csv", lines, others)
    with chromium.new_context(viewport={"width": 360, "height": 640}, color_scheme=scheme) as context:  # type: ignore[arg-type] # of the parameter
        page = context.new_page()
        with _open(page, tmp_path):
            page.keyboard.press("b")
            expect(page.locator("#path")).to_have_text(lines[1][0])
            page.locator(".tile").first.click()
            expect(page.locator('#readings [aria-pressed="true"]')).to_have_text("801 5.00 % B")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            for button in page.locator("#readings button, #actions button").all():
                expect(button).to_be_in_viewport()
            assert serious_faults(page) == []


def test_names_and_errors_never_become_markup(page: Page, tmp_path: Path) -> None:
    """A file that is named like an element is shown by its name; so are errors and people."""
    name = "<img src=x onerror=document.title='harmed'>.png"
    shutil.copy(ROOT / "samples" / "3" / "3-001.png", tmp_path / name)
    lines: list[Line] = [(name, 3, "0.5000", ""), ("<b>gone</b>.png", -1, "0.0000", "<i>odd</i>")]
    table = write_table(tmp_path / "preds.csv", lines)
    with _open(page, tmp_path, "preds.csv", "--by", "<u>Ann</u>"):
        expect(page.locator("#answer")).to_have_text("Error: <i>odd</i>")
        expect(page.locator("#reason")).to_have_text("No picture: there is no such file any more")
        page.keyboard.press("4")
        expect(page.locator("#path")).to_have_text(name)
        page.keyboard.press("5")
        expect(page.locator("#decision")).to_have_text("Decided: 5, by <u>Ann</u>")
        expect(page.locator("#large")).to_have_js_property("naturalWidth", 28)
        assert page.locator("b, i, u").count() == 0
        assert page.title() == "preds.csv - digits-review"
    assert _labels(table) == {name: "5", "<b>gone</b>.png": "4"}


def test_a_hundred_thousand_rows_scroll(page: Page, tmp_path: Path) -> None:
    """However many rows there are, only those in sight are in the document, and any of them can be reached."""
    (path, *_), *_ = samples(tmp_path)
    (tmp_path / "more").symlink_to(ROOT / "samples")
    lines = [(f"more/../x{number}/../{path}", 3, f"{number / 150_000:.4f}", "") for number in range(150_000)]
    write_table(tmp_path / "preds.csv", lines)
    with _open(page, tmp_path):
        assert page.evaluate(_SCROLL) > 10
        assert page.locator(".tile").count() < 200
        page.keyboard.press("End")
        expect(page.locator("#path")).to_have_text(lines[-1][0])
        expect(page.locator("#part")).to_have_text("rows 100,001 to 150,000 of 150,000")
        page.get_by_role("button", name="Earlier rows").click()
        expect(page.locator("#path")).to_have_text(lines[99_999][0])


_SCROLL = """() => new Promise((resolve) => {
  const wall = document.getElementById("wall");
  let frames = 0;
  const start = performance.now();
  const step = (now) => {
    wall.scrollTop += 120;
    frames += 1;
    if (now - start < 1000) requestAnimationFrame(step);
    else resolve(frames);
  };
  requestAnimationFrame(step);
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 640), (2560, 1440)])
def test_narrow_and_wide_dark_and_light(chromium: Browser, table: Path, size: tuple[int, int], scheme: str) -> None:
    """Everything is in sight without scrolling sideways, and axe-core finds nothing serious."""
    width, height = size
    with chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context:  # type: ignore[arg-type] # of the parameters
        page = context.new_page()
        with _open(page, table.parent):
            _press(page, "n")
            _press(page, "u")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for button in page.locator("#digits button, #actions button").all():
                expect(button).to_be_in_viewport()
            expect(page.locator(".tile[aria-selected=true]")).to_be_in_viewport()
            assert serious_faults(page) == []
            page.keyboard.press("Space")
            assert serious_faults(page) == []
