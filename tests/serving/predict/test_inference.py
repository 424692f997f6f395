"""Classify, Regress and MultiInference over gRPC: what they answer, and how they refuse."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, prediction_log_pb2, regression_pb2

from tests.serving.examples_model import example, write_examples_model
from tests.serving.lifecycle.test_versions import write_warmup
from tests.serving.old_models import write_affine, write_affine_of_2017

if TYPE_CHECKING:
    from tests.serving.conftest import Server, Start

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
TWO = [example(x=2.0, name="two"), example(x=4.0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_examples_model(tmp_path_factory.mktemp("inference") / "toy" / "1").parent


@pytest.fixture(scope="module")
def server(model: Path, start_module: "Start") -> "Server":
    return start_module(model)


def classify(server: "Server", signature: str, examples: Sequence[tf.train.Example] = TWO) -> Any:  # noqa: ANN401 - generated
    request = classification_pb2.ClassificationRequest(model_spec={"name": "toy", "signature_name": signature})
    request.input.example_list.examples.extend(examples)
    return server.prediction.Classify(request, 30.0)


def regress(server: "Server", signature: str = "", examples: Sequence[tf.train.Example] = TWO) -> Any:  # noqa: ANN401 - generated
    request = regression_pb2.RegressionRequest(model_spec={"name": "toy", "signature_name": signature})
    request.input.example_list.examples.extend(examples)
    return server.prediction.Regress(request, 30.0)


def multi(
    *tasks: tuple[str, str, str], examples: Sequence[tf.train.Example] = TWO
) -> inference_pb2.MultiInferenceRequest:
    """A request of tasks: model, signature, method."""
    request = inference_pb2.MultiInferenceRequest()
    for name, signature, method in tasks:
        request.tasks.add(model_spec={"name": name, "signature_name": signature}, method_name=method)
    request.input.example_list.examples.extend(examples)
    return request


def refusal(call: Any, *arguments: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401 - any of the above
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value.code(), caught.value.details() or ""


def values(result: regression_pb2.RegressionResult) -> list[float]:
    return [regression.value for regression in result.regressions]


def kinds(result: classification_pb2.ClassificationResult) -> list[list[tuple[str, float]]]:
    return [[(kind.label, kind.score) for kind in each.classes] for each in result.classifications]


@pytest.mark.parametrize("signature", ["", "flat"])
def test_regress(server: "Server", signature: str) -> None:
    """Each example gets a value, from an output of [examples] or [examples, 1]; the answer names what answered."""
    response = regress(server, signature)
    assert values(response.result) == [3.0, 4.0]
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("toy", signature or "serving_default", 1)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("classify", [[("two", 2.0), ("other", -2.0)], [("", 4.0), ("other", -4.0)]]),
        ("scores", [[("", 2.0), ("", -2.0)], [("", 4.0), ("", -4.0)]]),
        ("classes", [[("two", 0.0), ("other", 0.0)], [("", 0.0), ("other", 0.0)]]),
        ("both", [[("", 2.0), ("", -2.0)], [("", 4.0), ("", -4.0)]]),
    ],
)
def test_classify(server: "Server", signature: str, expected: list[list[tuple[str, float]]]) -> None:
    """Each example gets its classes, with labels, scores, or both."""
    response = classify(server, signature)
    assert kinds(response.result) == expected
    assert response.model_spec.signature_name == signature


def test_a_context_is_shared(server: "Server") -> None:
    """Features of the context are those of every example that has none of that name itself."""
    request = regression_pb2.RegressionRequest(model_spec={"name": "toy"})
    request.input.example_list_with_context.context.CopyFrom(example(offset=10.0))
    request.input.example_list_with_context.examples.extend([example(x=2.0), example(x=2.0, offset=20.0)])
    assert values(server.prediction.Regress(request, 30.0).result) == [11.0, 21.0]


def test_multi_inference(server: "Server") -> None:
    """Several signatures answer for the same examples, in the order of the tasks."""
    tasks = ("toy", "classify", CLASSIFY), ("toy", "", REGRESS), ("toy", "scores", CLASSIFY)
    response = server.prediction.MultiInference(multi(*tasks), 30.0)
    first, second, third = response.results
    assert kinds(first.classification_result)[0] == [("two", 2.0), ("other", -2.0)]
    assert values(second.regression_result) == [3.0, 4.0]
    assert kinds(third.classification_result)[1] == [("", 4.0), ("", -4.0)]
    assert [result.model_spec.signature_name for result in response.results] == [
        "classify",
        "serving_default",
        "scores",
    ]
    assert {(result.model_spec.name, result.model_spec.version.value) for result in response.results} == {("toy", 1)}


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("none", "No signature was found with the name: none"),
        ("two", "Expected one input Tensor."),
        ("both", "Expected one output Tensor."),
        ("renamed", "No regression inputs found in SignatureDef: inputs {"),
        ("neither", "No regression outputs found in SignatureDef: inputs {"),
        ("floats", "Expects arg[0] to be float but string is provided"),
        ("wide", "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"),
        ("sum", "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []"),
        ("first", "Input batch size did not match output batch size: 2 vs. 1"),
        ("whole", "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
    ],
)
def test_signatures_that_do_not_regress(server: "Server", signature: str, text: str) -> None:
    """A signature whose inputs, or whose outputs once they are there, are not Regress's is told what is wrong."""
    code, details = refusal(regress, server, signature)
    assert code == INVALID_ARGUMENT
    assert details.startswith(text)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("none", "No signature was found with the name: none"),
        ("two", "Expected one input Tensor."),
        ("three", "Expected one or two output Tensors, found 3"),
        ("renamed scores", "No classification inputs found in SignatureDef: inputs {"),
        (
            "neither",
            'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was',
        ),
        ("flat scores", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("double scores", "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        ("first scores", "Expected scores output batch size of 2. Got: 1"),
        ("flat classes", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("number classes", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("first classes", "Expected classes output batch size of 2. Got: 1"),
        ("uneven", "Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
    ],
)
def test_signatures_that_do_not_classify(server: "Server", signature: str, text: str) -> None:
    """The same for Classify."""
    code, details = refusal(classify, server, signature)
    assert code == INVALID_ARGUMENT
    assert details.startswith(text)


def test_requests_that_name_nothing(server: "Server") -> None:
    """Without a model or without examples there is no answer; an example without a feature is the model's own error."""
    assert refusal(server.prediction.Classify, classification_pb2.ClassificationRequest()) == (
        INVALID_ARGUMENT,
        "Missing ModelSpec",
    )
    assert refusal(server.prediction.Regress, regression_pb2.RegressionRequest()) == (
        INVALID_ARGUMENT,
        "Missing ModelSpec",
    )
    assert refusal(server.prediction.MultiInference, inference_pb2.MultiInferenceRequest()) == (
        INVALID_ARGUMENT,
        "ModelSpec has no name specified.",
    )
    for call, signature in ((regress, ""), (classify, "scores")):
        assert refusal(call, server, signature, []) == (INVALID_ARGUMENT, "Input is empty.")
    code, details = refusal(regress, server, "", [example(offset=1.0)])
    assert code == INVALID_ARGUMENT
    assert "Feature: x" in details
    unknown = regression_pb2.RegressionRequest(model_spec={"name": "nobody"})
    assert refusal(server.prediction.Regress, unknown) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(nobody)",
    )


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        (
            [("toy", "", REGRESS), ("", "scores", CLASSIFY)],
            INVALID_ARGUMENT,
            "Found ModelSpec with an empty model name.",
        ),
        (
            [("toy", "", REGRESS), ("other", "scores", CLASSIFY)],
            INVALID_ARGUMENT,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (
            [("toy", "", REGRESS), ("toy", "serving_default", REGRESS)],
            INVALID_ARGUMENT,
            "Duplicate evaluation of signature: serving_default",
        ),
        ([("toy", "none", REGRESS)], INVALID_ARGUMENT, "Requested signature not found in model graph: none"),
        (
            [("toy", "", "tensorflow/serving/predict")],
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        ([("toy", "scores", CLASSIFY), ("toy", "both", REGRESS)], INVALID_ARGUMENT, "Expected one output Tensor."),
        (
            [("toy", "", REGRESS), ("toy", "wide", REGRESS)],
            INVALID_ARGUMENT,
            "Expected output Tensor shape to be either",
        ),
    ],
)
def test_tasks_that_do_not_go_together(
    server: "Server", tasks: list[tuple[str, str, str]], code: grpc.StatusCode, text: str
) -> None:
    """Tasks must be for one model, each for another signature, and each signature must be made for its method."""
    refused, details = refusal(server.prediction.MultiInference, multi(*tasks))
    assert refused == code
    assert details.startswith(text)


@pytest.mark.parametrize("write", [write_affine, write_affine_of_2017])
def test_models_of_tensorflow_1(tmp_path: Path, start: "Start", write: Any) -> None:  # noqa: ANN401 - a function
    """They classify and regress, whether functions or a Session run them."""
    server = start(write(tmp_path / "toy" / "1", 2.0).parent)
    assert values(regress(server, "regress").result) == [3.0, 4.0]
    assert kinds(classify(server, "classify").result) == [[("", 3.0)], [("", 4.0)]]
    tasks = ("toy", "regress", REGRESS), ("toy", "classify", CLASSIFY)
    results = server.prediction.MultiInference(multi(*tasks), 30.0).results
    assert values(results[0].regression_result) == [3.0, 4.0]
    assert kinds(results[1].classification_result) == [[("", 3.0)], [("", 4.0)]]


def test_batches(model: Path, tmp_path: Path, start: "Start") -> None:
    """With batching, concurrent requests of all three methods get their own answers."""
    (tmp_path / "batching.config").write_text("max_batch_size { value: 16 } batch_timeout_micros { value: 20000 }")
    server = start(model, "--enable_batching", f"--batching_parameters_file={tmp_path / 'batching.config'}")
    wrong: list[str] = []

    def call(number: int) -> None:
        examples = [example(x=float(2 * number)), example(x=2.0)]
        expected = [number + 2.0, 3.0]
        tasks = ("toy", "", REGRESS), ("toy", "scores", CLASSIFY)
        results = server.prediction.MultiInference(multi(*tasks, examples=examples), 30.0).results
        got = [values(regress(server, "", examples).result), values(results[0].regression_result)]
        scores = kinds(results[1].classification_result)[0][0][1]
        if got != [expected, expected] or scores != 2.0 * number:
            wrong.append(f"{number}: {got}, {scores}")

    threads = [threading.Thread(target=call, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_warmup(model: Path, tmp_path: Path, start: "Start") -> None:
    """Warm-up records of the three methods are replayed; one that cannot be keeps a version from serving."""
    logs = [prediction_log_pb2.PredictionLog() for _ in range(3)]
    logs[0].regress_log.request.input.example_list.examples.extend(TWO)
    logs[1].classify_log.request.model_spec.signature_name = "classify"
    logs[1].classify_log.request.input.example_list.examples.extend(TWO)
    logs[2].multi_inference_log.request.CopyFrom(multi(("toy", "", REGRESS), ("toy", "scores", CLASSIFY)))
    base_path = tmp_path / "toy"
    write_warmup(write_examples_model(base_path / "1"), *[log.SerializeToString() for log in logs])
    server = start(base_path)
    assert values(regress(server).result) == [3.0, 4.0]
    logs[1].classify_log.request.model_spec.signature_name = "neither"
    streamed = prediction_log_pb2.PredictionLog(session_run_log={})
    for version, bad, reason in (
        (2, logs[1], "Expected classification signature outputs"),
        (3, streamed, "Unsupported log_type for warmup: 5"),
    ):
        write_warmup(write_examples_model(tmp_path / str(version)), bad.SerializeToString())
        (tmp_path / str(version)).rename(base_path / str(version))
        assert reason in server.wait_for(f"version {version} failed to load")
