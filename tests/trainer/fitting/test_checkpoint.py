"""A fit that is interrupted goes on where it stopped."""

import dataclasses
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from exporter.command import UserError
from exporter.picture.normalise import normalise_arrays
from tests.batch.support import wait_for
from trainer.data.datasets import Dataset
from trainer.fitting.checkpoint import Checkpoints
from trainer.fitting.fit import Material, fit
from trainer.fitting.network import build
from trainer.recipes import Recipe, find
from trainer.run_folder.runs import CHECKPOINT, History, epochs_done

pytestmark = pytest.mark.training

COMPILED = dataclasses.replace(find("dense-1024-1024-1024"), hidden=(64, 64), epochs=6, batch=64)
RECIPE = dataclasses.replace(COMPILED, xla=False)  # compiling takes longer than fitting


class StoppedError(Exception):
    """Ends a fit in a test."""


def interrupt(callback: Checkpoints, batch: int, logs: object = None) -> None:
    """End a fit in the middle of its fourth epoch."""
    if int(callback.model.optimizer.iterations) == 35:
        raise StoppedError


def fitted(dataset: Dataset, folder: Path, recipe: Recipe = RECIPE, seed: int = 3) -> tuple[keras.Model, History, str]:
    keras.utils.set_random_seed(seed)
    model = build(recipe)
    kept = Checkpoints(folder, recipe, seed=seed, images=(600, 0))
    shown = io.StringIO()
    material = Material(normalise_arrays(dataset.x_train), dataset.y_train)
    history = fit(model, material, recipe, seed=seed, console=Console(file=shown), checkpoints=kept)
    return model, history, shown.getvalue()


def test_the_same_weights_as_undisturbed(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and figures of every epoch are those of a fit that nobody interrupted, and it says where it goes on."""
    whole, figures, _ = fitted(dataset, tmp_path / "whole", COMPILED)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_batch_end", interrupt)
        with pytest.raises(StoppedError):
            fitted(dataset, tmp_path / "cut", COMPILED)
    assert epochs_done(tmp_path / "cut") == 3  # of ten steps each
    model, history, shown = fitted(dataset, tmp_path / "cut", COMPILED)
    assert shown == "going on after epoch 3 of 6\n"
    assert {name: len(values) for name, values in history.items()} == {"loss": 6, "accuracy": 6}
    for name, values in figures.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    for weights, wanted in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weights, wanted, atol=1e-5)


def test_another_fit_is_not_mixed_in(tmp_path: Path, dataset: Dataset) -> None:
    """Checkpoints of another seed or recipe are refused, and named."""
    fitted(dataset, tmp_path / "kept")
    for recipe, seed in ((RECIPE, 4), (dataclasses.replace(RECIPE, learning_rate=0.1), 3)):
        with pytest.raises(UserError, match="kept holds an interrupted fit of another kind; remove it or choose"):
            fitted(dataset, tmp_path / "kept", recipe, seed)


def test_nothing_kept_is_no_other_fit(tmp_path: Path, dataset: Dataset) -> None:
    """A fit that was killed before its first epoch was whole stands in no other fit's way."""
    Checkpoints(tmp_path / "kept", find("dense-128"), seed=9, images=(1, 0))
    _, history, shown = fitted(dataset, tmp_path / "kept", dataclasses.replace(RECIPE, epochs=1))
    assert len(history["loss"]) == 1
    assert shown == ""


def test_killed_and_repeated(tmp_path: Path, sample: Path) -> None:
    """digits-train is killed by SIGKILL: the same command goes on, and leaves a whole run folder and nothing else."""
    recipe = find("dense-128-32")  # long enough to be caught in the middle
    command = [sys.executable, "-P", "-m", "trainer.cli", recipe.name, "--data", str(sample), "--out", "runs/x"]
    checkpoints = tmp_path / "runs" / ".x.checkpoints"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        wait_for(lambda: epochs_done(checkpoints) >= 2 or victim.poll() is not None)
        victim.send_signal(signal.SIGKILL)
    done = epochs_done(checkpoints)
    assert 2 <= done < recipe.epochs

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"going on after epoch {done} of {recipe.epochs}" in again.stderr
    rows = (tmp_path / "runs" / "x" / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", *map(str, range(1, recipe.epochs + 1))]
    assert json.loads((tmp_path / "runs" / "x" / "metrics.json").read_text())["recipe"] == recipe.name
    left = [path.name for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".x.partial-")]
    assert left == ["x"]


def test_a_torn_checkpoint_is_not_taken(tmp_path: Path, dataset: Dataset) -> None:
    """What was being written when the process was killed does not count."""
    fitted(dataset, tmp_path / "kept", dataclasses.replace(RECIPE, epochs=2))
    (tmp_path / "kept" / f".partial{CHECKPOINT}").write_bytes(b"torn")
    assert epochs_done(tmp_path / "kept") == 2
    _, history, _ = fitted(dataset, tmp_path / "kept", dataclasses.replace(RECIPE, epochs=2))
    assert len(history["loss"]) == 2
