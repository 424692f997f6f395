"""The gate before publishing: a SavedModel must answer as the Keras model does, run in a fresh process.

Run as `python -P -m exporter.verify VERSION_FOLDER REFERENCE.npz`; prints the first number that differs and exits with
1, or exits with 0. The model is run twice: as Python loads it, and in a Session, feeding the signatures' tensors by
name, the way TensorFlow Serving does (servables/tensorflow/predict_util.cc); Python's loader forgives what the server
does not.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.byte_strings import pack, unpack
from exporter.contract import (
    CONFIDENCE,
    CORRUPT,
    DIGIT,
    DIGITS,
    ERROR,
    IMAGE_BYTES,
    NO_DIGIT,
    NORMALISED_OUTPUTS,
    NORMALISED_SIGNATURE,
    NOT_AN_IMAGE,
    NUMBERS_SIGNATURE,
    OUTPUTS,
    PIXELS,
    PIXELS_SIGNATURE,
    PROBABILITIES,
    SIGNATURE,
)
from exporter.numbers.verify import NumbersDifferenceError, NumbersReference, verify_numbers

Array = npt.NDArray[Any]
Predict = Callable[[str, dict[str, Array]], dict[str, Array]]
"""Signature and inputs by name to outputs by name."""


_ROUNDED = 0.02  # of a probability: as much may change where grey levels are rounded to whole ones
_NUMBERS = "numbers_"  # begins the names of what is kept about numbers


class DifferenceError(Exception):
    """The SavedModel does not answer as the Keras model; the text names the number."""


@dataclass(frozen=True)
class Reference:
    """What the Keras model says.

    Attributes:
        images: encoded images, object [n] of bytes.
        image_probabilities: its answers to them, float32 [n, 10].
        pixels: the images in MNIST's form, uint8 [n, 28, 28].
        pixel_probabilities: its answers to those, float32 [n, 10].
        tolerance: how far the SavedModel's probabilities may be from these.
        numbers: what it says of fields of several digits, where there is a reader of them.
    """

    images: Array
    image_probabilities: Array
    pixels: Array
    pixel_probabilities: Array
    tolerance: float
    numbers: NumbersReference | None = None

    def save(self, path: Path) -> None:
        """Write an .npz."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        images, numbers = arrays.pop("images"), arrays.pop("numbers")
        if numbers is not None:
            arrays |= {_NUMBERS + name: array for name, array in numbers.arrays().items()}
        np.savez(path, allow_pickle=False, **pack(images), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read what `save` wrote."""
        with np.load(path) as file:
            arrays = dict(file)
        images = np.array(unpack(arrays), object)
        tolerance = float(arrays.pop("tolerance"))
        numbers = {name.removeprefix(_NUMBERS): arrays.pop(name) for name in list(arrays) if name.startswith(_NUMBERS)}
        return cls(
            images=images,
            tolerance=tolerance,
            numbers=NumbersReference.of(numbers) if numbers else None,
            **arrays,
        )


def verify(folder: Path, reference: Reference) -> None:
    """Run a version folder both ways against the reference.

    Raises:
        DifferenceError: naming the way, the signature, the image and the number.
    """
    import tensorflow as tf  # noqa: PLC0415 - slow, and chatty unless quiet_tensorflow comes first

    from exporter.warmup import read_warmup  # noqa: PLC0415 - imports TensorFlow

    requests = list(read_warmup(folder))

    def check(open_model: Callable[[Path], AbstractContextManager[Predict]]) -> None:
        way = open_model.__name__.strip("_").replace("_", " ")
        try:
            with open_model(folder) as predict:
                tolerance = reference.tolerance
                images, pixels = reference.images, reference.pixels
                _compare(predict, SIGNATURE, IMAGE_BYTES, images, reference.image_probabilities, tolerance)
                _compare(predict, PIXELS_SIGNATURE, PIXELS, pixels, reference.pixel_probabilities, tolerance)
                _isolates_faults(predict, reference)
                verify_normalised(predict, reference)
                if reference.numbers is not None:
                    verify_numbers(predict, reference.numbers)
                _replay_warmup(requests, predict)
        except (DifferenceError, NumbersDifferenceError) as difference:
            raise DifferenceError(f"run {way}, {difference}") from None
        except tf.errors.OpError as error:
            raise DifferenceError(f"run {way}, it fails: {error.message.splitlines()[0]}") from None

    # Both at once: nearly all the time goes into TensorFlow's optimising of the graph, which takes one core.
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(check, (_as_python_does, _as_the_server_does)):
            pass


def _compare(predict: Predict, signature: str, name: str, inputs: Array, expected: Array, tolerance: float) -> None:
    """All inputs in one batch, then the first few one by one, then none."""
    compare(predict(signature, {name: inputs}), expected, tolerance, f"signature {signature}, batch of {len(inputs)}")
    for index in range(min(3, len(inputs))):
        outputs = predict(signature, {name: inputs[index : index + 1]})
        compare(outputs, expected[index : index + 1], tolerance, f"signature {signature}, image {index} alone")
    compare(predict(signature, {name: inputs[:0]}), expected[:0], tolerance, f"signature {signature}, batch of 0")


def compare(outputs: dict[str, Array], expected: Array, tolerance: float, where: str) -> None:
    """Compare a signature's outputs for a batch with the probabilities, float32 [n, 10], that are expected.

    Raises:
        DifferenceError: beginning with `where`, naming the image and the number.
    """
    if set(outputs) != set(OUTPUTS):
        raise DifferenceError(f"{where}: outputs are {sorted(outputs)}, not {sorted(OUTPUTS)}")
    found = outputs[PROBABILITIES]
    if found.shape != expected.shape:
        raise DifferenceError(f"{where}: {PROBABILITIES} has shape {found.shape}, Keras {expected.shape}")
    for image in range(len(expected)):
        if outputs[ERROR][image]:
            raise DifferenceError(f"{where}: image {image} has error {outputs[ERROR][image].decode()!r}")
        label = int(np.abs(found[image] - expected[image]).argmax())
        distance = abs(float(found[image, label]) - float(expected[image, label]))
        if not distance <= tolerance:
            raise DifferenceError(
                f"{where}: {PROBABILITIES}[{image}, {label}] is {found[image, label]:.7f}, Keras says "
                f"{expected[image, label]:.7f} (allowed difference {tolerance:g})"
            )
        if outputs[DIGIT][image] != expected[image].argmax():
            raise DifferenceError(
                f"{where}: {DIGIT}[{image}] is {outputs[DIGIT][image]}, Keras says {expected[image].argmax()}"
            )
        if outputs[CONFIDENCE][image] != found[image].max():
            raise DifferenceError(
                f"{where}: {CONFIDENCE}[{image}] is {outputs[CONFIDENCE][image]:.7f}, not the largest probability"
            )


def _isolates_faults(predict: Predict, reference: Reference) -> None:
    """A truncated image, a text and nothing at all get their errors, beside a good image and by themselves."""
    good = reference.images[0]
    broken = [good[: len(good) // 2], b"not an image", b""]
    texts = [CORRUPT, NOT_AN_IMAGE, NOT_AN_IMAGE]
    for beside, expected in ((broken, texts), ([*broken, good], [*texts, ""])):
        outputs = predict(SIGNATURE, {IMAGE_BYTES: np.array(beside, object)})
        errors = [text.decode() for text in outputs[ERROR]]
        if errors != expected:
            raise DifferenceError(f"signature {SIGNATURE}, broken images: {ERROR} is {errors}, not {expected}")
        if any(outputs[DIGIT][:3] != NO_DIGIT) or outputs[CONFIDENCE][:3].any() or outputs[PROBABILITIES][:3].any():
            raise DifferenceError(f"signature {SIGNATURE}, broken images: they carry an answer beside their error")
    compare(
        {name: value[3:] for name, value in outputs.items()},
        reference.image_probabilities[:1],
        reference.tolerance,
        f"signature {SIGNATURE}, beside broken images",
    )


def verify_normalised(predict: Predict, reference: Reference) -> None:
    """Check that what `normalised` gives of the images is answered as they are, and that a broken one gets its error.

    Raises:
        DifferenceError: naming the number.
    """
    where = f"signature {NORMALISED_SIGNATURE}"
    images = np.append(reference.images, [b"not an image"])
    outputs = predict(NORMALISED_SIGNATURE, {IMAGE_BYTES: images})
    if set(outputs) != set(NORMALISED_OUTPUTS):
        raise DifferenceError(f"{where}: outputs are {sorted(outputs)}, not {sorted(NORMALISED_OUTPUTS)}")
    errors = [text.decode() for text in outputs[ERROR]]
    if errors != [""] * len(reference.images) + [NOT_AN_IMAGE] or outputs[PIXELS][-1].any():
        raise DifferenceError(f"{where}: {ERROR} is {errors}; only the last image is broken")
    shown = predict(PIXELS_SIGNATURE, {PIXELS: outputs[PIXELS][:-1]})
    tolerance = max(reference.tolerance, _ROUNDED)
    compare(shown, reference.image_probabilities, tolerance, f"{where}, its {PIXELS} read")


def _replay_warmup(requests: list[tuple[str, str, Array]], predict: Predict) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    try:
        for signature, name, value in requests:
            predict(signature, {name: value})
    except (tf.errors.OpError, KeyError, TypeError) as error:
        raise DifferenceError(f"a warm-up request fails: {error}") from None


@contextmanager
def _as_python_does(folder: Path) -> Iterator[Predict]:
    import tensorflow as tf  # noqa: PLC0415 - as above

    signatures = tf.saved_model.load(str(folder)).signatures

    def predict(signature: str, inputs: dict[str, Array]) -> dict[str, Array]:
        missing = {DIGITS: np.zeros(1, np.int32)} if signature == NUMBERS_SIGNATURE else {}
        dtypes = {name: tf.string if value.dtype == object else value.dtype for name, value in inputs.items()}
        given = missing | {name: tf.constant(value, dtypes[name]) for name, value in inputs.items()}
        outputs = signatures[signature](**given)
        return {output: tensor.numpy() for output, tensor in outputs.items()}

    yield predict


@contextmanager
def _as_the_server_does(folder: Path) -> Iterator[Predict]:
    import tensorflow as tf  # noqa: PLC0415 - as above

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definition = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(folder)).signature_def

        def predict(signature: str, inputs: dict[str, Array]) -> dict[str, Array]:
            tensors = definition[signature]
            fetches = {output: tensor.name for output, tensor in tensors.outputs.items()}
            # Inputs that are left out are fed with the signature's own values.
            given = {name: tf.make_ndarray(value) for name, value in tensors.defaults.items()} | inputs
            feeds = {tensors.inputs[name].name: value for name, value in given.items()}
            answer: dict[str, Array] = session.run(fetches, feeds)
            return answer

        yield predict


def main() -> None:
    """Verify the version folder and the reference named on the command line."""
    from exporter.command import quiet_tensorflow  # noqa: PLC0415 - only when run as a process

    quiet_tensorflow()
    folder, reference = map(Path, sys.argv[1:])
    try:
        verify(folder, Reference.load(reference))
    except DifferenceError as difference:
        print(difference)  # noqa: T201 - the answer to the process that asked
        sys.exit(1)


if __name__ == "__main__":
    main()
