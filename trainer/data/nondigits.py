"""Pictures that are no digit, to be trained on: a network that has seen them knows what it does not know.

Outlier exposure (Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure", 2019): a share of
each batch is something else, and its target is the same for all ten digits. Digits that the network has learned to be
sure of stay as they are; what resembles none of them gets a low confidence.

    others = NonDigits(non_digits(20_000, digits=dataset.x_train, seed=seed), share=0.1)  # once, before the fit
    images, targets = mix_in(images, targets, others, rng)  # in each batch, before it is distorted

Families of pictures that measure how well that works on what was never trained on are in
`benchmarks/nondigit_families.py`, and nothing here may be made after them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from exporter.contract import CLASSES, SIDE
from exporter.picture.normalise import normalise_arrays
from trainer.data.draw import MARGIN, SIZE, Pixels, Points, draw_lines, put_side_by_side, smooth, write_text

Draw = Callable[[np.random.Generator, Pixels], Pixels]
"""From a source of randomness and digits, uint8 [n, 28, 28], to a picture, uint8 [SIZE, SIZE]."""

LETTERS: Final = "ACEFHKLMNPRTUVWXacdefhkmnprtuvwx"
"""Without those that some hands or fonts write as digits: B b D G g I i J j l O o Q q S s Y y Z z."""

_FONTS = (
    "",
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    "DejaVuSansMono",
)


@dataclass(frozen=True, eq=False)
class NonDigits:
    """What is mixed into batches."""

    pictures: Pixels
    """uint8 [m, 28, 28], drawn from at random."""
    share: float
    """How many come on top of a batch, as a share of it.

    0.1 costs a network of 512, 512 units no accuracy on unseen training digits after 24 epochs (99.19 % beside 99.14 %
    without), a tenth of a percent after 8.
    """


def non_digits(count: int, *, digits: Pixels, seed: int) -> Pixels:
    """Draw pictures that are no digit and bring them into MNIST's form as serving does.

    20,000 take some fifteen seconds on one core.

    Args:
        count: how many.
        digits: MNIST's training images, uint8 [n, 28, 28], for pictures with more than one in them.
        seed: the same one gives the same pictures.

    Returns:
        uint8 [count, 28, 28], white on black, families mixed.
    """
    rng = np.random.default_rng(seed)
    shares = np.array([share for _, share in FAMILIES.values()])
    made = np.empty([0, SIDE, SIDE], np.uint8)
    while len(made) < count:
        families = rng.choice(len(FAMILIES), count - len(made), p=shares / shares.sum())
        draws = [draw for draw, _ in FAMILIES.values()]
        pictures = np.stack([draws[family](rng, digits) for family in families])
        normal = np.rint(255 * normalise_arrays(pictures)).astype(np.uint8)
        # What serving would call blank is no picture to learn from.
        made = np.concatenate([made, normal[normal.any(axis=(1, 2))]])
    return made


def mix_in(
    images: npt.NDArray[np.float32],
    targets: npt.NDArray[np.floating],
    others: NonDigits,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.floating]]:
    """Append random pictures to a batch.

    Args:
        images: float32 [n, 28, 28], 0 to 1.
        targets: one-hot or softer, [n, 10].
        others: what is appended.
        rng: where the randomness comes from.

    Returns:
        Images and targets of n and round(others.share * n); a target of what was added is 0.1 for each digit.
    """
    chosen = rng.integers(0, len(others.pictures), round(others.share * len(images)))
    added = others.pictures[chosen].astype(np.float32) / 255
    uniform = np.full([len(chosen), CLASSES], 1 / CLASSES, targets.dtype)
    return np.concatenate([images, added]), np.concatenate([targets, uniform])


def _letter(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    return write_text(str(rng.choice(list(LETTERS))), str(rng.choice(_FONTS)), rng)


def _two_digits(rng: np.random.Generator, digits: Pixels) -> Pixels:
    return put_side_by_side([digits[place] for place in rng.integers(0, len(digits), 2)], rng)


def _scribble(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """One smooth line through many places: with fewer it might be a digit."""
    return draw_lines([smooth(_places(rng, int(rng.integers(7, 16))))], _pen(rng))


def _zigzag(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """One line of straight pieces."""
    return draw_lines([_places(rng, int(rng.integers(6, 12)))], _pen(rng))


def _crossing(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """Three to six straight strokes anywhere."""
    return draw_lines([_places(rng, 2) for _ in range(rng.integers(3, 7))], _pen(rng))


def _blots(rng: np.random.Generator, _digits: Pixels) -> Pixels:
    """Noise as coarse as chance has it, with hard or soft edges, in a part of the picture."""
    cells = int(rng.integers(3, 25))
    coarse = rng.standard_normal([cells, cells])
    places = np.linspace(0, cells - 1, SIZE)
    nearest = np.rint(places).astype(int)
    blend = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells)))
    noise = coarse[nearest][:, nearest] if rng.random() < 0.3 else blend @ coarse @ blend.T
    level = rng.uniform(-0.3, 1.0)
    hardness = rng.uniform(0.5, 5.0)
    picture: Pixels = np.rint(255 * np.clip(hardness * (noise - level), 0, 1)).astype(np.uint8)
    border = int(MARGIN * SIZE)
    picture[:border] = picture[-border:] = 0
    picture[:, :border] = picture[:, -border:] = 0
    return picture


def _places(rng: np.random.Generator, count: int) -> Points:
    return rng.uniform(MARGIN, 1 - MARGIN, (count, 2))


def _pen(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.03, 0.12))


FAMILIES: Final[dict[str, tuple[Draw, float]]] = {
    "letters": (_letter, 0.4),
    "two digits": (_two_digits, 0.2),
    "scribbles": (_scribble, 0.12),
    "zigzags": (_zigzag, 0.08),
    "crossing strokes": (_crossing, 0.1),
    "blots": (_blots, 0.1),
}
"""How each family is drawn, and its share of the pool."""
