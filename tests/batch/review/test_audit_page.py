"""The page of an audit, in Chromium: a scripted reviewer who sees pictures and no answers."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.batch.review.support import running, samples, write_numbers, write_table
from tests.browser import serious_faults

pytestmark = pytest.mark.browser


def _visit(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#path")).not_to_be_empty()


def test_a_blind_audit_to_its_result(page: Page, tmp_path: Path) -> None:
    """Each answer is hidden until the person's key; the last one brings the result; a slip can be put right."""
    lines = samples(tmp_path)
    path, digit, confidence, error = lines[3]
    lines[3] = path, (digit + 1) % 10, confidence, error
    write_table(tmp_path / "preds.csv", lines)
    with running(tmp_path, "preds.csv", "--audit", "40", "--by", "Ann") as review:
        _visit(page, review.address)
        expect(page.locator("#name")).to_have_text("Audit of preds.csv")
        expect(page.locator("#filters")).to_be_hidden()
        expect(page.get_by_role("button", name="Correct")).to_be_hidden()
        page.keyboard.press("Enter")
        expect(page.locator("#fault")).to_contain_text("press the digit that you see")
        for number in range(40):
            path = page.locator("#path").inner_text()
            assert page.locator("#answer").inner_text() == "The table's answer is hidden"
            page.keyboard.press(Path(path).parent.name)
            tile = page.locator(f'.tile[aria-label^="{path}. "]')
            expect(tile).to_have_attribute("aria-label", re.compile(r"The table has \d. Decided: \d"))
            if number == 20:
                page.screenshot(path=tmp_path / "audit.png")
        expect(page.locator("#progress")).to_have_text("40 of 40 decided")
        expect(page.locator("#lines")).to_contain_text("Of 40 answers, 40 were looked at, 1 of them wrong.")
        expect(page.locator("#lines")).to_contain_text("Accuracy of the whole table: 97.50%")
        page.set_viewport_size({"width": 1280, "height": 800})
        assert serious_faults(page) == []
        page.screenshot(path=tmp_path / "result.png")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.screenshot(path=tmp_path / "narrow.png")
        # A slip is taken back, and its result with it.
        page.keyboard.press("z")
        expect(page.locator("#result")).to_be_hidden()
        expect(page.locator("#progress")).to_have_text("39 of 40 decided")


def test_numbers_are_typed_into_an_empty_field(page: Page, tmp_path: Path) -> None:
    """The text of the table is not in the field, as it is in a review; Enter takes what was typed."""
    paths = [path for path, *_ in samples(tmp_path)][:3]
    write_numbers(tmp_path / "preds.csv", [(path, "0815", "0.9000", "") for path in paths])
    with running(tmp_path, "preds.csv", "--audit", "3") as review:
        _visit(page, review.address)
        for _ in range(3):
            expect(page.locator("#text")).to_have_value("")
            page.keyboard.type("0815")
            page.keyboard.press("Enter")
        expect(page.locator("#lines")).to_contain_text("3 were looked at, 0 of them wrong")
