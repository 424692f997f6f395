"""A student learns what its teachers say of distorted copies."""

import dataclasses
import io
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console

from exporter.command import UserError
from exporter.picture.normalise import normalise_arrays
from trainer import training
from trainer.data.batches import DistortedBatches
from trainer.data.datasets import Dataset
from trainer.data.nondigits import NonDigits
from trainer.fitting.checkpoint import Checkpoints
from trainer.fitting.distill import LessonBatches, Lessons, teach
from trainer.fitting.network import build, predict
from trainer.recipes import Augmentation, Distillation, Recipe, find

pytestmark = pytest.mark.training

TURNED = Augmentation(rotation=10, shift=1)
SETTINGS = Distillation(teacher="dense-128-32", seeds=(0,), copies=3, softness=2.0)
STUDENT = dataclasses.replace(
    find("champion"),
    hidden=(128, 128),
    epochs=60,
    batch=64,
    validation=0.2,
    non_digits=0.0,
    distillation=SETTINGS,
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """Run folder of a fitted network that held a fifth of the images out."""
    return trained(find("dense-128-32"), sample, tmp_path_factory.mktemp("teacher"))


def trained(recipe: Recipe, data: Path, folder: Path, *teachers: Path, seed: int = 0) -> Path:
    paths = training.Paths(data=data, teachers=teachers, checkpoints=folder / "checkpoints", folder=folder / "run")
    paths.folder.mkdir()
    training.train(recipe, paths, seed=seed, h5=False, console=Console(file=io.StringIO()))
    return paths.folder


def distorted(dataset: Dataset) -> DistortedBatches:
    """100 digits in batches of 40, with a tenth of pictures that are no digit."""
    return DistortedBatches(
        normalise_arrays(dataset.x_train[:100]),
        keras.utils.to_categorical(dataset.y_train[:100], 10),
        augmentation=TURNED,
        batch=40,
        seed=5,
        others=NonDigits(np.full([1, 28, 28], 255, np.uint8), 0.1),
    )


def lessons_of(networks: list[keras.Model], dataset: Dataset, path: Path) -> Lessons:
    return teach(networks, distorted(dataset), path, copies=3, softness=2.0, console=Console(file=io.StringIO()))


def networks() -> list[keras.Model]:
    keras.utils.set_random_seed(1)
    return [build(find("dense-128")), build(find("dense-150-50"))]


def test_lessons_are_copies_with_the_teachers_answers(tmp_path: Path, dataset: Dataset) -> None:
    """Each row is the batches' copies in their order, with the mean answers softened; no digit keeps its own target."""
    asked = networks()
    lessons = lessons_of(asked, dataset, tmp_path / "lessons")
    assert lessons.shape == (3, 110)
    batches = distorted(dataset)
    for copy, row in enumerate(lessons):
        batches.start_at(copy)
        pairs = [batches[index] for index in range(len(batches))]
        images = np.concatenate([images for images, _ in pairs])
        targets = np.concatenate([targets for _, targets in pairs])
        np.testing.assert_allclose(row["image"] / 255, images, atol=0.5 / 255 + 1e-6)
        is_digit = targets.max(axis=1) == 1
        assert is_digit.sum() == 100
        images = row["image"].astype(np.float32) / 255
        answers = np.sqrt((predict(asked[0], images) + predict(asked[1], images)) / 2)
        answers /= answers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(row["target"][is_digit], answers[is_digit], atol=1e-3)
        np.testing.assert_allclose(row["target"][~is_digit], 0.1, atol=1e-3)


@pytest.mark.parametrize("left", [0, 1000, 110 * 804, 110 * 804 + 1, 3 * 110 * 804])
def test_a_torn_file_of_lessons_is_continued(tmp_path: Path, dataset: Dataset, left: int) -> None:
    """Wherever the process was killed, the next one asks what is missing, and no more; the answers are the same."""
    path = tmp_path / "lessons"
    whole = np.array(lessons_of(networks(), dataset, path))
    assert path.stat().st_size == 3 * 110 * 804
    with path.open("r+b") as file:
        file.truncate(left)
    again = lessons_of(networks(), dataset, path)
    np.testing.assert_array_equal(again["image"], whole["image"])
    np.testing.assert_allclose(again["target"], whole["target"], atol=1e-3)


def test_every_copy_once_then_again(tmp_path: Path, dataset: Dataset) -> None:
    """An epoch has each lesson of one copy once, in an order of its own; after the last copy comes the first."""
    lessons = lessons_of(networks(), dataset, tmp_path / "lessons")
    batches = LessonBatches(lessons, batch=50, seed=3)
    orders = []
    for epoch in range(4):
        pairs = [batches[index] for index in range(len(batches))]
        assert [len(images) for images, _ in pairs] == [50, 50, 10]
        images = np.concatenate([images for images, _ in pairs])
        assert images.dtype == np.float32
        orders.append(images)
        np.testing.assert_allclose(_sorted(images), _sorted(lessons[epoch % 3]["image"] / 255), atol=1e-6)
        batches.on_epoch_end()
    assert not np.array_equal(orders[0], orders[3])
    batches.start_at(3)
    np.testing.assert_array_equal(batches[0][0], orders[3][:50])


def _sorted(images: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    flat = images.reshape(len(images), -1)
    return flat[np.lexsort(flat.T)]


def test_student_says_what_its_teacher_says(tmp_path: Path, sample: Path, teacher: Path, dataset: Dataset) -> None:
    """Of unseen digits, a student that was given no label answers nearly as often like its teacher as both can read."""
    student = keras.models.load_model(trained(STUDENT, sample, tmp_path, teacher) / "model.keras", compile=False)
    images = normalise_arrays(dataset.x_test)
    taught = predict(student, images).argmax(axis=1)
    said = predict(keras.models.load_model(teacher / "model.keras", compile=False), images).argmax(axis=1)
    assert (taught == said).mean() > 0.85


def test_students_of_all_seeds_hear_the_same(tmp_path: Path, sample: Path, teacher: Path) -> None:
    """What teachers are asked does not depend on the student's seed, pictures that are no digit included."""
    heard = []
    for seed in (1, 2):
        recipe = dataclasses.replace(STUDENT, epochs=1, non_digits=0.1)
        trained(recipe, sample, _fresh(tmp_path, f"seed{seed}"), teacher, seed=seed)
        heard.append(np.fromfile(tmp_path / f"seed{seed}" / "checkpoints" / "lessons.bin", np.uint8))
    np.testing.assert_array_equal(heard[0], heard[1])


def test_another_teachers_answers_are_not_taken(tmp_path: Path) -> None:
    """What one teacher has said is thrown away when the student is given another; so is another seed's."""
    for seed, digest in ((0, "one"), (0, "other"), (1, "other")):
        kept = Checkpoints(tmp_path / "kept", STUDENT, seed=seed, images=(1, 0), teachers=[digest])
        assert not kept.lessons.exists()
        kept.lessons.write_bytes(b"answers")
    again = Checkpoints(tmp_path / "kept", STUDENT, seed=1, images=(1, 0), teachers=["other"])
    assert again.lessons.read_bytes() == b"answers"


def test_teachers_that_will_not_do(tmp_path: Path, sample: Path, teacher: Path) -> None:
    """No run folder, one of another recipe, one that saw what the student holds out: each is named, with advice."""
    with pytest.raises(UserError, match=r"learns from dense-128-32, and there is no run of it at .*nowhere; fit them"):
        trained(STUDENT, sample, _fresh(tmp_path, "a"), tmp_path / "nowhere")
    other = dataclasses.replace(STUDENT, distillation=dataclasses.replace(SETTINGS, teacher="cnn"))
    with pytest.raises(UserError, match="is a run of dense-128-32; champion learns from cnn: name others"):
        trained(other, sample, _fresh(tmp_path, "b"), teacher)
    greedy = dataclasses.replace(STUDENT, validation=0.5)
    with pytest.raises(UserError, match="was fitted to 480 images, and champion would hold some of them out, as it"):
        trained(greedy, sample, _fresh(tmp_path, "c"), teacher)
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "model.keras").write_bytes((teacher / "model.keras").read_bytes())
    (torn / "metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"metrics.json cannot be read \(.*\); train it again with digits-train"):
        trained(STUDENT, sample, _fresh(tmp_path, "d"), torn)


def _fresh(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name
