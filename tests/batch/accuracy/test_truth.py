"""Where labels come from, and what a run says of its answers against them."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.accuracy.tally import Tally, wilson_interval
from batch.accuracy.truth import check_truth, parent_digit, parse_labels, read_truth
from batch.cli import app
from batch.client.endpoint import ServerError
from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.job import Job, run_job
from exporter.command import UserError
from exporter.label_file import DIGITS
from tests.batch.conftest import ScriptedServer
from tests.conftest import ROOT, RunBatch

OUT = Path("out.csv")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Folders 0 to 9 of four files each, three of which the scripted server answers with their folder's name.

    The fourth is answered with the next digit, 0 after 9. Beside them lies a folder of two files without a label.
    """
    folder = tmp_path / "scans"
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for number in range(4):
            (folder / str(digit) / f"{number}.png").write_bytes(bytes([digit + (number == 3)]))
    (folder / "misc").mkdir()
    for number in range(2):
        (folder / "misc" / f"{number}.png").write_bytes(bytes([number]))
    return folder


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_of_the_literature(right: int, count: int, low: float, high: float) -> None:
    """Method 3 in table I of Newcombe, "Two-sided confidence intervals for the single proportion" (1998)."""
    assert wilson_interval(right, count) == pytest.approx((low, high), abs=5e-5)


@given(count=st.integers(0, 10**9), share=st.floats(0, 1))
def test_wilson_intervals_hold_their_share(count: int, share: float) -> None:
    """Within 0 and 1, around the share, and the mirror image for wrong instead of right; everything for no images."""
    right = round(count * share)
    low, high = wilson_interval(right, count)
    assert 0 <= low <= (right / count if count else 0.5) <= high <= 1
    assert wilson_interval(count - right, count) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(
    labels=st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).map(os.path.normpath),
        st.integers(0, 9),
        min_size=1,
    ),
    header=st.sampled_from([None, "image,label", "path,digit", "file,true_label", "Name,Wahre Ziffer"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_labels_are_read_back(labels: dict[str, int], header: str | None, line_end: str) -> None:
    """Whatever characters paths hold, with a header and without, with either end of line."""
    text = io.StringIO()
    if header:
        text.write(header + line_end)
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_NONNUMERIC).writerows(labels.items())
    assert parse_labels(io.StringIO(text.getvalue(), newline=""), "labels.csv", DIGITS) == labels


@given(text=st.text(st.one_of(st.sampled_from(',"\n\r0123456789ab./'), st.characters())))
def test_a_foreign_file_is_one_line_of_complaint(text: str) -> None:
    """Any text is either labels or an error of one printable line that names the file."""
    complaint, labels = "", {"": -1}
    try:
        labels = parse_labels(io.StringIO(text, newline=""), "labels.csv", DIGITS)
    except UserError as error:
        complaint = str(error)
    if complaint:
        assert complaint.startswith("labels.csv")
        assert complaint.isprintable()
    else:
        assert labels
        assert set(labels.values()) <= set(range(10))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["holds no labels"]),
        ("image,label\n", ["holds no labels"]),
        ("image,label\na.png,1\na.png,2\n", ["line 3", "'a.png'", "2 after 1"]),
        ("a.png,1\n./a.png,1\n", ["line 2", "second label"]),
        ("a.png,1\n\nb.png,x\n", ["line 3", "'x'", "0-9"]),
        ("a.png,x\n", ["line 1", "'x'"]),
        ("image,label\nfile,digit\n", ["line 2", "'digit'"]),
        ("a.png,10\n", ["line 1", "'10'"]),
        ("a.png,\n", ["line 1", "''"]),
        ("a.png,²\n", ["line 1", "'²'"]),
        (",3\n", ["line 1", "path is empty"]),
        ("a.png;3\n", ["line 1", "two columns", "comma", "'a.png;3'"]),
        ("path,digit,confidence,error,model_version\n", ["line 1", "found 5"]),
        ('a.png,1\n"b.png,1\nc.png,2\n', ["line 2", "no CSV"]),
    ],
)
def test_what_is_wrong_in_a_labels_file_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    """One line with the file, the line and what is wrong in it."""
    path = _write(tmp_path / "labels.csv", text)
    with pytest.raises(UserError) as error:
        read_truth(path, OUT, DIGITS)
    for word in (path, *words):
        assert word in str(error.value)


def test_more_columns_and_undecided_pictures() -> None:
    """A header may name further columns, in any order; `none` and `unsure` are no labels."""
    lines = ["Writer,Label,path\n", "Ann,8,a.png\n", "Bob,none,b.png\n", "Bob,unsure,c.png\n"]
    assert parse_labels(lines, "labels.csv", DIGITS) == {"a.png": 8}
    assert parse_labels(["path,was,label\n", "a.png,1,2\n", "a.png,1"], "labels.csv", DIGITS) == {"a.png": 2}
    with pytest.raises(UserError, match=r"labels.csv, line 2: wanted 3 columns as in the first line"):
        parse_labels([lines[0], "a.png,8\n"], "labels.csv", DIGITS)


def test_a_labels_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, a folder and a picture are each refused in a line."""
    picture = ROOT / "samples" / "0" / "0-001.png"
    (tmp_path / "loop").symlink_to("loop")
    cases = {
        tmp_path / "no.csv": "No such file",
        tmp_path: "directory",
        picture: "line 1: ",
        tmp_path / "loop": "levels",
    }
    for path, words in cases.items():
        with pytest.raises(UserError, match=words):
            read_truth(str(path), OUT, DIGITS)


def test_paths_in_a_labels_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the folder of the file, as files are named on the command line, or absolute; a BOM does no harm."""
    (tmp_path / "set" / "img").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "set" / "labels.csv"
    path.write_bytes(
        b"\xef\xbb\xbfimg/own.png,1\n./set/img/given.png, 2\n" + os.fsencode(f"{tmp_path}/set/img/absolute.png,3\n")
        + b"img/latin-\xe9.png,4\nbeside.png,5\nhere.png,6\n../above.png,7\n"
    )  # fmt: skip
    for source in (str(path), "set/labels.csv", "./set//labels.csv"):
        truth = read_truth(source, OUT, DIGITS)
        for folder in ("set/img", "./set/img", f"{tmp_path}/set/img", "set/../set/img"):
            assert truth(f"{folder}/own.png") == 1
            assert truth(f"{folder}/absolute.png") == 3
            assert truth(f"{folder}/latin-\udce9.png") == 4
            assert truth(f"{folder}/other.png") is None
        assert truth("set/img/given.png") == 2
        assert truth("set/beside.png") == 5
        assert truth("here.png") == 6
        assert truth("above.png") == 7
        assert truth("own.png") is None


def test_folders_named_by_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest folder counts, also that of files named in it; names that only look like digits do not."""
    assert parent_digit("scans/7/a.png") == 7
    assert parent_digit("7/more/a.png") is None
    assert [parent_digit(f"{name}/a.png") for name in ("10", "07", "²", "٣", "-1", "")] == [None] * 6
    (tmp_path / "3").mkdir()
    monkeypatch.chdir(tmp_path / "3")
    assert parent_digit(os.path.join("..", "3", "a.png")) == 3  # noqa: PTH118 - a text
    assert read_truth("parent", OUT, DIGITS)(f"{tmp_path}/3/a.png") == 3


def test_accuracy_is_exact(tmp_path: Path, labelled: Path, scripted: ScriptedServer, digits_batch: RunBatch) -> None:
    """Three of four are right for each digit, an unreadable file is wrong, and unlabelled files do not count."""
    (labelled / "5" / "gone.png").symlink_to("nowhere")
    result = digits_batch(labelled, "--out", "out.csv", "--truth", "parent", "--server", scripted.address)
    assert result.returncode == 1, result.stderr
    low, high = wilson_interval(30, 41)
    lines = result.stdout.splitlines()
    assert (
        f"accuracy 73.17% (95% interval {low:.2%} to {high:.2%}): of 41 images 30 right, 10 wrong, 1 with an error"
        in lines
    )
    assert "without a label, not counted: 2 files" in lines
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.count("│") == 7]
    assert [row[:4] for row in table] == [
        [str(digit), "5" if digit == 5 else "4", "3", "60.0%" if digit == 5 else "75.0%"] for digit in range(10)
    ]
    assert table[9][5] == "0 (1 of 4)"
    assert table[5][5] == "6 (1 of 5)"


def test_the_table_and_the_journal_know_nothing_of_it(
    tmp_path: Path, labelled: Path, scripted: ScriptedServer, digits_batch: RunBatch
) -> None:
    """The same bytes with and without --truth; a run begun without it is finished with it, and counts in whole."""
    command = (labelled, "--server", scripted.address, "--batch-size", "4", "--in-flight", "1", "--timeout", "1")
    plain = digits_batch(*command, "--out", "plain.csv")
    assert plain.returncode == 0
    assert "accuracy" not in plain.stdout
    whole = digits_batch(*command, "--out", "whole.csv", "--truth", "parent")

    def refuse(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number >= first + 5:
            context.abort(grpc.StatusCode.INTERNAL, "broken")

    first = scripted.calls
    scripted.script = refuse
    assert digits_batch(*command, "--out", "resumed.csv").returncode == 3
    scripted.script = lambda *_: None
    resumed = digits_batch(*command, "--out", "resumed.csv", "--truth", "parent")
    assert "20 rows from the run before" in resumed.stdout
    assert _against_truth(resumed.stdout) == _against_truth(whole.stdout)
    assert "of 40 images 30 right" in whole.stdout
    for name in ("whole.csv", "resumed.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "plain.csv").read_bytes()


def _against_truth(text: str) -> str:
    return text[text.index("against the truth") :]


def test_resumed_answers_are_tallied(labelled: Path, scripted: ScriptedServer) -> None:
    """Also where a file changed in between, so that answers come in another order than the walk's."""

    def refuse(number: int, _request: object, context: grpc.ServicerContext) -> None:
        if number >= 6:
            context.abort(grpc.StatusCode.INTERNAL, "broken")

    def job(**options: Any) -> Job:  # noqa: ANN401 - Job's own fields
        return Job(Walk((str(labelled),)), labelled.parent / "out.csv", (scripted.address,), batch_size=4, **options)

    scripted.script = refuse
    with pytest.raises(ServerError):
        run_job(job(in_flight=1), lambda _: None, Tally(parent_digit))
    scripted.script = lambda *_: None
    (labelled / "0" / "0.png").write_bytes(b"five is wrong: \5")
    tally = Tally(parent_digit)
    run_job(job(), lambda _: None, tally)
    assert (tally.score.right, tally.score.images, tally.unlabelled) == (29, 40, 2)
    assert tally.confusion[0] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert {Path(mistake.path).name for mistake in tally.mistakes} == {"0.png", "3.png"}


def test_samples_against_their_folders(tmp_path: Path, digits_batch: RunBatch, server: str) -> None:
    """Real scans and the shipped model: what is said is what the table shows."""
    result = digits_batch(ROOT / "samples", "--out", "out.csv", "--truth", "parent", "--server", server)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        right = sum(Path(row["path"]).parent.name == row["digit"] for row in csv.DictReader(file))
    assert f"of 40 images {right} right" in result.stdout
    assert "without a label" not in result.stdout


def test_hwd_1000_by_its_own_file(tmp_path: Path, digits_batch: RunBatch, server: str, shared_data: Path) -> None:
    """The dataset.csv of HwD-1000 works as it is."""
    folder = shared_data / "hwd_1000"
    options = ("--out", "out.csv", "--truth", folder / "dataset.csv", "--server", server)
    result = digits_batch(folder / "img", *options)
    assert result.returncode == 0, result.stderr
    assert re.search(r"of 1,000 images (99[5-9]|1,000) right, \d wrong, 0 with an error", result.stdout)


def test_a_run_without_any_label_does_not_start(
    tmp_path: Path, labelled: Path, scripted: ScriptedServer, digits_batch: RunBatch
) -> None:
    """Exit code 2 before the first request, in one line that says what was looked for."""
    labels = _write(tmp_path / "labels.csv", "elsewhere/0.png,0\n")
    for truth, words in (("parent", "'misc'"), (labels, "relative to its own folder")):
        result = digits_batch(labelled / "misc", "--out", "out.csv", "--truth", truth, "--server", scripted.address)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert "none of the 2 files has a label" in result.stderr
        assert words in result.stderr
    assert scripted.calls == 0
    assert [path.name for path in tmp_path.glob("out.csv*")] == []


def test_the_first_label_ends_the_check(labelled: Path) -> None:
    """A walk whose first file has a label is not gone through twice; one without files is not its business."""
    asked: list[str] = []

    def truth(path: str) -> int:
        asked.append(path)
        return 0

    check_truth(truth, "parent", walk(Walk((str(labelled),)), Skipped()), DIGITS.folders)
    assert len(asked) == 1
    (labelled.parent / "empty").mkdir()
    check_truth(truth, "parent", walk(Walk((str(labelled.parent / "empty"),)), Skipped()), DIGITS.folders)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--truth", "nowhere.csv"], ["--truth nowhere.csv", "No such file", "parent"]),
        (["--truth", "wrong.csv"], ["wrong.csv, line 2", "'x'"]),
        (["--truth", "out.csv"], ["--out out.csv would overwrite the labels"]),
        (["--truth", "parent", "nowhere"], ["nowhere: no such file or folder"]),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    tmp_path: Path,
    labelled: Path,
    scripted: ScriptedServer,
    digits_batch: RunBatch,
    arguments: list[str],
    words: list[str],
) -> None:
    """Exit code 2, one line, nothing asked and nothing written."""
    _write(tmp_path / "wrong.csv", "a.png,1\nb.png,x\n")
    result = digits_batch(labelled, "--out", "out.csv", *arguments, DIGITS_SERVER=scripted.address)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr
    assert scripted.calls == 0
    assert not list(tmp_path.glob("out.csv*"))
    assert not (tmp_path / "report").exists()


def _probe(code: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    script = f"import sys\nsys.argv = {['digits-batch', *arguments]!r}\n{code}"
    return subprocess.run([sys.executable, "-P", "-c", script], cwd=folder, capture_output=True, text=True, check=True)


def test_truth_alone_stays_thin(tmp_path: Path, labelled: Path, scripted: ScriptedServer) -> None:
    """Without --report neither NumPy nor Matplotlib nor Pillow nor TensorFlow is imported."""
    code = (
        "from batch.cli import app\n"
        "from exporter.command import run\n"
        "try: run('digits-batch', app)\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'tensorflow', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    options = ("--out", "out.csv", "--truth", "parent", "--server", scripted.address)
    assert _probe(code, tmp_path, str(labelled), *options).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("module", ["matplotlib", "PIL", "numpy"])
def test_a_report_without_the_extra_is_refused_first(
    tmp_path: Path, labelled: Path, scripted: ScriptedServer, module: str
) -> None:
    """In a thin install the extra is named before the run begins."""
    code = (
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {module!r} else find(name)\n"
        "from batch.cli import app\n"
        "from exporter.command import run\n"
        "try: run('digits-batch', app)\n"
        "except SystemExit as end: print(end.code)"
    )
    options = ("--out", "out.csv", "--truth", "parent", "--report", "report", "--server", scripted.address)
    result = _probe(code, tmp_path, str(labelled), *options)
    assert result.stdout == "2\n"
    hint = "run pip install '.[train]' in a checkout of digits, or pip install 'WHEEL[train]' with its wheel file"
    assert result.stderr == f"digits-batch: {module} is not installed: {hint}\n"
    assert scripted.calls == 0


def test_every_option_has_help() -> None:
    """No option is left to be guessed."""
    (command,) = app.registered_commands
    assert command.callback is not None
    from typer.main import get_command  # noqa: PLC0415 - Typer's own view of the command

    for parameter in get_command(app).params:
        assert getattr(parameter, "help", None), parameter.name
