"""The client's messages against TensorFlow's own, in one process."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.client import wire_pb2 as wire
from batch.client.tensors import AnswerError, Target, numbers, predict_request, strings


@settings(max_examples=50, deadline=None)
@given(
    images=st.lists(st.binary(max_size=200), min_size=1, max_size=20),
    version=st.one_of(st.none(), st.integers(1, 2**40)),
    signature=st.sampled_from(["serving_default", "other"]),
)
def test_requests_are_those_of_tensorflow(images: list[bytes], version: int | None, signature: str) -> None:
    """A request is byte-identical to one made with tensorflow-serving-api and tf.make_tensor_proto."""
    import tensorflow as tf  # noqa: PLC0415 - seconds
    from tensorflow_serving.apis import predict_pb2  # noqa: PLC0415 - imports TensorFlow

    theirs = predict_pb2.PredictRequest(output_filter=["digit", "error"])
    theirs.model_spec.name = "digits"
    theirs.model_spec.signature_name = signature
    if version is not None:
        theirs.model_spec.version.value = version
    theirs.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, tf.string))

    ours = predict_request(Target("digits", signature, version), "image_bytes", images, ["digit", "error"])
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


def test_a_label_is_sent_as_theirs() -> None:
    """A request for a version label is byte-identical too."""
    from tensorflow_serving.apis import model_pb2  # noqa: PLC0415 - imports TensorFlow

    theirs = model_pb2.ModelSpec(name="m", signature_name="s", version_label="stable")
    assert Target("m", "s", label="stable").spec().SerializeToString() == theirs.SerializeToString()


@settings(max_examples=30, deadline=None)
@given(
    digits=st.lists(st.integers(-1, 9), min_size=1, max_size=40),
    dtype=st.sampled_from([np.int64, np.int32, np.float32, np.float64]),
    packed=st.booleans(),
)
def test_answers_of_tensorflow_are_read(digits: list[int], dtype: type, packed: bool) -> None:  # noqa: FBT001
    """Numbers are read from the `*_val` fields and from tensor_content, whichever a server uses."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    values: Any = np.array(digits, dtype)
    proto = tf.make_tensor_proto(values)
    if not packed:
        proto = tf.make_tensor_proto(values.tolist(), tf.as_dtype(dtype), [len(digits)])
    response = wire.PredictResponse()
    response.outputs["digit"].ParseFromString(proto.SerializeToString())
    assert numbers(response, "digit", len(digits)) == digits


def test_strings_of_tensorflow_are_read() -> None:
    """Texts are read, a single value standing for all of them included."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    response = wire.PredictResponse()
    response.outputs["error"].ParseFromString(tf.make_tensor_proto(["", "corrupt"]).SerializeToString())
    assert strings(response, "error", 2) == [b"", b"corrupt"]
    response.outputs["error"].ParseFromString(tf.make_tensor_proto("blank", shape=[3]).SerializeToString())
    assert strings(response, "error", 3) == [b"blank"] * 3


def test_an_answer_that_does_not_fit_is_told() -> None:
    """A missing output, another length and another dtype are each named."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    response = wire.PredictResponse()
    with pytest.raises(AnswerError, match="lacks output digit"):
        numbers(response, "digit", 2)
    response.outputs["digit"].ParseFromString(tf.make_tensor_proto([1, 2, 3]).SerializeToString())
    with pytest.raises(AnswerError, match=r"shape \[3\] for 2 images"):
        numbers(response, "digit", 2)
    with pytest.raises(AnswerError, match="not string"):
        strings(response, "digit", 3)
