"""The input of a request becomes a tensor of serialised tf.Examples, which the signature parses itself."""

import grpc
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import input_pb2

from serving.status import StatusError, invalid_argument


def read_examples(source: input_pb2.Input) -> tensor_pb2.TensorProto:
    """Return a vector with one string per example, as InputToSerializedExampleTensor in TensorFlow Serving's util.cc.

    A context, which all examples share, is put before each: parsed as one message, the two are merged. Raises
    StatusError INVALID_ARGUMENT where there are no examples.
    """
    kind = source.WhichOneof("kind")
    if kind == "example_list":
        strings = [example.SerializeToString() for example in source.example_list.examples]
    elif kind == "example_list_with_context":
        with_context = source.example_list_with_context
        context = with_context.context.SerializeToString()
        strings = [context + example.SerializeToString() for example in with_context.examples]
    elif kind is None:
        strings = []
    else:
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Input with kind {kind} not supported.")
    if not strings:
        raise invalid_argument("Input is empty.")
    proto = tensor_pb2.TensorProto(dtype=tf.string.as_datatype_enum, string_val=strings)
    proto.tensor_shape.dim.add(size=len(strings))
    return proto
