"""The page of a run, in Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.batch.report.conftest import Report
from tests.browser import serious_faults

pytestmark = pytest.mark.browser


def test_the_page_can_be_used_everywhere(report: Report, page: Page, tmp_path: Path) -> None:
    """Light and dark, at 360 and 2,560 pixels: nothing sticks out, axe-core finds nothing, nothing is asked for."""
    address = report("scans", "--truth", "parent").as_uri()
    asked: list[str] = []
    refusals: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refusals.append(message.text))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (360, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert serious_faults(page) == []
            page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    assert page.title() == "out.csv: report"
    assert refusals == []
    assert all(url.startswith(("data:", "file:")) for url in asked)
    shown = page.eval_on_selector_all("img", "images => images.filter(image => !image.naturalWidth).length")
    assert shown == 0
    # Its style sheet is in force.
    assert page.eval_on_selector(".wall", "wall => getComputedStyle(wall).display") == "grid"


def test_the_page_can_be_printed(report: Report, page: Page, tmp_path: Path) -> None:
    """On paper it is black on white, also for who has a dark screen, and all rows are there."""
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(report().as_uri())
    assert page.eval_on_selector("body", "body => getComputedStyle(body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.eval_on_selector("h1", "head => getComputedStyle(head).color") == "rgb(0, 0, 0)"
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
