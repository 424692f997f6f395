"""From a run folder to a published version: write, verify in a fresh process, warm up, rename once.

TensorFlow Serving polls the model folder every second and loads any numeric folder it sees, so a version is complete
before its name is a number.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from exporter.command import UserError
from exporter.contract import BOXES, CONFIDENCE, PROBABILITIES, RUN_READER, RUN_WARMUP, SIGNATURE, TEXT
from exporter.network.served import FLOAT32, TOLERANCE, Network, calibrated, served
from exporter.network.source import is_published, load_source
from exporter.numbers.reader import numbers_signature
from exporter.numbers.stored import Reader
from exporter.numbers.verify import NumbersReference
from exporter.signatures import image_signature, pixels_signature, write_saved_model
from exporter.verify import DifferenceError, Reference, compare
from exporter.warmup import read_warmup, write_warmup

_STAGING_PREFIX = ".staging-"
_REFUSED = "not published, the SavedModel does not answer as the Keras model"


def publish(
    run: Path, to: Path, on_step: Callable[[str], None], dtype: str = FLOAT32, reader: Path | None = None
) -> Path:
    """Publish a run folder as the next version below `to`.

    Args:
        run: holds `model.keras`, `metrics.json` with the temperature, and `warmup/*.png`, 28x28 grey; or a published
            version, whose network and images are taken.
        to: the model's base path; made if it is not there.
        on_step: told in a few words what happens now.
        dtype: what products are served in, float32, or bfloat16 where the processor has AMX or AVX512_BF16.
        reader: of numbers, a run folder of `digits-train numbers` or the file in it; without it the run's own, if it
            was adapted to fields, or no signature for them.

    Returns:
        The version's folder.

    Raises:
        UserError: the run folder is no run folder, `to` cannot be written, or the verification failed; nothing is left
            behind then.
    """
    # What was adapted together belongs together.
    own = run / RUN_READER
    reader = reader or (own if own.is_file() else None)
    stored = None if reader is None else Reader.load(reader)
    network, images, reference = prepare(run, dtype)
    return publish_network(network, images, reference, to, on_step, stored)


def prepare(run: Path, dtype: str = FLOAT32) -> tuple[Network, list[bytes], Reference]:
    """What is published of a run folder: the network as it is served, the images to warm up with, what it must answer.

    Raises UserError as `publish`.
    """
    model, temperature = load_source(run)
    images = _load_images(run)
    reference = reference_of(calibrated(model, temperature), images, TOLERANCE[dtype])
    network = served(model, temperature, dtype)
    for name, form in network.forms.items():
        # The verification sees one of them, the one for this processor.
        _check_form(form, name, reference)
    return network, images, reference


def publish_network(
    network: Network,
    images: list[bytes],
    reference: Reference,
    to: Path,
    on_step: Callable[[str], None],
    reader: Reader | None = None,
) -> Path:
    """Publish a network as the next version below `to`, if it answers as the reference says. As `publish`."""
    try:
        to.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=to))
    except OSError as error:
        raise UserError(f"cannot write to {to}: {error.strerror}; choose another --to") from None
    try:
        candidate = staging / "version"
        on_step("writing the SavedModel")
        write_saved_model(network, candidate, None if reader is None else reader.weights)
        write_warmup(candidate, images)
        on_step("verifying it in a fresh process")
        if reader is not None:
            reference = replace(reference, numbers=numbers_reference_of(network, reader))
        _verify_in_fresh_process(candidate, reference, staging / "reference.npz")
        _sync(candidate)
        return _rename_to_next_version(candidate, to)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def reference_of(network: Network, images: list[bytes], tolerance: float = TOLERANCE[FLOAT32]) -> Reference:
    """What a network says of encoded images, and of the same as 28x28 pixels, run by Keras without a SavedModel."""
    pixels = np.stack([tf.io.decode_png(image, channels=1).numpy()[..., 0] for image in images])
    return Reference(
        images=np.array(images, object),
        image_probabilities=image_signature(network)(tf.constant(images))[PROBABILITIES].numpy(),
        pixels=pixels,
        pixel_probabilities=pixels_signature(network)(tf.constant(pixels))[PROBABILITIES].numpy(),
        tolerance=tolerance,
    )


def numbers_reference_of(network: Network, reader: Reader) -> NumbersReference:
    """What a network and a reader say of the reader's samples, run without a SavedModel."""
    found = numbers_signature(network, reader.weights)(tf.constant(reader.samples), tf.zeros([1], tf.int32))
    return NumbersReference(
        images=np.array(reader.samples, object),
        texts=found[TEXT].numpy().astype(str),
        confidence=found[CONFIDENCE].numpy(),
        boxes=found[BOXES].numpy(),
    )


def _load_images(run: Path) -> list[bytes]:
    if is_published(run):
        # What a version was warmed up with, the most at once.
        batches = [value for signature, _, value in read_warmup(run) if signature == SIGNATURE]
        return max((list(batch) for batch in batches), key=len)
    images = [path.read_bytes() for path in sorted((run / RUN_WARMUP).glob("*.png"))]
    if not images:
        raise UserError(f"{run / RUN_WARMUP} holds no PNG to warm up with; make a run folder with digits-train")
    return images


def _check_form(form: Network, name: str, reference: Reference) -> None:
    outputs = pixels_signature(form)(tf.constant(reference.pixels))
    found = {alias: tensor.numpy() for alias, tensor in outputs.items()}
    try:
        compare(found, reference.pixel_probabilities, TOLERANCE[name], f"computed in {name}")
    except DifferenceError as difference:
        raise UserError(f"{_REFUSED}: {difference}") from None


def _verify_in_fresh_process(candidate: Path, reference: Reference, path: Path) -> None:
    reference.save(path)
    # -P: a folder of the user's called exporter must not be imported instead.
    command = [sys.executable, "-P", "-m", "exporter.verify", str(candidate), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stdout.strip() or result.stderr.strip() or f"exit code {result.returncode}").splitlines()[-1]
        raise UserError(f"{_REFUSED}: {reason}")


def _sync(folder: Path) -> None:
    """Bring every file to the disk before the name that makes it count."""
    for parent, _, names in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in names)):  # noqa: PTH118 - os.walk gives strings
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def _rename_to_next_version(candidate: Path, to: Path) -> Path:
    while True:
        taken = [int(path.name) for path in to.iterdir() if path.name.isdecimal()]
        version = to / str(max(taken, default=0) + 1)
        try:
            candidate.rename(version)
        except OSError:
            # Another export took the number meanwhile: a folder that holds something is never replaced by a rename.
            if not version.exists():
                raise
        else:
            return version
