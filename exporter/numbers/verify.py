"""The gate's part for the signature `numbers`: it must answer as the same graph run by Keras does."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.byte_strings import pack, unpack
from exporter.contract import (
    ALTERNATIVE_CONFIDENCE,
    ALTERNATIVES,
    BOXES,
    CONFIDENCE,
    CORRUPT,
    COUNT,
    DIGITS,
    ERROR,
    IMAGE_BYTES,
    NOT_AN_IMAGE,
    NUMBERS_OUTPUTS,
    NUMBERS_SIGNATURE,
    TEXT,
)

Array = npt.NDArray[Any]
Predict = Callable[[str, dict[str, Array]], dict[str, Array]]
"""Signature and inputs by name to outputs by name."""

_TOLERANCE = 0.02  # of confidence: sums over many paths pass on what the network rounds
_BOX_TOLERANCE = 0.01  # pixels


class NumbersDifferenceError(Exception):
    """The SavedModel reads numbers in another way; the text names the field."""


@dataclass(frozen=True)
class NumbersReference:
    """What Keras says of fields.

    Attributes:
        images: encoded pictures, object [n] of bytes.
        texts: its readings, str [n].
        confidence: float32 [n].
        boxes: float32 [n, MAX_DIGITS, 4].
    """

    images: Array
    texts: Array
    confidence: Array
    boxes: Array

    def arrays(self) -> dict[str, Array]:
        """As arrays for an .npz, none of them of objects."""
        arrays = asdict(self)
        images = arrays.pop("images")
        return pack(images) | arrays

    @classmethod
    def of(cls, arrays: dict[str, Array]) -> "NumbersReference":
        """From what `arrays` gave."""
        return cls(images=np.array(unpack(arrays), object), **arrays)


def verify_numbers(predict: Predict, reference: NumbersReference) -> None:
    """All fields in one request, with the number of digits and without it, one alone, none, and broken pictures.

    Raises:
        NumbersDifferenceError: naming the field and the number.
    """
    _compare(predict(NUMBERS_SIGNATURE, {IMAGE_BYTES: reference.images}), reference, slice(None), "all fields")
    lengths = np.array([len(text) for text in reference.texts], np.int32)
    given = predict(NUMBERS_SIGNATURE, {IMAGE_BYTES: reference.images, DIGITS: lengths})
    if [text.decode() for text in given[TEXT]] != list(reference.texts):
        raise NumbersDifferenceError(f"signature {NUMBERS_SIGNATURE}: with as many digits as read, it reads others")
    alone = {IMAGE_BYTES: reference.images[:1], DIGITS: np.zeros(1, np.int32)}
    _compare(predict(NUMBERS_SIGNATURE, alone), reference, slice(0, 1), "field 0 alone")
    none = predict(NUMBERS_SIGNATURE, {IMAGE_BYTES: reference.images[:0], DIGITS: np.zeros(0, np.int32)})
    _compare(none, reference, slice(0, 0), "no field")

    good = reference.images[0]
    broken = [good[: len(good) // 2], b"not an image", b""]
    texts = [CORRUPT, NOT_AN_IMAGE, NOT_AN_IMAGE]
    for beside, expected in ((broken, texts), ([*broken, good], [*texts, ""])):
        inputs = {IMAGE_BYTES: np.array(beside, object), DIGITS: np.zeros(len(beside), np.int32)}
        outputs = predict(NUMBERS_SIGNATURE, inputs)
        errors = [text.decode() for text in outputs[ERROR]]
        if errors != expected:
            raise NumbersDifferenceError(f"broken pictures: {ERROR} is {errors}, not {expected}")
        if any(outputs[TEXT][:3]) or outputs[CONFIDENCE][:3].any() or outputs[COUNT][:3].any():
            raise NumbersDifferenceError("broken pictures: they carry a reading beside their error")
    _compare({name: value[3:] for name, value in outputs.items()}, reference, slice(0, 1), "beside broken pictures")


def _compare(outputs: dict[str, Array], reference: NumbersReference, some: slice, where: str) -> None:
    where = f"signature {NUMBERS_SIGNATURE}, {where}"
    if set(outputs) != set(NUMBERS_OUTPUTS):
        raise NumbersDifferenceError(f"{where}: outputs are {sorted(outputs)}, not {sorted(NUMBERS_OUTPUTS)}")
    texts, confidence, boxes = reference.texts[some], reference.confidence[some], reference.boxes[some]
    if len(outputs[TEXT]) != len(texts):
        raise NumbersDifferenceError(f"{where}: {len(outputs[TEXT])} answers to {len(texts)} pictures")
    for field, text in enumerate(texts):
        if outputs[ERROR][field] or outputs[TEXT][field].decode() != text:
            said = outputs[ERROR][field] or outputs[TEXT][field]
            raise NumbersDifferenceError(f"{where}: {TEXT}[{field}] is {said.decode()!r}, Keras says {str(text)!r}")
        distance = abs(float(outputs[CONFIDENCE][field]) - float(confidence[field]))
        if not distance <= _TOLERANCE:
            said = outputs[CONFIDENCE][field]
            raise NumbersDifferenceError(
                f"{where}: {CONFIDENCE}[{field}] is {said:.4f}, Keras says {confidence[field]:.4f}"
            )
        if outputs[COUNT][field] != len(text) or np.abs(outputs[BOXES][field] - boxes[field]).max() > _BOX_TOLERANCE:
            raise NumbersDifferenceError(f"{where}: {COUNT} or {BOXES} of field {field} are not those of Keras")
        first = outputs[ALTERNATIVES][field, 0].decode(), outputs[ALTERNATIVE_CONFIDENCE][field, 0]
        if first != (text, outputs[CONFIDENCE][field]):
            raise NumbersDifferenceError(f"{where}: the first alternative of field {field} is not its {TEXT}")
