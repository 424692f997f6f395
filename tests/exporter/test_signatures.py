"""What the signatures of a SavedModel answer, whatever is put into them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Image, write_png

Outputs = dict[str, Any]
Ask = Callable[[list[bytes]], Outputs]


@pytest.fixture(scope="module")
def model(shipped_model: Path) -> Any:  # noqa: ANN401 - TensorFlow has no types
    """The shipped model, loaded."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    return tf.saved_model.load(str(shipped_model / "1"))


@pytest.fixture(scope="module")
def ask(model: Any) -> Ask:  # noqa: ANN401 - as above
    """Ask its `serving_default` in this process."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    def predict(images: list[bytes]) -> Outputs:
        outputs = model.signatures["serving_default"](image_bytes=tf.constant(images, tf.string, shape=[len(images)]))
        return {name: value.numpy() for name, value in outputs.items()}

    return predict


def test_every_form_of_png_gets_the_same_answer(ask: Ask, all_odd_pngs: dict[str, bytes]) -> None:
    """1 to 16 bit, palette, alpha, interlaced, large, either polarity, ink on transparency: the digit is read."""
    outputs = ask(list(all_odd_pngs.values()))
    read = dict(zip(all_odd_pngs, outputs["digit"], strict=True))
    assert read == dict.fromkeys(all_odd_pngs, 3)
    assert (outputs["error"] == b"").all()


def test_jpeg_is_read_too(ask: Ask, mnist_sample: tuple[Image, Image]) -> None:
    """A JPEG, grey or coloured, gets the answer of its PNG."""
    import io  # noqa: PLC0415

    from PIL import Image as Pillow  # noqa: PLC0415

    images, _ = mnist_sample
    answers = []
    for mode in ("L", "RGB"):
        encoded = []
        for image in images[:20]:
            buffer = io.BytesIO()
            Pillow.fromarray(255 - image).convert(mode).resize((112, 112)).save(buffer, "JPEG", quality=90)
            encoded.append(buffer.getvalue())
        outputs = ask(encoded)
        assert (outputs["error"] == b"").all()
        answers.append(outputs["digit"])
    expected = ask([write_png(image[:, :, None]) for image in images[:20]])["digit"]
    assert (answers[0] == expected).mean() >= 0.9
    assert (answers[1] == answers[0]).all()


def test_pictures_without_ink_are_blank(ask: Ask) -> None:
    """A single pixel, plain paper of any colour and full transparency hold no digit, and are said to be blank."""
    plain = [np.full([height, width, 1], level) for height, width, level in ((1, 1, 0), (1, 1, 255), (30, 50, 200))]
    transparent = np.zeros([28, 28, 4], int)
    outputs = ask([*map(write_png, plain), write_png(transparent, colour=6)])
    assert outputs["error"].tolist() == [b"blank"] * 4
    assert outputs["digit"].tolist() == [-1] * 4
    assert not outputs["probabilities"].any()


def test_broken_images_leave_their_neighbours_alone(
    ask: Ask, mnist_pngs: list[bytes], broken_pngs: dict[str, tuple[bytes, str]]
) -> None:
    """Each broken file gets its error; the pictures between them get the answers they get by themselves."""
    good = mnist_pngs[: len(broken_pngs)]
    alone = ask(good)
    mixed = ask(
        [image for pair in zip(good, [octets for octets, _ in broken_pngs.values()], strict=True) for image in pair]
    )
    assert mixed["digit"][::2].tolist() == alone["digit"].tolist()
    np.testing.assert_allclose(mixed["probabilities"][::2], alone["probabilities"], atol=1e-5)
    errors = dict(zip(broken_pngs, (text.decode() for text in mixed["error"][1::2]), strict=True))
    assert errors == {name: text for name, (_, text) in broken_pngs.items()}
    assert mixed["digit"][1::2].tolist() == [-1] * len(broken_pngs)
    assert not mixed["confidence"][1::2].any()


def test_a_broken_image_alone_is_answered(ask: Ask, broken_pngs: dict[str, tuple[bytes, str]]) -> None:
    """A request of one broken file is answered with its error, whatever the file is."""
    for octets, text in broken_pngs.values():
        outputs = ask([octets])
        assert outputs["error"].tolist() == [text.encode()]
        assert outputs["digit"].tolist() == [-1]
        assert outputs["probabilities"].shape == (1, 10)


def test_an_empty_batch_is_answered(ask: Ask) -> None:
    """No images, no rows: each output has length 0."""
    shapes = {name: value.shape for name, value in ask([]).items()}
    assert shapes == {"digit": (0,), "confidence": (0,), "probabilities": (0, 10), "error": (0,)}


def test_outputs_are_the_contract(model: Any) -> None:  # noqa: ANN401 - TensorFlow has no types
    """Both signatures for single digits answer the contract's outputs with its dtypes."""
    for name in ("serving_default", "pixels"):
        outputs = model.signatures[name].structured_outputs
        found = {output: (spec.dtype.name, spec.shape.as_list()[1:]) for output, spec in outputs.items()}
        assert found == {
            "digit": ("int64", []),
            "confidence": ("float32", []),
            "probabilities": ("float32", [10]),
            "error": ("string", []),
        }


def test_mnist_passes_unchanged(ask: Ask, model: Any, mnist_sample: tuple[Image, Image]) -> None:  # noqa: ANN401 - as above
    """A PNG in MNIST's own form gets, in either polarity, what its pixels get without the normaliser."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    images, _ = mnist_sample
    bare = model.signatures["pixels"](pixels=tf.constant(images))
    for polarity in (images, 255 - images):
        served = ask([write_png(image[:, :, None]) for image in polarity])
        np.testing.assert_allclose(served["probabilities"], bare["probabilities"], atol=1e-4)
        assert served["digit"].tolist() == bare["digit"].numpy().tolist()


def test_what_the_network_gets_can_be_seen(
    ask: Ask,
    model: Any,  # noqa: ANN401 - as above
    mnist_sample: tuple[Image, Image],
    all_odd_pngs: dict[str, bytes],
    broken_pngs: dict[str, tuple[bytes, str]],
) -> None:
    """`normalised` gives MNIST's pixels unchanged, of other pictures what is answered as they are, of broken ones 0."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    images, _ = mnist_sample
    odd, broken = list(all_odd_pngs.values()), [octets for octets, _ in broken_pngs.values()]
    files = [*(write_png(image[:, :, None]) for image in images[:10]), *broken, *odd]
    outputs = model.signatures["normalised"](image_bytes=tf.constant(files))
    pixels = outputs["pixels"].numpy()
    assert (pixels.dtype, pixels.shape) == (np.uint8, (len(files), 28, 28))
    np.testing.assert_array_equal(pixels[:10], images[:10])
    assert not pixels[10 : 10 + len(broken)].any()
    texts = [b""] * 10 + [text.encode() for _, text in broken_pngs.values()] + [b""] * len(odd)
    assert outputs["error"].numpy().tolist() == texts
    # Levels are rounded to whole ones.
    read = model.signatures["pixels"](pixels=tf.constant(pixels[-len(odd) :]))
    np.testing.assert_allclose(read["probabilities"], ask(odd)["probabilities"], atol=0.02)


def test_what_the_network_gets_of_nothing(model: Any) -> None:  # noqa: ANN401 - as above
    """`normalised` answers plain paper with an error and zeros, and an empty batch with nothing."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    normalised = model.signatures["normalised"]
    blank = normalised(image_bytes=tf.constant([write_png(np.full([30, 50, 1], 200))]))
    assert blank["error"].numpy().tolist() == [b"blank"]
    assert not blank["pixels"].numpy().any()
    nothing = normalised(image_bytes=tf.constant([], tf.string))
    assert (nothing["pixels"].shape, nothing["error"].shape) == ((0, 28, 28), (0,))


def test_the_gate_looks_at_what_the_network_gets(
    ask: Ask,
    model: Any,  # noqa: ANN401 - as above
    mnist_sample: tuple[Image, Image],
    mnist_pngs: list[bytes],
) -> None:
    """A version whose `normalised` shows other pixels than the network gets is not published."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.verify import DifferenceError, Reference, verify_normalised  # noqa: PLC0415 - as above

    probabilities = ask(mnist_pngs[:20])["probabilities"]
    images = np.array(mnist_pngs[:20], object)
    reference = Reference(images, probabilities, mnist_sample[0][:20], probabilities, 1e-3)

    def predict(signature: str, inputs: dict[str, Any], shift: int = 0) -> Outputs:
        outputs = model.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        arrays = {name: value.numpy() for name, value in outputs.items()}
        return arrays if signature == "pixels" else arrays | {"pixels": np.roll(arrays["pixels"], shift, axis=2)}

    verify_normalised(predict, reference)
    with pytest.raises(DifferenceError, match="signature normalised, its pixels read: "):
        verify_normalised(lambda signature, inputs: predict(signature, inputs, shift=3), reference)


def test_probabilities_are_of_the_digit(ask: Ask, mnist_pngs: list[bytes]) -> None:
    """Probabilities sum to 1, the digit is the likeliest, the confidence its probability."""
    outputs = ask(mnist_pngs)
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, atol=1e-5)
    assert outputs["digit"].tolist() == outputs["probabilities"].argmax(1).tolist()
    assert outputs["confidence"].tolist() == outputs["probabilities"].max(1).tolist()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_mutated_pngs_never_harm_a_request(ask: Ask, mnist_pngs: list[bytes], data: st.DataObject) -> None:
    """Whatever bits are flipped or bytes lost: an answer or an error for each, and the neighbour unharmed."""
    mutated = []
    for place in range(8):
        octets = bytearray(mnist_pngs[place])
        for _ in range(data.draw(st.integers(1, 4))):
            octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        mutated.append(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    outputs = ask([*mutated, mnist_pngs[9]])
    alone = ask([mnist_pngs[9]])
    assert outputs["digit"][-1] == alone["digit"][0]
    answered = outputs["error"] == b""
    assert (outputs["digit"][answered] >= 0).all()
    assert (outputs["digit"][~answered] == -1).all()
    assert {text.decode() for text in outputs["error"]} <= {"", "not an image", "corrupt", "too large", "blank"}
