"""`digits-train` as a person runs it."""

import contextlib
import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from exporter.picture.normalise import normalise_arrays
from tests.conftest import interruptible
from trainer.data.datasets import Dataset
from trainer.evaluation.evaluate import evaluate
from trainer.fitting.network import predict
from trainer.recipes import find

pytestmark = pytest.mark.training

# A shell's environment, without what would change the command; conftest.py has quieted TensorFlow for this process.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("DIGITS_DATA", "TF_CPP_MIN_LOG_LEVEL")}
SAMPLE = Path(__file__).parents[1] / "data" / "mnist_sample"
COMMAND = [sys.executable, "-P", "-m", "trainer.cli"]


def digits_train(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """The run folder of `digits-train dense-128-dropout` on the sample, at its default place.

    What Keras computes with elsewhere, here a package that is not installed, changes nothing.
    """
    here = tmp_path_factory.mktemp("here")
    settings = {"DIGITS_DATA": str(sample), "KERAS_BACKEND": "jax"}
    done = digits_train("dense-128-dropout", "--seed", "3", "--h5", cwd=here, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder, figures = done.stdout.splitlines()
    assert folder == "runs/dense-128-dropout-seed3"
    assert figures.startswith("test accuracy ")
    assert figures.endswith(" s")
    assert [path.name for path in (here / "runs").iterdir()] == ["dense-128-dropout-seed3"]
    return here / folder


def test_run_folder_is_complete(run: Path) -> None:
    """A run folder holds the model in both formats, the numbers, the warm-up digits and five pictures; no more."""
    assert sorted(path.name for path in run.iterdir()) == [
        "confusion.png",
        "curves.png",
        "history.csv",
        "metrics.json",
        "mnist_model.h5",
        "model.keras",
        "predictions.png",
        "recipe.toml",
        "reliability.png",
        "samples.png",
        "warmup",
    ]


@pytest.mark.parametrize("name", ["samples.png", "curves.png", "confusion.png", "predictions.png", "reliability.png"])
def test_pictures_can_be_looked_at(run: Path, name: str) -> None:
    """Each picture is a PNG of about a screen's size, and not blank."""
    with Image.open(run / name) as image:
        assert image.format == "PNG"
        assert all(500 <= side <= 2000 for side in image.size)
        assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_metrics_are_the_models(run: Path, dataset: Dataset) -> None:
    """The numbers in metrics.json are those of the saved model on the test images."""
    metrics = json.loads((run / "metrics.json").read_text())
    model = keras.saving.load_model(run / "model.keras")
    again = evaluate(predict(model, normalise_arrays(dataset.x_test), metrics["temperature"]), dataset.y_test)
    assert metrics["test_accuracy"] == again.accuracy
    assert metrics["test_loss"] == pytest.approx(again.loss, rel=1e-5)
    assert metrics["confusion"] == again.confusion.tolist()
    assert metrics["precision"] == pytest.approx(again.precision.tolist())
    assert metrics["recall"] == pytest.approx(again.recall.tolist())
    assert metrics["expected_calibration_error"] == pytest.approx(again.reliability.error, abs=1e-5)
    assert sum(found["images"] for found in metrics["calibration_bins"]) == 200
    assert [found["to"] for found in metrics["calibration_bins"]][-1] == 1
    assert metrics["recipe"] == "dense-128-dropout"
    assert metrics["seed"] == 3
    assert metrics["parameters"] == model.count_params() == 101_770
    assert metrics["images"] == {"training": 480, "validation": 120, "test": 200}
    assert set(metrics["versions"]) == {"python", "tensorflow", "keras", "numpy", "digits"}
    assert 0 < metrics["wall_seconds"] < 120


def test_calibrated_on_held_out_digits(run: Path, dataset: Dataset) -> None:
    """The temperature is the one at which the digits that the fit has not seen are least surprising."""
    temperature = json.loads((run / "metrics.json").read_text())["temperature"]
    model = keras.saving.load_model(run / "model.keras")
    images, labels = normalise_arrays(dataset.x_train[480:]), dataset.y_train[480:]
    losses = [evaluate(predict(model, images, factor * temperature), labels).loss for factor in (0.9, 1, 1.1)]
    assert losses[1] < min(losses[0], losses[2])


def test_h5_is_the_same_model(run: Path, dataset: Dataset) -> None:
    """The HDF5 file holds the same network as model.keras."""
    images = normalise_arrays(dataset.x_test[:20])
    one, other = (keras.saving.load_model(run / name, compile=False) for name in ("model.keras", "mnist_model.h5"))
    np.testing.assert_array_equal(predict(one, images), predict(other, images))


def test_history(run: Path) -> None:
    """history.csv has a row for each epoch, from 1, with validation."""
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_warmup_digits_are_real(run: Path, dataset: Dataset) -> None:
    """The warm-up folder has four training images of each digit, named by it, pixel for pixel."""
    paths = sorted((run / "warmup").iterdir())
    assert [path.name for path in paths] == [f"{digit}-{i}.png" for digit in range(10) for i in range(4)]
    for path in paths:
        with Image.open(path) as image:
            assert image.mode == "L"
            known = (dataset.x_train == np.asarray(image)).all(axis=(1, 2))
        assert dataset.y_train[known].tolist() == [int(path.name[0])]


def test_existing_folder_is_refused(run: Path, sample: Path) -> None:
    """The same command again stops at once, with one line, and leaves the first run as it was."""
    before = (run / "metrics.json").read_bytes()
    done = digits_train("dense-128-dropout", "--seed", "3", "--data", str(sample), cwd=run.parents[1])
    assert done.returncode == 2
    assert done.stderr == (
        "digits-train: runs/dense-128-dropout-seed3: already exists and is not overwritten; "
        "choose another folder with --out\n"
    )
    assert (run / "metrics.json").read_bytes() == before


def test_bad_data_leaves_nothing(tmp_path: Path) -> None:
    """A data set that is not there ends with exit code 2, one line and no folder."""
    done = digits_train("dense-128", "--data", "nowhere", "--out", "runs/x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("digits-train: nowhere: no such file or folder; ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def interrupt(recipe: str, data: Path, *, cwd: Path, seen: str) -> tuple[int, str]:
    """Run on a terminal, press Ctrl-C as soon as it has shown `seen`; the exit code and all that it showed."""
    terminal, stderr = pty.openpty()
    try:
        with interruptible():
            process = subprocess.Popen(
                [*COMMAND, recipe, "--data", str(data), "--out", "runs/x"],
                cwd=cwd,
                env=ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "150"},
                stderr=stderr,
            )
        os.close(stderr)
        shown = ""
        with contextlib.suppress(OSError):  # the end of the last process on a terminal
            while chunk := os.read(terminal, 10_000):
                shown += chunk.decode(errors="replace")
                if seen in shown:
                    process.send_signal(signal.SIGINT)
                    seen = "\0"  # once
        return process.wait(timeout=60), shown
    finally:
        os.close(terminal)


@pytest.mark.parametrize(
    ("recipe", "seen", "copies"),
    [
        ("dense-128-32", "Starting TensorFlow", 50),
        ("dense-128-32", f"epoch 1/{find('dense-128-32').epochs}: loss ", 50),
        ("dense-1024-1024-1024", f"epoch 1/{find('dense-1024-1024-1024').epochs}: loss ", 2),
    ],
)
def test_interrupt(tmp_path: Path, dataset: Dataset, recipe: str, seen: str, copies: int) -> None:
    """Ctrl-C at the start or while fitting ends with exit code 130 and one line; what is kept is said."""
    data = tmp_path / "large.npz"
    # Large enough to be interrupted before it is done.
    arrays = {key: np.concatenate([array] * copies) for key, array in vars(dataset).items()}
    np.savez(data, allow_pickle=True, **arrays)
    code, shown = interrupt(recipe, data, cwd=tmp_path, seen=seen)
    assert code == 130
    assert "Traceback" not in shown
    last = shown.splitlines()[-1].rpartition("digits-train: ")[2]
    if seen.startswith("epoch"):
        assert re.fullmatch(r"interrupted, \d+ epochs? kept, the same command goes on from there", last)
        assert [path.name for path in (tmp_path / "runs").iterdir()] == [".x.checkpoints"]
    else:
        assert last == "interrupted, nothing was kept"
        assert list(tmp_path.iterdir()) == [data]


def test_unknown_recipe(tmp_path: Path) -> None:
    """A misspelt recipe ends with exit code 2 and one line with the right ones."""
    done = digits_train("dense-129", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("digits-train: no recipe 'dense-129'; did you mean dense-128? known recipes: ")
    assert done.stderr.count("\n") == 1


def test_teacher_for_a_recipe_without(tmp_path: Path) -> None:
    """--teacher is refused where nobody would listen; a student without a teacher is told how to get one."""
    done = digits_train("dense-128", "--teacher", "runs/x", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "digits-train: dense-128 learns from labels alone; leave --teacher away\n",
    )
    done = digits_train("champion", "--data", str(SAMPLE), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "digits-train: champion learns from cnn, and there is no run of it at "
        "runs/cnn-seed0; fit them with digits-train, or give their run folders with --teacher\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_recipe(tmp_path: Path) -> None:
    """Without a recipe the known ones are named."""
    done = digits_train(cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("digits-train: which recipe? One of dense-128-dropout, ")


def test_list_shows_every_recipe(tmp_path: Path) -> None:
    """--list prints each recipe with its layers and size on a line of its own."""
    done = digits_train("--list", cwd=tmp_path)
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert list(rows) == [
        "dense-128-dropout",
        "dense-150-50",
        "dense-128",
        "dense-128-32",
        "dense-10-10-10",
        "dense-1024-1024-1024",
        "cnn",
        "champion",
    ]
    assert "dropout 0.2" in rows["dense-128-dropout"]
    assert "sigmoid" in rows["dense-150-50"]
    assert "104,938" in rows["dense-128-32"]
    assert "3x1024, batch norm, distortion " in rows["dense-1024-1024-1024"]
    assert "5 convolutions, distortion " in rows["cnn"]
    assert "3x1024, batch norm, taught " in rows["champion"]


@pytest.mark.parametrize("option", ["--list", "--help", "--version"])
def test_asking_imports_nothing_heavy(tmp_path: Path, option: str) -> None:
    """The list, the help and the version come at once: no TensorFlow, no Keras, no NumPy, no Matplotlib."""
    program = (
        "import sys, trainer.cli\n"
        f"sys.argv = ['digits-train', {option!r}]\n"
        "try:\n    trainer.cli.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_option_has_help(tmp_path: Path) -> None:
    """--help explains every option."""
    text = digits_train("--help", cwd=tmp_path, COLUMNS="200").stdout
    for option in ("--data", "--out", "--seed", "--teacher", "--h5", "--list", "--version"):
        line = next(line for line in text.splitlines() if line.strip().startswith(option))
        assert len(line.split()) > 4, line
    assert "DIGITS_DATA" in text
