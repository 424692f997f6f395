"""The pages of the documentation: links that lead somewhere, names of files that are there."""

import re

import pytest

from tests.conftest import ROOT
from tests.pages import PAGES, README

MOST_LINES = 190  # of the README


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file(page: str) -> None:
    """Links between pages, to pictures and to folders resolve, as do links to headings."""
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL))
    assert links or page == "CHANGELOG.md", f"{page} leads nowhere"
    for link in links:
        target, _, heading = link.partition("#")
        assert ":" not in target, f"{page}: {link} is not a relative link"
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page}: {link} leads to no file"
        if heading:
            assert heading in _anchors(path.read_text(encoding="utf-8")), f"{page}: {link} leads to no heading"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_code_that_a_page_names_exists(page: str) -> None:
    """A path in backticks that begins with one of our folders is there."""
    named = re.findall(r"`((?:batch|benchmarks|docker|examples|exporter|serving|tests|trainer)/[\w./-]*)`", PAGES[page])
    old = {"serving/examples/"} if page == "CHANGELOG.md" else set()  # it tells what was moved
    for path in set(named) - old:
        assert (ROOT / path).exists(), f"{page} names {path}"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_hints_at_a_public_package(page: str) -> None:
    """The name alone, with or without an extra, would install somebody else's distribution."""
    assert "digits[" not in PAGES[page]
    assert not re.search(r"pip install '?digits(?!-[\d.]+-py3-none-any\.whl)", PAGES[page])


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_of_docs_leads_on(page: str) -> None:
    """A page ends with where to go next, and that is another page."""
    _, _, last = PAGES[page].rpartition("\n## ")
    assert last.startswith("Where to go next\n")
    assert re.search(r"\]\([^)]*\.md\)", last)


def test_the_readme_is_a_first_page() -> None:
    """It is short, and leads to every page of docs/ and to the pages for contributors."""
    assert len(README.splitlines()) <= MOST_LINES
    for page in PAGES.keys() - {"README.md"}:
        assert f"]({page})" in README, f"the README does not lead to {page}"


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as they are made of their texts."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
