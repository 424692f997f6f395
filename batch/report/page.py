"""The page of a run: counts, how sure the answers are, errors by reason, the most doubtful pictures, the settings.

One file, which needs no server and no network. What comes from outside, such as the names of files, is text on it and
never markup.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from batch.files.walk import Walk
from batch.report.findings import Doubtful, Findings
from batch.report.folder import PAGE
from batch.report.histogram import BINS, histogram
from batch.report.pictures import Picture, data_uri, pictures_of
from batch.summary import Summary

_CONFIDENCES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999)


@dataclass(frozen=True)
class Against:
    """How the answers compare with the truth.

    Attributes:
        text: the accuracy, in a sentence.
        pictures: PNG files in the report's folder that are shown, each with a text in the place of the picture.
        others: further files there that are named.
    """

    text: str
    pictures: dict[str, str]
    others: Sequence[str] = ()


@dataclass(frozen=True)
class Run:
    """What a page tells of a run besides its rows.

    Attributes:
        table: its name.
        ended: when.
        walk: which files were taken; archives are read once more for pictures.
        summary: counts.
        passed_over: lines on what was not taken.
        settings: by their names.
        versions: of the programs.
        heads: what the summary counts by, and what it counts.
        is_wide: whether pictures are of fields of several digits.
        against: the truth, where it is known.
    """

    table: str
    ended: datetime
    walk: Walk
    summary: Summary
    passed_over: Sequence[str] = ()
    settings: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    heads: tuple[str, str] = ("answer", "images")
    is_wide: bool = False
    against: Against | None = None


def write_page(folder: Path, run: Run, findings: Findings) -> Path:
    """Write the page over that of another run, and return its path.

    Raises:
        OSError: it cannot be written.
        StoreError: pictures are in a store, which failed.
    """
    page = folder / PAGE
    doubtful = findings.doubtful
    pictures = pictures_of([row.path for row in doubtful], run.walk, is_wide=run.is_wide)
    with page.open("w", encoding="utf-8") as file:
        file.writelines(_page(folder, run, findings, zip(doubtful, pictures, strict=True)))
    return page


def _page(folder: Path, run: Run, findings: Findings, doubtful: Iterable[tuple[Doubtful, Picture]]) -> Iterator[str]:
    style = files("batch.report").joinpath("page.css").read_text(encoding="utf-8")
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{_text(run.table)}: report</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
    yield from _head(run)
    yield from _answers(run)
    yield from _confidence(run, findings)
    yield from _errors(run, findings)
    if run.against is not None:
        yield from _against(folder, run.against)
    yield from _doubtful(doubtful, "wall wide" if run.is_wide else "wall")
    yield from _settings(run)
    yield "</main>\n</body>\n</html>\n"


def _head(run: Run) -> Iterator[str]:
    summary = run.summary
    errors = summary.errors.total()
    mean = sum(summary.confidence.values()) / max(summary.digits.total(), 1)
    figures = [
        (f"{summary.rows:,}", f"{run.heads[1]}"),
        (f"{errors:,}", "with an error"),
        (f"{mean:.4f}" if summary.digits.total() else "none", "mean confidence"),
        (f"{summary.rate:,.0f}", f"{run.heads[1]}/s"),
    ]
    yield f"<h1>{_text(run.table)}</h1>\n"
    yield f'<p class="quiet">Report of digits-batch, {run.ended:%Y-%m-%d %H:%M} UTC</p>\n<ul class="figures">\n'
    for figure, name in figures:
        yield f"<li><strong>{figure}</strong> {_text(name)}</li>\n"
    yield "</ul>\n"
    if summary.resumed:
        yield f"<p>{summary.resumed:,} of the rows were answered by an earlier run, which this one continued.</p>\n"


def _answers(run: Run) -> Iterator[str]:
    summary = run.summary
    yield "<h2>Answers</h2>\n"
    rows = [
        (str(answer), f"{count:,}", f"{summary.confidence[answer] / count:.3f}")
        for answer, count in sorted(summary.digits.items())
    ]
    yield from _table((run.heads[0], run.heads[1], "mean confidence"), rows)


def _confidence(run: Run, findings: Findings) -> Iterator[str]:
    yield "<h2>Confidence</h2>\n"
    answered = findings.answered
    if not answered:
        yield "<p>No file has an answer.</p>\n"
        return
    yield histogram(findings.bins(BINS), run.heads[1])
    yield '\n<p class="quiet">Each line up is ten times as many.</p>\n'
    rows = [
        (f"{confidence:g}", f"{below:,}", f"{below / answered:.2%}")
        for confidence in _CONFIDENCES
        if (below := findings.below(confidence)) or confidence == _CONFIDENCES[-1]
    ]
    caption = "How many answers --min-confidence would mark for review"
    yield from _table(("confidence below", run.heads[1], "share of the answers"), rows, caption)


def _errors(run: Run, findings: Findings) -> Iterator[str]:
    errors = run.summary.errors
    yield "<h2>Errors</h2>\n"
    if not errors:
        yield "<p>Every file has an answer.</p>\n"
    else:
        yield from _scrolled("Errors by reason")
        heads = "".join(f'<th scope="col">{_text(head)}</th>' for head in ("reason", run.heads[1], "for example"))
        yield f"<thead><tr>{heads}</tr></thead>\n<tbody>\n"
        for error, count in errors.most_common():
            paths = "".join(f'<li class="name">{_text(path)}</li>' for path in findings.examples.get(error, ()))
            yield f'<tr><th scope="row" class="bad">{_text(error)}</th><td class="number">{count:,}</td>'
            yield f'<td><ul class="plain">{paths}</ul></td></tr>\n'
        yield "</tbody>\n</table></div>\n"
    if run.passed_over:
        yield "<h3>Passed over</h3>\n<ul>\n"
        for line in run.passed_over:
            yield f'<li class="name">{_text(line)}</li>\n'
        yield "</ul>\n"


def _against(folder: Path, against: Against) -> Iterator[str]:
    yield f"<h2>Against the truth</h2>\n<p>{_text(against.text)}</p>\n"
    for name, text in against.pictures.items():
        uri = data_uri((folder / name).read_bytes(), "image/png")
        yield f'<p><img class="picture" src="{uri}" alt="{_text(text)}"></p>\n'
    if against.others:
        links = ", ".join(f'<a href="{_text(name)}">{_text(name)}</a>' for name in against.others)
        yield f"<p>Beside this page: {links}</p>\n"


def _doubtful(rows: Iterable[tuple[Doubtful, Picture]], style: str) -> Iterator[str]:
    yield "<h2>The least sure answers</h2>\n"
    empty = True
    for row, picture in rows:
        if empty:
            yield f'<ol class="{style}">\n'
            empty = False
        answer = _text(row.answer)
        if picture.uri:
            image = f'<img src="{picture.uri}" alt="">'
        else:
            image = f'<span class="none">{_text(picture.reason)}</span>'
        yield f'<li>{image}<strong>{answer}</strong> <span class="quiet">{_text(row.confidence)}</span>'
        yield f'<span class="name">{_text(row.path)}</span></li>\n'
    yield "<p>There are none.</p>\n" if empty else "</ol>\n"


def _settings(run: Run) -> Iterator[str]:
    summary = run.summary
    versions = ", ".join(f"{version} ({count:,} rows)" for version, count in summary.versions.most_common())
    yield "<h2>Settings and versions</h2>\n"
    facts = {"model versions": versions or "none", "seconds": f"{summary.seconds:.1f}", **run.versions}
    settings = {name: _setting(value) for name, value in run.settings.items() if value not in (None, "")}
    rows = [(name, value) for name, value in (facts | settings).items()]
    yield from _scrolled("Settings and versions")
    yield "<tbody>\n"
    for name, value in rows:
        yield f'<tr><th scope="row">{_text(name)}</th><td class="name">{_text(value)}</td></tr>\n'
    yield "</tbody>\n</table></div>\n"


def _scrolled(name: str) -> Iterator[str]:
    """Begin a table that may be wider than the page; who has no mouse reaches it by its tab stop."""
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(name)}"><table>\n'


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Iterator[str]:
    """A table whose first column names its rows, and whose others are numbers."""
    yield "<table>\n"
    if caption:
        yield f"<caption>{_text(caption)}</caption>\n"
    first, *others = heads
    names = "".join(f'<th scope="col" class="number">{_text(head)}</th>' for head in others)
    yield f'<thead><tr><th scope="col">{_text(first)}</th>{names}</tr></thead>\n<tbody>\n'
    for name, *cells in rows:
        numbers = "".join(f'<td class="number">{_text(cell)}</td>' for cell in cells)
        yield f'<tr><th scope="row">{_text(name)}</th>{numbers}</tr>\n'
    yield "</tbody>\n</table>\n"


def _text(text: str) -> str:
    """Text from anywhere as text of the page: no markup, and nothing that is not to be seen."""
    shown = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return escape(shown, quote=True)
