"""The evaluation counts what is there, and compares with what hobby projects do."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures
from rich.console import Console

from batch.accuracy.tally import wilson_interval
from benchmarks import evaluate
from benchmarks.evaluation_sets import load_sets, resize_and_invert
from exporter.command import UserError
from exporter.contract import BLANK, MODEL_NAME
from tests.conftest import ROOT
from tests.support import Image

pytestmark = pytest.mark.benchmarks


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sets: the sample of MNIST, and the committed samples, one of them blank and one without a label."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").symlink_to(ROOT / "tests" / "data" / "mnist_sample")
    drawn = folder / "hwd_1000" / "img"
    drawn.mkdir(parents=True)
    for path in (ROOT / "samples").rglob("*.png"):
        (drawn / path.name).write_bytes(path.read_bytes())
    Pictures.new("L", (28, 28), 255).save(drawn / "9-blank.png")
    Pictures.new("L", (28, 28), 255).save(drawn / "unlabelled.png")
    return folder


def test_the_shipped_model_is_measured_on_the_sets_that_are_there(
    data: Path, mnist_sample: tuple[Image, Image], tmp_path: Path
) -> None:
    """Counts, intervals, error rows, the set's own pixels, and a sheet for each set."""
    sets, missing = load_sets(data)
    assert list(sets) == ["MNIST test", "HwD-1000"]
    assert len(missing) == 14
    results = evaluate.measure_all({}, sets, tmp_path, Console(quiet=True))
    mnist, drawn = results[MODEL_NAME].values()

    images, labels = mnist_sample
    network = evaluate.Network(evaluate.newest(evaluate.SHIPPED))
    right = int((network.pixels(images).digits == labels).sum())
    assert mnist.pixels is not None
    # Nothing is to be resized or inverted: MNIST behind the usual preparation is MNIST.
    assert mnist.pixels.right == mnist.resized.right == right
    assert mnist.served.images == len(labels)
    assert abs(mnist.served.right - right) <= 0.01 * len(labels)
    assert not mnist.errors

    assert drawn.served.images == 41
    assert drawn.served.right == 40
    assert 30 <= drawn.resized.right <= 40
    assert drawn.errors == {BLANK: 1}
    assert drawn.pixels is None

    row = evaluate.shipped_rows(results[MODEL_NAME])[2]
    low, high = wilson_interval(drawn.served.right, 41)
    assert row[0:2] == ["HwD-1000", "41"]
    assert row[3] == f"{100 * drawn.served.right / 41:.2f} %"
    assert row[4:6] == [f"{100 * low:.2f} to {100 * high:.2f} %", "1 blank"]
    assert row[6] == f"{100 * drawn.reliability.error:.2f} %"
    assert drawn.reliability.count.sum() == 41
    assert drawn.reliability.count[0] == 1
    assert [figure["served"]["right"] for figure in evaluate.figures(results)] == [
        mnist.served.right,
        drawn.served.right,
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hwd-1000.png", "mnist-test.png"]


@pytest.mark.parametrize("inverted", [False, True])
def test_resize_and_invert_is_what_hobby_projects_do(inverted: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Grey by luminance, transparency dropped, 28x28 whatever the shape, inverted only if the whole set is."""
    picture = np.zeros((56, 84, 4), np.uint8)
    picture[:, :42] = (255, 0, 0, 0)
    file = io.BytesIO()
    Pictures.fromarray(picture).save(file, "PNG")
    pixels = resize_and_invert(file.getvalue(), inverted=inverted)
    assert pixels.shape == (28, 28)
    assert (pixels[:, :13] == (255 - 76 if inverted else 76)).all()
    assert (pixels[:, 15:] == (255 if inverted else 0)).all()


def test_scans_are_inverted_and_mnist_is_not(data: Path) -> None:
    """The rule goes by the set."""
    sets, _ = load_sets(data)
    assert not sets["MNIST test"].inverted
    assert sets["HwD-1000"].inverted


def test_a_folder_without_sets_is_named(tmp_path: Path) -> None:
    """One line says what should be there."""
    with pytest.raises(UserError, match="holds none of the sets MNIST test;"):
        load_sets(tmp_path)


def test_markdown_pastes_into_the_readme() -> None:
    """Headings, a rule with numbers to the right, rows."""
    assert evaluate.markdown([["set", "images"], ["a", "1"]]) == "| set | images |\n| --- | ---: |\n| a | 1 |\n"
