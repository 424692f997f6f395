"""`digits-train search` as a person runs it: interrupted, killed, and its recipe fitted and published."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import interruptible

pytestmark = pytest.mark.training

ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("DIGITS_DATA", "TF_CPP_MIN_LOG_LEVEL")}
MINE = 'name = "mine"\nhidden = [10, 10]\nepochs = 3\nbatch = 64\n'
TRIALS = 4  # three of one epoch, of which the best goes on
SEARCH = [sys.executable, "-P", "-m", "trainer.cli", "search", "--recipe", "mine.toml", "--trials", str(TRIALS)]
KEPT = Path("runs/.search-mine-seed0.checkpoints")
FOUND = Path("runs/search-mine-seed0")


def _run(*command: str, cwd: Path, sample: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT | {"DIGITS_DATA": str(sample)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A folder in which a search has ended well."""
    here = tmp_path_factory.mktemp("here")
    (here / "mine.toml").write_text(MINE)
    done = _run(*SEARCH, cwd=here, sample=sample)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *table, verdict, recipe = done.stdout.splitlines()
    assert len(table) == 2 + TRIALS
    assert verdict.startswith("best: trial 4, ")
    assert "of 100 held-out training digits; mine itself " in verdict
    assert recipe == str(FOUND / "recipe.toml")
    return here


def test_what_a_search_leaves(here: Path) -> None:
    """It leaves the recipe, the trials and their picture, and nothing else."""
    assert sorted(path.name for path in (here / FOUND).iterdir()) == ["recipe.toml", "trials.csv", "trials.png"]
    assert [path.name for path in (here / "runs").iterdir()] == [FOUND.name]
    with Image.open(here / FOUND / "trials.png") as image:
        assert image.format == "PNG"
    rows = _rows(here)
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3", "4"]
    # Hyperband: few epochs first, then the best of them over all epochs.
    assert [row["epochs"] for row in rows] == ["3", "1", "1", "1", "3"]
    assert len({row["learning_rate"] for row in rows[:4]}) == 4
    best = max(rows[1:4], key=lambda row: float(row["accuracy"]))
    assert rows[4]["learning_rate"] in {
        row["learning_rate"] for row in rows[1:4] if row["accuracy"] == best["accuracy"]
    }


def test_the_best_trial_is_the_recipe(here: Path) -> None:
    """The recipe file has the values of the best of the trials with most epochs, and the epochs of the recipe."""
    best = _rows(here)[4]
    recipe = tomllib.loads((here / FOUND / "recipe.toml").read_text())
    assert recipe["name"] == "mine-search"
    assert recipe["epochs"] == 3
    assert recipe["learning_rate"] == float(f"{float(best['learning_rate']):.3g}")
    assert recipe.get("batch", 32) == int(best["batch"])
    assert recipe["hidden"] == [round(10 * float(best["width"]))] * int(best["depth"])


def test_a_stopped_search_goes_on(here: Path, tmp_path: Path, sample: Path) -> None:
    """A search that is killed, then interrupted, goes on with the command, and finds what an undisturbed one finds."""
    (tmp_path / "mine.toml").write_text(MINE)
    code, _, killed = _stop(signal.SIGKILL, after=1, cwd=tmp_path, sample=sample)
    assert code == -signal.SIGKILL
    other = _run(*SEARCH, "--seed", "1", "--out", str(FOUND), cwd=tmp_path, sample=sample)
    assert other.returncode == 2
    assert "holds an interrupted search of another kind" in other.stderr

    code, said, interrupted = _stop(signal.SIGINT, after=len(killed) + 1, cwd=tmp_path, sample=sample)
    assert code == 130
    assert said.startswith(f"going on after {len(killed)} of 5 fits\n")
    assert f"{len(interrupted)} fits kept, the same command goes on" in said
    assert "Traceback" not in said
    assert interrupted[: len(killed)] == killed
    assert not (tmp_path / FOUND).exists()

    again = _run(*SEARCH, cwd=tmp_path, sample=sample)
    assert again.returncode == 0, again.stderr
    assert again.stderr == f"going on after {len(interrupted)} of 5 fits\n"
    assert (tmp_path / FOUND / "recipe.toml").read_text() == (here / FOUND / "recipe.toml").read_text()
    rows, whole = _rows(tmp_path), _rows(here)
    # The finished ones were not fitted again: even their times are the same.
    assert [float(row["seconds"]) for row in rows[: len(interrupted)]] == [trial["seconds"] for trial in interrupted]
    for row in (*rows, *whole):
        del row["seconds"]
    assert rows == whole
    assert not (tmp_path / KEPT).exists()


def _stop(how: signal.Signals, *, after: int, cwd: Path, sample: Path) -> tuple[int, str, list[dict[str, float]]]:
    """Stop a search after some fits: its exit code, what it said, and the fits that it has left."""
    with interruptible():
        process = subprocess.Popen(
            SEARCH,
            cwd=cwd,
            env=ENVIRONMENT | {"DIGITS_DATA": str(sample)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    trials = cwd / KEPT / "trials.jsonl"
    until = time.monotonic() + 200
    while process.poll() is None and not (trials.exists() and len(trials.read_text().splitlines()) >= after):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    kept = [json.loads(line) for line in trials.read_text().splitlines()]
    assert after <= len(kept) < 1 + TRIALS
    return process.returncode, said, kept


def test_the_recipe_is_fitted_and_published(here: Path, sample: Path) -> None:
    """A run of the best recipe is a run folder like any other: its recipe is in it, and digits-export publishes it."""
    train = [sys.executable, "-P", "-m", "trainer.cli", "--recipe", str(FOUND / "recipe.toml")]
    fitted = _run(*train, cwd=here, sample=sample)
    assert fitted.returncode == 0, fitted.stderr
    run = here / "runs" / "mine-search-seed0"
    assert fitted.stdout.splitlines()[0] == "runs/mine-search-seed0"
    assert json.loads((run / "metrics.json").read_text())["recipe"] == "mine-search"
    searched, own = ((folder / "recipe.toml").read_text() for folder in (here / FOUND, run))
    assert tomllib.loads(own) == tomllib.loads(searched)

    export = [sys.executable, "-P", "-m", "exporter.cli", str(run), "--to", "models/digits"]
    published = _run(*export, cwd=here, sample=sample)
    assert published.returncode == 0, published.stderr
    assert (here / "models" / "digits" / "1" / "saved_model.pb").exists()


def test_random_search(tmp_path: Path, sample: Path) -> None:
    """Random search gives each trial all epochs."""
    (tmp_path / "mine.toml").write_text(MINE)
    done = _run(*SEARCH[:-1], "2", "--tuner", "random", cwd=tmp_path, sample=sample)
    assert done.returncode == 0, done.stderr
    assert [row["epochs"] for row in _rows(tmp_path)] == ["3", "3", "3"]


def _rows(here: Path) -> list[dict[str, str]]:
    with (here / FOUND / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))
