"""What the decoder makes of 16-bit PNGs, of very large JPEGs, and of files whose end is missing."""

import io
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from tests.exporter.picture.conftest import DecodeFiles, Normalise
from tests.support import Image, chunk, write_png

Samples = npt.NDArray[np.int64]
GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6


def jpeg(pixels: Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def assert_equal(found: Image | str, expected: Samples | Image) -> None:
    assert not isinstance(found, str), found
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def page() -> Image:
    """A stroke on paper with grain, uint8 [120, 100, 3], whose last rows differ from all others."""
    pixels = np.random.default_rng(4).normal(225, 6, (120, 100, 3))
    pixels[20:90, 45:55] = 30
    pixels[110:] -= 60
    return np.clip(pixels, 0, 255).astype(np.uint8)


# ---- 16 bits.


@pytest.mark.parametrize("bits", range(6, 17))
@pytest.mark.parametrize("colour", [GREY, RGB, GREY_ALPHA, RGBA])
def test_16_bit_pngs_use_the_bits_they_have(decode_files: DecodeFiles, colour: int, bits: int) -> None:
    """8 to 15 bits of 16, as scanners and microscopes write them, become the full range of 8, in every colour type."""
    random = np.random.default_rng(bits)
    samples = random.integers(0, 1 << bits, (40, 30, 3 if colour in {RGB, RGBA} else 1))
    samples[0, 0, 0] = (1 << bits) - 1
    levels = np.broadcast_to(samples >> max(bits - 8, 0), (40, 30, 3))
    alpha = np.full((40, 30, 1), 65535)
    if colour in {GREY_ALPHA, RGBA}:
        alpha = random.integers(1, 1 << 16, alpha.shape)
        samples = np.concatenate([samples, alpha], axis=2)
    files = [write_png(samples, depth=16, colour=colour, interlaced=interlaced) for interlaced in (False, True)]
    for pixels in decode_files(files):
        assert_equal(pixels, np.concatenate([levels, alpha >> 8], axis=2))


def test_what_is_transparent_does_not_say_how_many_bits_are_used(decode_files: DecodeFiles) -> None:
    """65535 where nothing was measured, marked as transparent, leaves the rest its 12 bits."""
    samples = np.random.default_rng(1).integers(0, 4096, (30, 30, 1))
    samples[10, 10] = 4095
    samples[:5] = 65535
    alpha = np.where(samples == 65535, 0, 65535)
    files = [
        write_png(samples, depth=16, transparency=b"\xff\xff"),
        write_png(np.concatenate([samples, alpha], axis=2), depth=16, colour=GREY_ALPHA),
    ]
    for pixels in decode_files(files):
        assert not isinstance(pixels, str)
        np.testing.assert_array_equal(pixels[..., 3:], alpha >> 8)
        np.testing.assert_array_equal(pixels[5:, :, :1], samples[5:] >> 4)


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
def test_a_digit_of_few_bits_is_no_blank(normalised: Normalise, mnist_sample: tuple[Image, Image], bits: int) -> None:
    """A digit in 8 to 16 bits of 16, in MNIST's form or on a large page, gets the field of its 8-bit PNG."""
    digit = mnist_sample[0][0][:, :, None].astype(int)
    page = np.pad(255 - np.kron(digit, np.ones((12, 12, 1), int)), ((80, 20), (30, 50), (0, 0)), constant_values=255)
    for levels in (digit, page):
        deep = levels * ((1 << bits) - 1) // 255
        field, same = normalised([write_png(levels), write_png(deep, depth=16)])
        assert field is not None
        assert same is not None
        np.testing.assert_allclose(field, same, atol=0.02)


# ---- Large JPEGs.


def claiming(octets: bytes, height: int, width: int, *, progressive: bool = False) -> bytes:
    """A JPEG whose header claims another size, and that it comes in several scans."""
    frame = octets.index(b"\xff\xc0")
    marker = b"\xff\xc2" if progressive else b"\xff\xc0"
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return octets[:frame] + marker + octets[frame + 2 : frame + 5] + size + octets[frame + 9 :]


def test_a_phones_50_megapixels_are_read(decode_files: DecodeFiles, mnist_sample: tuple[Image, Image]) -> None:
    """JPEGs of 30 and 50 megapixels, in one scan or progressive, are the picture that a smaller copy is."""
    digit = Pillow.fromarray(255 - mnist_sample[0][0])
    small = digit.resize((204, 153))
    files = [
        jpeg(np.asarray(digit.resize((6000, 5000))), quality=80),
        jpeg(np.asarray(digit.resize((8160, 6120))), quality=80),
        jpeg(np.asarray(digit.resize((8160, 6120))), quality=80, progressive=True),
    ]
    for pixels in decode_files(files):
        assert not isinstance(pixels, str), pixels
        assert 128 < max(pixels.shape[:2]) <= 256
        expected = np.asarray(small.resize((pixels.shape[1], pixels.shape[0])).convert("RGBA"))
        assert np.abs(pixels.astype(int) - expected).mean() < 4


def test_jpegs_that_no_reduction_brings_within_the_limit_are_too_large(decode_files: DecodeFiles, page: Image) -> None:
    """Beyond 25 megapixels at an eighth, or where libjpeg would have to hold all of it, a header is enough."""
    good = jpeg(page)
    found = decode_files(
        [
            claiming(good, 65500, 65500),
            claiming(good, 8000, 8001, progressive=True),
            claiming(good, 40000, 40008),
            good,
            good,
        ]
    )
    assert found[:3] == ["too large"] * 3
    assert not isinstance(found[3], str)


@pytest.mark.parametrize("side", [257, 511, 513, 1025, 2047, 2049, 2311])
def test_reduced_jpegs_have_the_size_of_reduced_pngs(decode_files: DecodeFiles, side: int) -> None:
    """What libjpeg reduces and what is halved come out alike, in size to the pixel, in levels nearly."""
    y, x = np.mgrid[: side // 3, :side]
    pixels = (128 + 100 * np.sin(x / 50) * np.cos(y / 40)).astype(np.uint8)
    from_jpeg, from_png = decode_files([jpeg(pixels, quality=95), write_png(pixels[:, :, None])])
    assert not isinstance(from_jpeg, str)
    assert not isinstance(from_png, str)
    difference = np.subtract(from_jpeg.shape, from_png.shape)
    assert np.abs(difference).max() <= 1
    height, width = np.minimum(from_jpeg.shape, from_png.shape)[:2]
    assert np.abs(from_jpeg[:height, :width].astype(int) - from_png[:height, :width]).mean() < 3


# ---- Files whose end is missing.


FORMS: dict[str, dict[str, int]] = {
    "plain": {},
    "fine": {"quality": 95, "subsampling": 0},
    "own tables": {"quality": 40, "optimize": True},
    "restarts": {"restart_marker_blocks": 5},
    "restarts by row": {"restart_marker_rows": 1},
}


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_without_its_end_marker_is_read(decode_files: DecodeFiles, page: Image, form: str, mode: str) -> None:
    """Without the last two bytes or one, padded with zeros, or with a camera's own data after the end, it is whole."""
    whole = jpeg(np.asarray(Pillow.fromarray(page).convert(mode)), **FORMS[form])
    expected, *found = decode_files(
        [
            whole,
            whole[:-2],
            whole[:-1],
            whole[:-2] + bytes(1000),
            whole[:-1] + bytes(1000),
            whole + bytes(1000),
            whole + b"SEFT" * 100,
        ]
    )
    assert not isinstance(expected, str)
    for pixels in found:
        assert_equal(pixels, expected)


@pytest.mark.parametrize("corner", [(120, 100), (112, 96), (97, 33)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_cut_in_its_pixels_is_corrupt(
    decode_files: DecodeFiles, page: Image, form: str, mode: str, corner: tuple[int, int]
) -> None:
    """Cut anywhere, and padded with zeros, too, a JPEG that lacks pixels is not read, whatever its size."""
    pixels = page[: corner[0], : corner[1]]
    whole = jpeg(np.asarray(Pillow.fromarray(pixels).convert(mode)), **FORMS[form])
    cuts = [*range(6, 40), *range(40, len(whole) - 3, 1 + len(whole) // 250)]
    files = [whole[:-cut] + padding for cut in cuts for padding in (b"", bytes(500))]
    read = [
        (len(whole) - len(octets.rstrip(b"\0")), len(octets))
        for octets, found in zip(files, decode_files(files), strict=True)
        if not isinstance(found, str)
    ]
    assert not read


def test_a_jpeg_in_several_scans_needs_its_end(decode_files: DecodeFiles, page: Image) -> None:
    """Whether a progressive JPEG lacks a scan can be told by its end alone: without it, it is corrupt, however cut."""
    whole = jpeg(page, progressive=True)
    found = decode_files([whole, *(whole[:-cut] for cut in (1, 2, *range(3, len(whole) - 3, 29)))])
    assert not isinstance(found[0], str)
    assert set(found[1:]) == {"corrupt"}


def png_in_pieces(page: Image) -> bytes:
    """A PNG whose pixels come in many chunks, as libpng writes them, with a text before and after them."""
    whole = write_png(page.astype(int), colour=RGB)
    start, length = whole.index(b"IDAT"), int.from_bytes(whole[33:37], "big")
    data = whole[start + 4 : start + 4 + length]
    pieces = b"".join(chunk(b"IDAT", data[place : place + 500]) for place in range(0, length, 500))
    return whole[:33] + chunk(b"tEXt", b"before") + pieces + chunk(b"tEXt", b"after") + whole[-12:]


def test_a_png_without_its_end_is_read(decode_files: DecodeFiles, page: Image) -> None:
    """With all chunks of pixels there, what is cut off after them, or stands after the end, is no matter."""
    whole = png_in_pieces(page)
    pixels_end = whole.index(b"tEXtafter") - 4
    grey = write_png(page[:, :, :1].astype(int))
    files = [whole[:cut] for cut in range(pixels_end, len(whole))]
    files += [grey[:cut] for cut in range(len(grey) - 12, len(grey))]
    files += [grey + b"\0", grey + b"anything" * 9, grey[:-12] + bytes(100)]
    found = decode_files(files)
    colour, level = np.dstack([page, np.full_like(page[..., :1], 255)]), page[..., [0, 0, 0, 0]]
    level[..., 3] = 255
    for octets, pixels in zip(files, found, strict=True):
        assert_equal(pixels, colour if octets.startswith(whole[:33]) else level)


def test_a_png_cut_in_its_pixels_is_corrupt(decode_files: DecodeFiles, page: Image) -> None:
    """Cut before its last chunk of pixels ends, at the end of another chunk or within one, it is not read."""
    whole = png_in_pieces(page)
    ends = [place for place in range(len(whole)) if whole[place : place + 4] == b"IDAT"]
    pixels_end = whole.index(b"tEXtafter") - 4
    cuts = sorted({*(end - 4 for end in ends), *(end + 3 for end in ends), *range(8, pixels_end, 97), pixels_end - 1})
    one_chunk = write_png(page.astype(int), colour=RGB)
    files = [whole[:cut] for cut in cuts] + [one_chunk[:cut] for cut in range(8, len(one_chunk) - 12, 301)]
    files += [octets + one_chunk[-12:] for octets in files]  # an end alone does not make them whole
    assert set(decode_files(files)) == {"corrupt"}


def test_a_png_of_very_many_chunks_is_answered_soon(decode_files: DecodeFiles) -> None:
    """A file of a million empty chunks does not keep the server busy."""
    pixels = write_png(np.zeros((9, 9, 1), int))
    file = pixels[:33] + chunk(b"tEXt", b"") * 1_000_000 + chunk(b"eXIf", b"MM") + pixels[33:]
    found, neighbour = decode_files([file, pixels])
    assert not isinstance(found, str)
    assert not isinstance(neighbour, str)


# ---- In company.


def every_kind(page: Image) -> dict[str, bytes]:
    """Files that go every way through the decoder."""
    wide = np.kron(page, np.ones((4, 5, 1), np.uint8))
    deep = write_png(page.astype(int) * 4, depth=16, colour=RGB)
    return {
        "grey": write_png(page[..., :1].astype(int)),
        "colour": write_png(page.astype(int), colour=RGB),
        "large": write_png(wide.astype(int), colour=RGB),
        "shallow": write_png(page[..., :1].astype(int) // 16, depth=4),
        "deep": deep,
        "deep without end": deep[:-12],
        "jpeg": jpeg(page),
        "large jpeg": jpeg(wide),
        "jpeg without end": jpeg(page)[:-2],
        "cut png": write_png(page.astype(int), colour=RGB)[:-50],
        "cut jpeg": jpeg(page)[:-50],
        "text": b"no picture",
        "nothing": b"",
        "too large": claiming(jpeg(page), 65500, 65500),
        "too large png": claiming_png(page),
    }


def claiming_png(page: Image) -> bytes:
    header = (20_000).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(page.tobytes()))


def test_every_kind_is_the_same_alone_and_in_company(decode_files: DecodeFiles, page: Image) -> None:
    """What a file becomes does not depend on its batch: of one, of many, of broken files alone, of none."""
    files = every_kind(page)
    alone = [decode_files([octets])[0] for octets in files.values()]
    texts = {name: each for name, each in zip(files, alone, strict=True) if isinstance(each, str)}
    assert texts == {
        "cut png": "corrupt",
        "cut jpeg": "corrupt",
        "text": "not an image",
        "nothing": "not an image",
        "too large": "too large",
        "too large png": "too large",
    }
    for order in (1, -1):
        found = decode_files([*list(files.values())[::order], *list(files.values())[::order]])
        for one, other in zip([*alone[::order], *alone[::order]], found, strict=True):
            if isinstance(one, str):
                assert one == other
            else:
                assert_equal(other, one)
    assert decode_files([files[name] for name in texts]) == list(texts.values())
    assert decode_files([]) == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_mutated_files_never_harm_a_request(decode_files: DecodeFiles, page: Image, data: st.DataObject) -> None:
    """Whatever bits are flipped or bytes lost, in files of every kind: pixels or an error, the neighbour unharmed."""
    files = every_kind(page)
    mutated = []
    for octets in map(bytearray, files.values()):
        for _ in range(data.draw(st.integers(0, 4)) if octets else 0):
            octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        cut = data.draw(st.integers(0, 30) | st.integers(0, len(octets)))
        mutated.append(bytes(octets[: max(len(octets) - cut, 0)]))
    *found, neighbour = decode_files([*mutated, files["grey"]])
    level = page[..., :1]
    assert_equal(neighbour, np.dstack([level, level, level, np.full_like(level, 255)]))
    assert {each for each in found if isinstance(each, str)} <= {"not an image", "corrupt", "too large"}
