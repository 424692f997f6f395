"""What Predict and GetModelMetadata answer, over gRPC, from a real server process."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

if TYPE_CHECKING:
    from tests.serving.conftest import Server, Start

WORDS = tf.constant([b"a", b"", b"\x00\xff"])


ECHOED = (
    tf.float32,
    tf.float64,
    tf.float16,
    tf.bfloat16,
    tf.int8,
    tf.int16,
    tf.int32,
    tf.int64,
    tf.uint8,
    tf.uint16,
    tf.uint32,
    tf.uint64,
    tf.bool,
    tf.string,
    tf.complex64,
    tf.complex128,
)


def lengths(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    length = tf.cast(tf.strings.length(image_bytes), tf.int64)
    return {"length": length, "tripled": length * 3, "same": image_bytes}


def decode(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"pixels": tf.map_fn(tf.io.decode_png, image_bytes, fn_output_signature=tf.uint8)}


def add(left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"sum": left + right, "right": right}


def concrete(function: Callable[..., dict[str, tf.Tensor]], *inputs: tf.TensorSpec) -> Any:  # noqa: ANN401 - TensorFlow has no types
    return tf.function(function, input_signature=inputs).get_concrete_function()


@pytest.fixture(scope="module")
def server(start_module: "Start", tmp_path_factory: pytest.TempPathFactory) -> "Server":
    """A server of one model whose signatures each show one behaviour."""
    images = tf.TensorSpec([None], tf.string, name="image_bytes")
    left, right = tf.TensorSpec([None, 2], tf.float32, name="left"), tf.TensorSpec([], tf.float32, name="right")
    signatures = {"serving_default": concrete(lengths, images), "decode": concrete(decode, images)}
    signatures["add"] = concrete(add, left, right)
    for dtype in ECHOED:
        signatures[f"echo_{dtype.name}"] = concrete(
            lambda x: {"y": tf.identity(x)}, tf.TensorSpec(None, dtype, name="x")
        )
    base_path = tmp_path_factory.mktemp("base")
    tf.saved_model.save(tf.Module(), str(base_path / "7"), signatures=signatures)
    return start_module(base_path)


def numbers(response: predict_pb2.PredictResponse, alias: str) -> list[Any]:
    return tf.make_ndarray(response.outputs[alias]).tolist()  # type: ignore[no-any-return]


def failure(server: "Server", inputs: dict[str, Any], **kwargs: Any) -> tuple[grpc.StatusCode, str | None]:  # noqa: ANN401
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(inputs, **kwargs)
    return caught.value.code(), caught.value.details()


def test_default_signature_answers_all_outputs(server: "Server") -> None:
    """Without a signature name `serving_default` runs, and the answer says which model, version and signature."""
    response = server.predict({"image_bytes": WORDS})
    assert sorted(response.outputs) == ["length", "same", "tripled"]
    assert numbers(response, "length") == [1, 0, 2]
    assert numbers(response, "tripled") == [3, 0, 6]
    assert list(response.outputs["same"].string_val) == [b"a", b"", b"\x00\xff"]
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 7)
    assert response.model_spec.signature_name == "serving_default"


def test_named_signature_and_version(server: "Server") -> None:
    """A caller may choose the signature and the version."""
    response = server.predict({"left": [[1.0, 2.0]], "right": 3.0}, signature="add", version=7)
    assert numbers(response, "sum") == [[4.0, 5.0]]
    assert response.outputs["right"].float_val == [3.0]
    assert len(response.outputs["right"].tensor_shape.dim) == 0
    assert response.model_spec.signature_name == "add"


def test_output_filter(server: "Server") -> None:
    """Only the outputs named in output_filter come back."""
    response = server.predict({"image_bytes": WORDS}, output_filter=("tripled",))
    assert list(response.outputs) == ["tripled"]


def test_empty_batch(server: "Server") -> None:
    """A request for no images is answered with no values, at once."""
    response = server.predict({"image_bytes": tf.constant([], tf.string)})
    assert numbers(response, "length") == []
    assert [dim.size for dim in response.outputs["length"].tensor_shape.dim] == [0]


def test_more_than_four_megabytes(server: "Server") -> None:
    """Requests and answers larger than gRPC's default limit pass."""
    response = server.predict({"image_bytes": tf.constant([b"x" * 6_000_000])})
    assert numbers(response, "length") == [6_000_000]
    assert len(response.outputs["same"].string_val[0]) == 6_000_000


def sample(dtype: tf.DType) -> np.ndarray:
    if dtype == tf.string:
        return np.array([[b"", b"\x00"], [b"\xff\xfe", b"text"]], dtype=object)
    if dtype == tf.bool:
        return np.array([[True, False], [False, True]])
    values = [[0, 1], [100, 3]] if dtype.is_unsigned else [[0, -1], [100, -3]]
    array = np.array(values).astype(dtype.as_numpy_dtype)
    if dtype.is_floating or dtype.is_complex:
        array[1, 1] = np.inf if dtype.is_floating else 2.5 - 0.25j
        array[0, 1] = -1.5
    return array


@pytest.mark.parametrize("dtype", ECHOED, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(2, 2), (4,), (), (0, 3)], ids=str)
def test_every_dtype_comes_back(server: "Server", dtype: tf.DType, shape: tuple[int, ...]) -> None:
    """A tensor of any dtype and rank comes back as it was sent, in its `*_val` field."""
    array = sample(dtype)
    array = array.reshape(shape) if array.size == np.prod(shape) else np.resize(array, shape)
    sent = tf.make_tensor_proto(array, dtype=dtype, shape=shape)
    answered = server.predict({"x": sent}, signature=f"echo_{dtype.name}").outputs["y"]
    assert answered.dtype == dtype.as_datatype_enum
    assert answered.tensor_content == b""
    np.testing.assert_array_equal(tf.make_ndarray(answered), tf.make_ndarray(sent))
    assert tf.make_ndarray(answered).shape == shape


@pytest.mark.parametrize("dtype", [tf.float32, tf.int32, tf.uint8, tf.bool, tf.string, tf.bfloat16], ids=str)
def test_tensor_content_and_values_mean_the_same(server: "Server", dtype: tf.DType) -> None:
    """A tensor may be sent as packed bytes or value by value."""
    tensor = tf.constant(sample(dtype), dtype=dtype)
    content = tensor_pb2.TensorProto.FromString(tf.io.serialize_tensor(tensor).numpy())
    by_value = server.predict({"x": tensor.numpy()}, signature=f"echo_{dtype.name}").outputs["y"]
    values = tensor_pb2.TensorProto()
    values.CopyFrom(by_value)
    for proto in (content, values):
        answered = server.predict({"x": proto}, signature=f"echo_{dtype.name}").outputs["y"]
        assert answered == by_value


def test_one_value_fills_the_shape(server: "Server") -> None:
    """A single value in a larger shape stands for all of them, as in TensorFlow."""
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[2.5])
    proto.tensor_shape.dim.add(size=3)
    assert server.predict({"x": proto}, signature="echo_float32").outputs["y"].float_val == [2.5] * 3
    text = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"z"])
    text.tensor_shape.dim.add(size=2)
    assert server.predict({"x": text}, signature="echo_string").outputs["y"].string_val == [b"z", b"z"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"name": "nobody"}, "Servable not found for request: Latest(nobody)"),
        ({"name": "nobody", "version": 3}, "Servable not found for request: Specific(nobody, 3)"),
        ({"version": 8}, "Servable not found for request: Specific(toy, 8)"),
        ({"version": 0}, "Servable not found for request: Specific(toy, 0)"),
    ],
)
def test_unknown_model_or_version(server: "Server", spec: dict[str, Any], text: str) -> None:
    """An unknown model or version is NOT_FOUND, in TensorFlow Serving's words."""
    assert failure(server, {"image_bytes": WORDS}, **spec) == (grpc.StatusCode.NOT_FOUND, text)


def test_incomplete_model_spec(server: "Server") -> None:
    """A request that names no model, or a label, is INVALID_ARGUMENT."""
    request = predict_pb2.PredictRequest()
    texts = ["Missing ModelSpec", "ModelSpec has no name specified.", "Unrecognized servable version label: stable"]
    for prepare, text in zip(
        (
            lambda: None,
            request.model_spec.SetInParent,
            lambda: request.model_spec.MergeFromString(b"\x0a\x03toy\x22\x06stable"),
        ),
        texts,
        strict=True,
    ):
        prepare()
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Predict(request, timeout=10)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, text)


def test_unknown_signature(server: "Server") -> None:
    """An unknown signature is FAILED_PRECONDITION."""
    assert failure(server, {"image_bytes": WORDS}, signature="nope") == (
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "nope" not found.',
    )


SIZE = "input size does not match signature: "
UNPARSABLE = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"abc")
HUGE = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"x"])
HUGE.tensor_shape.dim.add(size=1 << 40)
NEGATIVE = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"x"])
NEGATIVE.tensor_shape.dim.add(size=-1)
NEGATIVE.tensor_shape.dim.add(size=-1)


@pytest.mark.parametrize(
    ("signature", "inputs", "text"),
    [
        (
            "",
            {},
            SIZE + "0!=1 len({}) != len({image_bytes}). Sent extra: {}. Missing but required: {image_bytes}.",
        ),
        (
            "",
            {"image_bytes": b"", "b": 1, "a": 1},
            SIZE + "3!=1 len({a,b,image_bytes}) != len({image_bytes}). Sent extra: {a,b}. Missing but required: {}.",
        ),
        (
            "",
            {"images": b""},
            "input tensor alias not found in signature: images. Inputs expected to be in the set {image_bytes}.",
        ),
        (
            "add",
            {"left": [[1.0, 2.0]], "wrong": 1.0},
            "input tensor alias not found in signature: wrong. Inputs expected to be in the set {left,right}.",
        ),
        ("", {"image_bytes": [1.0]}, "Expects arg[0] to be string but float is provided (input image_bytes)"),
        (
            "add",
            {"left": [[1.0, 2.0]], "right": b"x"},
            "Expects arg[1] to be float but string is provided (input right)",
        ),
        ("", {"image_bytes": b"scalar"}, "input image_bytes has shape [], the signature expects [-1]"),
        ("add", {"left": [[1.0]], "right": 1.0}, "input left has shape [1, 1], the signature expects [-1, 2]"),
        ("", {"image_bytes": tensor_pb2.TensorProto()}, "tensor parsing error: image_bytes"),
        ("", {"image_bytes": HUGE}, "tensor parsing error: image_bytes"),
        ("", {"image_bytes": NEGATIVE}, "tensor parsing error: image_bytes"),
        ("echo_float32", {"x": UNPARSABLE}, "tensor parsing error: x"),
    ],
    ids=lambda value: "" if not isinstance(value, str) else value[:40],
)
def test_wrong_inputs(server: "Server", signature: str, inputs: dict[str, Any], text: str) -> None:
    """Inputs that do not fit the signature are INVALID_ARGUMENT and the text says which and why."""
    assert failure(server, inputs, signature=signature) == (grpc.StatusCode.INVALID_ARGUMENT, text)


def test_wrong_output_filter(server: "Server") -> None:
    """An output_filter with an unknown or repeated name is INVALID_ARGUMENT."""
    assert failure(server, {"image_bytes": WORDS}, output_filter=("length", "nope")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "output tensor alias not found in signature: nope Outputs expected to be in the set {length,same,tripled}.",
    )
    assert failure(server, {"image_bytes": WORDS}, output_filter=("length", "length")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "duplicate output tensor alias: length",
    )


def test_error_inside_the_model(server: "Server") -> None:
    """What a model refuses while it runs keeps TensorFlow's own code, and the server goes on."""
    code, text = failure(server, {"image_bytes": tf.constant([b"no image"])}, signature="decode")
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text
    assert len(text) < 1100
    png = tf.io.encode_png(tf.zeros([2, 2, 1], tf.uint8)).numpy()
    response = server.predict({"image_bytes": [png]}, signature="decode")
    assert numbers(response, "pixels") == [[[[0], [0]], [[0], [0]]]]


def test_metadata(server: "Server") -> None:
    """GetModelMetadata tells the version's signatures: aliases, dtypes, shapes."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "toy"
    response = server.prediction.GetModelMetadata(request, timeout=10)
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 7)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    image_bytes = signatures.signature_def["serving_default"].inputs["image_bytes"]
    assert image_bytes.dtype == types_pb2.DT_STRING
    assert [dim.size for dim in image_bytes.tensor_shape.dim] == [-1]
    assert sorted(signatures.signature_def["add"].outputs) == ["right", "sum"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["weights"], "Metadata field weights is not supported"),
    ],
)
def test_wrong_metadata_field(server: "Server", fields: list[str], text: str) -> None:
    """GetModelMetadata for nothing, or for something else than signatures, is INVALID_ARGUMENT."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "toy"
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.GetModelMetadata(request, timeout=10)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, text)


def test_other_methods_are_unimplemented(server: "Server") -> None:
    """SessionRun, whose service neither server has, is UNIMPLEMENTED, and leaves no traceback in the log."""
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.unary_unary("/tensorflow.serving.SessionService/SessionRun", bytes, bytes)(b"", timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert not [line for line in server.log if not line.startswith("digits-serve: ")]


def test_status(server: "Server") -> None:
    """GetModelStatus lists every version, or the one asked for, and NOT_FOUND says what it could not find."""
    assert server.states() == {7: ("AVAILABLE", "")}
    request = get_model_status_pb2.GetModelStatusRequest()
    for spec, text in (
        ({"name": "nobody"}, "Could not find any versions of model nobody"),
        ({"name": "toy", "version": {"value": 9}}, "Could not find version 9 of model toy"),
    ):
        request.Clear()
        request.model_spec.MergeFrom(type(request.model_spec)(**spec))
        with pytest.raises(grpc.RpcError) as caught:
            server.models.GetModelStatus(request, timeout=10)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, text)
    request.model_spec.version.value = 7
    assert [entry.version for entry in server.models.GetModelStatus(request).model_version_status] == [7]
