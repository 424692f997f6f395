"""How well confidence tells digits from what is none is counted as it is defined."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmarks import nondigits
from benchmarks.evaluate import SHIPPED, Answers, Network, newest
from benchmarks.evaluation_sets import EvaluationSet
from benchmarks.nondigit_families import FAMILIES
from tests.support import Image, write_png
from trainer.data.draw import SIZE

pytestmark = pytest.mark.benchmarks


@pytest.fixture(scope="module")
def mnist(mnist_sample: tuple[Image, Image]) -> EvaluationSet:
    images, labels = mnist_sample
    return EvaluationSet(
        [write_png(image[:, :, None]) for image in images], labels, [""] * len(labels), inverted=False, pixels=images
    )


def test_auroc_by_hand() -> None:
    """Three digits and two others: of six pairs four are in order and one is a tie."""
    digits, others = np.array([0.9, 0.8, 0.3], np.float32), np.array([0.8, 0.1], np.float32)
    assert nondigits.auroc(digits, others) == pytest.approx((1 + 1 + 0.5 + 1 + 0 + 1) / 6)
    assert nondigits.auroc(digits, digits) == 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_drawn_by_chance(family: str, mnist: EvaluationSet) -> None:
    """No family repeats one picture, and none is blank."""
    assert mnist.pixels is not None
    rng = np.random.default_rng(0)
    pictures = np.stack([FAMILIES[family](rng, mnist.pixels) for _ in range(20)])
    assert pictures.shape == (20, SIZE, SIZE)
    assert len(np.unique(pictures.reshape(20, -1), axis=0)) > 15
    assert pictures.max(axis=(1, 2)).min() > 100


def test_the_shipped_model_is_surer_of_digits(mnist: EvaluationSet, tmp_path: Path) -> None:
    """Pictures of either polarity get answers; digits get higher confidence than most of what is none."""
    network = Network(newest(SHIPPED))
    families = nondigits.draw_families(mnist, 20)
    answers = {name: network.images(nondigits.encode(pictures)) for name, (_, pictures) in families.items()}
    digits = nondigits.confidence_in_digits(network, {nondigits.MNIST: mnist})
    found = nondigits.separate(families, answers, digits)
    assert found["all"].images == 20 * len(families) == sum(found[name].images for name in families)
    assert found["all"].auroc[nondigits.MNIST] > 0.9
    assert len(nondigits.as_rows(found)) == 1 + len(families) + 3
    nondigits.draw_sheet(tmp_path / "sheet.png", families, answers)
    with Pillow.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000

    nothing = Answers(np.full(20, -1), np.zeros(20, np.float32), ["blank"] * 20)
    found = nondigits.separate(families, dict.fromkeys(families, nothing), digits)
    assert found["all"].auroc[nondigits.MNIST] == 1
    assert found["all"].fpr95 == 0
