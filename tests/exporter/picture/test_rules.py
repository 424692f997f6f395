"""Printed boxes, frames and rules around a digit: gone, as its plain reference has it, and the digit is the same."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from tests.conftest import ROOT
from tests.exporter.conftest import Answer
from tests.exporter.picture.test_normalise import enlarged, png
from tests.support import Image

Numbers = npt.NDArray[np.float64]
OffRules = Callable[[Sequence[Numbers]], list[Numbers]]

SIDE = 112  # of a picture with a digit of MNIST's field, four pixels for each of its own
MARGIN = 14  # paper around it on which lines are printed
SIDES = ("top", "bottom", "left", "right")
DARK, WHITE = 30.0, 255.0


@pytest.fixture(scope="module")
def off_rules() -> OffRules:
    """Run the graph on a batch of pictures of any sizes."""
    import tensorflow as tf  # noqa: PLC0415 - seconds

    from exporter.picture.overview import Overview  # noqa: PLC0415 - loads TensorFlow
    from exporter.picture.rules import off_rules  # noqa: PLC0415 - as above

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None, None]), tf.TensorSpec([None, 2], tf.int32)]
    )
    def graph(level: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        overview = Overview.of(level, extent)
        return off_rules(level, extent, overview, overview.reduce(level))

    def run(pictures: Sequence[Numbers]) -> list[Numbers]:
        extent = np.array([picture.shape for picture in pictures], np.int32).reshape(-1, 2)
        canvas = np.zeros((len(pictures), *extent.max(axis=0, initial=1)), np.float32)
        for place, picture in enumerate(pictures):
            canvas[place, : picture.shape[0], : picture.shape[1]] = picture
        level, cells = (part.numpy() for part in graph(canvas, extent))
        assert level.shape == canvas.shape
        assert cells.shape == (len(pictures), 32, 32)
        assert np.isfinite(level).all()
        found = []
        for whole, (height, width) in zip(level, extent, strict=True):
            found.append(whole[:height, :width].astype(float))
            assert np.count_nonzero(whole) == np.count_nonzero(found[-1])
        assert graph.experimental_get_tracing_count() == 1
        return found

    return run


@pytest.fixture(scope="module")
def digits(mnist_sample: tuple[Image, Image]) -> tuple[list[Numbers], list[int]]:
    """Five of each class of the sample, as ink 0 to 1 on SIDE x SIDE pixels, and their classes."""
    images, labels = mnist_sample
    chosen = [place for label in range(10) for place in np.flatnonzero(labels == label)[:5]]
    return [enlarged(images[place], SIDE) for place in chosen], [int(labels[place]) for place in chosen]


# ---- Pictures.


def page(ink: Numbers) -> Numbers:
    """Ink with paper around it."""
    return np.pad(ink, MARGIN)


def lines(
    shape: tuple[int, ...], sides: Sequence[str], inset: float = 0, width: float = 1, tilt: float = 0.0
) -> Numbers:
    """Lines along some sides, so far from them, how much of each pixel they cover; the tilt is in pixels end to end."""
    cover = np.zeros(shape)
    for side in sides:
        view = cover if side in {"top", "bottom"} else cover.T
        view = view[::-1] if side in {"bottom", "right"} else view
        begins = inset + tilt * (np.arange(view.shape[1]) / view.shape[1] - 0.5)
        y = np.arange(len(view))[:, None]
        view[:] = np.maximum(view, np.clip(np.minimum(y + 1, begins + width) - np.maximum(y, begins), 0, 1))
    return cover


def printed(ink: Numbers, cover: Numbers, line: float = DARK) -> Numbers:
    """Levels of paper with lines, and ink on top."""
    paper = WHITE * (1 - cover) + line * cover
    return paper * (1 - ink) + DARK * ink


FORMS: dict[str, Callable[[Numbers], bytes]] = {
    "a frame of one pixel": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES))),
    "a thick frame": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES, width=7))),
    "a box": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES, inset=6, width=2))),
    "three lines": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES[:3], inset=6, width=2))),
    "two lines": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES[1:3], inset=6, width=2))),
    "a line": lambda ink: png(printed(page(ink), lines(page(ink).shape, ["right"], inset=4, width=2))),
    "a rule below": lambda ink: png(printed(page(ink), lines(page(ink).shape, ["bottom"], inset=6, width=3))),
    "tilted lines": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES, inset=7, width=2, tilt=3))),
    "pale lines": lambda ink: png(printed(page(ink), lines(page(ink).shape, SIDES, inset=6, width=2), line=190)),
    "light on dark": lambda ink: png(255 - printed(page(ink), lines(page(ink).shape, SIDES, inset=6, width=2))),
    "coloured lines": lambda ink: png(
        np.dstack(
            [
                printed(page(ink), lines(page(ink).shape, SIDES, inset=6, width=2), line=level)
                for level in (230.0, 90.0, 60.0)
            ]
        )
    ),
    "blue ink in a box": lambda ink: png(
        np.dstack([printed(page(ink), lines(page(ink).shape, SIDES, inset=6, width=2))] * 2 + [0 * page(ink) + 200])
    ),
}


# ---- What a user notices.


@pytest.mark.parametrize("form", FORMS)
def test_a_digit_among_lines_is_the_same(answer: Answer, digits: tuple[list[Numbers], list[int]], form: str) -> None:
    """In a frame, a box, beside lines or above a rule, a digit gets the answer that it gets on bare paper."""
    inks, _ = digits
    bare = answer([png(printed(page(ink), 0 * page(ink))) for ink in inks])
    among = answer([FORMS[form](ink) for ink in inks])
    differ = [place for place, (one, other) in enumerate(zip(bare, among, strict=True)) if one != other]
    assert len(differ) <= 1, [(bare[place], among[place]) for place in differ]


def test_a_sample_among_lines_is_the_same(answer: Answer) -> None:
    """The shipped samples get the same answers after a box is drawn around each."""
    files = sorted((ROOT / "samples").glob("*/*.png"))[::7]
    pictures = [np.asarray(Pillow.open(path).convert("L"), float) for path in files]
    bare = answer([png(picture) for picture in pictures])
    boxed = []
    for picture in pictures:
        paper = float(np.median(picture))
        wide = np.pad(picture, 10, constant_values=paper)
        cover = lines(wide.shape, SIDES, inset=3, width=2)
        boxed.append(png(wide * (1 - cover) + (255 - paper if abs(paper - 127) > 60 else 0) * cover))
    assert sum(one != other for one, other in zip(bare, answer(boxed), strict=True)) <= len(files) // 50


def test_a_rule_that_touches_the_digit_goes(off_rules: OffRules, digits: tuple[list[Numbers], list[int]]) -> None:
    """A rule goes from under a digit that stands on it, but for one in eight; what is above it stays as it is."""
    left = []
    for whole in digits[0][::7]:
        rows = np.flatnonzero(whole.max(axis=1) > 0.2)
        ink = np.pad(whole[: rows[-1] + 1], ((MARGIN, 0), (MARGIN, MARGIN)))
        rule, below = np.ones((3, ink.shape[1])), np.zeros((9, ink.shape[1]))
        paper = np.concatenate([0 * ink, rule, below])
        (cleaned,) = off_rules([printed(np.concatenate([ink, 0 * rule, below]), paper)])
        np.testing.assert_allclose(cleaned[: len(ink) - 3], printed(ink, 0 * ink)[:-3], atol=0.5)
        left.append((cleaned[len(ink) :] < 128).mean() > 0.2)
    assert sum(left) <= 1


@pytest.mark.parametrize("label", [1, 2, 4, 5, 7])
def test_a_tight_crop_keeps_its_strokes(
    off_rules: OffRules, digits: tuple[list[Numbers], list[int]], label: int
) -> None:
    """A bar or an upright that fills a side of a picture cropped to the digit is no printed line."""
    for ink, its_label in zip(*digits, strict=True):
        if its_label == label:
            rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0.3) for axis in (1, 0))
            crop = printed(ink, 0 * ink)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            (cleaned,) = off_rules([crop])
            np.testing.assert_array_equal(cleaned, crop.astype(np.float32))


def test_a_one_is_no_line(off_rules: OffRules) -> None:
    """A straight 1 stays, in the middle of the picture, beside the edge, and beside another upright stroke."""
    for places in ([40], [8], [66], [20, 52]):
        picture = np.full((90, 75), WHITE)
        for place in places:
            picture[8:82, place : place + 4] = DARK
        np.testing.assert_array_equal(off_rules([picture])[0], picture)


def test_a_closed_frame_is_not_paper(answer: Answer, digits: tuple[list[Numbers], list[int]]) -> None:
    """In a black frame as thick as a stroke, the digit is what is read: not the hole around it."""
    inks, labels = digits
    framed = [png(printed(page(ink), lines(page(ink).shape, SIDES, width=9))) for ink in inks]
    assert np.mean(np.array(answer(framed)) == labels) >= 0.9


def test_ruled_paper_stays(off_rules: OffRules, digits: tuple[list[Numbers], list[int]]) -> None:
    """Of lines all over the paper none is taken away: the later steps know such paper."""
    ink = page(digits[0][20])
    ruled = np.tile((np.arange(len(ink)) % 12 < 2)[:, None], (1, ink.shape[1])).astype(float)
    picture = printed(ink, ruled, line=160)
    np.testing.assert_array_equal(off_rules([picture])[0], picture.astype(np.float32))


# ---- Any picture.


def test_no_picture_and_one_are_a_batch(off_rules: OffRules) -> None:
    """A batch of none comes back, and a batch of one."""
    assert off_rules([]) == []
    picture = np.full((50, 40), 200.0)
    np.testing.assert_array_equal(off_rules([picture])[0], picture)


def test_pictures_of_any_size_pass(off_rules: OffRules) -> None:
    """From one pixel to 160, constant or noise, one beside the other: never a fault, never a number that is none."""
    random = np.random.default_rng(5)
    sizes = [(1, 1), (1, 160), (160, 1), (9, 160), (10, 20), (20, 10), (19, 19), (20, 20), (33, 65), (160, 160)]
    plain = [np.full(size, level) for size in sizes for level in (0.0, 99.0, 255.0)]
    for picture, cleaned in zip(plain, off_rules(plain), strict=True):
        np.testing.assert_array_equal(cleaned, picture)
    off_rules([random.uniform(0, 255, size) for size in sizes])
    off_rules([printed(np.zeros(size), lines(size, SIDES, inset=1, width=2)) for size in sizes])


def assert_agree(off_rules: OffRules, pictures: Sequence[Numbers]) -> int:
    """The graph, all pictures at once, gives what the reference gives; returns how many have lost lines."""
    from tests.exporter.picture.reference_rules import off_rules as reference  # noqa: PLC0415 - loads TensorFlow

    expected = [reference(picture) for picture in pictures]
    for place, (found, wanted) in enumerate(zip(off_rules(pictures), expected, strict=True)):
        np.testing.assert_allclose(found, wanted, atol=0.01, err_msg=str(place))
    return sum(not np.array_equal(*pair) for pair in zip(pictures, expected, strict=True))


def test_pictures_agree_with_the_reference(off_rules: OffRules, digits: tuple[list[Numbers], list[int]]) -> None:
    """Digits among all kinds of lines, in one batch of many sizes, lose the same as in the reference."""
    random = np.random.default_rng(8)
    pictures = []
    for place, ink in enumerate(digits[0]):
        picture = page(ink)[: 100 + place, place // 4 :]
        cover = lines(picture.shape, SIDES[: place % 5], inset=place % 9, width=1 + place % 4, tilt=place % 3 * 1.7)
        pictures.append(printed(picture, cover, line=30.0 + 4 * place) + random.normal(0, place % 4, picture.shape))
    assert assert_agree(off_rules, pictures) >= 20


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 160), st.integers(1, 160)),
    sides=st.sets(st.sampled_from(SIDES)),
    line=st.tuples(st.floats(0, 20), st.floats(0.5, 12), st.floats(-6, 6)),
    level=st.floats(0, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_lines_agree_with_the_reference(
    off_rules: OffRules,
    size: tuple[int, int],
    sides: set[str],
    line: tuple[float, float, float],
    level: float,
    seed: int,
) -> None:
    """Any lines around a blot in a picture of any size are dealt with as in the reference."""
    from tests.exporter.picture.reference_rules import off_rules as reference  # noqa: PLC0415 - loads TensorFlow

    random = np.random.default_rng(seed)
    ink = np.zeros(size)
    top, left = (int(random.integers(0, length)) for length in size)
    ink[top : top + size[0] // 2, left : left + max(1, size[1] // 6)] = 1
    picture = printed(ink, lines(size, sorted(sides), *line), line=level)
    # Noise decides between rows that are equally high; rounding would, otherwise. A line that ends within half a pixel
    # of the picture's side may still be painted over differently in that row.
    noisy = picture + random.normal(0, 2, size)
    (found,) = off_rules([noisy])
    differs = ~np.isclose(found, reference(noisy), rtol=0, atol=0.01)
    assert differs.sum() <= max(size)
