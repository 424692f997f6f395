"""What a signature must be for Regress, and what its output means.

Checks, their order and their texts are those of TensorFlow Serving's servables/tensorflow/regressor.cc.
"""

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import regression_pb2

from serving.predict.execute import Outputs
from serving.predict.tensors import enum_name, shape_text
from serving.status import invalid_argument

_INPUT, _OUTPUT = "inputs", "outputs"


def outputs_to_regress(definition: meta_graph_pb2.SignatureDef) -> list[str]:
    """Return the one output that a signature is to have.

    Raises StatusError INVALID_ARGUMENT for a signature that is not made for Regress.
    """
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(definition.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if _INPUT not in definition.inputs:
        raise invalid_argument(f"No regression inputs found in SignatureDef: {definition}")
    if _OUTPUT not in definition.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {definition}")
    return [_OUTPUT]


def to_regressions(outputs: Outputs, examples: int) -> regression_pb2.RegressionResult:
    """Give each example its value.

    Raises StatusError INVALID_ARGUMENT for an output of another dtype or shape than [examples] or [examples, 1].
    """
    values = outputs[_OUTPUT]
    shape = values.array.shape
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{shape_text(values.array)}"
        )
    if shape[0] != examples:
        raise invalid_argument(f"Input batch size did not match output batch size: {examples} vs. {shape[0]}")
    if values.dtype != tf.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {enum_name(values.dtype)}")
    result = regression_pb2.RegressionResult()
    for value in values.array.ravel().tolist():
        result.regressions.add(value=value)
    return result
