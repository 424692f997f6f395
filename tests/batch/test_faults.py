"""Faults of the server never become rows, and nothing that was answered is asked again."""

import csv
import os
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from batch.client.endpoint import ServerError
from batch.files.walk import Walk
from batch.job import Job, run_job
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.conftest import RunBatch


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Forty files, each of one byte, its own number."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.png").write_bytes(bytes([number]))
    return folder


def _job(scripted: ScriptedServer, scans: Path, **options: Any) -> Job:  # noqa: ANN401 - Job's own fields
    usual = {"batch_size": 4, "timeout": 20.0}
    return Job(Walk((str(scans),)), scans.parent / "out.csv", (scripted.address,), **usual | options)


def _rows(job: Job) -> list[dict[str, str]]:
    with job.out.open(newline="") as file:
        return list(csv.DictReader(file))


def _digits(job: Job) -> list[str]:
    return [row["digit"] for row in _rows(job)]


EXPECTED = [str(number % 10) for number in range(40)]


def test_rows_come_in_order(scripted: ScriptedServer, scans: Path) -> None:
    """Late answers to early requests do not disturb the order, with several requests in flight."""
    scripted.script = lambda number, _request, _context: time.sleep(0.2 if number % 3 == 0 else 0)
    job = _job(scripted, scans)
    summary, _ = run_job(job)
    assert _digits(job) == EXPECTED
    assert summary.rows == 40
    assert {row["model_version"] for row in _rows(job)} == {"1"}


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ],
)
def test_faults_that_may_pass_are_waited_out(scripted: ScriptedServer, scans: Path, code: grpc.StatusCode) -> None:
    """Each retryable code costs a pause, not a row."""
    scripted.script = lambda number, _request, context: context.abort(code, "busy") if number % 2 == 0 else None
    job = _job(scripted, scans)
    summary, _ = run_job(job)
    assert _digits(job) == EXPECTED
    assert summary.retries > 0


def test_the_user_is_told_what_is_waited_for(scripted: ScriptedServer, scans: Path) -> None:
    """After two seconds of faults a line says what the server says, once until it answers again."""
    began = time.monotonic()
    told: list[str] = []

    def fail_for_a_while(_number: int, _request: object, context: grpc.ServicerContext) -> None:
        if time.monotonic() - began < 5:
            context.abort(grpc.StatusCode.UNAVAILABLE, "out to lunch")

    scripted.script = fail_for_a_while
    job = _job(scripted, scans)
    run_job(job, told.append)
    assert _digits(job) == EXPECTED
    (line,) = told
    assert "waiting for" in line
    assert "out to lunch (UNAVAILABLE)" in line


def test_a_refusal_is_not_repeated(scripted: ScriptedServer, scans: Path) -> None:
    """INVALID_ARGUMENT for everything, a plain one included, stops the run at once with the server's own words."""
    scripted.script = lambda _number, _request, context: context.abort(
        grpc.StatusCode.INVALID_ARGUMENT, "no such thing"
    )
    with pytest.raises(ServerError, match=r"no such thing \(INVALID_ARGUMENT\)"):
        run_job(_job(scripted, scans, in_flight=1))
    assert scripted.calls == 2


def test_a_lasting_fault_ends_the_run_and_the_next_run_goes_on(scripted: ScriptedServer, scans: Path) -> None:
    """After `timeout` seconds of faults the run stops; the same job then asks only for what is missing."""

    def fail_from_fifth(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number >= 5:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    scripted.script = fail_from_fifth
    job = _job(scripted, scans, timeout=1.0, in_flight=1)
    with pytest.raises(ServerError, match="gave up after 1 s"):
        run_job(job)
    assert not job.out.exists()

    scripted.script = lambda *_: None
    scripted.sizes.clear()
    summary, _ = run_job(job)
    assert summary.resumed == 20
    assert sum(scripted.sizes) == 20
    assert _digits(job) == EXPECTED


def test_a_changed_file_is_asked_again(scripted: ScriptedServer, scans: Path) -> None:
    """What an unfinished run answered for a file that has changed since does not count."""
    job = _stopped_job(scripted, scans)
    (scans / "01.png").write_bytes(b"much longer, ends in seven:7")
    summary, _ = run_job(job)
    assert summary.resumed == 16
    assert _digits(job) == [EXPECTED[0], str(ord("7") % 10), *EXPECTED[2:]]


def test_a_torn_journal_is_mended(scripted: ScriptedServer, scans: Path) -> None:
    """A line that was being written when the power went is asked again; the output is the undisturbed one."""
    job = _stopped_job(scripted, scans)
    journal = job.out.with_name("out.csv.part")
    journal.write_bytes(journal.read_bytes()[:-30])
    summary, _ = run_job(job)
    assert summary.resumed == 16
    assert _digits(job) == EXPECTED
    assert not journal.exists()


def test_a_journal_of_other_settings_is_not_continued(scripted: ScriptedServer, scans: Path) -> None:
    """The user is told which setting differs, and may throw the rows away."""
    job = _stopped_job(scripted, scans)
    with pytest.raises(UserError, match=r"batch-size was 4.*--fresh"):
        run_job(_job(scripted, scans, batch_size=5))
    summary, _ = run_job(_job(scripted, scans, batch_size=5, fresh=True))
    assert summary.resumed == 0
    assert _digits(job) == EXPECTED


def test_a_file_that_is_no_journal_is_left_alone(scripted: ScriptedServer, scans: Path) -> None:
    """Something of the user's that happens to have the journal's name is not overwritten, not even with --fresh."""
    precious = scans.parent / "out.csv.part"
    precious.write_text("Dear diary,\n")
    for fresh in (False, True):
        with pytest.raises(UserError, match=r"out\.csv\.part is no journal"):
            run_job(_job(scripted, scans, fresh=fresh))
    assert precious.read_text() == "Dear diary,\n"


def test_two_runs_do_not_share_an_output(scripted: ScriptedServer, scans: Path) -> None:
    """The second run on an output is told that another holds it, and harms nothing."""
    job = _job(scripted, scans)
    seconds: list[str] = []

    def start_another(number: int, _request: object, _context: object) -> None:
        if number == 0:
            with pytest.raises(UserError) as refusal:
                run_job(job)
            seconds.append(str(refusal.value))

    scripted.script = start_another
    run_job(job)
    assert f"another digits-batch (process {os.getpid()} on {socket.gethostname()}" in seconds[0]
    assert _digits(job) == EXPECTED


def test_unreadable_files_get_rows(scripted: ScriptedServer, scans: Path) -> None:
    """A dangling link is a row with an error and no version; a request of nothing else is not sent."""
    for path in scans.iterdir():
        path.unlink()
    (scans / "1.png").symlink_to("nowhere")
    job = _job(scripted, scans)
    summary, _ = run_job(job)
    assert scripted.calls == 0
    assert summary.errors == {"unreadable": 1}
    (row,) = _rows(job)
    assert (row["digit"], row["confidence"], row["error"], row["model_version"]) == ("-1", "0.0000", "unreadable", "")

    (scans / "2.png").write_bytes(b"\4")
    run_job(_job(scripted, scans, force=True))
    assert [(row["digit"], row["error"]) for row in _rows(job)] == [("-1", "unreadable"), ("4", "")]


def test_a_foreign_answer_is_told(scripted: ScriptedServer, scans: Path) -> None:
    """A model that answers another number of rows than it was sent stops the run."""
    scripted.script = lambda _number, request, _context: request.inputs["image_bytes"].string_val.pop() and None
    with pytest.raises(ServerError, match=r"does not keep the contract: output digit has shape \[3\] for 4 images"):
        run_job(_job(scripted, scans))


def test_the_command_says_how_to_go_on(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """Exit code 3, one line with the server's fault and what to do next; then the same command finishes."""
    scripted.script = lambda number, _request, context: (
        context.abort(grpc.StatusCode.UNAVAILABLE, "out to lunch") if number else None
    )
    command = ("scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "8", "--timeout", "0.5")
    stopped = digits_batch(*command)
    assert stopped.returncode == 3
    assert "out to lunch (UNAVAILABLE)" in stopped.stderr
    assert "repeat the command" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    scripted.script = lambda *_: None
    finished = digits_batch(*command)
    assert finished.returncode == 0, finished.stderr
    assert "rows from the run before" in finished.stdout


def _stopped_job(scripted: ScriptedServer, scans: Path) -> Job:
    """A job that stopped after twenty files, its server well again."""

    def refuse_from_fifth(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number >= 5:
            context.abort(grpc.StatusCode.INTERNAL, "broken")

    scripted.script = refuse_from_fifth
    job = _job(scripted, scans, in_flight=1)
    with pytest.raises(ServerError):
        run_job(job)
    scripted.script = lambda *_: None
    return job
