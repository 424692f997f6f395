"""digits-batch --watch as a process: files come, servers fail, and it is killed, all at any time."""

import json
import signal
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from batch.client import wire_pb2 as wire
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows, wait_for
from tests.batch.watch.support import Watching, drop, paths_in
from tests.conftest import RunBatch


def test_rows_come_as_files_come(tmp_path: Path, command: list[str]) -> None:
    """Files there before, written later, moved in, and in new subfolders get a row; hidden and other files get none."""
    drop(tmp_path / "incoming/before.png", b"\1")
    table = tmp_path / "preds.csv"
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, table)
        (tmp_path / "incoming/written.png").write_bytes(b"\2")
        drop(tmp_path / "incoming/moved.png", b"\3")
        drop(tmp_path / "incoming/a/b/deep.PNG", b"\4")
        drop(tmp_path / "incoming/other.txt", b"\5")
        drop(tmp_path / "incoming/.hidden/file.png", b"\6")
        drop(tmp_path / "incoming/other.jpg", b"\5")
        watcher.wait_for_rows(4, table)
        watcher.wait_for_words("images of other kinds are not taken: .jpg; name them with --glob")
        assert watcher.stop() == 0, watcher.log
    digits = {row["path"]: row["digit"] for row in read_rows(table)}
    assert digits == {
        "incoming/before.png": "1",
        "incoming/written.png": "2",
        "incoming/moved.png": "3",
        "incoming/a/b/deep.PNG": "4",
    }
    assert "4 rows written" in watcher.log
    assert not (tmp_path / "preds.csv.part").exists()


def test_a_moved_file_need_not_settle(tmp_path: Path, command: list[str]) -> None:
    """A rename gives a complete file its name: its row comes however long others have to wait."""
    pytest.importorskip("inotify_simple", reason="the watch extra is not installed")
    table = tmp_path / "preds.csv"
    with Watching(tmp_path, [*command[:-1], "3600"]) as watcher:
        watcher.wait_for_words("by inotify")
        (tmp_path / "incoming/written.png").write_bytes(b"\1")
        # The folder is listened to from the first look on.
        numbers = iter(range(10_000))
        while not table.exists():
            drop(tmp_path / f"incoming/{next(numbers)}.png", b"\2")
            time.sleep(0.1)
        drop(tmp_path / "incoming/moved.png", b"\3")
        wait_for(lambda: "incoming/moved.png" in paths_in(table))
        assert "incoming/written.png" not in paths_in(table)


def test_a_file_that_is_written_slowly(tmp_path: Path, command: list[str]) -> None:
    """It gets one row, for its last byte, though it was closed and opened again on the way."""
    table = tmp_path / "preds.csv"
    with Watching(tmp_path, [*command[:-1], "1"]) as watcher:
        for digit in range(8):
            with (tmp_path / "incoming/slow.png").open("ab") as file:
                file.write(bytes([digit]) * (1 + digit))
            time.sleep(0.3)
        watcher.wait_for_rows(1, table)
        drop(tmp_path / "incoming/next.png", b"\0")
        watcher.wait_for_rows(2, table)
    assert next((row["path"], row["digit"]) for row in read_rows(table)) == ("incoming/slow.png", "7")


@pytest.mark.parametrize("kills", [8, pytest.param(60, marks=pytest.mark.soak)])
@pytest.mark.parametrize("options", [[], ["--move-done", "incoming/done", "--move-failed", "failed"], ["--roll", "7"]])
def test_killed_again_and_again(
    tmp_path: Path, scripted: ScriptedServer, command: list[str], options: list[str], kills: int
) -> None:
    """However often SIGKILL ends it while files come: in the end each file has one row, and none is lost."""
    scripted.script = lambda number, _request, _context: time.sleep(0.01 * (number % 3))
    dropped: list[str] = []
    is_over = threading.Event()

    def scan() -> None:
        while not is_over.wait(0.005):
            name = f"incoming/tray{len(dropped) % 3}/{len(dropped):05}.png"
            if len(dropped) % 2:
                drop(tmp_path / name, b"\7")
            else:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_bytes(b"\7")
            dropped.append(name)

    scanner = threading.Thread(target=scan)
    scanner.start()
    random = np.random.default_rng(len(options))
    try:
        for _ in range(kills):
            with Watching(tmp_path, [*command, *options, "--batch-size", "5"]) as watcher:
                time.sleep(random.uniform(0.2, 1.0))
                watcher.kill()
    finally:
        is_over.set()
        scanner.join()

    def tables() -> list[Path]:
        return list(tmp_path.glob("preds*.csv"))

    with Watching(tmp_path, [*command, *options]) as watcher:
        wait_for(lambda: sum(paths_in(*tables()).values()) >= len(dropped))
        if "--move-done" in options:
            wait_for(lambda: len(list((tmp_path / "incoming/done").rglob("*.png"))) >= len(dropped))
        assert watcher.stop() == 0, watcher.log
    counts = paths_in(*tables())
    assert {path: count for path, count in counts.items() if count != 1} == {}
    assert set(counts) == set(dropped)
    if "--move-done" in options:
        assert not list((tmp_path / "incoming").glob("tray*/*.png"))
        assert {
            f"incoming/{path.relative_to(tmp_path / 'incoming/done')}"
            for path in (tmp_path / "incoming/done").rglob("*")
            if path.is_file()
        } == set(dropped)
    if "--roll" in options:
        lengths = [len(read_rows(table)) for table in sorted(tables())]
        assert set(lengths[:-1]) == {7}


def test_a_torn_row_is_cut_off(tmp_path: Path, command: list[str]) -> None:
    """What a power cut left behind the last row that is known as written goes; the rows before it stay as they are."""
    table = tmp_path / "preds.csv"
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, table)
        assert watcher.stop() == 0
    whole = table.read_bytes()
    table.write_bytes(whole + b"incoming/b.png,3,0.50")
    drop(tmp_path / "incoming/b.png", b"\2")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(2, table)
        assert watcher.says("cut off 21 bytes")
    assert table.read_bytes() == whole + b"incoming/b.png,2,0.5000,,1\r\n"


def test_a_changed_file_gets_a_row_again(tmp_path: Path, command: list[str]) -> None:
    """Its path is there already; its new size or time makes it new. Files that are as they were are not asked again."""
    table = tmp_path / "preds.csv"
    drop(tmp_path / "incoming/a.png", b"\1")
    drop(tmp_path / "incoming/b.png", b"\2")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(2, table)
        assert watcher.stop() == 0
    drop(tmp_path / "incoming/a.png", b"\0\3")
    with Watching(tmp_path, [*command, "--in-flight", "1"]) as watcher:
        watcher.wait_for_rows(3, table)
        assert watcher.stop(signal.SIGINT) == 130
    assert sorted((row["path"], row["digit"]) for row in read_rows(table)) == [
        ("incoming/a.png", "1"),
        ("incoming/a.png", "3"),
        ("incoming/b.png", "2"),
    ]


def test_a_folder_by_another_name_is_the_same(tmp_path: Path, command: list[str], scripted: ScriptedServer) -> None:
    """A restart with the absolute path, or from elsewhere, answers nothing again."""
    table = tmp_path / "preds.csv"
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, table)
        assert watcher.stop() == 0
    with Watching(tmp_path, [tmp_path / "incoming", *command]) as watcher:
        drop(tmp_path / "incoming/b.png", b"\2")
        watcher.wait_for_rows(2, table)
        assert watcher.stop() == 0
    assert scripted.calls == 2


def test_waits_for_a_server_as_long_as_it_takes(tmp_path: Path) -> None:
    """A server that is away, at the start or later, is waited for beyond --timeout; a signal ends the wait at once."""
    address = f"unix:{tmp_path}/late.sock"
    table = tmp_path / "preds.csv"
    drop(tmp_path / "incoming/a.png", b"\1")
    options = ["--out", "preds.csv", "--server", address, "--settle", "0", "--timeout", "0.5"]
    with Watching(tmp_path, options) as watcher:
        watcher.wait_for_words("tried again until it answers")
        server = ScriptedServer(address)
        watcher.wait_for_rows(1, table)
        watcher.wait_for_words("the server answers again")
        server.stop()
        drop(tmp_path / "incoming/b.png", b"\2")
        wait_for(lambda: watcher.log.count("tried again until it answers") == 2)
        server = ScriptedServer(address)
        watcher.wait_for_rows(2, table)
        server.stop()
        drop(tmp_path / "incoming/c.png", b"\3")
        wait_for(lambda: watcher.log.count("tried again until it answers") == 3)
        assert watcher.stop() == 0
    server = ScriptedServer(address)
    with Watching(tmp_path, options) as watcher:
        watcher.wait_for_rows(3, table)
    server.stop()
    assert set(paths_in(table).values()) == {1}


def test_one_file_that_a_server_fails_over(tmp_path: Path, scripted: ScriptedServer, command: list[str]) -> None:
    """It waits, and all others are answered."""

    def fail(_number: int, request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        if b"poison\7" in list(request.inputs["image_bytes"].string_val):
            context.abort(grpc.StatusCode.INTERNAL, "it crashes over one image")

    scripted.script = fail
    for number in range(6):
        drop(tmp_path / f"incoming/{number}.png", b"poison\7" if number == 2 else b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(5, tmp_path / "preds.csv")
        scripted.script = lambda *_: None
        watcher.wait_for_rows(6, tmp_path / "preds.csv")
    assert set(paths_in(tmp_path / "preds.csv").values()) == {1}


def test_a_file_that_cannot_be_read(tmp_path: Path, command: list[str]) -> None:
    """Another program may have it open: it is tried again before its row says so, and others do not wait for it."""
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming/locked.png").symlink_to("/proc/self/mem")  # it can be opened, and reading fails
    drop(tmp_path / "incoming/later.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(2, tmp_path / "preds.csv")
        assert watcher.stop() == 0
    rows = [(row["path"], row["error"]) for row in read_rows(tmp_path / "preds.csv")]
    assert rows == [("incoming/later.png", ""), ("incoming/locked.png", "unreadable")]


def test_what_is_under_way_is_finished(tmp_path: Path, scripted: ScriptedServer, command: list[str]) -> None:
    """After SIGTERM no request is sent, and those under way get their rows."""
    is_asked, may_answer = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        is_asked.set()
        may_answer.wait(30)

    scripted.script = hold
    for number in range(10):
        drop(tmp_path / f"incoming/{number}.png", b"\1")
    with Watching(tmp_path, [*command, "--batch-size", "2", "--in-flight", "1"]) as watcher:
        assert is_asked.wait(60)
        threading.Timer(0.5, may_answer.set).start()
        assert watcher.stop() == 0, watcher.log
    rows = len(read_rows(tmp_path / "preds.csv"))
    assert 0 < rows < 10
    assert scripted.calls == (rows + 1) // 2


def test_a_second_signal_stops_at_once(tmp_path: Path, scripted: ScriptedServer, command: list[str]) -> None:
    """The request under way is given up, and its files are answered by the next watcher."""
    is_asked, may_answer = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        is_asked.set()
        may_answer.wait(60)

    scripted.script = hold
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        assert is_asked.wait(60)
        watcher._process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert watcher.stop(signal.SIGINT) == 130
    may_answer.set()
    scripted.script = lambda *_: None
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, tmp_path / "preds.csv")


def test_a_full_disk(tmp_path: Path, command: list[str]) -> None:
    """Exit code 3, and with room again the same command goes on: each file has one row."""
    for number in range(600):
        drop(tmp_path / f"incoming/{'x' * 150}{number:04}.png", b"\1")
    command += ["--batch-size", "20"]
    with Watching(tmp_path, command, most_bytes=60_000) as watcher:
        assert watcher.wait() == 3, watcher.log
        assert watcher.says("make room, then repeat the command")
    assert len((tmp_path / "preds.csv").read_bytes().splitlines()) > 10
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(600, tmp_path / "preds.csv")
        assert watcher.stop() == 0
    assert set(paths_in(tmp_path / "preds.csv").values()) == {1}


def test_one_watcher_for_a_table(tmp_path: Path, digits_batch: RunBatch, command: list[str]) -> None:
    """A second one is refused, and so is a run without --watch: both name the process that holds the table."""
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, tmp_path / "preds.csv")
        for options in (["--watch"], ["--force"]):
            refused = digits_batch("incoming", *options, *command[:4])
            assert refused.returncode == 2
            assert "another digits-batch (process" in refused.stderr
    refused = digits_batch("incoming", *command[:4])
    assert refused.returncode == 2


def test_a_table_that_another_program_changes(tmp_path: Path, command: list[str]) -> None:
    """Nothing is written into it; exit code 3, while it is watched and at the next start."""
    table = tmp_path / "preds.csv"
    drop(tmp_path / "incoming/a.png", b"\1")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, table)
        table.write_text("somebody else's\n")
        drop(tmp_path / "incoming/b.png", b"\2")
        assert watcher.wait() == 3
        assert watcher.says("changed by another program")
    with Watching(tmp_path, command) as watcher:
        assert watcher.wait() == 3
    assert table.read_text() == "somebody else's\n"
    # Moved away, it makes place for the rows of what comes from now on.
    table.rename(tmp_path / "theirs.csv")
    with Watching(tmp_path, command) as watcher:
        watcher.wait_for_rows(1, table)
        table.rename(tmp_path / "taken.csv")
        drop(tmp_path / "incoming/c.png", b"\3")
        watcher.wait_for_rows(1, table)
    assert [list(paths_in(tmp_path / name)) for name in ("taken.csv", "preds.csv")] == [
        ["incoming/b.png"],
        ["incoming/c.png"],
    ]


def test_files_are_moved_by_their_outcome(tmp_path: Path, command: list[str]) -> None:
    """Subfolders are kept, a name that is taken gets a number, and a file that comes again is a new one."""
    drop(tmp_path / "incoming/done/sub/a.png", b"before")
    (tmp_path / "incoming/empty.png").touch()
    drop(tmp_path / "incoming/sub/a.png", b"\1")
    options = ["--move-done", "incoming/done", "--move-failed", "failed"]
    table = tmp_path / "preds.csv"
    with Watching(tmp_path, [*command, *options]) as watcher:
        watcher.wait_for_rows(2, table)
        wait_for(lambda: not (tmp_path / "incoming/sub/a.png").exists())
        drop(tmp_path / "incoming/sub/a.png", b"\1")
        watcher.wait_for_rows(3, table)
        wait_for(lambda: not (tmp_path / "incoming/sub/a.png").exists())
        assert watcher.stop() == 0, watcher.log
    folder = tmp_path / "incoming/done/sub"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a.png": b"before",
        "a-2.png": b"\1",
        "a-3.png": b"\1",
    }
    assert paths_in(table) == {"incoming/sub/a.png": 2, "incoming/empty.png": 1}


def test_json_lines_and_parquet(tmp_path: Path, scripted: ScriptedServer) -> None:
    """JSON Lines grow as CSV does; parts of Parquet appear when they are complete, across a restart."""
    from pyarrow import parquet  # noqa: PLC0415 - slow

    server = ["--server", scripted.address, "--settle", "0", "--probabilities"]
    for number in range(5):
        drop(tmp_path / f"incoming/{number}.png", bytes([number]))
    with Watching(tmp_path, ["--out", "p.jsonl", *server]) as watcher:
        wait_for(lambda: (tmp_path / "p.jsonl").exists() and (tmp_path / "p.jsonl").read_bytes().count(b"\n") == 5)
        assert watcher.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert sorted(line["digit"] for line in lines) == [0, 1, 2, 3, 4]

    first, second = tmp_path / "q-000001.parquet", tmp_path / "q-000002.parquet"
    with Watching(tmp_path, ["--out", "q.parquet", "--roll", "4", *server]) as watcher:
        watcher.wait_for_words("q-000001.parquet is complete: 4 rows")
        assert not second.exists()
        watcher.kill()
    for number in range(5, 8):
        drop(tmp_path / f"incoming/{number}.png", bytes([number]))
    with Watching(tmp_path, ["--out", "q.parquet", "--roll", "4", *server]) as watcher:
        watcher.wait_for_words("q-000002.parquet is complete: 4 rows")
        assert watcher.stop() == 0
    rows = parquet.read_table(first).to_pylist() + parquet.read_table(second).to_pylist()
    assert sorted((row["path"], row["digit"]) for row in rows) == [
        (f"incoming/{digit}.png", digit) for digit in range(8)
    ]
    assert len(rows[0]["probabilities"]) == 10


def test_real_pictures_through_the_built_in_server(
    tmp_path: Path, mnist_pngs: list[bytes], nobody_listens: None
) -> None:
    """It starts the built-in server, answers, and stops it with SIGTERM."""
    drop(tmp_path / "incoming/good.png", mnist_pngs[0])
    drop(tmp_path / "incoming/bad.png", b"no picture")
    with Watching(tmp_path, ["--out", "preds.csv", "--settle", "0", "--move-failed", "failed"]) as watcher:
        watcher.wait_for_rows(2, tmp_path / "preds.csv")
        wait_for((tmp_path / "failed/bad.png").exists)
        assert watcher.stop() == 0, watcher.log
    errors = {row["path"]: row["error"] for row in read_rows(tmp_path / "preds.csv")}
    assert errors == {"incoming/good.png": "", "incoming/bad.png": "not an image"}
    assert (tmp_path / "incoming/good.png").exists()
