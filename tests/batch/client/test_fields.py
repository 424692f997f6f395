"""The client's `predict_numbers`: against a server that answers as a test says, and against the included model."""

import asyncio
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from batch.client import AsyncClient, Box, Client, NumberPrediction, ServerError, UserError
from batch.client import wire_pb2 as wire
from batch.client.tensors import DT_FLOAT, DT_INT32, DT_STRING
from tests.batch.conftest import NUMBERS, ScriptedServer, numbers_answer
from tests.support import Image, field_png, write_png


@pytest.fixture
def client(reader: ScriptedServer) -> Iterator[Client]:
    """Asks the scripted server."""
    with Client(reader.address, timeout=10) as client:
        yield client


def test_fields_are_answered_in_order(reader: ScriptedServer, client: Client) -> None:
    """A large call is cut into requests of 64, several of them under way; each field has its own expected digits."""
    reader.script = lambda number, _request, _context: time.sleep(0.05 * (number % 2))
    fields = [f"{number:06}".encode() for number in range(200)]
    digits = [number % 7 for number in range(200)]
    found = client.predict_numbers(iter(fields), digits)
    assert [each.text.encode() for each in found] == [
        field[:count] if count else field for field, count in zip(fields, digits, strict=True)
    ]
    assert sorted(reader.sizes) == [8, 64, 64, 64]
    assert found[7] == NumberPrediction("000007", 0.75, "", 1, None, None)
    assert {len(each.text) for each in client.predict_numbers(fields, 4)} == {4}
    assert client.predict_numbers([]) == client.predict_numbers([], []) == []


def test_few_requests_are_under_way(reader: ScriptedServer) -> None:
    """Two at a time, as fields take long; as many as the caller says."""
    lock = threading.Lock()
    under_way: list[int] = [0]

    def count(_number: int, _request: object, _context: object) -> None:
        with lock:
            under_way.append(under_way[-1] + 1)
        time.sleep(0.05)
        with lock:
            under_way.append(under_way[-1] - 1)

    reader.script = count
    for in_flight, most in ((None, 2), (4, 4)):
        with Client(reader.address, in_flight=in_flight) as client:
            client.predict_numbers([b"1"] * 600)
        assert max(under_way) == most


def test_alternatives_and_boxes(reader: ScriptedServer, client: Client) -> None:
    """They are there on demand; the server is asked for no more than what is wanted."""
    filters = []
    reader.script = lambda _number, request, _context: filters.append(set(request.output_filter))
    (both,) = client.predict_numbers([b"42"], alternatives=True, boxes=True)
    assert both.alternatives == (("42", 0.75), ("420", 0.125))
    assert both.boxes == (Box(0, 0, 20, 10), Box(0, 10, 20, 20))
    (alternatives,) = client.predict_numbers([b"42"], alternatives=True)
    assert (alternatives.alternatives, alternatives.boxes) == (both.alternatives, None)
    (boxes,) = client.predict_numbers([b"42"], boxes=True)
    assert (boxes.alternatives, boxes.boxes) == (None, both.boxes)
    least = {"text", "confidence", "error"}
    more = {"alternatives", "alternative_confidence"}
    assert filters == [set(NUMBERS), least | more, least | {"count", "boxes"}]


def test_bytes_and_files(client: Client, tmp_path: Path) -> None:
    """Images are bytes or files; a file that cannot be read has its error, and changes no other."""
    (tmp_path / "4.png").write_bytes(b"456")
    images: list[bytes | Path] = [b"123", tmp_path / "4.png", tmp_path / "nowhere.png", b"789"]
    found = client.predict_numbers(images, [0, 2, 3, 1], alternatives=True, boxes=True)
    assert [each.text for each in found] == ["123", "45", "", "7"]
    assert found[2] == NumberPrediction("", 0.0, "unreadable", None, (), ())


def test_faults_are_waited_out_and_a_refused_field_is_found(reader: ScriptedServer, client: Client) -> None:
    """As for single digits; the expected digits stay with their fields when a request is sent again or halved."""

    def refuse_nines(number: int, request: wire.PredictRequest, context: grpc.ServicerContext) -> None:
        if number < 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if b"999999" in request.inputs["image_bytes"].string_val:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no nines")

    reader.script = refuse_nines
    fields = [b"123456"] * 9 + [b"999999"] + [b"123456"] * 10
    found = client.predict_numbers(fields, [place % 6 + 1 for place in range(20)])
    assert [len(each.text) for each in found] == [0 if place == 9 else place % 6 + 1 for place in range(20)]
    assert [place for place, each in enumerate(found) if each.error == "refused by the server"] == [9]


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        (-1, "digits is -1: give 1 to 32, or 0 where it is unknown"),
        (33, "digits is 33"),
        ([1, 99, 3], "digits is 99"),
        ([1, 2], "digits has 2 numbers, and there are more images"),
        ([1, 2, 3, 4], "digits has 4 numbers for 3 images"),
    ],
)
def test_wrong_digits(client: Client, digits: int | list[int], said: str) -> None:
    """Numbers that no field may have, and another count than of images, are the caller's mistake."""
    with pytest.raises(ValueError, match=said):
        client.predict_numbers(iter([b"1", b"2", b"3"]), digits)
    assert client.predict_numbers([b"1"])[0].text == "1"


def test_a_version_that_reads_no_numbers(scripted: ScriptedServer) -> None:
    """One line says what the version lacks and what to do; its single digits are still answered."""
    with Client(scripted.address, timeout=10) as client:
        with pytest.raises(UserError, match=r"no signature 'numbers'; serve a version .* digits-export --numbers, or"):
            client.predict_numbers([b"1"])
        assert client.predict_one(b"\1").digit == 1
        scripted.offer("numbers", {"image_bytes": DT_STRING}, {"text": DT_STRING})
        with pytest.raises(UserError, match="takes image_bytes and answers text; wanted are image_bytes and digits"):
            client.predict_numbers([b"1"])
        assert scripted.calls == 1
        scripted.offer("numbers", {"digits": DT_INT32}, NUMBERS)
        scripted.answer = numbers_answer
        assert client.predict_numbers([b"1"])[0].text == "1"


def _without_shape(response: wire.PredictResponse) -> None:
    del response.outputs["boxes"].tensor_shape.dim[:]


def _with_letters(response: wire.PredictResponse) -> None:
    response.outputs["text"].string_val[0] = b"12a"


def _with_another_dtype(response: wire.PredictResponse) -> None:
    response.outputs["alternatives"].dtype = DT_FLOAT


def _with_another_count(response: wire.PredictResponse) -> None:
    response.outputs["count"].int_val[0] = 33


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda response: response.outputs.pop("text"), "lacks output text"),
        (_without_shape, r"output boxes has shape \[\] for 2 images"),
        (_with_letters, "output text has b'12a', which is not at most 32 digits"),
        (_with_another_dtype, "output alternatives has dtype 1, not string"),
        (_with_another_count, "output count has 33 where text has 2 digits"),
    ],
)
def test_answers_that_do_not_keep_the_contract(
    reader: ScriptedServer, client: Client, spoil: Callable[[wire.PredictResponse], object], said: str
) -> None:
    """The call fails, and says of which server and what is wrong."""

    def spoilt(request: wire.PredictRequest, *, version: int) -> wire.PredictResponse:
        response = numbers_answer(request, version=version)
        spoil(response)
        return response

    reader.answer = spoilt
    with pytest.raises(ServerError, match=f"does not keep the contract: .*{said}"):
        client.predict_numbers([b"12", b"34"], alternatives=True, boxes=True)


def test_packed_answers(reader: ScriptedServer, client: Client) -> None:
    """Answers in tensor_content are read as those in the `*_val` fields."""
    plain = client.predict_numbers([b"12", b"345"], alternatives=True, boxes=True)

    def packed(request: wire.PredictRequest, *, version: int) -> wire.PredictResponse:
        response = numbers_answer(request, version=version)
        for tensor in response.outputs.values():
            texts = list(tensor.string_val)
            content = array("f", tensor.float_val).tobytes() + array("i", tensor.int_val).tobytes()
            tensor.tensor_content = bytes(map(len, texts)) + b"".join(texts) + content
            for values in (tensor.string_val, tensor.float_val, tensor.int_val):
                del values[:]
        return response

    reader.answer = packed
    assert client.predict_numbers([b"12", b"345"], alternatives=True, boxes=True) == plain


@pytest.fixture(scope="module")
def fields(mnist_sample: tuple[Image, Image]) -> dict[str, bytes]:
    """Sixteen fields of one to six of the sample's digits, by their texts."""
    images, labels = mnist_sample
    random = np.random.default_rng(5)
    chosen = [random.choice(len(images), 1 + place % 6, replace=False) for place in range(16)]
    return {"".join(str(labels[one]) for one in some): field_png([images[one] for one in some]) for some in chosen}


def test_the_included_model_reads_fields(server: str, fields: dict[str, bytes], tmp_path: Path) -> None:
    """Most texts are right, all have the digits that are expected, and bad images have their errors alone."""
    path = tmp_path / "field.png"
    path.write_bytes(next(iter(fields.values())))
    blank = write_png(np.full([40, 90, 1], 255, np.uint8))
    bad = [b"no picture", b"", next(iter(fields.values()))[:60], blank]
    with Client(server) as client:
        found = client.predict_numbers(
            [*fields.values(), *bad, path], [*map(len, fields), 0, 1, 2, 3, 0], alternatives=True, boxes=True
        )
        unknown = client.predict_numbers(fields.values())
    errors = ["not an image", "not an image", "corrupt", "blank"]
    assert [each.error for each in found] == [*[""] * len(fields), *errors, ""]
    assert all((each.text, each.confidence, each.alternatives, each.boxes) == ("", 0, (), ()) for each in found[-5:-1])
    assert found[-1].text == found[0].text
    assert sum(each.text == text for each, text in zip(found, fields, strict=False)) >= 0.8 * len(fields)
    assert sum(each.text == text for each, text in zip(unknown, fields, strict=True)) >= 0.7 * len(fields)
    for text, each in zip(fields, found, strict=False):
        assert len(each.text) == len(text)
        assert each.model_version == 1
        assert each.alternatives is not None
        assert each.alternatives[0] == (each.text, each.confidence)
        assert each.boxes is not None
        assert len(each.boxes) == len(text)
        # From left to right, each where its digit was put.
        for place, box in enumerate(each.boxes):
            assert 0 <= box.top < box.bottom <= 52
            assert abs((box.left + box.right) / 2 - (12 + 22 * place + 11)) < 11


def test_on_asyncio(server: str, fields: dict[str, bytes]) -> None:
    """The same answers as in a thread."""

    async def ask() -> list[list[NumberPrediction]]:
        async with AsyncClient(server) as client:
            calls = (client.predict_numbers([field], boxes=True) for field in fields.values())
            return await asyncio.gather(*calls)

    with Client(server) as client:
        alone = [client.predict_numbers([field], boxes=True) for field in fields.values()]
    assert asyncio.run(ask()) == alone
