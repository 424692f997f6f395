"""Fitting a network to images, with progress on the terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress, TextColumn

from exporter.command import UserError
from exporter.contract import CLASSES
from trainer.bar import bar
from trainer.data.batches import DistortedBatches
from trainer.data.nondigits import NonDigits
from trainer.fitting.checkpoint import Checkpoints
from trainer.fitting.distill import LessonBatches, Lessons
from trainer.recipes import Recipe
from trainer.run_folder.runs import History

_WARM_UP = 0.05  # share of the steps in which the learning rate rises to its highest

_NAMES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}


def split(images: int, recipe: Recipe) -> tuple[int, int]:
    """How many of the images are fitted and how many validate; UserError where there are too few for both."""
    held_out = round(images * recipe.validation)
    if recipe.validation and not 0 < held_out < images:
        raise UserError(
            f"{images} training images are too few to hold out {recipe.validation:.0%} for validation, "
            f"as {recipe.name} does; give more with --data",
        )
    return images - held_out, held_out


@dataclass(frozen=True, eq=False)
class Material:
    """What a network is fitted to."""

    images: npt.NDArray[np.float32]
    """[n, 28, 28], 0 to 1."""
    labels: npt.NDArray[np.integer]
    """Digits, [n]."""
    others: NonDigits | None = None
    """Pictures that are no digit, for a recipe that mixes them in."""
    lessons: Lessons | None = None
    """What teachers say of distorted copies of the images that are fitted, for a recipe with teachers."""


def fit(
    model: keras.Model,
    material: Material,
    recipe: Recipe,
    *,
    seed: int,
    console: Console,
    checkpoints: Checkpoints | None = None,
    after_epoch: Callable[[int], None] | None = None,
) -> History:
    """Fit a network that was built by the same recipe.

    Args:
        model: fitted in place.
        material: what to; the recipe's share of the images, from their end, validates. Accuracy counts pictures that
            are no digit, though no answer to them is right.
        recipe: epochs, batch size, share held out, form of the labels, learning rates and distortions.
        seed: of the distortions and the order of what is drawn anew in each epoch; all else follows Keras' own seed.
        console: where progress is shown, if it is a terminal.
        checkpoints: what an interrupted fit left, and where this one leaves it.
        after_epoch: called with the number of epochs that are done.

    Raises:
        ValueError: the recipe learns from teachers, and there are no lessons.
    """
    images = material.images
    targets = keras.utils.to_categorical(material.labels, CLASSES) if recipe.one_hot else material.labels
    fitted, held_out = split(len(images), recipe)
    drawn = _drawn_anew(material, targets[:fitted], recipe, seed=seed)
    batches = -(-fitted // recipe.batch) if drawn is None else len(drawn)
    if recipe.cosine:
        model.optimizer.learning_rate = _cosine(recipe.learning_rate, recipe.epochs * batches)
    done = 0 if checkpoints is None else checkpoints.restore(model)
    if done:
        console.print(f"going on after epoch {done} of {recipe.epochs}", highlight=False)
    callbacks = [] if checkpoints is None else [checkpoints]
    if after_epoch is not None:
        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _logs: after_epoch(epoch + 1)))
    with bar(console, TextColumn("{task.fields[figures]}")) as progress:
        if console.is_terminal:
            callbacks.append(_show(progress, recipe, batches=batches))
        if drawn is None:
            data = {"x": images[:fitted], "y": targets[:fitted], "batch_size": recipe.batch}
        else:
            drawn.start_at(done)
            data = {"x": drawn, "shuffle": False}  # it shuffles by itself
        history = model.fit(
            **data,
            initial_epoch=done,
            epochs=recipe.epochs,
            validation_data=(images[fitted:], targets[fitted:]) if held_out else None,
            callbacks=callbacks,
            verbose=0,
        ).history
    if checkpoints is not None:
        history = checkpoints.history
    return {name: [float(value) for value in history[name]] for name in _NAMES if name in history}


def _drawn_anew(
    material: Material,
    targets: npt.NDArray[np.generic],
    recipe: Recipe,
    *,
    seed: int,
) -> DistortedBatches | LessonBatches | None:
    """What differs from epoch to epoch: teachers' lessons, or images distorted anew; None where nothing does."""
    if material.lessons is not None:
        return LessonBatches(material.lessons, batch=recipe.batch, seed=seed)
    if recipe.distillation is not None:
        raise ValueError(f"{recipe.name} learns from teachers alone, and there are no lessons of theirs")
    if recipe.augmentation is None:
        return None
    images = material.images[: len(targets)]
    return DistortedBatches(
        images, targets, augmentation=recipe.augmentation, batch=recipe.batch, seed=seed, others=material.others
    )


def _cosine(highest: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """From 0 straight up to the highest, then down to 0 along a cosine (Loshchilov and Hutter 2017)."""
    rising = max(1, round(_WARM_UP * steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=highest,
        warmup_steps=rising,
        decay_steps=max(1, steps - rising),
    )


def _show(progress: Progress, recipe: Recipe, *, batches: int) -> keras.callbacks.Callback:
    """Tell a progress display where the fit is: one bar over all epochs, and a line that stays for each epoch."""
    task = progress.add_task("starting", total=recipe.epochs * batches, figures="")
    epoch = 0

    def start_epoch(index: int, _logs: object) -> None:
        nonlocal epoch
        epoch = index

    def end_batch(index: int, logs: Mapping[str, float]) -> None:
        # Where Keras makes several steps at once the last one may lie beyond the epoch's end.
        done = min(index + 1, batches)
        progress.update(
            task,
            completed=epoch * batches + done,
            description=f"epoch {epoch + 1}/{recipe.epochs}, batch {done}/{batches}",
            figures=_figures(logs),
        )

    def end_epoch(index: int, logs: Mapping[str, float]) -> None:
        progress.console.print(f"epoch {index + 1}/{recipe.epochs}: {_figures(logs)}", highlight=False)

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=start_epoch,
        on_train_batch_end=end_batch,
        on_epoch_end=end_epoch,
    )


def _figures(logs: Mapping[str, float]) -> str:
    return ", ".join(f"{_NAMES[key]} {logs[key]:.4f}" for key in _NAMES if key in logs)
