"""What a run tells beside its table: how it compares with the truth, and its report.

What draws is imported when it draws: digits-batch starts without it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from batch.accuracy.number_tally import NumberTally
from batch.accuracy.tally import Tally
from batch.accuracy.truth import read_truth
from batch.files.skipped import Skipped
from batch.files.walk import STANDARD_INPUT
from batch.job import Job
from batch.report.findings import Findings
from batch.stores.urls import is_url
from batch.summary import Summary
from batch.table.number_form import NumberForm
from exporter.command import require_extra
from exporter.label_file import DIGITS, TEXTS

AnyTally: TypeAlias = Tally | NumberTally
"""Counts answers against the truth: single digits, or fields of several."""


def reads_numbers(job: Job) -> bool:
    """Whether fields of several digits are read."""
    return isinstance(job.form, NumberForm)


def make_tally(truth: str, job: Job) -> AnyTally:
    """What counts the answers against the truth. Raises UserError as `read_truth`."""
    if reads_numbers(job):
        texts = read_truth(truth, job.out, TEXTS)
        return NumberTally(texts)
    digits = read_truth(truth, job.out, DIGITS)
    return Tally(digits)


def check_report(folder: Path, truth: str | None, job: Job) -> None:
    """Raise UserError for what would keep a report from being written: before the run, not after it."""
    from batch.report.folder import PAGE, prepare  # noqa: PLC0415 - when it draws

    names = {PAGE}
    if truth is not None:
        require_extra("train", "matplotlib", "PIL", "numpy")
        from batch.accuracy.report import file_names  # noqa: PLC0415 - when it draws

        names |= file_names()
    prepare(folder, [path for path in job.walk.paths if path != STANDARD_INPUT and not is_url(path)], job.out, names)


def write_report(
    folder: Path, job: Job, found: Summary, skipped: Skipped, findings: Findings, tally: AnyTally | None
) -> list[str]:
    """Write the report, and return lines that say what is where.

    Raises:
        StoreError: pictures are in a store, which failed.
        OSError: a file cannot be written.
    """
    from importlib.metadata import version  # noqa: PLC0415 - takes a while
    from platform import python_version  # noqa: PLC0415 - the same

    from batch.report.page import Against, Run, write_page  # noqa: PLC0415 - when it draws
    from batch.terminal.display import passed_over  # noqa: PLC0415 - when it draws

    words: list[str] = []
    against = None
    if tally is not None:
        words, told = _write_mistakes(folder, job, tally)
        against = Against(*told)
    run = Run(
        table=job.name,
        ended=datetime.now(UTC),
        walk=job.walk,
        summary=found,
        passed_over=list(passed_over(skipped)),
        settings={**job.settings(), "min-confidence": job.form.min_confidence, "server": list(job.servers)},
        versions={"digits": version("digits"), "Python": python_version()},
        heads=job.form.heads,
        is_wide=reads_numbers(job),
        against=against,
    )
    return [*words, f"for a browser: {write_page(folder, run, findings)}"]


def _write_mistakes(folder: Path, job: Job, tally: AnyTally) -> tuple[list[str], tuple[str, dict[str, str], list[str]]]:
    """Write the part of a report that compares with the truth; return a line on it, and what a page tells of it."""
    if isinstance(tally, NumberTally):
        from batch.accuracy.number_report import shown_fields, write_fields  # noqa: PLC0415 - when it draws

        return [write_fields(folder, tally, job.walk)], shown_fields(tally)
    from batch.accuracy.report import shown, write  # noqa: PLC0415 - when it draws

    return [write(folder, tally, job.walk)], shown(tally)
