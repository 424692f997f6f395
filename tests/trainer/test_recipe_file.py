"""Recipes as files that people read and change."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.command import UserError
from trainer.recipe_file import LIMITS, read_recipe, recipe_text
from trainer.recipes import RECIPES, Augmentation, Convolution, Distillation, Hands, Recipe

SMALL = 'name = "mine"\nhidden = [64]\nepochs = 3\n'


def _number(kind: type, name: str) -> st.SearchStrategy[float]:
    low, high = LIMITS[kind][name]
    if typing.get_type_hints(kind)[name] is float:
        return st.floats(low, high)
    return st.integers(int(low), int(high))


def _numbers(kind: type, *others: str) -> dict[str, st.SearchStrategy[float]]:
    return {name: _number(kind, name) for name in LIMITS[kind] if name not in others}


HANDS = st.builds(Hands, **_numbers(Hands))
AUGMENTATIONS = st.builds(Augmentation, hands=HANDS, **_numbers(Augmentation))
DISTILLATIONS = st.builds(
    Distillation,
    teacher=st.sampled_from(list(RECIPES)),
    seeds=st.lists(_number(Distillation, "seeds"), min_size=1, max_size=5).map(tuple),
    **_numbers(Distillation, "seeds"),
)
ANY = st.builds(
    Recipe,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", fullmatch=True).filter(lambda name: name not in RECIPES),
    convolutions=st.lists(st.builds(Convolution, **_numbers(Convolution)), max_size=4).map(tuple),
    hidden=st.lists(_number(Recipe, "hidden"), max_size=4).map(tuple),
    batch_norm=st.booleans(),
    outputs=st.sampled_from(["softmax", "sigmoid"]),
    one_hot=st.sampled_from([True]),
    cosine=st.booleans(),
    bfloat16=st.booleans(),
    xla=st.booleans(),
    augmentation=AUGMENTATIONS,
    distillation=st.none() | DISTILLATIONS,
    **_numbers(Recipe, "hidden"),
)


@given(recipe=ANY)
def test_a_file_holds_all_of_a_recipe(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    """What was written is read again, to the last bit, whatever comments are on top."""
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_text(recipe_text(recipe, "a comment", 'another, with "quotes" = [1]'), encoding="utf-8")
    assert read_recipe(path) == recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_recipes_of_this_project(recipe: Recipe, tmp_path: Path) -> None:
    """Each of the project's own recipes can be a file, and be read from it."""
    path = tmp_path / "own.toml"
    path.write_text(recipe_text(recipe))
    assert read_recipe(path) == recipe


def test_a_file_has_what_differs_from_the_defaults(tmp_path: Path) -> None:
    """A person finds a few lines: comments, values, tables; what is left away has its default."""
    recipe = Recipe(name="mine", hidden=(64, 32), epochs=3, augmentation=Augmentation(hands=Hands(added=0.5)))
    text = recipe_text(recipe, "Mine.")
    assert text == (
        '# Mine.\nname = "mine"\nhidden = [64, 32]\nepochs = 3\n\n[augmentation]\n\n[augmentation.hands]\nadded = 0.5\n'
    )
    path = tmp_path / "mine.toml"
    path.write_text(SMALL + "dropout = 0\n")
    assert read_recipe(path) == Recipe(name="mine", hidden=(64,), epochs=3)


def test_an_augmentation_of_nothing_is_kept(tmp_path: Path) -> None:
    """A table without values is a distortion that does nothing, not none."""
    path = tmp_path / "mine.toml"
    path.write_text(recipe_text(Recipe(name="mine", hidden=(), epochs=1, augmentation=Augmentation())))
    assert read_recipe(path).augmentation == Augmentation()


@pytest.mark.parametrize("kind", LIMITS)
def test_every_number_has_limits(kind: type) -> None:
    """No number of a recipe goes unchecked."""
    hints = typing.get_type_hints(kind)
    numbers = {field.name for field in dataclasses.fields(kind) if hints[field.name] in (int, float, tuple[int, ...])}
    assert numbers == set(LIMITS[kind])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = \n", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ("", "has no name"),
        ('name = "mine"\nepochs = 3\n', "has no hidden"),
        (SMALL + "dropuot = 0.2\n", "unknown key dropuot; did you mean dropout?"),
        (SMALL + "zzz = 1\n", "unknown key zzz; known keys: name, convolutions"),
        (SMALL + 'dropout = "much"\n', 'dropout is "much"; it must be a number'),
        (SMALL + "dropout = 1.5\n", "dropout is 1.5; it must be from 0 to 0.95"),
        (SMALL + "dropout = nan\n", "dropout is NaN; it must be from 0 to 0.95"),
        (SMALL + "learning_rate = inf\n", "learning_rate is Infinity; it must be from"),
        (SMALL + "learning_rate = 1979-05-27\n", 'learning_rate is "1979-05-27"; it must be a number'),
        (SMALL + "batch = 32.5\n", "batch is 32.5; it must be a whole number"),
        (SMALL + "batch = true\n", "batch is true; it must be a whole number"),
        (SMALL + "batch_norm = 1\n", "batch_norm is 1; it must be true or false"),
        (SMALL + 'outputs = "tanh"\n', 'outputs is "tanh"; it must be one of softmax, sigmoid'),
        (SMALL + "outputs = [1]\n", "outputs is [1]; it must be one of"),
        (SMALL.replace("[64]", "64"), "hidden is 64; it must be a list"),
        (SMALL.replace("[64]", "[64, 0]"), "hidden is 0; it must be from 1 to 16,384"),
        (SMALL.replace("[64]", str([1] * 65)), "hidden has 65 items; at most 64"),
        (SMALL.replace("mine", "a/b"), 'name is "a/b"; it must be a name'),
        (SMALL.replace("mine", "cnn"), "name is that of another recipe, cnn"),
        (SMALL + "augmentation = 3\n", "augmentation is 3; it must be a table, [augmentation]"),
        (SMALL + "[augmentation]\nrotaton = 3\n", "unknown key augmentation.rotaton; did you mean rotation?"),
        (SMALL + "[augmentation.hands]\nadded = -1\n", "augmentation.hands.added is -1; it must be from 0 to 1"),
        (SMALL + "[[convolutions]]\nstride = 2\n", "has no convolutions.filters, which a recipe needs"),
        (SMALL + "[[convolutions]]\nfilters = 8\nstride = 3\n", "convolutions.stride is 3; it must be from 1 to 2"),
        (SMALL + "[convolutions]\nfilters = 8\n", 'convolutions is {"filters": 8}; it must be a list'),
        (SMALL + "non_digits = 0.1\n", "non_digits needs one_hot = true and a table [augmentation]"),
        (
            SMALL + '[distillation]\nteacher = "cnn"\nseeds = [0]\ncopies = 2\nsoftness = 2\n',
            "distillation needs one_hot = true",
        ),
        (
            SMALL + 'one_hot = true\n[distillation]\nteacher = "cnn"\nseeds = []\ncopies = 2\nsoftness = 2\n',
            "distillation.seeds is empty",
        ),
    ],
)
def test_mistakes_are_named(text: str | bytes, said: str, tmp_path: Path) -> None:
    """A wrong file is refused with its name, the key and what belongs there."""
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as refused:
        read_recipe(path)
    assert str(refused.value).startswith(f"{path}: {said}")


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there, and a folder, are refused with their names."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UserError, match=f"{path}: cannot be read"):
            read_recipe(path)


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    """The recipe file that docs/train.md shows is one."""
    page = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    recipe = read_recipe(path)
    assert (recipe.name, recipe.hidden, recipe.cosine) == ("mine", (256, 128), True)
    assert recipe.augmentation == Augmentation(rotation=10, shear=0.2, shift=1, hands=Hands(added=0.2))
