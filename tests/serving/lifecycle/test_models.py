"""SavedModels of other makers than tf.Module."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.contract import NO_DIGIT, NOT_AN_IMAGE, OUTPUTS

if TYPE_CHECKING:
    from tests.serving.conftest import RunServer, Start

KERAS_EXPORT = """
import sys, keras, tensorflow as tf
model = keras.Sequential([keras.Input([4]), keras.layers.Dense(2, kernel_initializer="ones")])
archive = keras.export.ExportArchive()
archive.track(model)
archive.add_endpoint(
    "serving_default",
    lambda x: {"total": model(x), "name": tf.fill([tf.shape(x)[0]], "keras")},
    input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")],
)
archive.write_out(sys.argv[1], verbose=False)
"""

TF1_EXPORT = """
import sys, tensorflow as tf
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
    weight = tf.compat.v1.get_variable("weight", initializer=1.0)
    session.run(weight.initializer)
    signature = tf.compat.v1.saved_model.predict_signature_def(
        {"x": x}, {"total": tf.reduce_sum(x * weight, axis=1), "name": tf.fill([tf.shape(x)[0]], "tf1")}
    )
    builder = tf.compat.v1.saved_model.Builder(sys.argv[1])
    builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
    builder.save()
"""


def test_shipped_model(run_server: "RunServer", tmp_path: Path) -> None:
    """Without a base path the model that comes with the program is served under the name `digits`."""
    path = tmp_path / "grpc"
    server = run_server(f"--grpc_socket_path={path}", "--port=0", address=f"unix:{path}")
    server.wait_for("digits version 1 AVAILABLE")
    response = server.predict({"image_bytes": [b"nothing that is an image"]}, name="digits")
    assert sorted(response.outputs) == sorted(OUTPUTS)
    assert response.outputs["digit"].int64_val == [NO_DIGIT]
    assert response.outputs["error"].string_val == [NOT_AN_IMAGE.encode()]


def test_keras_and_tensorflow_1_models(tmp_path: Path, start: "Start") -> None:
    """A SavedModel of Keras' ExportArchive and one written by TensorFlow 1 are served like any other."""
    exports = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / name)], stderr=subprocess.DEVNULL)
        for name, script in (("keras", KERAS_EXPORT), ("tf1", TF1_EXPORT))
    ]
    assert [process.wait() for process in exports] == [0, 0]
    base_path = tmp_path / "base"
    base_path.mkdir()
    (tmp_path / "keras").rename(base_path / "1")
    server = start(base_path)
    inputs = {"x": [[1.0, 2.0, 3.0, 4.0]]}
    response = server.predict(inputs)
    assert response.outputs["total"].float_val == [10.0, 10.0]
    assert response.outputs["name"].string_val == [b"keras"]

    (tmp_path / "tf1").rename(base_path / "2")
    server.wait_for("version 2 AVAILABLE")
    response = server.predict(inputs)
    assert response.outputs["total"].float_val == [10.0]
    assert response.outputs["name"].string_val == [b"tf1"]
