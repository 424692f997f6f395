"""The distribution: a wheel that works outside the checkout, thin without extras, whole with them."""

import csv
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT

COMMANDS = ("digits-train", "digits-export", "digits-serve", "digits-batch", "digits-job", "digits-review")


@pytest.fixture(scope="module")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtual environment with the base install of the wheel alone, far from the checkout."""
    folder = tmp_path_factory.mktemp("thin")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("digits-*.whl")
    venv.create(folder / "venv", with_pip=False)
    install = [sys.executable, "-m", "pip", "--python", f"{folder}/venv/bin/python", "install", "--quiet"]
    subprocess.run([*install, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    yield folder / "venv"
    shutil.rmtree(folder)


def _run(environment: Path, folder: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    program, *arguments = command
    return subprocess.run(
        [environment / "bin" / program, *arguments],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_thin_client_works_without_tensorflow(thin: Path, tmp_path: Path, server: str) -> None:
    """The base install predicts through a server somewhere else, and TensorFlow is not there."""
    absent = _run(thin, tmp_path, "python", "-c", "import importlib.util as u; print(u.find_spec('tensorflow'))")
    assert absent.stdout.strip() == "None"
    result = _run(thin, tmp_path, "digits-batch", str(ROOT / "samples"), "--out", "out.csv", "--server", server)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 40


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["digits-train", "dense-128"], "pip install '.[train]'"),
        (["digits-export", "run", "--to", "model"], "pip install '.[train]'"),
        (["digits-serve", "--port=0", "--grpc_socket_path=s"], "pip install '.[serve]'"),
        (["digits-batch", ".", "--out", "out.csv"], "pip install '.[serve]'"),
        (["digits-review", "preds.csv"], "pip install '.[review]'"),
        (["digits-batch", "s3://bucket/scans", "--out", "out.csv"], "s3fs is not installed: run pip install '.[s3]'"),
        (["digits-batch", ".", "--out", "gs://bucket/out.csv"], "gcsfs is not installed: run pip install '.[gcs]'"),
    ],
)
def test_a_missing_extra_is_named_in_one_line(
    thin: Path, tmp_path: Path, nobody_listens: None, command: list[str], hint: str
) -> None:
    """A command whose extra is missing says which one to install, in one line, with exit code 2."""
    shutil.copy(ROOT / "samples" / "0" / "0-001.png", tmp_path)
    result = _run(thin, tmp_path, *command)
    assert result.returncode == 2
    assert hint in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "engine", [("dask", "--scheduler", "tcp://localhost:9"), ("spark", "--master", "spark://localhost:9")]
)
def test_a_missing_engine_is_named_in_one_line(thin: Path, tmp_path: Path, engine: tuple[str, ...]) -> None:
    """A job is planned without extras; the one of its engine is named when it is asked for."""
    planned = _run(thin, tmp_path, "digits-job", "plan", "job", str(ROOT / "samples"), "--model-version", "1")
    assert planned.returncode == 0, planned.stderr
    result = _run(thin, tmp_path, "digits-job", "run", "job", "--engine", *engine, "--server", "localhost:9")
    assert result.returncode == 2
    assert f"pip install '.[{engine[0]}]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_format_that_needs_an_extra(thin: Path, tmp_path: Path, server: str) -> None:
    """In the base install a TIFF's row says that its format is not supported, and the summary what to install."""
    with Image.open(ROOT / "samples" / "3" / "3-001.png") as image:
        image.save(tmp_path / "scan.tif", save_all=True, append_images=[image])
    result = _run(thin, tmp_path, "digits-batch", "scan.tif", "--out", "out.csv", "--server", server)
    assert result.returncode == 1, result.stderr
    assert "Pillow is not installed: run pip install '.[formats]'" in result.stdout
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [(row["path"], row["error"]) for row in csv.DictReader(file)]
    assert rows == [(f"scan.tif#page={page}", "format not supported") for page in (1, 2)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_extra(thin: Path, tmp_path: Path, command: str) -> None:
    """Each command explains itself, and tells its version, in the base install."""
    assert "Usage" in _run(thin, tmp_path, command, "--help").stdout
    assert _run(thin, tmp_path, command, "--version").stdout == "digits 0.1.0\n"


def test_the_page_of_digits_review_is_in_the_wheel(thin: Path) -> None:
    """Every file of it, though it is no Python."""
    (installed,) = (thin / "lib").glob("python*/site-packages/batch/review/page")
    page = ROOT / "batch" / "review" / "page"
    assert {path.name for path in installed.iterdir()} == {path.name for path in page.iterdir()}


def test_the_shipped_model_is_in_the_wheel(thin: Path, tmp_path: Path, nobody_listens: None) -> None:
    """With TensorFlow at hand, the wheel serves its own model by itself, though a user's folders bear rooms' names."""
    for room in ("serving", "batch", "exporter", "trainer"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    (site_packages,) = (thin / "lib").glob("python*/site-packages")
    # The serve extra, without installing TensorFlow a second time; the checkout itself is not found this way.
    (site_packages / "serve_extra.pth").write_text(sysconfig.get_path("purelib") + "\n")
    try:
        result = _run(thin, tmp_path, "digits-batch", str(ROOT / "samples"), "--out", "out.csv")
        where = _run(thin, Path("/"), "python", "-c", "import serving; print(serving.__file__)")
    finally:
        (site_packages / "serve_extra.pth").unlink()
    assert where.stdout.startswith(str(site_packages))
    assert result.returncode == 0, result.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(Path(row["path"]).parent.name == row["digit"] for row in rows) >= 39
