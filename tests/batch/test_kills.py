"""Clients and servers that are killed, and models that are replaced, in the middle of a job."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.client.answers import Answer
from batch.client.endpoint import ServerError
from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.table.journal import Journal
from tests.batch.conftest import ScriptedServer
from tests.batch.support import Client, ServerProcess, publish, read_rows, wait_for, write_scans
from tests.conftest import ROOT, RunBatch

_STEP = 60  # requests between two kills, at most
_JOURNAL = "out.csv.part"


@dataclass
class Swapping:
    """A built-in server whose model gets new versions.

    Attributes:
        server: looks for them every second.
        base_path: where they are published.
        version: the newest.
    """

    server: ServerProcess
    base_path: Path
    version: int = 1

    def swap_in_the_middle(self, client: Client) -> None:
        """Publish a version while a job of 1,500 requests is under way."""
        client.wait_for_answers(200)
        publish(self.base_path / "1", self.base_path, self.version + 1)

        def is_swapped() -> bool:
            # However slow the machine, the job must not be over before the swap.
            if client.answered() > 1000:
                client.signal(signal.SIGSTOP)
            return self.server.says(f"version {self.version + 1} AVAILABLE")

        wait_for(is_swapped)
        assert client.answered() < 1500
        self.version += 1
        client.signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with the contract's signature that is loaded in no time: here servers come, go and change models."""
    folder = tmp_path_factory.mktemp("small") / "saved_model"
    # In a process of its own: this one gets along without TensorFlow.
    command = [sys.executable, "-P", str(ROOT / "tests" / "small_model.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def swapping(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[Swapping]:
    """A server that has the small model as version 1."""
    folder = tmp_path_factory.mktemp("swapping")
    publish(small_model, folder / "models", 1)
    flags = (f"--model_base_path={folder}/models", "--file_system_poll_wait_seconds=1")
    with ServerProcess(folder, *flags) as server:
        yield Swapping(server, folder / "models")


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_a_client_killed_again_and_again(
    tmp_path: Path, digits_batch: RunBatch, server: str, mnist_pngs: list[bytes], kills: int
) -> None:
    """A job that SIGKILL ends at random moments and the same command resumes writes the undisturbed run's bytes."""
    write_scans(tmp_path / "scans", mnist_pngs, 2 * (500 + kills * _STEP))
    command = ["scans", "--server", server, "--batch-size", "2"]
    quiet = digits_batch(*command, "--out", "quiet.csv")
    assert quiet.returncode == 0, quiet.stderr

    random = np.random.default_rng(1)
    command += ["--summary", "summary.json"]
    kept = 0
    for _ in range(kills):
        with Client(tmp_path, "out.csv", command) as client:
            client.wait_for_answers(kept + int(random.integers(1, _STEP)))
            time.sleep(random.uniform(0, 0.02))
            client.kill()
        assert client.answered() > kept, "rows are there, those of the runs before among them"
        assert not (tmp_path / "out.csv").exists()
        kept = client.answered()

    last = digits_batch(*command, "--out", "out.csv")
    assert last.returncode == 0, last.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["resumed_rows"] == 2 * kept
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "quiet.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"scans", "quiet.csv", "out.csv", "summary.json"}


def test_a_client_killed_with_the_table_in_place(
    tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer
) -> None:
    """Killed before the journal was removed: the same command ends well, asks nothing again and leaves no litter."""
    paths = write_scans(tmp_path / "scans", [bytes([digit]) for digit in range(10)], 40)
    command = ["scans", "--server", scripted.address, "--batch-size", "2", "--in-flight", "1", "--out", "out.csv"]

    def keep(*_: object) -> None:
        """Give the journal a second name, which outlives its removal."""
        if not (tmp_path / "kept").exists():
            (tmp_path / "kept").hardlink_to(tmp_path / _JOURNAL)

    scripted.script = keep
    assert digits_batch(*command).returncode == 0
    whole = (tmp_path / "out.csv").read_bytes()
    assert not (tmp_path / _JOURNAL).exists()
    (tmp_path / "kept").rename(tmp_path / _JOURNAL)

    # The next run opens it and is killed, too.
    settings = json.loads((tmp_path / _JOURNAL).read_text().splitlines()[1])
    del settings["format"]
    Journal(tmp_path / "out.csv", settings, restore=Answer.of, fresh=False).close()
    scripted.calls = 0
    again = digits_batch(*command)
    assert again.returncode == 0, again.stderr
    assert scripted.calls == 0
    assert (tmp_path / "out.csv").read_bytes() == whole
    assert [row["path"] for row in read_rows(tmp_path / "out.csv")] == paths
    assert {path.name for path in tmp_path.iterdir()} == {"scans", "out.csv", "scripted.sock"}


def test_a_journal_beside_a_table_of_another_run(
    tmp_path: Path, digits_batch: RunBatch, scripted: ScriptedServer
) -> None:
    """A run that was to overwrite a table and was killed is finished by the same command, not without --force."""
    write_scans(tmp_path / "scans", [b"\3"], 20)
    (tmp_path / "out.csv").write_text("precious")
    command = ["scans", "--server", scripted.address, "--batch-size", "2", "--in-flight", "1", "--out", "out.csv"]
    scripted.script = lambda number, _request, context: (
        context.abort(grpc.StatusCode.INTERNAL, "broken") if number == 5 else None
    )
    assert digits_batch(*command, "--force").returncode == 3
    scripted.script = lambda *_: None
    refused = digits_batch(*command)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "out.csv").read_text() == "precious"

    assert digits_batch(*command, "--force").returncode == 0
    assert len(read_rows(tmp_path / "out.csv")) == 20


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    end=st.integers(0, 1700),
    hole=st.tuples(st.integers(0, 1000), st.integers(0, 100)),
    zeros=st.sampled_from([0, 1, 4096]),
)
def test_a_journal_that_a_power_cut_damaged(
    tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedServer, end: int, hole: tuple[int, int], zeros: int
) -> None:
    """Wherever it ends, and if blocks of it are zeros: what is not whole is asked again, and the rows are right."""
    folder = tmp_path_factory.mktemp("job")
    paths = write_scans(folder / "scans", [bytes([digit]) for digit in range(10)], 12)
    job = Job(Walk((str(folder / "scans"),)), folder / "out.csv", (scripted.address,), batch_size=2, in_flight=1)
    scripted.calls = 0
    scripted.script = lambda number, _request, context: (
        context.abort(grpc.StatusCode.INTERNAL, "broken") if number == 5 else None
    )
    with pytest.raises(ServerError):
        run_job(job)
    scripted.script = lambda *_: None

    journal = folder / _JOURNAL
    whole = journal.read_bytes()
    assert 1300 < len(whole) < 1700
    rows_begin = whole.index(b"[0,[[")
    start, length = hole
    whole = whole[: rows_begin + start] + bytes(length) + whole[rows_begin + start + length :]
    journal.write_bytes(whole[:end] + bytes(zeros))

    summary, _ = run_job(job)
    assert summary.resumed <= 10
    rows = read_rows(job.out)
    assert [row["path"] for row in rows] == [str(folder / path) for path in paths]
    assert [row["digit"] for row in rows] == [str(number % 10) for number in range(12)]


def test_a_server_killed_and_started_again(
    tmp_path: Path, digits_batch: RunBatch, small_model: Path, mnist_pngs: list[bytes]
) -> None:
    """The job waits for the server to come back and ends well, with the rows of an undisturbed run."""
    write_scans(tmp_path / "scans", mnist_pngs, 1500)
    publish(small_model, tmp_path / "models", 1)
    flag = f"--model_base_path={tmp_path / 'models'}"
    with ServerProcess(tmp_path, flag) as victim:
        command = ["scans", "--server", victim.address, "--batch-size", "2"]
        quiet = digits_batch(*command, "--out", "quiet.csv")
        assert quiet.returncode == 0, quiet.stderr
        with Client(tmp_path, "out.csv", command) as client:
            client.wait_for_answers(100)
            victim.kill()
            assert 100 <= client.answered() < 750
            with ServerProcess(tmp_path, flag):
                finished = client.finish()
    assert finished.returncode == 0, finished.stderr
    assert "requests sent again" in finished.stdout
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "quiet.csv").read_bytes()


def test_a_version_swapped_in_the_middle(tmp_path: Path, swapping: Swapping, mnist_pngs: list[bytes]) -> None:
    """The job goes on with the new version; each row names the one that answered it."""
    paths = write_scans(tmp_path / "scans", mnist_pngs, 1500)
    old = swapping.version
    command = ["scans", "--server", swapping.server.address, "--batch-size", "1"]
    with Client(tmp_path, "out.csv", command) as client:
        swapping.swap_in_the_middle(client)
        finished = client.finish()
    assert finished.returncode == 0, finished.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == paths
    assert {row["model_version"] for row in rows} == {f"{old}", f"{old + 1}"}
    assert {row["error"] for row in rows} == {""}
    assert f"model version {old}, {old + 1}" in finished.stdout


def test_one_version_in_spite_of_a_swap(tmp_path: Path, swapping: Swapping, mnist_pngs: list[bytes]) -> None:
    """With --one-version the job says that it starts over, and all its rows come from the new version."""
    paths = write_scans(tmp_path / "scans", mnist_pngs, 1500)
    command = ["scans", "--server", swapping.server.address, "--batch-size", "1", "--one-version"]
    with Client(tmp_path, "out.csv", command) as client:
        swapping.swap_in_the_middle(client)
        finished = client.finish()
    assert finished.returncode == 0, finished.stderr
    assert f"starting over on version {swapping.version}" in finished.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == paths
    assert {row["model_version"] for row in rows} == {str(swapping.version)}
    assert {row["error"] for row in rows} == {""}
