"""Recipes: each network and how it is fitted, as data. Imports nothing heavy; `fitting/network.py` builds them."""

import difflib
import itertools
from dataclasses import dataclass, replace
from typing import Literal

from exporter.command import UserError
from exporter.contract import CLASSES, SIDE

_WINDOW = 3 * 3  # pixels that a convolution sees


@dataclass(frozen=True, kw_only=True)
class Hands:
    """How many training digits `hands.other_hands` writes as other schools do than those of MNIST's writers."""

    added: float = 0.0
    """Share of the ones, fours, sixes, sevens and nines that get a flag, a bar or a curl, or lose a stroke's end."""
    redrawn: float = 0.0
    """Share of the digits, but for sixes, that are written anew in one of the ways of `data/ways/`."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far `augment.distort` may go with a training image; small distortions are likelier than large ones."""

    rotation: float = 0.0
    """Degrees, either way."""
    shear: float = 0.0
    """Slant, either way, in columns per row."""
    aspect: float = 1.0
    """Factor, at least 1, by which width over height grows or shrinks, within a box of the same longer side."""
    size: float = 0.0
    """Share by which that side grows or shrinks."""
    shift: float = 0.0
    """Pixels along each axis, either way."""
    elastic: float = 0.0
    """Standard deviation of the smooth displacement of the most displaced images, in pixels along each axis."""
    thickening: float = 0.0
    """Share of a stroke one pixel thicker on each side, 0 to 1."""
    thinning: float = 0.0
    """Share of a stroke one pixel thinner on each side, 0 to 1."""
    blur: float = 0.0
    """Share of a binomial blur over 3x3 pixels, 0 to 1."""
    unevenness: float = 0.0
    """Share of ink missing where it flows least, 0 to 1."""
    gaps: float = 0.0
    """Share of the images in which a stroke is interrupted."""
    hands: Hands = Hands()
    """Other hands, before anything else."""
    cut: float = 0.0
    """Share of the images of which a side is cut off, up to an eighth of the digit."""
    remains: float = 0.0
    """Share of the images with a piece of a rule, a point, a comma or a strip of another digit beside their own."""
    square: float = 0.0
    """Share of the images that are stretched towards a square box."""
    contrast: float = 0.0
    """Curvature of the tone curve x + c x (1 - x), either way, 0 to 1."""
    steepness: float = 1.0
    """Factor, at least 1, by which greys move away from the middle one, which sharpens edges."""


@dataclass(frozen=True)
class Convolution:
    """A convolution over 3x3 pixels, batch normalisation and a ReLU."""

    filters: int
    stride: int = 1
    """2 halves both sides of the picture."""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """What a network learns instead of labels: the mean of its teachers' answers (`fitting/distill.py`)."""

    teacher: str
    """Recipe of the teachers."""
    seeds: tuple[int, ...]
    """Of their runs, where no others are given."""
    copies: int
    """Distorted copies of each image that the teachers are asked about; they come again when all were seen."""
    softness: float
    """Temperature of the answers, at least 1."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network on float32 [n, 28, 28] in 0 to 1, and how it is fitted with Adam or AdamW."""

    name: str
    convolutions: tuple[Convolution, ...] = ()
    """Layers over 3x3 pixels that come before the dense ones, in order; all but one network have none."""
    hidden: tuple[int, ...]
    """Units of each dense ReLU layer, in order."""
    dropout: float = 0.0
    """Share of units dropped after each hidden layer while fitting."""
    batch_norm: bool = False
    """Whether each hidden layer normalises its sums over the batch (Ioffe and Szegedy 2015) before the ReLU."""
    outputs: Literal["softmax", "sigmoid"] = "softmax"
    """Activation of the ten scores.

    Keras fits sigmoid scores by the softmax of what goes into them, so that the loss it shows is lower than that of the
    probabilities, which are the scores divided by their sum.
    """
    one_hot: bool = False
    """Whether labels are one-hot vectors, for categorical cross-entropy, rather than digits, for its sparse form."""
    epochs: int
    batch: int = 32
    steps_at_once: int = 1
    """Steps that Keras makes between two looks at its callbacks, which take it an eighth of the champion's time."""
    validation: float = 0.0
    """Share of the training images, taken from their end, that is held out from fitting, and calibrates confidence."""
    learning_rate: float = 0.001
    """The highest one, and the only one without `cosine`."""
    cosine: bool = False
    """Whether the learning rate rises over the first twentieth of all steps, then falls to 0 along a cosine."""
    weight_decay: float = 0.0
    """Share of the weights that is taken off them at each step, times the learning rate (AdamW)."""
    bfloat16: bool = False
    """Whether fitting multiplies in bfloat16 on processors that can: with AMX more than twice as fast."""
    xla: bool = False
    """Whether the training step is compiled by XLA: for large batches more than half as fast again on a CPU."""
    non_digits: float = 0.0
    """How many pictures that are no digit come on top of each batch, as a share of it, where images are distorted and
    labels one-hot; their target is the same for all digits (`data/nondigits.py`)."""
    augmentation: Augmentation | None = None
    """How the images of each epoch are distorted anew, if they are."""
    distillation: Distillation | None = None
    """Whom it learns from, about images that are distorted so, if not from the labels."""

    @property
    def loss(self) -> str:
        """The loss, as Keras calls it."""
        return "categorical_crossentropy" if self.one_hot else "sparse_categorical_crossentropy"

    @property
    def parameters(self) -> int:
        """How many numbers make the network, as Keras counts: batch normalisation has four a unit instead of a bias."""
        side, channels, convolutional = SIDE, 1, 0
        for layer in self.convolutions:
            convolutional += (_WINDOW * channels + 4) * layer.filters
            side, channels = -(-side // layer.stride), layer.filters
        sizes = (side * side * channels, *self.hidden, CLASSES)
        weights_and_biases = sum((inputs + 1) * units for inputs, units in itertools.pairwise(sizes))
        return convolutional + weights_and_biases + 3 * sum(self.hidden) * self.batch_norm


_BROAD = Augmentation(
    rotation=20,
    shear=0.4,
    aspect=1.6,
    size=0.1,
    shift=1.0,
    elastic=1.5,
    thickening=1.5,
    thinning=0.7,
    blur=0.7,
    unevenness=0.5,
    contrast=0.7,
    gaps=0.3,
    hands=Hands(added=0.35),
    square=0.2,
)
"""Amounts found on a slice of the training images, but for the ways of other hands, which mistakes on real scans
suggested."""

_CRISP = replace(_BROAD, unevenness=0.3, blur=0.5, steepness=3.0)
"""As broad, and as crisp as what serving sees; found in the same way."""

_FORMS = replace(_CRISP, hands=Hands(added=0.35, redrawn=0.25), cut=0.1, remains=0.35)
"""With what fields on forms show: more ways of writing, digits cut at the edge, and something else beside them.

Chosen with cut digits of bank cheques in view: with 0.25 of the digits redrawn instead of 0.15 a small network read
another percent of the cheques' digits, and a tenth of a percent less of MNIST's. Convolutions have room for both."""

_FEWER_FORMS = replace(_FORMS, hands=Hands(added=0.35, redrawn=0.15))
"""For a dense network, which has less room."""

_CNN = Recipe(
    name="cnn",
    convolutions=(
        Convolution(32),
        Convolution(64, stride=2),
        Convolution(64),
        Convolution(128, stride=2),
        Convolution(128),
    ),
    hidden=(),
    one_hot=True,
    epochs=24,
    batch=512,
    validation=0.02,
    learning_rate=0.003,
    cosine=True,
    weight_decay=0.05,
    bfloat16=True,
    non_digits=0.1,
    augmentation=_FORMS,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="dense-128-dropout", hidden=(128,), dropout=0.2, one_hot=True, epochs=5, validation=0.2),
        Recipe(name="dense-150-50", hidden=(150, 50), outputs="sigmoid", epochs=10, validation=0.1),
        Recipe(name="dense-128", hidden=(128,), epochs=6),
        Recipe(name="dense-128-32", hidden=(128, 32), epochs=15, validation=0.2),
        Recipe(name="dense-10-10-10", hidden=(10, 10, 10), one_hot=True, epochs=10, batch=200, validation=0.1),
        Recipe(
            name="dense-1024-1024-1024",
            hidden=(1024, 1024, 1024),
            batch_norm=True,
            one_hot=True,
            epochs=120,
            batch=512,
            learning_rate=0.003,
            cosine=True,
            xla=True,
            weight_decay=0.05,
            augmentation=_BROAD,
        ),
        _CNN,
        replace(
            _CNN,
            name="champion",
            convolutions=(),
            hidden=(1024, 1024, 1024),
            batch_norm=True,
            epochs=240,
            batch=1024,
            steps_at_once=16,
            learning_rate=0.008,
            augmentation=_FEWER_FORMS,
            distillation=Distillation(teacher="cnn", seeds=(0, 1), copies=48, softness=2.0),
        ),
    )
}


def find(name: str) -> Recipe:
    """Return the recipe of that name; UserError names the known ones if there is none."""
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UserError(f"no recipe {name!r}; {hint}known recipes: {', '.join(RECIPES)}")
