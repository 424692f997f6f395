"""A small real data set for the trainer's tests."""

from pathlib import Path

import pytest

from exporter.command import quiet_tensorflow
from trainer.data.datasets import Dataset, load

quiet_tensorflow()


@pytest.fixture(scope="session")
def sample() -> Path:
    """Folder with the first 600 training and 200 test images of MNIST."""
    return Path(__file__).parents[1] / "data" / "mnist_sample"


@pytest.fixture(scope="session")
def dataset(sample: Path) -> Dataset:
    return load(sample)
