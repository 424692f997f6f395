"""Recipes are what their names and the reference networks say."""

import dataclasses

import keras
import numpy as np
import pytest

from exporter.command import UserError
from trainer.fitting.network import build, predict
from trainer.recipes import RECIPES, Recipe, find


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_parameters_equal_keras_count(recipe: Recipe) -> None:
    """The parameters in the table of recipes are those that Keras counts."""
    assert recipe.parameters == build(recipe).count_params()


@pytest.mark.parametrize(
    ("name", "parameters", "loss"),
    [
        ("dense-128-dropout", 101_770, "categorical_crossentropy"),
        ("dense-150-50", 125_810, "sparse_categorical_crossentropy"),
        ("dense-128", 101_770, "sparse_categorical_crossentropy"),
        ("dense-128-32", 104_938, "sparse_categorical_crossentropy"),
        ("dense-10-10-10", 8_180, "categorical_crossentropy"),
    ],
)
def test_reference_networks(name: str, parameters: int, loss: str) -> None:
    """The five reference networks have their published size and loss, in the recipe and in what Keras compiled."""
    recipe = find(name)
    assert (recipe.parameters, recipe.loss) == (parameters, loss)
    model = build(recipe)
    assert model.loss == loss
    assert type(model.optimizer) is keras.optimizers.Adam
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    assert recipe.augmentation is None


def test_shipped_network() -> None:
    """Three layers of 1024, batch normalisation before each ReLU and instead of biases; AdamW decays weights alone."""
    model = build(find("dense-1024-1024-1024"))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Flatten", *["Dense", "BatchNormalization", "ReLU"] * 3, "Dense"]
    assert [layer.use_bias for layer in model.layers if hasattr(layer, "units")] == [False, False, False, True]
    assert model.count_params() == 2_922_506
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    decayed = {v.name for v in model.trainable_variables if model.optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_layers(recipe: Recipe) -> None:
    """A network takes [n, 28, 28], flattens it, and has the recipe's layers in their order."""
    model = build(recipe)
    assert model.input_shape == (None, 28, 28)
    assert model.output_shape == (None, 10)
    dense = [layer for layer in model.layers if hasattr(layer, "units")]
    assert [layer.units for layer in dense] == [*recipe.hidden, 10]
    activations = [
        layer for layer in model.layers if hasattr(layer, "activation") or isinstance(layer, keras.layers.ReLU)
    ]
    relus = ["relu"] * (len(recipe.convolutions) + len(recipe.hidden))
    names = [getattr(layer, "activation", keras.activations.relu).__name__ for layer in activations]
    assert [name for name in names if name != "linear"] == [*relus, recipe.outputs]
    rates = [layer.rate for layer in model.layers if hasattr(layer, "rate")]
    assert rates == ([recipe.dropout] * len(recipe.hidden) if recipe.dropout else [])


@pytest.mark.parametrize("name", ["dense-128", "dense-150-50"])
def test_probabilities_sum_to_one(name: str) -> None:
    """Softmax or sigmoid, each image's probabilities sum to 1 and keep the order of the network's scores."""
    model = build(find(name))
    images = np.random.default_rng(0).random((5, 28, 28), np.float32)
    probabilities = predict(model, images)
    assert probabilities.shape == (5, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    scores = model.predict(images, verbose=0)
    assert (scores.argsort(axis=1) == probabilities.argsort(axis=1)).all()


def test_what_forms_show_is_in_the_champion_alone() -> None:
    """Ways of other hands, cuts and remains are for teachers and champion; the other recipes stay as they were."""
    for name, recipe in RECIPES.items():
        if recipe.augmentation is not None:
            amounts = recipe.augmentation.hands.redrawn, recipe.augmentation.cut, recipe.augmentation.remains
            assert all(amounts) if name in {"cnn", "champion"} else not any(amounts)
            assert recipe.augmentation.hands.added == 0.35
    teacher, student = find("cnn").augmentation, find("champion").augmentation
    assert teacher is not None
    assert student is not None
    assert teacher.hands.redrawn > student.hands.redrawn
    assert dataclasses.replace(teacher, hands=student.hands) == student
    assert hash(find("champion")) == hash(find("champion"))


def test_unknown_recipe_names_the_known_ones() -> None:
    """A misspelt recipe is answered with the closest one and the list of all."""
    with pytest.raises(UserError, match=r"no recipe 'dense-150-5'; did you mean dense-150-50\?") as error:
        find("dense-150-5")
    assert all(name in str(error.value) for name in RECIPES)


def test_unlike_any_recipe() -> None:
    """A name like no other gets the list without a guess."""
    with pytest.raises(UserError, match="no recipe 'zzz'; known recipes: dense-128-dropout, "):
        find("zzz")


def test_recipes_are_constant() -> None:
    """A run cannot change a recipe for the next one."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        find("dense-128").epochs = 1  # type: ignore[misc]
