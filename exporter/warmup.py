"""Warm-up requests: what TensorFlow Serving replays before a version becomes AVAILABLE.

Format: `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLog, at most 1000 records
(https://www.tensorflow.org/tfx/serving/saved_model_warmup).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from exporter.contract import (
    CONFIDENCE,
    DIGIT,
    ERROR,
    IMAGE_BYTES,
    MODEL_NAME,
    PIXELS,
    PIXELS_SIGNATURE,
    SIDE,
    SIGNATURE,
)

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"

# TensorFlow Serving prepares each set of outputs when it is first asked for, which takes seconds. No names are all
# outputs, as most callers and digits-batch --probabilities ask for; then those of digits-batch.
_OUTPUT_FILTERS = ((), (DIGIT, CONFIDENCE, ERROR))


def write_warmup(version_folder: Path, images: list[bytes]) -> None:
    """Write warm-up requests of real PNGs: one image alone, all together, and the same sizes for `pixels`.

    Each comes once for every set of outputs that clients ask for. There are none for `numbers`: they would take longer
    than all others, and keep a version from becoming AVAILABLE for those who do not ask for it.
    """
    path = version_folder / WARMUP_FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch in (images[:1], images):
            pixels = np.zeros([len(batch), SIDE, SIDE], np.uint8)
            for outputs in _OUTPUT_FILTERS:
                writer.write(_record(SIGNATURE, IMAGE_BYTES, tf.make_tensor_proto(batch, tf.string), outputs))
                writer.write(_record(PIXELS_SIGNATURE, PIXELS, tf.make_tensor_proto(pixels), outputs))


def read_warmup(version_folder: Path) -> Iterator[tuple[str, str, npt.NDArray[Any]]]:
    """The signature, the input's name and its value of each warm-up request."""
    for record in tf.data.TFRecordDataset(str(version_folder / WARMUP_FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for name, proto in request.inputs.items():
            yield request.model_spec.signature_name, name, tf.make_ndarray(proto)


def _record(signature: str, name: str, tensor: object, outputs: tuple[str, ...]) -> bytes:
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = MODEL_NAME
    request.model_spec.signature_name = signature
    request.inputs[name].CopyFrom(tensor)
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return bytes(log.SerializeToString())
