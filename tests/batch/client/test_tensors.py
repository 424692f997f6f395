"""The client's messages against TensorFlow's own, in one process."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.client import wire_pb2 as wire
from batch.client.tensors import AnswerError, Target, numbers, predict_request, string_table, strings, table


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


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(st.lists(st.binary(max_size=200), min_size=5, max_size=5), min_size=1, max_size=8),
    packed=st.booleans(),
)
def test_tables_of_strings_are_read(texts: list[list[bytes]], packed: bool) -> None:  # noqa: FBT001
    """Texts of two dimensions are read from string_val and from tensor_content, as TensorFlow reads them."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    response = wire.PredictResponse()
    tensor = response.outputs["alternatives"]
    tensor.ParseFromString(tf.make_tensor_proto(texts).SerializeToString())
    if packed:
        flat = list(tensor.string_val)
        # Lengths as varints, of one byte or two.
        lengths = (bytes([n] if n < 128 else [n % 128 + 128, n // 128]) for n in map(len, flat))
        tensor.tensor_content = b"".join(lengths) + b"".join(flat)
        del tensor.string_val[:]
    assert tf.io.parse_tensor(tensor.SerializeToString(), tf.string).numpy().tolist() == texts
    assert string_table(response, "alternatives", len(texts), 5) == texts


def test_tables_of_more_dimensions_are_read() -> None:
    """Each row of [n, 32, 4] comes flat, whether it is packed or not."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    values = np.random.default_rng(0).uniform(0, 99, [3, 32, 4]).astype(np.float32)
    for given_values in (values, values.tolist()):
        response = wire.PredictResponse()
        response.outputs["boxes"].ParseFromString(tf.make_tensor_proto(given_values, tf.float32).SerializeToString())
        assert table(response, "boxes", 3, 32, 4) == values.reshape(3, 128).tolist()
    assert response.outputs["boxes"].tensor_content
    del response.outputs["boxes"].tensor_shape.dim[2]
    with pytest.raises(AnswerError, match=r"shape \[3, 32\] for 3 images"):
        table(response, "boxes", 3, 32, 4)


def test_packed_values_that_do_not_fit_are_told() -> None:
    """Too few, too many and half values of tensor_content are each an error, for numbers and for strings."""
    for dtype, content, said in (
        (1, b"12345", "ends within a value"),
        (1, bytes(4), "has 1 values where 2 were wanted"),
        (3, bytes(12), "has 3 values where 2 were wanted"),
        (7, b"\1", "has 1 values where 2 were wanted"),
        (7, b"\x80", "has 0 values where 2 were wanted"),
        (7, b"\1\1a", "has 1 bytes where 2 were wanted"),
        (7, b"\1\1abc", "has 3 bytes where 2 were wanted"),
    ):
        response = wire.PredictResponse()
        tensor = response.outputs["some"]
        tensor.dtype, tensor.tensor_content = dtype, content
        tensor.tensor_shape.dim.add().size = 2
        with pytest.raises(AnswerError, match=said):
            (strings if dtype == 7 else numbers)(response, "some", 2)


def test_expected_digits_are_sent_as_theirs() -> None:
    """A request of fields is byte-identical to one made with tensorflow-serving-api."""
    import tensorflow as tf  # noqa: PLC0415 - seconds
    from tensorflow_serving.apis import predict_pb2  # noqa: PLC0415 - imports TensorFlow

    theirs = predict_pb2.PredictRequest()
    theirs.model_spec.name, theirs.model_spec.signature_name = "digits", "numbers"
    theirs.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"a", b"b"], tf.string))
    theirs.inputs["digits"].CopyFrom(tf.make_tensor_proto([4, 0], tf.int32))
    ours = predict_request(Target("digits", "numbers"), "image_bytes", [b"a", b"b"], [], [4, 0])
    read_back = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert tf.make_ndarray(read_back.inputs["digits"]).tolist() == [4, 0]
    assert read_back.inputs["digits"].dtype == theirs.inputs["digits"].dtype
    assert read_back.inputs["image_bytes"] == theirs.inputs["image_bytes"]
    assert read_back.model_spec == theirs.model_spec


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
