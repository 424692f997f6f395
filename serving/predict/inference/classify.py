"""What a signature must be for Classify, and what its outputs mean.

Checks, their order and their texts are those of TensorFlow Serving's servables/tensorflow/classifier.cc.
"""

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2

from serving.predict.execute import Outputs, Values
from serving.predict.tensors import enum_name, shape_text
from serving.status import invalid_argument

_INPUT, _CLASSES, _SCORES = "inputs", "classes", "scores"


def outputs_to_classify(definition: meta_graph_pb2.SignatureDef) -> list[str]:
    """Return the outputs that a signature has of `classes` and `scores`.

    Raises StatusError INVALID_ARGUMENT for a signature that is not made for Classify.
    """
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(definition.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(definition.outputs)}")
    if _INPUT not in definition.inputs:
        raise invalid_argument(f"No classification inputs found in SignatureDef: {definition}")
    found = [alias for alias in (_CLASSES, _SCORES) if alias in definition.outputs]
    if not found:
        raise invalid_argument(
            f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". '
            f"Signature was: {definition}"
        )
    return found


def to_classifications(outputs: Outputs, examples: int) -> classification_pb2.ClassificationResult:
    """Give each example its classes: label and score, or what of them the signature has.

    Raises StatusError INVALID_ARGUMENT for outputs of another dtype or shape than [examples, classes].
    """
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if classes:
        _check(classes, "classes", tf.string, examples)
    if scores:
        _check(scores, "scores", tf.float32, examples)
    if classes and scores and classes.array.shape[1] != scores.array.shape[1]:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.array.shape[1]} vs. {scores.array.shape[1]}"
        )
    shape = next(each.array.shape for each in (classes, scores) if each)
    labels = classes.array if classes else np.full(shape, b"", object)
    values = scores.array if scores else np.zeros(shape, np.float32)
    result = classification_pb2.ClassificationResult()
    for of_example, scored in zip(labels, values, strict=True):
        pairs = zip(of_example, scored.tolist(), strict=True)
        kinds = [classification_pb2.Class(label=label.decode(errors="replace"), score=score) for label, score in pairs]
        result.classifications.add(classes=kinds)
    return result


def _check(values: Values, name: str, dtype: tf.DType, examples: int) -> None:
    if values.array.ndim != 2:
        raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(values.array)}")
    if values.dtype != dtype:
        raise invalid_argument(f"Expected {name} Tensor of {enum_name(dtype)}. Got: {enum_name(values.dtype)}")
    if len(values.array) != examples:
        raise invalid_argument(f"Expected {name} output batch size of {examples}. Got: {len(values.array)}")
