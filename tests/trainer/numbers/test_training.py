"""A run of `digits-train numbers`, with few strings."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from exporter.contract import TEXT
from exporter.network.served import served
from exporter.network.source import load_source
from exporter.numbers.reader import numbers_signature
from exporter.numbers.stored import Reader
from tests.conftest import ROOT
from trainer.numbers.training import Amounts, Summary, digit_error, train_reader

pytestmark = pytest.mark.training

_AMOUNTS = Amounts(fitted=48, calibrated=16, tested=16)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run leaves the strings that it has read."""
    return tmp_path_factory.mktemp("kept")


def _train(shipped_model: Path, folder: Path, kept: Path) -> Summary:
    return train_reader(
        shipped_model / "1",
        data=ROOT / "tests" / "data" / "mnist_sample",
        folder=folder,
        kept=kept,
        seed=0,
        console=Console(quiet=True),
        amounts=_AMOUNTS,
    )


@pytest.fixture(scope="module")
def run(shipped_model: Path, tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """Its run folder."""
    folder = tmp_path_factory.mktemp("numbers")
    _train(shipped_model, folder, kept)
    return folder


def test_a_run_leaves_a_reader_figures_and_pictures(run: Path) -> None:
    """The folder has what the export takes and what a person looks at."""
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 <= metrics["test_exact"] <= 1
    assert metrics["losses"][-1] < metrics["losses"][0]
    for name in ("strings.png", "coverage.png", "reliability.png"):
        assert (run / name).stat().st_size > 10_000


def test_the_reader_reads_its_samples(run: Path, shipped_model: Path) -> None:
    """What was fitted gives most digits of a string, even after so few of them."""
    reader = Reader.load(run)
    network = served(*load_source(shipped_model / "1"))
    read = tf.function(numbers_signature(network, reader.weights), autograph=False)
    texts = read(tf.constant(reader.samples), tf.zeros([1], tf.int32))[TEXT].numpy()
    assert len(texts) == len(reader.samples)
    assert any(texts)


def test_an_interrupted_run_goes_on(run: Path, shipped_model: Path, kept: Path, tmp_path: Path) -> None:
    """Strings that were read are not read again, and the reader is the same."""
    before = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert before
    _train(shipped_model, tmp_path, kept)
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    for one, other in zip(Reader.load(run).samples, Reader.load(tmp_path).samples, strict=True):
        assert one == other
    np.testing.assert_allclose(Reader.load(run).weights.hidden, Reader.load(tmp_path).weights.hidden, atol=1e-4)
    shutil.rmtree(kept)


def test_digit_errors_are_edits() -> None:
    """A wrong digit, one too many and one too few are an error each."""
    assert digit_error([("12", "12"), ("13", "12"), ("1", "12"), ("123", "12")]) == 3 / 8
