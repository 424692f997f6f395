"""SavedModels of TensorFlow 1, some of which no functions can be made of."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorflow as tf

from serving.predict.servable import Servable, load_servable
from tests.serving.old_models import write_affine, write_affine_of_2017, write_counter, write_echo

if TYPE_CHECKING:
    from tests.serving.conftest import Start


def load(folder: Path) -> Servable:
    return load_servable(folder, "old", 1)


@pytest.mark.parametrize("write", [lambda folder: write_affine(folder, 2.0), write_counter])
def test_memory_is_given_back(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """Once nobody holds a version, its Session is gone, and with it the variables, of either kind."""
    servable = load(write(tmp_path / "1"))
    name = next(
        name for name, signature in servable.signatures.items() if not signature.inputs or "x" in signature.inputs
    )
    signature = servable.signatures[name]
    signature.run(**({"x": np.array([2.0], np.float32)} if signature.inputs else {}))
    session = weakref.ref(servable.root)
    del servable, signature
    gc.collect()
    assert session() is None


def test_shapes_that_say_nothing(tmp_path: Path) -> None:
    """A graph from before scalars had a shape is run, from its examples or fed in the middle with any shape."""
    servable = load(write_affine_of_2017(tmp_path / "1", 3.0))
    run = servable.signatures["serving_default"].run
    for x, y in (([2.0, 4.0], [4.0, 5.0]), ([[2.0]], [[4.0]]), (2.0, 4.0)):
        assert run(x=np.array(x, np.float32))["y"].tolist() == y
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[2.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    outputs = servable.signatures["regress"].run(inputs=np.array([example.SerializeToString()] * 2, object))
    assert outputs["outputs"].tolist() == [[4.0], [4.0]]


def test_strings_keep_their_bytes(tmp_path: Path) -> None:
    """Scalars, zeros at the end and empty tensors of strings go in and come out as they are."""
    servable = load(write_echo(tmp_path / "1"))
    for strings in (b"one\0\0", [b"a\0", b"", b"\xff"], []):
        echoed = servable.signatures["serving_default"].run(text=np.array(strings, object))["same"]
        assert echoed.dtype == object
        assert echoed.tolist() == strings


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    """A graph whose variables are gone is not loaded."""
    folder = write_counter(tmp_path / "1")
    for file in (folder / "variables").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="not a valid checkpoint"):
        load(folder)


def test_a_counter(tmp_path: Path, start: "Start") -> None:
    """Signatures without inputs change a reference variable, request by request, and nothing noisy is logged."""
    write_counter(tmp_path / "toy" / "1")
    server = start(tmp_path / "toy")

    def ask(signature: str, **inputs: float) -> float:
        return float(server.predict(inputs, signature=signature).outputs["output"].float_val[0])

    assert [ask("incr_counter"), ask("incr_counter"), ask("incr_counter_by", delta=2.5)] == [1.0, 2.0, 4.5]
    assert [ask("get_counter"), ask("reset_counter"), ask("get_counter")] == [4.5, 0.0, 0.0]
    assert all(line.startswith("digits-serve: ") for line in server.log)
