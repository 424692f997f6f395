"""Which engine runs, and what is said where none can."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch.cluster.support import plan, write_files

pytestmark = pytest.mark.clusters

Run = Callable[..., "subprocess.CompletedProcess[str]"]

DASK = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:9")
SPARK = ("--engine", "spark", "--master", "spark://127.0.0.1:9")
SERVER = ("--server", "127.0.0.1:8500")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a job of one shard."""
    plan(tmp_path / "job", write_files(tmp_path / "scans", 3))

    def run_job(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "batch.cluster.cli", "run", "job", *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run_job


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scheduler", "tcp://a:8786"), "--scheduler works only with --engine dask, not with --engine local"),
        (("--engine", "dask", "--master", "spark://a:7077"), "--master works only with --engine spark"),
        ((*DASK, "--workers", "2", *SERVER), "--workers works only with --engine local, not with --engine dask"),
        (DASK, "--engine dask needs --server HOST:PORT, as the workers reach it, or --in-process"),
        (SPARK, "--engine spark needs --server HOST:PORT"),
        (("--engine", "dask", *SERVER), "--scheduler is missing: name the cluster"),
        (("--engine", "spark", *SERVER), "--master is missing: name the cluster"),
        (("--engine", "spark", "--master", "spark://a", *SERVER), "--master spark://a: wanted is spark://HOST:PORT"),
        ((*DASK[:3], "nonsense://a:1", *SERVER), "--scheduler nonsense://a:1: "),
    ],
)
def test_options_that_do_not_fit(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """They are refused in one line."""
    result = run(*arguments)
    assert result.returncode == 2, result.stderr
    assert f"digits-job: {said}" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (DASK, "there is no Dask scheduler at tcp://127.0.0.1:9: "),
        (SPARK, "there is no Spark master at spark://127.0.0.1:9: Connection refused"),
    ],
)
def test_a_cluster_that_is_not_there(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """The run ends within --timeout, in one line, and can be repeated."""
    # It is not asked to run.
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch(0o755)
    result = run(*arguments, *SERVER, "--timeout", "1", JAVA_HOME=str(tmp_path))
    assert result.returncode == 3, result.stderr
    assert f"digits-job: {said}" in result.stderr
    assert "repeat the command to go on" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_cluster_that_says_nothing(run: Run) -> None:
    """A port that takes connections and stays silent is no scheduler."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        result = run("--engine", "dask", "--scheduler", address, *SERVER, "--timeout", "1")
    assert result.returncode == 3, result.stderr
    assert f"there is no Dask scheduler at {address}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_no_java(run: Run, tmp_path: Path) -> None:
    """Spark without Java is refused with what to install."""
    result = run(*SPARK, *SERVER, JAVA_HOME=str(tmp_path))
    assert result.returncode == 2, result.stderr
    assert "Spark needs Java 17 or newer, and there is no java: install a JRE, or set JAVA_HOME" in result.stderr
