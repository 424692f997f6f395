"""The table in every form, and what is never overwritten."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyarrow import parquet

from batch.client.tensors import Target
from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.summary import ErrorLimit, Summary
from batch.table.output import Form
from exporter.command import UserError
from tests.batch.conftest import ScriptedServer
from tests.conftest import RunBatch


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Twelve files, each of one byte, its own number, and one that cannot be read."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.png").write_bytes(bytes([number]))
    (folder / "99.png").symlink_to("nowhere")
    return folder


def _job(scripted: ScriptedServer, scans: Path, out: str, **options: Any) -> Job:  # noqa: ANN401 - Job's own fields
    return Job(Walk((str(scans),)), scans.parent / out, (scripted.address,), **{"batch_size": 5} | options)


def test_csv_is_rfc_4180(scripted: ScriptedServer, scans: Path) -> None:
    """Lines end with CR LF; commas, quotes, newlines and a leading equals sign in names come back as they were."""
    names = ['a,b"c.png', "line\nbreak.png", "=1+1.png", "-x.png", " spaces .png"]
    for name in names:
        (scans / name).write_bytes(b"\3")
    job = _job(scripted, scans, "out.csv")
    run_job(job)
    octets = job.out.read_bytes()
    assert octets.startswith(b"path,digit,confidence,error,model_version\r\n")
    with job.out.open(newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert {name: rows[name]["digit"] for name in names} == dict.fromkeys(names, "3")
    assert len(rows) == 18


def test_json_lines(scripted: ScriptedServer, scans: Path) -> None:
    """One object a line with the columns of the CSV, numbers as numbers."""
    job = _job(scripted, scans, "out.jsonl", form=Form(probabilities=True, min_confidence=0.6))
    run_job(job)
    rows = [json.loads(line) for line in job.out.read_text().splitlines()]
    assert [row["digit"] for row in rows] == [number % 10 for number in range(12)] + [-1]
    assert list(rows[0]) == ["path", "digit", "confidence", "error", "model_version", "review", "probabilities"]
    assert rows[3]["confidence"] == 0.5
    assert rows[3]["review"] is True
    assert rows[3]["probabilities"] == [0.0556] * 3 + [0.5] + [0.0556] * 6
    assert rows[-1]["error"] == "unreadable"
    assert rows[-1]["probabilities"] == [0.0] * 10


def test_parquet(scripted: ScriptedServer, scans: Path) -> None:
    """The same columns, with types."""
    job = _job(scripted, scans, "out.parquet", form=Form(probabilities=True, min_confidence=0.4))
    run_job(job)
    table = parquet.read_table(job.out)
    assert table.column("digit").to_pylist() == [number % 10 for number in range(12)] + [-1]
    assert table.column("review").to_pylist() == [False] * 12 + [True]
    assert table.column("path").to_pylist()[0] == str(scans / "00.png")
    assert {field.name: str(field.type) for field in table.schema} == {
        "path": "string",
        "digit": "int8",
        "confidence": "float",
        "error": "string",
        "model_version": "string",
        "review": "bool",
        "probabilities": "fixed_size_list<element: float>[10]",
    }


def test_review_marks_errors_and_low_confidence(scripted: ScriptedServer, scans: Path) -> None:
    """`--min-confidence` adds a column; raising it later needs no image asked again."""
    job = _job(scripted, scans, "out.csv", form=Form(min_confidence=0.5))
    run_job(job)
    with job.out.open(newline="") as file:
        assert [row["review"] for row in csv.DictReader(file)] == ["0"] * 12 + ["1"]
    assert _job(scripted, scans, "out.csv", form=Form(min_confidence=0.6)).settings() == job.settings()


def test_probabilities_are_columns_of_the_csv(scripted: ScriptedServer, scans: Path) -> None:
    """p0 to p9, four decimals each."""
    job = _job(scripted, scans, "out.csv", form=Form(probabilities=True))
    run_job(job)
    with job.out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [rows[7][f"p{digit}"] for digit in range(10)] == ["0.0556"] * 7 + ["0.5000"] + ["0.0556"] * 2


@pytest.mark.parametrize("out", ["out", "out.xlsx", "out.csv.gz", "/dev/null"])
def test_an_unknown_ending_is_told(scripted: ScriptedServer, scans: Path, out: str) -> None:
    """Nothing is asked, and the endings that there are are named."""
    with pytest.raises(UserError, match=r"choose \.csv, \.jsonl"):
        run_job(_job(scripted, scans, out))
    assert scripted.calls == 0


def test_a_finished_table_is_not_overwritten(scripted: ScriptedServer, scans: Path) -> None:
    """It takes --force, also where it appears while the run goes; the rows of that run are not lost."""
    job = _job(scripted, scans, "out.csv")
    job.out.write_text("precious")
    with pytest.raises(UserError, match="--force"):
        run_job(job)
    job.out.unlink()
    scripted.script = lambda *_: job.out.write_text("precious")
    with pytest.raises(UserError, match="--force"):
        run_job(job)
    assert job.out.read_text() == "precious"
    summary, _ = run_job(_job(scripted, scans, "out.csv", force=True))
    assert summary.resumed == 13
    assert job.out.read_text() != "precious"


def test_standard_output(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """`--out -` prints the table alone; what people read goes to standard error; no journal is left."""
    result = digits_batch("scans", "--out", "-", "--server", scripted.address)
    assert result.returncode == 1
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["digit"] for row in rows] == [str(number % 10) for number in range(12)] + ["-1"]
    assert "13" in result.stderr
    assert not list(scans.parent.glob("*.part"))


def test_a_reader_that_leaves_ends_the_run(scripted: ScriptedServer, scans: Path) -> None:
    """Piped into head, the run ends with a line, not a traceback."""
    command = [sys.executable, "-P", "-m", "batch.cli", *["scans"] * 2000, "--out", "-", "--server", scripted.address]
    process = subprocess.Popen(command, cwd=scans.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "path,digit,confidence,error,model_version\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == "digits-batch: standard output was closed before all rows were written\n"
    assert process.wait() == 3


def test_the_summary_is_json(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """`--summary` holds counts, errors by reason, versions, rate, time and retries."""
    (scans / "photo.jpg").write_bytes(b"x")
    scripted.script = lambda number, _request, context: context.abort(_unavailable(), "busy") if not number else None
    result = digits_batch("scans", "--out", "out.csv", "--summary", "sum.json", "--server", scripted.address)
    assert result.returncode == 1
    summary = json.loads((scans.parent / "sum.json").read_text())
    assert summary["rows"] == 13
    assert summary["digits"]["1"] == 2
    assert summary["mean_confidence"]["1"] == 0.5
    assert summary["errors"] == {"unreadable": 1}
    assert summary["model_versions"] == {"1": 12}
    assert summary["retries"] >= 1
    assert summary["seconds"] > 0
    assert summary["images_per_second"] > 0
    assert summary["passed_over"]["other_images"] == {".jpg": 1}
    assert summary["settings"]["model"] == "digits"


def _unavailable() -> Any:  # noqa: ANN401 - grpc's own enum
    import grpc  # noqa: PLC0415 - beside its one use

    return grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--summary", "out.csv"], "table itself"),
        (["--summary", "nowhere/s.json"], "no folder nowhere"),
        (["--summary", "scans"], "is a directory"),
        (["--max-errors", "many"], "--max-errors many"),
        (["--max-errors", "101%"], "--max-errors 101%"),
        (["--glob", "a/*.png"], "--glob 'a/*.png'"),
        (["--one-version", "--out", "-"], "--one-version"),
        (["--tls-cert", "x.pem"], "--tls-key"),
        (["--tls-ca", "nowhere.pem"], "nowhere.pem"),
        (["--min-confidence", "2"], "--min-confidence"),
    ],
)
def test_wrong_usage_writes_nothing(
    scripted: ScriptedServer, scans: Path, digits_batch: RunBatch, arguments: list[str], words: str
) -> None:
    """Exit code 2 and a line that names the option, before any image is sent."""
    result = digits_batch("scans", "--out", "out.csv", "--server", scripted.address, *arguments)
    assert result.returncode == 2, result.stderr
    assert words in " ".join(result.stderr.split())
    assert scripted.calls == 0
    assert [path.name for path in scans.parent.iterdir() if path.suffix in (".csv", ".part", ".json")] == []


def test_max_errors(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """The run stops at more errors than that, with exit code 3; with a higher limit it goes on from there."""
    for number in range(20, 40):
        (scans / f"{number}.png").symlink_to("nowhere")
    command = ("scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "5")
    stopped = digits_batch(*command, "--max-errors", "8")
    assert stopped.returncode == 3
    assert "too many errors for --max-errors: 13 unreadable, of 25 rows" in stopped.stderr
    finished = digits_batch(*command, "--max-errors", "21")
    assert finished.returncode == 1, finished.stderr
    assert "25 rows from the run before" in finished.stdout


def test_a_share_of_errors_counts_from_a_hundred_rows() -> None:
    """One bad file at the start of a run does not end it."""
    limit = ErrorLimit.parse("5%")
    summary = Summary()
    summary.errors["corrupt"] = 50
    summary.digits[1] = 49
    assert not limit.is_passed(summary)
    summary.digits[1] = 50
    assert limit.is_passed(summary)
    summary.digits[1] = 950
    assert not limit.is_passed(summary)


def test_one_version_starts_over_once(scripted: ScriptedServer, scans: Path) -> None:
    """A swap in the middle has every row asked again on the new version; a second swap ends the run."""
    told: list[str] = []

    def swap(number: int, _request: object, _context: object) -> None:
        if number == 2:
            scripted.version = 2

    scripted.script = swap
    job = _job(scripted, scans, "out.csv", one_version=True, in_flight=1, timeout=20.0)
    summary, _ = run_job(job, told.append)
    with job.out.open(newline="") as file:
        assert [row["model_version"] for row in csv.DictReader(file)] == ["2"] * 12 + [""]
    assert summary.rows == 13
    assert "starting over on version 2" in told[0]

    def swap_again(_number: int, _request: object, _context: object) -> None:
        scripted.version += 1

    scripted.script = swap_again
    with pytest.raises(UserError, match="second swap"):
        run_job(_job(scripted, scans, "again.csv", one_version=True, in_flight=1, timeout=20.0))


def test_versions_are_followed_without_it(scripted: ScriptedServer, scans: Path) -> None:
    """Each row names the version that answered it."""

    def swap(number: int, _request: object, _context: object) -> None:
        if number == 1:
            scripted.version = 2

    scripted.script = swap
    job = _job(scripted, scans, "out.csv", in_flight=1)
    summary, _ = run_job(job)
    assert summary.versions == {"1": 5, "2": 7}


def test_a_pinned_version_that_goes_is_waited_for(scripted: ScriptedServer, scans: Path) -> None:
    """NOT_FOUND between two versions costs a pause; for good, the run stops and is resumable."""

    def blink(number: int, _request: object, _context: object) -> None:
        scripted.version = 2 if number in (1, 2) else 1

    scripted.script = blink
    target = Target("digits", "serving_default", version=1)
    summary, _ = run_job(_job(scripted, scans, "out.csv", in_flight=1, target=target))
    assert summary.retries == 2
    assert summary.versions == {"1": 12}


def test_check_says_what_the_server_has(scripted: ScriptedServer, digits_batch: RunBatch) -> None:
    """`--check` sends a test image and writes nothing; a wrong name is told as in a run."""
    result = digits_batch("--check", "--server", scripted.address)
    assert result.returncode == 0, result.stderr
    assert "model digits version 1 is AVAILABLE" in result.stdout
    assert "takes image_bytes and answers digit, confidence, error" in result.stdout
    assert digits_batch("--check", "--server", scripted.address, "--model", "cats").returncode == 2
    gone = digits_batch("--check", "--server", "localhost:1", "--timeout", "0.3")
    assert gone.returncode == 3
    assert "does not answer" in gone.stderr
    assert scripted.sizes == [1]


def test_check_finds_a_version_that_cannot_answer(scripted: ScriptedServer, digits_batch: RunBatch) -> None:
    """A version that is AVAILABLE without its variables does not pass `--check`: it ends with 3 and says the reason."""

    def lack_variables(_number: int, _request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Could not find variable dense/kernel")

    scripted.script = lack_variables
    result = digits_batch("--check", "--server", scripted.address)
    assert result.returncode == 3
    assert "test image" in result.stderr
    assert "Could not find variable dense/kernel (FAILED_PRECONDITION)" in result.stderr


def test_a_list_on_standard_input(scripted: ScriptedServer, scans: Path) -> None:
    """Newlines or NULs separate paths; a missing one has its row; a folder is walked; the command can be resumed."""
    for separator in ("\n", "\0"):
        paths = ["scans/03.png", "scans/nowhere.png", "scans", "scans/03.png"]
        command = [sys.executable, "-P", "-m", "batch.cli", "-", "--out", "out.csv", "--force"]
        result = subprocess.run(
            [*command, "--server", scripted.address],
            cwd=scans.parent,
            input=separator.join(paths),
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1, result.stderr
        with (scans.parent / "out.csv").open(newline="") as file:
            rows = [(row["path"], row["digit"]) for row in csv.DictReader(file)]
        assert rows[:3] == [("scans/03.png", "3"), ("scans/nowhere.png", "-1"), ("scans/00.png", "0")]
        assert rows[-1] == ("scans/03.png", "3")
        assert len(rows) == 16


def test_globs_and_no_recursion(scripted: ScriptedServer, scans: Path, digits_batch: RunBatch) -> None:
    """`--glob` says which names are taken, in either case; `--no-recursive` leaves folders in folders out."""
    (scans / "deep").mkdir()
    (scans / "deep" / "a.png").write_bytes(b"\1")
    (scans / "a.JPG").write_bytes(b"\2")
    (scans / "b.jpeg").write_bytes(b"\3")
    result = digits_batch(
        "scans", "--out", "out.csv", "--server", scripted.address, "--glob", "*.jp*g", "--glob", "0[12].*"
    )
    assert result.returncode == 0, result.stderr
    with (scans.parent / "out.csv").open(newline="") as file:
        assert [Path(row["path"]).name for row in csv.DictReader(file)] == ["01.png", "02.png", "a.JPG", "b.jpeg"]
    flat = digits_batch("scans", "--out", "flat.csv", "--server", scripted.address, "--no-recursive")
    assert "folders in folders: 1" in flat.stdout
    assert "deep" not in (scans.parent / "flat.csv").read_text()


def test_a_fifo_is_passed_over(scripted: ScriptedServer, scans: Path) -> None:
    """It is neither opened, which would wait for ever, nor lost without a word."""
    os.mkfifo(scans / "50.png")
    _, skipped = run_job(_job(scripted, scans, "out.csv"))
    assert skipped.specials == 1
