"""What a search varies in a recipe, and the recipe that given values make."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace

from exporter.command import UserError
from trainer.recipes import Augmentation, Hands, Recipe

_WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
_MORE_LAYERS = (-1, 0, 1, 2)
_DROPOUTS = tuple(round(0.05 * step, 2) for step in range(11))
_BATCHES = (0.5, 1, 2, 4, 8)
_SMALLEST_BATCH = 32  # smaller ones take long and gain nothing
_RATES = 8.0  # how many times lower or higher than the recipe's
_STRENGTHS = (0.5, 0.75, 1.0, 1.25, 1.5)
_NEW_STRENGTHS = (0.0, 0.25, 0.5, 1.0)

_MODERATE = Augmentation(rotation=10, shear=0.2, aspect=1.2, size=0.1, shift=1.0, thickening=0.5, thinning=0.3)
"""At strength 1, of recipes that do not distort: what a small network has room for."""

Values = Mapping[str, float]
"""A trial's values, by the names of the space."""


@dataclass(frozen=True)
class Continuous:
    """A number between two others, drawn evenly on a logarithmic scale."""

    low: float
    high: float


@dataclass(frozen=True)
class Choices:
    """One of these, in ascending order."""

    values: tuple[float, ...]


def space_of(recipe: Recipe) -> dict[str, Continuous | Choices]:
    """What can be varied in a recipe, by name.

    `width` is a factor of all layers' units or filters, `depth` counts layers, `distortion` is a factor of all amounts
    of the recipe's own distortion; of a moderate one, if it has none. The others are as in `Recipe`.

    Raises:
        UserError: it learns from teachers, which would have to be asked anew in each trial.
    """
    if recipe.distillation is not None:
        teacher = recipe.distillation.teacher
        raise UserError(f"{recipe.name} learns from teachers, which a search does not fit; search {teacher} instead")
    layers = len(_varied(recipe))
    space: dict[str, Continuous | Choices] = {
        "learning_rate": Continuous(recipe.learning_rate / _RATES, recipe.learning_rate * _RATES)
    }
    if layers:
        space["width"] = Choices(_WIDTHS)
        space["depth"] = Choices(tuple(layers + more for more in _MORE_LAYERS if layers + more > 0))
    if recipe.hidden:
        space["dropout"] = Choices(_DROPOUTS)
    sizes = (round(factor * recipe.batch) for factor in _BATCHES)
    space["batch"] = Choices(tuple(size for size in sizes if size >= min(recipe.batch, _SMALLEST_BATCH)))
    space["distortion"] = Choices(_NEW_STRENGTHS if recipe.augmentation is None else _STRENGTHS)
    return space


def values_of(recipe: Recipe) -> dict[str, float]:
    """The values that leave a recipe as it is."""
    own = {
        "learning_rate": recipe.learning_rate,
        "width": 1.0,
        "depth": len(_varied(recipe)),
        "dropout": recipe.dropout,
        "batch": recipe.batch,
        "distortion": 0.0 if recipe.augmentation is None else 1.0,
    }
    return {name: own[name] for name in space_of(recipe)}


def varied(recipe: Recipe, values: Values) -> Recipe:
    """The recipe that values make of another; learning rates are rounded to three digits."""
    found = replace(
        recipe,
        learning_rate=float(f"{values['learning_rate']:.3g}"),
        batch=int(values["batch"]),
        augmentation=_distorted(recipe.augmentation, values["distortion"]),
        dropout=values.get("dropout", recipe.dropout),
    )
    if "width" not in values:
        return found
    width, depth = values["width"], int(values["depth"])
    if recipe.hidden:
        units = [max(1, round(width * size)) for size in recipe.hidden]
        return replace(found, hidden=tuple((units + [units[-1]] * depth)[:depth]))
    layers = [replace(layer, filters=max(1, round(width * layer.filters))) for layer in recipe.convolutions]
    # More of them leave the picture as large as it is.
    return replace(found, convolutions=tuple((layers + [replace(layers[-1], stride=1)] * depth)[:depth]))


def _varied(recipe: Recipe) -> tuple[object, ...]:
    """The layers that width and depth are about: the dense ones, or convolutions where there are no others."""
    return recipe.hidden or recipe.convolutions


def _distorted(own: Augmentation | None, strength: float) -> Augmentation | None:
    if not strength:
        return None
    if own is not None and strength == 1:
        return own
    whole = _MODERATE if own is None else own
    hands = Hands(added=_share(strength * whole.hands.added), redrawn=_share(strength * whole.hands.redrawn))
    amounts = {
        field.name: _scaled(field.name, getattr(whole, field.name), strength)
        for field in dataclasses.fields(whole)
        if field.name != "hands"
    }
    return Augmentation(hands=hands, **amounts)


_FACTORS = ("aspect", "steepness")  # 1 is none of it
_SIZES = ("rotation", "shear", "shift", "elastic", "thickening")  # the others are shares


def _scaled(name: str, amount: float, strength: float) -> float:
    if name in _FACTORS:
        return round(1 + strength * (amount - 1), 4)
    return round(strength * amount, 4) if name in _SIZES else _share(strength * amount)


def _share(amount: float) -> float:
    return round(min(1.0, amount), 4)
