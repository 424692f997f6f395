"""Publishing: the next version appears whole and verified, or nothing does."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.command import UserError, quiet_tensorflow
from tests.conftest import ROOT

pytestmark = pytest.mark.training

Export = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the small network on the committed sample of MNIST."""
    out = tmp_path_factory.mktemp("runs") / "small"
    command = [sys.executable, "-P", "-m", "trainer.cli", "dense-10-10-10", "--out", str(out), "--seed", "1"]
    subprocess.run([*command, "--data", str(ROOT / "tests" / "data" / "mnist_sample")], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def network(run_folder: Path) -> Any:  # noqa: ANN401 - Keras has no types
    """Its network."""
    quiet_tensorflow()
    import keras  # noqa: PLC0415 - seconds

    from exporter.network.served import calibrated  # noqa: PLC0415 - imports TensorFlow

    return calibrated(keras.models.load_model(run_folder / "model.keras", compile=False))


@pytest.fixture(scope="module")
def images(run_folder: Path) -> list[bytes]:
    """Its warm-up PNGs."""
    return [path.read_bytes() for path in sorted((run_folder / "warmup").glob("*.png"))]


@dataclass(frozen=True)
class Exports:
    """A model folder with two versions of digits-export, each of which takes half a minute, for every test here."""

    to: Path
    first: "subprocess.CompletedProcess[str]"
    """Published the run folder as the first version."""
    before: dict[str, bytes]
    """What version 1 then held."""
    second: "subprocess.CompletedProcess[str]"
    """Published a network with sigmoid outputs when there were folders called 7 and notes."""
    sigmoid: Any
    """That network; Keras has no types."""


@pytest.fixture(scope="module")
def exports(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Two exports, one after the other."""
    quiet_tensorflow()
    import keras  # noqa: PLC0415 - seconds

    to = tmp_path_factory.mktemp("exports") / "models" / "digits"
    first = _export(run_folder, to)
    assert first.returncode == 0, first.stderr
    before = _contents(to / "1")
    (to / "7").mkdir()
    (to / "notes").mkdir()
    run = tmp_path_factory.mktemp("runs") / "sigmoid"
    shutil.copytree(run_folder / "warmup", run / "warmup")
    keras.utils.set_random_seed(1)
    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="sigmoid")]
    sigmoid = keras.Sequential(layers)
    sigmoid.save(run / "model.keras")
    second = _export(run, to)
    assert second.returncode == 0, second.stderr
    return Exports(to, first, before, second, sigmoid)


def _export(run: Path, to: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "exporter.cli", str(run), "--to", str(to)]
    # What Keras computes with elsewhere, here a package that is not installed, changes nothing.
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_versions_follow_each_other(exports: Exports) -> None:
    """The first export is version 1; each later one the next number, earlier ones untouched, nothing else left."""
    assert "version 1" in exports.first.stdout
    assert "version 8" in exports.second.stdout
    assert _contents(exports.to / "1") == exports.before
    assert sorted(path.name for path in exports.to.iterdir()) == ["1", "7", "8", "notes"]


def test_a_version_warms_up_with_real_pngs(exports: Exports, images: list[bytes]) -> None:
    """The warm-up requests hold the run's PNGs, alone and together, for both signatures and the outputs asked for."""
    import tensorflow as tf  # noqa: PLC0415 - slow
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415 - imports TensorFlow

    from exporter.warmup import WARMUP_FILE, read_warmup  # noqa: PLC0415 - imports TensorFlow

    requests = list(read_warmup(exports.to / "1"))
    sizes = [(signature, len(value)) for signature, _, value in requests]
    one, all_of_them = (
        [("serving_default", 1), ("pixels", 1)],
        [("serving_default", len(images)), ("pixels", len(images))],
    )
    assert sizes == [*one, *one, *all_of_them, *all_of_them]
    assert requests[4][1] == "image_bytes"
    assert requests[4][2].tolist() == images
    records = tf.data.TFRecordDataset(str(exports.to / "1" / WARMUP_FILE)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    assert [list(log.output_filter) for log in logs] == 2 * [[], [], *2 * [["digit", "confidence", "error"]]]


def read_plainly(image_bytes: Any) -> tuple[Any, ...]:  # noqa: ANN401 - TensorFlow has no types
    """Decode PNGs of MNIST's form, as `exporter.picture.closer.read` gives them, in a graph that is small."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    spec = tf.TensorSpec([28, 28], tf.uint8)
    pixels = tf.map_fn(lambda image: tf.io.decode_png(image)[..., 0], image_bytes, fn_output_signature=spec)
    field = tf.cast(pixels, tf.float32) / 255.0
    count = tf.size(image_bytes)
    return tf.zeros([count], tf.int32), tf.range(tf.cast(count, tf.int64)), field, tf.ones([count], tf.bool)


def test_a_failed_verification_leaves_nothing(
    network: Any,  # noqa: ANN401 - Keras has no types
    images: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the SavedModel does not answer as the reference says, the number is named and no version appears."""
    from dataclasses import replace  # noqa: PLC0415

    from exporter.publish import publish_network, reference_of  # noqa: PLC0415 - imports TensorFlow

    # The wrong number is in the other signature; without the normaliser this one is written and run in a second.
    monkeypatch.setattr("exporter.signatures.read", read_plainly)
    reference = reference_of(network, images)
    wrong = reference.pixel_probabilities.copy()
    wrong[2, 5] += 0.01
    with pytest.raises(UserError) as refusal:
        publish_network(network, images, replace(reference, pixel_probabilities=wrong), tmp_path, lambda _: None)
    assert "not published" in str(refusal.value)
    assert "signature pixels" in str(refusal.value)
    assert f"probabilities[2, 5] is {reference.pixel_probabilities[2, 5]:.7f}" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_fails_whole_requests_is_refused(network: Any, images: list[bytes], tmp_path: Path) -> None:  # noqa: ANN401
    """A SavedModel whose signature fails for one broken image does not pass the gate."""
    import keras  # noqa: PLC0415 - seconds
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.publish import reference_of  # noqa: PLC0415 - imports TensorFlow
    from exporter.signatures import pixels_signature  # noqa: PLC0415 - imports TensorFlow
    from exporter.verify import DifferenceError, verify  # noqa: PLC0415
    from exporter.warmup import write_warmup  # noqa: PLC0415 - imports TensorFlow

    def fragile(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        # What is in MNIST's own form needs no normaliser.
        pixels = tf.map_fn(lambda image: tf.io.decode_png(image)[..., 0], image_bytes, fn_output_signature=tf.uint8)
        return pixels_signature(network)(tf.ensure_shape(pixels, [None, 28, 28]))

    archive = keras.export.ExportArchive()
    specs = {
        "serving_default": (fragile, tf.TensorSpec([None], tf.string, name="image_bytes")),
        "pixels": (pixels_signature(network), tf.TensorSpec([None, 28, 28], tf.uint8, name="pixels")),
    }
    for name, (function, spec) in specs.items():
        archive.add_endpoint(name=name, fn=function, input_signature=[spec])
    archive.write_out(str(tmp_path / "fragile"), verbose=False)
    write_warmup(tmp_path / "fragile", images)
    with pytest.raises(DifferenceError, match="it fails"):
        verify(tmp_path / "fragile", reference_of(network, images))


def test_a_reference_survives_its_file(network: Any, images: list[bytes], tmp_path: Path) -> None:  # noqa: ANN401
    """What the fresh process reads is what was written, images that end in zeros included."""
    from exporter.publish import reference_of  # noqa: PLC0415 - imports TensorFlow
    from exporter.verify import Reference  # noqa: PLC0415

    reference = reference_of(network, images)
    reference = Reference(
        np.array([*images[:-1], images[-1] + b"\0\0"], object),
        reference.image_probabilities,
        reference.pixels,
        reference.pixel_probabilities,
        1e-2,
    )
    reference.save(tmp_path / "reference.npz")
    read = Reference.load(tmp_path / "reference.npz")
    assert read.images.tolist() == reference.images.tolist()
    np.testing.assert_array_equal(read.pixel_probabilities, reference.pixel_probabilities)
    assert read.tolerance == 1e-2


def test_confidence_is_calibrated_by_the_runs_temperature(run_folder: Path, exports: Exports, tmp_path: Path) -> None:
    """Both signatures answer with the run's temperature, published, too; a run folder from before it, without."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.publish import prepare  # noqa: PLC0415 - imports TensorFlow
    from exporter.signatures import image_signature, pixels_signature  # noqa: PLC0415 - imports TensorFlow

    fitted = json.loads((run_folder / "metrics.json").read_text())
    own = fitted.pop("temperature")
    answers = {}
    for temperature in (None, 1.0, 2.0, own):
        run = tmp_path / f"run-{temperature}"
        shutil.copytree(run_folder, run)
        metrics = {"temperature": temperature} if temperature else {}
        (run / "metrics.json").write_text(json.dumps(fitted | metrics))
        network, images, reference = prepare(run)
        bare = pixels_signature(network)(tf.constant(reference.pixels))
        served = image_signature(network)(tf.constant(images))
        for outputs in (bare, served):
            np.testing.assert_allclose(outputs["confidence"], outputs["probabilities"].numpy().max(axis=1))
        np.testing.assert_allclose(bare["probabilities"], served["probabilities"], atol=1e-4)
        # What a version must answer before it is published.
        np.testing.assert_allclose(reference.pixel_probabilities, bare["probabilities"], atol=1e-5)
        np.testing.assert_allclose(reference.image_probabilities, served["probabilities"], atol=1e-5)
        answers[temperature] = bare["probabilities"].numpy()
    np.testing.assert_allclose(answers[None], answers[1.0])
    for temperature in (2.0, own):
        cooler = answers[1.0] ** (1 / temperature)
        np.testing.assert_allclose(answers[temperature], cooler / cooler.sum(axis=1, keepdims=True), atol=1e-5)

    assert np.abs(answers[own] - answers[1.0]).max() > 1e-3
    model = tf.saved_model.load(str(exports.to / "1"))
    bare = model.signatures["pixels"](pixels=tf.constant(reference.pixels))
    served = model.signatures["serving_default"](image_bytes=tf.constant(images))
    for outputs in (bare, served):
        np.testing.assert_allclose(outputs["confidence"], outputs["probabilities"].numpy().max(axis=1))
        np.testing.assert_allclose(outputs["probabilities"], answers[own], atol=1e-4)


def _refusal(run: Path, to: Path) -> str:
    """The line in which a run is refused; nothing is published."""
    from exporter.publish import publish  # noqa: PLC0415 - imports TensorFlow

    with pytest.raises(UserError) as refusal:
        publish(run, to, lambda _: None)
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)
    assert not to.exists()
    return str(refusal.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"temperature": 0}', '{"temperature": "hot"}', '{"temperature": null}'])
def test_damaged_metrics_are_told(run_folder: Path, tmp_path: Path, text: str) -> None:
    """What metrics.json holds instead of a temperature is told in one line, and nothing is published."""
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    (run / "metrics.json").write_text(text)
    assert "metrics.json" in _refusal(run, tmp_path / "digits")


@pytest.mark.parametrize("missing", ["model.keras", "warmup"])
def test_what_is_no_run_folder_is_told(run_folder: Path, tmp_path: Path, missing: str) -> None:
    """A folder without a network, or without PNGs to warm up with, gets one line that names what is missing."""
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    (shutil.rmtree if missing == "warmup" else Path.unlink)(run / missing)
    told = _refusal(run, tmp_path / "digits")
    assert missing in told
    assert "digits-train" in told


def test_a_damaged_network_is_told(run_folder: Path, tmp_path: Path) -> None:
    """A truncated model.keras gets one line and no version."""
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    (run / "model.keras").write_bytes((run / "model.keras").read_bytes()[:1000])
    result = _export(run, tmp_path / "digits")
    assert result.returncode == 2
    assert "model.keras" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "digits").exists()


def test_a_place_that_cannot_be_written_is_told(run_folder: Path, tmp_path: Path) -> None:
    """A --to that is a file gets one line that names it."""
    (tmp_path / "digits").write_bytes(b"")
    result = _export(run_folder, tmp_path / "digits")
    assert result.returncode == 2
    assert str(tmp_path / "digits") in result.stderr
    assert result.stderr.count("\n") == 1


def test_recipes_that_are_not_softmax_are_published_too(exports: Exports) -> None:
    """Sigmoid scores become probabilities that sum to 1, in the SavedModel as in the trainer's own figures."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    pixels = np.random.default_rng(1).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    outputs = tf.saved_model.load(str(exports.to / "8")).signatures["pixels"](pixels=tf.constant(pixels))
    scores = exports.sigmoid.predict(pixels / 255.0, verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], scores / scores.sum(1, keepdims=True), atol=1e-6)


def test_too_coarse_a_network_is_not_published_in_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_folder: Path
) -> None:
    """Exporting on a processor without it finds that, too: the version may be loaded on one that has it."""
    from exporter.network.served import BFLOAT16, TOLERANCE  # noqa: PLC0415 - imports TensorFlow
    from exporter.publish import publish  # noqa: PLC0415 - the same

    monkeypatch.setattr("exporter.network.processor._PROCESSOR", str(tmp_path / "none"))
    monkeypatch.setitem(TOLERANCE, BFLOAT16, 1e-6)
    with pytest.raises(UserError, match=r"not published, .*: computed in bfloat16: .*Keras says"):
        publish(run_folder, tmp_path / "models", lambda _: None, dtype=BFLOAT16)
    assert not (tmp_path / "models").exists()
