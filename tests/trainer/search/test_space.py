"""What a search varies, and the recipes that come of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.command import UserError
from trainer.recipe_file import read_recipe, recipe_text
from trainer.recipes import RECIPES, Recipe, find
from trainer.search.space import Choices, space_of, values_of, varied

SEARCHED = [recipe for recipe in RECIPES.values() if recipe.distillation is None]


def _values(recipe: Recipe) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries(
        {
            name: st.sampled_from(of.values) if isinstance(of, Choices) else st.floats(of.low, of.high)
            for name, of in space_of(recipe).items()
        }
    )


@pytest.mark.parametrize("recipe", SEARCHED, ids=lambda recipe: recipe.name)
def test_a_recipes_own_values_leave_it_as_it_is(recipe: Recipe) -> None:
    """The space of a recipe holds the recipe itself."""
    values = values_of(recipe)
    assert varied(recipe, values) == recipe
    for name, of in space_of(recipe).items():
        if isinstance(of, Choices):
            assert name == "dropout" or values[name] in of.values
            assert list(of.values) == sorted(set(of.values))
        else:
            assert of.low < values[name] < of.high


@given(data=st.data(), recipe=st.sampled_from(SEARCHED))
def test_every_variant_can_be_a_file(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, recipe: Recipe
) -> None:
    """Whatever values a search may draw, their recipe passes the checks of recipe files."""
    variant = varied(recipe, data.draw(_values(recipe)))
    path = tmp_path_factory.getbasetemp() / "variant.toml"
    path.write_text(recipe_text(variant).replace(f'name = "{recipe.name}"', 'name = "mine"'))
    found = read_recipe(path)
    assert (found.hidden, found.convolutions, found.augmentation) == (
        variant.hidden,
        variant.convolutions,
        variant.augmentation,
    )


def test_width_and_depth() -> None:
    """Width is a factor of all layers, more layers repeat the last, fewer leave it away."""
    recipe = find("dense-150-50")
    values = values_of(recipe)
    assert varied(recipe, values | {"width": 2.0, "depth": 4}).hidden == (300, 100, 100, 100)
    assert varied(recipe, values | {"width": 0.5, "depth": 1}).hidden == (75,)
    cnn = find("cnn")
    deep = varied(cnn, values_of(cnn) | {"width": 0.5, "depth": 6}).convolutions
    assert [layer.filters for layer in deep] == [16, 32, 32, 64, 64, 64]
    assert [layer.stride for layer in deep] == [1, 2, 1, 2, 1, 1]


def test_distortion() -> None:
    """Distortion is a factor of the recipe's own amounts; shares stay shares; without it there is none."""
    cnn, plain = find("cnn"), find("dense-128")
    own, half, more = (
        varied(cnn, values_of(cnn) | {"distortion": strength}).augmentation for strength in (1.0, 0.5, 1.5)
    )
    assert own == cnn.augmentation
    assert own is not None
    assert half is not None
    assert more is not None
    assert (half.rotation, half.aspect, half.hands.added) == (10, 1.3, 0.175)
    assert (more.blur, more.steepness, more.thickening) == (0.75, 4.0, 2.25)
    assert varied(plain, values_of(plain)).augmentation is None
    assert varied(plain, values_of(plain) | {"distortion": 0.5}).augmentation is not None


def test_what_has_no_effect_is_not_varied() -> None:
    """A network without dense layers has no dropout to vary."""
    assert "dropout" not in space_of(find("cnn"))
    assert set(space_of(Recipe(name="mine", hidden=(), epochs=1))) == {"learning_rate", "batch", "distortion"}


def test_students_are_not_searched() -> None:
    """A recipe with teachers is refused, and the error names what can be searched."""
    with pytest.raises(UserError, match=r"champion learns from teachers.*; search cnn instead"):
        space_of(find("champion"))
