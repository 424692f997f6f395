"""A fitted network that learns from labels, and keeps to its own answers about what it was fitted to.

Learning without forgetting (Li and Hoiem 2016), with rehearsal: beside labelled pictures it sees training images of
MNIST, as they are and distorted, whose targets are what the old network says of these very copies.
"""

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt

from exporter.command import UserError
from exporter.network.fold import fold
from exporter.network.probabilities import to_probabilities
from exporter.network.served import FLOAT32
from trainer.adapt.batches import MixedBatches
from trainer.adapt.settings import Settings
from trainer.fitting.distill import Lessons

_STEPS_AT_ONCE = 16  # between two looks at Keras' callbacks
_WARM_UP = 0.05  # share of the steps in which the learning rate rises


class Learner:
    """A network that can be fitted to several sets of labels, each time from where it began.

    Args:
        model: fitted, with a softmax or with sigmoid scores.
        temperature: what calibrates it: labels are learned by calibrated probabilities, as certain as they are.
        lessons: what it says of images that it knows, calibrated by the same temperature.
        settings: how long and how fast.

    Raises:
        UserError: a network with layers that are not known here.
    """

    def __init__(
        self,
        model: keras.Model,
        temperature: float,
        lessons: Lessons,
        settings: Settings,
    ) -> None:
        self._model, self._adapted = folded(model), folded(model)
        self._begin = self._model.get_weights()
        self._lessons = lessons
        self._settings = settings

        def surprise(targets: keras.KerasTensor, scores: keras.KerasTensor) -> keras.KerasTensor:
            return keras.losses.categorical_crossentropy(targets, to_probabilities(scores, temperature))

        self._loss = surprise

    def steps_for(self, labels: int) -> int:
        """How many steps a fit to so many labels takes."""
        return self._settings.steps_for(labels)

    def fit(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.integer],
        *,
        seed: int,
        on_step: Callable[[int], None],
    ) -> keras.Model:
        """Fit it to labelled pictures.

        Args:
            images: uint8 [n, 28, 28], in MNIST's form; n > 0.
            labels: 0 to 9, or NO_DIGIT, [n].
            seed: of everything random.
            on_step: told how many of its steps are done.

        Returns:
            The adapted network, not compiled, and the same object each time.
        """
        settings = self._settings
        batches = MixedBatches(
            images,
            labels,
            self._lessons,
            settings,
            steps=self.steps_for(len(images)),
            seed=seed,
        )
        rising = max(1, round(_WARM_UP * len(batches)))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, len(batches) - rising, warmup_target=settings.learning_rate, warmup_steps=rising
        )
        self._model.set_weights(self._begin)
        self._model.compile(optimizer=keras.optimizers.Adam(rate), loss=self._loss, steps_per_execution=_STEPS_AT_ONCE)

        def end_batch(batch: int, logs: object) -> None:  # noqa: ARG001 - Keras calls it by these names
            # Where several steps are made at once the last one may lie beyond the end.
            on_step(min(batch + 1, len(batches)))

        progress = keras.callbacks.LambdaCallback(on_train_batch_end=end_batch)
        self._model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[progress])
        fitted = self._model.get_weights()
        self._adapted.set_weights(
            [old + settings.share * (new - old) for old, new in zip(self._begin, fitted, strict=True)]
        )
        return self._adapted


def folded(model: keras.Model) -> keras.Model:
    """The network with batch normalisation folded into its weights, as it is served.

    Moving averages of few pictures would tell it little; UserError of one with layers that are not known.
    """
    found = fold(model, FLOAT32)
    if found is None:
        raise UserError(f"{model.name} has layers that cannot be folded, and cannot be adapted")
    return found
