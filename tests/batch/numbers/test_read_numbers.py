"""digits-batch --read numbers against a scripted server: the table, resuming, and what goes wrong."""

import csv
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyarrow import parquet

from batch.client import wire_pb2 as wire
from batch.client.endpoint import ServerError
from batch.client.tensors import Target
from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.numbers.choice import Checksum, Choice
from batch.summary import ErrorLimit
from batch.table.number_form import NumberForm
from tests.batch.conftest import NUMBERS, ScriptedServer, numbers_answer
from tests.batch.support import Client, read_rows, write_scans
from tests.batch.watch.support import Watching, drop
from tests.conftest import RunBatch

FIELDS = [b"0042", b"1250", b"7 1 71", b"36 38 411"]


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Four fields by their readings, and one file that cannot be read."""
    folder = tmp_path / "fields"
    write_scans(folder, FIELDS, len(FIELDS))
    (folder / "99999.png").symlink_to("nowhere")
    return folder


def _job(reader: ScriptedServer, fields: Path, out: str, **columns: Any) -> Job:  # noqa: ANN401 - NumberForm's own fields
    form = NumberForm(**columns)
    target = Target("digits", form.signature)
    return Job(
        Walk((str(fields),)),
        fields.parent / out,
        (reader.address,),
        target=target,
        batch_size=form.batch_size,
        form=form,
    )


def _command(reader: ScriptedServer) -> list[str]:
    return ["fields", "--read", "numbers", "--server", reader.address]


def test_csv(reader: ScriptedServer, fields: Path) -> None:
    """One row a field; texts keep their leading zeros; the server is asked for no more than that."""
    filters = []
    reader.script = lambda _number, request, _context: filters.append(set(request.output_filter))
    job = _job(reader, fields, "out.csv")
    run_job(job)
    octets = job.out.read_bytes()
    assert octets.startswith(b"path,text,confidence,error,model_version\r\n")
    rows = read_rows(job.out)
    assert [row["text"] for row in rows] == ["0042", "1250", "7", "36", ""]
    assert [row["confidence"] for row in rows] == ["0.7500"] * 4 + ["0.0000"]
    assert [row["error"] for row in rows] == [""] * 4 + ["unreadable"]
    assert [row["model_version"] for row in rows] == ["1"] * 4 + [""]
    assert filters == [{"text", "confidence", "error"}]


def test_all_columns_of_the_csv(reader: ScriptedServer, fields: Path) -> None:
    """Review, and each alternative with its confidence; empty beyond the last one."""
    job = _job(reader, fields, "out.csv", probabilities=True, min_confidence=0.8)
    run_job(job)
    alternatives = [name for place in range(1, 6) for name in (f"alternative{place}", f"alternative_confidence{place}")]
    with job.out.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "text", "confidence", "error", "model_version", "review", *alternatives]
    assert rows[3][1:] == ["36", "0.7500", "", "1", "1", "36", "0.7500", "38", "0.1250", "411", "0.0625", *[""] * 4]
    assert rows[4][1:] == ["", "0.0000", "unreadable", "", "1", *[""] * 10]


def test_json_lines(reader: ScriptedServer, fields: Path) -> None:
    """The text is a string, alternatives are two lists of the same length."""
    job = _job(reader, fields, "out.jsonl", probabilities=True, min_confidence=0.7)
    run_job(job)
    rows = [json.loads(line) for line in job.out.read_text().splitlines()]
    assert rows[0] == {
        "path": str(fields / "00000.png"),
        "text": "0042",
        "confidence": 0.75,
        "error": "",
        "model_version": "1",
        "review": False,
        "alternatives": ["0042", "00420"],
        "alternative_confidence": [0.75, 0.125],
    }
    assert (rows[4]["text"], rows[4]["review"], rows[4]["alternatives"]) == ("", True, [])


def test_parquet(reader: ScriptedServer, fields: Path) -> None:
    """The same columns, with types; the text is a string."""
    job = _job(reader, fields, "out.parquet", probabilities=True, min_confidence=0.7)
    run_job(job)
    table = parquet.read_table(job.out)
    assert {field.name: str(field.type) for field in table.schema} == {
        "path": "string",
        "text": "string",
        "confidence": "float",
        "error": "string",
        "model_version": "string",
        "review": "bool",
        "alternatives": "list<element: string>",
        "alternative_confidence": "list<element: float>",
    }
    assert table.column("text").to_pylist() == ["0042", "1250", "7", "36", ""]
    assert table.column("alternatives").to_pylist()[2:] == [["7", "1", "71"], ["36", "38", "411"], []]


@pytest.mark.parametrize(
    ("choice", "texts", "errors"),
    [
        (Choice.parse("2", None, None), ["00", "12", "71", "36", ""], {}),
        (Choice.parse("3-4", None, None), ["0042", "1250", "", "411", ""], {2: "no reading of so many digits"}),
        (
            Choice.parse(None, "[1-9].*[08]", None),
            ["", "1250", "", "38", ""],
            {0: "no reading fits the pattern", 2: "no reading fits the pattern"},
        ),
        (
            Choice.parse("2-4", None, Checksum.LUHN),
            ["0042", "", "", "", ""],
            {1: "no reading has the checksum", 2: "no reading has the checksum", 3: "no reading has the checksum"},
        ),
    ],
)
def test_what_is_known_of_the_fields(
    reader: ScriptedServer, fields: Path, choice: Choice, texts: list[str], errors: dict[int, str]
) -> None:
    """The best reading that fits is the text, with its own confidence; otherwise the row says what none meets."""
    job = _job(reader, fields, "out.jsonl", choice=choice, probabilities=True)
    run_job(job)
    rows = [json.loads(line) for line in job.out.read_text().splitlines()]
    assert [row["text"] for row in rows] == texts
    assert [row["error"] for row in rows] == [errors.get(place, "") for place in range(4)] + ["unreadable"]
    for row in rows[:4]:
        shares = dict(zip(row["alternatives"], row["alternative_confidence"], strict=True))
        # The alternatives are there also where none of them fits.
        assert row["confidence"] == shares[row["text"]] if row["text"] else len(shares) > 1


def test_alternatives_are_asked_to_choose(reader: ScriptedServer, fields: Path) -> None:
    """Also where the table does not have them; a single number of digits is the server's to find."""
    asked: list[tuple[set[str], set[int]]] = []

    def note(_number: int, request: wire.PredictRequest, _context: grpc.ServicerContext) -> None:
        asked.append((set(request.output_filter), set(request.inputs["digits"].int_val)))

    reader.script = note
    for name, choice in (("a", Choice.parse("2", None, None)), ("b", Choice.parse("2-3", None, None))):
        job = _job(reader, fields, f"{name}.csv", choice=choice)
        run_job(job)
        assert read_rows(job.out)[3]["text"] == "36"
    least = {"text", "confidence", "error"}
    assert asked == [(least, {2}), (least | {"alternatives", "alternative_confidence"}, {0})]


def test_few_fields_in_a_request(reader: ScriptedServer, tmp_path: Path, digits_batch: RunBatch) -> None:
    """64 of them, unless --batch-size says another number."""
    write_scans(tmp_path / "fields", [b"12"], 150)
    assert digits_batch(*_command(reader), "--out", "out.csv").returncode == 0
    assert sorted(reader.sizes) == [22, 64, 64]
    reader.sizes.clear()
    assert digits_batch(*_command(reader), "--out", "out.csv", "--force", "--batch-size", "100").returncode == 0
    assert sorted(reader.sizes) == [50, 100]


def test_a_killed_run_is_resumed(reader: ScriptedServer, tmp_path: Path, digits_batch: RunBatch) -> None:
    """The same command goes on where SIGKILL ended it, and writes the bytes of a run that nothing disturbed."""
    write_scans(tmp_path / "fields", [f"{number} {number + 1} 9{number}".encode() for number in range(95)], 300)
    options = [*_command(reader), "--batch-size", "5", "--digits", "1-3", "--pattern", ".*[2-8].*", "--probabilities"]
    quiet = digits_batch(*options, "--out", "quiet.csv")
    assert quiet.returncode == 1, quiet.stderr
    kept = 0
    for _ in range(3):
        with Client(tmp_path, "out.csv", options) as client:
            client.wait_for_answers(kept + 5)
            client.kill()
        kept = client.answered()
    other = digits_batch(*options[:-3], "--pattern", "[0-9]+", "--probabilities", "--out", "out.csv")
    assert other.returncode == 2
    assert "belongs to a run with other files or settings (pattern was .*[2-8].*)" in other.stderr
    last = digits_batch(*options, "--out", "out.csv", "--summary", "summary.json")
    assert last.returncode == 1, last.stderr
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "quiet.csv").read_bytes()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["resumed_rows"] == 5 * kept > 0
    assert summary["errors"].keys() == {"no reading fits the pattern"}
    assert summary["digits"].keys() == {"1", "2"}
    assert summary["settings"]["read"] == "numbers"
    assert (summary["settings"]["digits"], summary["settings"]["checksum"]) == ("1-3", None)


def test_one_version(reader: ScriptedServer, tmp_path: Path) -> None:
    """A newer version in the middle of a run: with --one-version it starts over, and all rows are the newer one's."""
    fields = tmp_path / "fields"
    write_scans(fields, [b"12"], 200)

    def swap(number: int, _request: object, _context: object) -> None:
        reader.version = 1 if number < 2 else 2

    reader.script = swap
    job = _job(reader, fields, "out.csv")
    run_job(Job(**{**vars(job), "one_version": True}))
    assert [row["model_version"] for row in read_rows(job.out)] == ["2"] * 200


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT])
def test_a_version_without_the_signature_comes(
    reader: ScriptedServer, tmp_path: Path, digits_batch: RunBatch, code: grpc.StatusCode
) -> None:
    """The run stops with one line that says which version lacks what; with a version that has it, it goes on."""
    write_scans(tmp_path / "fields", [b"12"], 200)

    def swap(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number >= 1:
            reader.version = 7
            del reader.signatures.signature_def["numbers"]
            context.abort(code, 'Serving signature key "numbers" not found.')

    reader.script = swap
    result = digits_batch(*_command(reader), "--in-flight", "1", "--out", "out.csv")
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert "version 7 of model digits has no signature 'numbers', which the one before it had; serve one that" in line
    assert line.endswith("repeat the command to go on where this run stopped")
    reader.script = lambda *_: None
    reader.offer("numbers", {"image_bytes": 7, "digits": 3}, NUMBERS)
    assert digits_batch(*_command(reader), "--in-flight", "1", "--out", "out.csv").returncode == 0
    assert {row["model_version"] for row in read_rows(tmp_path / "out.csv")} == {"1", "7"}


def test_max_errors(reader: ScriptedServer, fields: Path) -> None:
    """Fields that nothing fits count as errors, and too many of them end the run."""
    write_scans(fields.parent / "more", [b"1 2"], 10)
    job = _job(reader, fields.parent / "more", "out.csv", choice=Choice.parse("5-6", None, None))
    with pytest.raises(ServerError, match="10 no reading of so many digits, of 10 rows"):
        run_job(Job(**{**vars(job), "max_errors": ErrorLimit(5)}))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--digits", "5"], "--digits works only with --read numbers: leave it out"),
        (["--pattern", "1"], "--pattern works only with --read numbers: leave it out"),
        (["--checksum", "luhn"], "--checksum works only with --read numbers: leave it out"),
        (["--read", "numbers", "--digits", "33"], "--digits 33: give how many digits a field has, 1 to 32"),
        (["--read", "numbers", "--pattern", "("], "--pattern '(' is no regular expression: missing ), unterminated"),
        (["--signature", "numbers"], "reads fields of several digits: ask it with digits-batch --read numbers"),
        (["--read", "numbers", "--signature", "serving_default"], "signature 'serving_default' of model digits on"),
        (
            ["--read", "numbers", "--signature", "other"],
            "cannot read fields of several digits: it has no signature 'ot",
        ),
    ],
)
def test_wrong_usage(
    reader: ScriptedServer, fields: Path, digits_batch: RunBatch, arguments: list[str], said: str
) -> None:
    """One line says what is wrong, and nothing is asked or written."""
    result = digits_batch("fields", "--server", reader.address, "--out", "out.csv", *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert reader.calls == 0
    assert not list(fields.parent.glob("*.csv"))


def test_a_run_without_an_answer_is_forgotten(reader: ScriptedServer, fields: Path, digits_batch: RunBatch) -> None:
    """After a mistake that kept it from asking anything, another command writes the table, without --fresh."""
    options = ["fields", "--server", reader.address, "--out", "out.csv"]
    assert digits_batch(*options, "--signature", "numbers").returncode == 2
    assert (fields.parent / "out.csv.part").exists()
    again = digits_batch(*options, "--read", "numbers")
    assert again.returncode == 1, again.stderr
    assert len(read_rows(fields.parent / "out.csv")) == 5


def test_the_signature_may_have_another_name(reader: ScriptedServer, fields: Path, digits_batch: RunBatch) -> None:
    """--signature names it; by default it is `numbers`."""
    names = []
    reader.script = lambda _number, request, _context: names.append(request.model_spec.signature_name)
    reader.signatures.signature_def["amounts"].CopyFrom(reader.signatures.signature_def["numbers"])
    options = ["fields", "--read", "numbers", "--server", reader.address, "--out"]
    assert digits_batch(*options, "a.csv").returncode == 1
    assert digits_batch(*options, "b.csv", "--signature", "amounts").returncode == 1
    assert names == ["numbers", "amounts"]


def test_check(reader: ScriptedServer, digits_batch: RunBatch) -> None:
    """It looks at the signature of fields, and has a test image answered by it."""
    reader.answer = lambda request, **options: numbers_answer(_with_text(request), **options)
    result = digits_batch("--check", "--read", "numbers", "--server", reader.address)
    assert result.returncode == 0, result.stderr
    assert "signature numbers takes image_bytes and answers text, confidence, error" in result.stdout.replace("\n", " ")
    del reader.signatures.signature_def["numbers"]
    lacking = digits_batch("--check", "--read", "numbers", "--server", reader.address)
    assert lacking.returncode == 2
    assert "has no signature 'numbers'; serve a version that was published with digits-export" in lacking.stderr


def _with_text(request: wire.PredictRequest) -> wire.PredictRequest:
    """A request whose digits are left out, for fields that all say 1."""
    request.inputs["digits"].int_val.append(0)
    request.inputs["image_bytes"].string_val[:] = [b"1"]
    return request


def test_watch(reader: ScriptedServer, tmp_path: Path, digits_batch: RunBatch) -> None:
    """A row for each field that comes; a restart keeps to the columns, and a watch of digits is another table."""
    options = [
        "--read",
        "numbers",
        "--out",
        "out.csv",
        "--server",
        reader.address,
        "--settle",
        "0.2",
        "--digits",
        "2-4",
    ]
    drop(tmp_path / "incoming/a.png", b"0042")
    with Watching(tmp_path, options) as watcher:
        watcher.wait_for_rows(1, tmp_path / "out.csv")
        watcher.kill()
    drop(tmp_path / "incoming/b.png", b"123456 77")
    with Watching(tmp_path, options) as watcher:
        watcher.wait_for_rows(2, tmp_path / "out.csv")
        assert watcher.stop() == 0, watcher.log
    assert [(row["path"], row["text"]) for row in read_rows(tmp_path / "out.csv")] == [
        ("incoming/a.png", "0042"),
        ("incoming/b.png", "77"),
    ]
    other = digits_batch("incoming", "--watch", "--out", "out.csv", "--server", reader.address)
    assert other.returncode == 2
    assert "out.csv was begun with --read numbers: repeat that" in other.stderr


def test_watch_into_parquet(reader: ScriptedServer, tmp_path: Path) -> None:
    """Rows wait in the state until their part is complete, and are whole then."""
    options = ["--read", "numbers", "--out", "out.parquet", "--server", reader.address, "--settle", "0.2"]
    for name, content in (("a", b"0042"), ("b", b"7 1")):
        drop(tmp_path / f"incoming/{name}.png", content)
    with Watching(tmp_path, [*options, "--roll", "2", "--probabilities"]) as watcher:
        watcher.wait_for_words("is complete: 2 rows")
        assert watcher.stop() == 0, watcher.log
    (part,) = tmp_path.glob("out-*.parquet")
    table = parquet.read_table(part)
    assert table.column("text").to_pylist() == ["0042", "7"]
    assert table.column("alternatives").to_pylist() == [["0042", "00420"], ["7", "1"]]


def test_standard_output(reader: ScriptedServer, fields: Path, digits_batch: RunBatch) -> None:
    """--out - writes the same CSV."""
    result = digits_batch(*_command(reader), "--out", "-")
    assert result.returncode == 1, result.stderr
    assert result.stdout.splitlines()[:2] == [
        "path,text,confidence,error,model_version",
        "fields/00000.png,0042,0.7500,,1",
    ]
