"""A rewritten graph answers as the one that was written, runs in few threads, and takes requests side by side."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from exporter.graph.outline import NO_INLINE
from exporter.graph.rewrite import rewrite

CALLERS = 16


class _Model(tf.Module):  # type: ignore[misc] # TensorFlow ships no types
    """Straight runs, branches, a loop, a variable, a call that stays whole, several outputs, and a list of tensors."""

    def __init__(self) -> None:
        self.weights = tf.Variable(np.random.default_rng(0).random((4, 4), np.float32))
        self.whole = tf.function(
            lambda x: tf.nn.relu(tf.matmul(x, self.weights)) * 2.0 + 1.0,
            autograph=False,
            experimental_attributes={NO_INLINE: True},
        )

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)], autograph=False)  # type: ignore[untyped-decorator]
    def answer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Of float32 [n, 4]."""
        scaled = tf.nn.softmax(x * 3.0 - 1.0) + tf.cast(tf.range(4), tf.float32)
        left, right = tf.split(scaled, 2, axis=1)
        both = tf.concat([right, left, tf.square(left)], axis=1)

        def positive() -> tf.Tensor:
            return tf.reduce_sum(tf.matmul(scaled, self.weights) ** 2, axis=1) + tf.sqrt(tf.abs(x[:, 0]) + 1.0)

        def negative() -> tf.Tensor:
            again = tf.cond(tf.size(x) > 20, lambda: self.whole(x) - 1.0, lambda: self.whole(-x))
            return tf.reduce_max(again * 0.5 + scaled, axis=1)

        chosen = tf.cond(tf.reduce_sum(x) > 0.0, positive, negative)
        _, looped = tf.while_loop(
            lambda i, _: i < 3,
            lambda i, y: (i + 1, tf.tanh(y * 1.5 - tf.cast(i, tf.float32)) + tf.reduce_mean(both)),
            (tf.constant(0), chosen),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        )
        texts = tf.strings.as_string(tf.argmax(x, axis=1))  # of what no rounding can change
        decoded = tf.data.Dataset.from_tensor_slices(x).map(lambda row: tf.reduce_sum(row) * 2.0).batch(1 << 20)
        sums = decoded.concatenate(tf.data.Dataset.from_tensors(tf.zeros([0]))).take(1).get_single_element()
        return {"looped": looped, "both": both, "texts": texts, "sums": sums}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A SavedModel as TensorFlow writes it, and the same rewritten."""
    folder = tmp_path_factory.mktemp("models")
    model = _Model()
    for name in ("written", "rewritten"):
        tf.saved_model.save(model, str(folder / name), signatures={"serving_default": model.answer})
    rewrite(folder / "rewritten")
    return folder / "written", folder / "rewritten"


@pytest.fixture(scope="module")
def session(folders: tuple[Path, Path]) -> Iterator[Any]:
    """Run the rewritten model as TensorFlow Serving does, in a Session whose pool has two threads."""
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=2, use_per_session_threads=True)
    with tf.Graph().as_default():
        session = tf.compat.v1.Session(config=config)
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(folders[1]))
    signature = loaded.signature_def["serving_default"]
    (fed,) = (tensor.name for tensor in signature.inputs.values())
    fetched = {name: tensor.name for name, tensor in signature.outputs.items()}
    yield lambda x: session.run(fetched, {fed: x})
    session.close()


@pytest.fixture(scope="module")
def written(folders: tuple[Path, Path]) -> Any:  # noqa: ANN401 - TensorFlow has no types
    """The signature as TensorFlow wrote it."""
    loaded = tf.saved_model.load(str(folders[0]))
    return lambda x: {name: value.numpy() for name, value in loaded.signatures["serving_default"](x=x).items()}


def _same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value.dtype == object:
            assert found[name].tolist() == value.tolist()
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.lists(st.floats(-4, 4, width=16), min_size=4, max_size=4), max_size=8))
def test_answers_stay_the_same(session: Any, written: Any, rows: list[list[float]]) -> None:  # noqa: ANN401 - the same
    """Whatever branch a request takes, and with no rows at all, every output is what it was."""
    x = np.array(rows, np.float32).reshape(-1, 4)
    _same(session(x), written(tf.constant(x)))


@pytest.mark.parametrize("rows", [1, 1 << 15])
def test_few_and_many_get_the_same(session: Any, written: Any, rows: int) -> None:  # noqa: ANN401 - the same
    """A large request, whose products are computed in another way, gets the answers of the written graph, too."""
    x = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
    _same(session(x), written(tf.constant(x)))


def test_more_callers_than_threads(session: Any, written: Any) -> None:  # noqa: ANN401 - the same
    """Callers by far outnumber the threads; none waits for another forever."""
    requests = [np.random.default_rng(n).normal(n % 3 - 1, 1, (1 + n % 5, 4)).astype(np.float32) for n in range(200)]
    barrier = threading.Barrier(CALLERS)

    def call(number: int) -> list[dict[str, Any]]:
        barrier.wait()
        return [session(x) for x in requests[number::CALLERS]]

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call, number) for number in range(CALLERS)]
        answers = [each.result(timeout=120) for each in calls]
    for number, found in enumerate(answers):
        for x, answer in zip(requests[number::CALLERS], found, strict=True):
            _same(answer, written(tf.constant(x)))


def test_the_published_graph_is_one_of_runs(shipped_model: Path) -> None:
    """In the shipped model thousands of operations stand in runs: it was rewritten when it was published."""
    model = SavedModel.FromString((shipped_model / "1" / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    runs = [function for function in graph.graph_def.library.function if "_run_" in function.signature.name]
    assert sum(len(function.node_def) for function in runs) > 3000
