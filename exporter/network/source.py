"""Where a network comes from: a run folder, or a published version where that is gone."""

import itertools
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from exporter.command import UserError
from exporter.contract import (
    CLASSES,
    PIXELS,
    PIXELS_SIGNATURE,
    PROBABILITIES,
    RUN_METRICS,
    RUN_TEMPERATURE,
    SIDE,
)
from exporter.network.served import load

_PROBES = 64  # random pictures by which the temperature is found


def is_published(folder: Path) -> bool:
    """Whether a folder is a version that digits-export has published, rather than a run."""
    return (folder / "saved_model.pb").is_file()


def load_source(folder: Path) -> tuple[keras.Model, float]:
    """The network and the temperature of a run folder or of a published version; UserError where there is none."""
    if is_published(folder):
        return load_published(folder)
    return load(folder), _load_temperature(folder)


def load_published(folder: Path) -> tuple[keras.Model, float]:
    """The network of a version, rebuilt layer by layer, and its temperature.

    Raises:
        UserError: the version cannot be loaded, or its network is no chain of dense layers.
    """
    try:
        loaded = tf.saved_model.load(str(folder))
        answer = loaded.signatures[PIXELS_SIGNATURE]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{folder} cannot be loaded: {str(error).splitlines()[0]}; name a run folder instead") from None
    weights = [variable.numpy() for variable in getattr(loaded, "weights", answer.variables)]
    kernels, biases = weights[::2], weights[1::2]
    widths = [SIDE * SIDE, *(len(bias) for bias in biases)]
    is_dense = bool(weights) and len(weights) % 2 == 0 and widths[-1] == CLASSES
    if not is_dense or [kernel.shape for kernel in kernels] != list(itertools.pairwise(widths)):
        raise UserError(f"{folder} holds no chain of dense layers, which alone can be taken out; name its run folder")
    layers = [keras.layers.Dense(width, activation="relu") for width in widths[1:-1]]
    last = keras.layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((SIDE, SIDE)), keras.layers.Flatten(), *layers, last], name=folder.name)
    model.set_weights(weights)
    # Older versions do not say.
    stated = getattr(loaded, "temperature", None)
    return model, _temperature(model, answer) if stated is None else float(stated.numpy())


def _load_temperature(run: Path) -> float:
    """What calibrates the network's confidence; 1 for a run folder from before there was any."""
    path = run / RUN_METRICS
    if not path.is_file():
        return 1.0
    try:
        temperature = float(json.loads(path.read_text(encoding="utf-8")).get(RUN_TEMPERATURE, 1.0))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read: {error}; train it again with digits-train") from None
    if not 0 < temperature < float("inf"):
        raise UserError(f"{path}: {RUN_TEMPERATURE} is {temperature}, not a positive number; train it again")
    return temperature


def _temperature(model: keras.Model, answer: tf.types.experimental.GenericFunction) -> float:
    """What calibrates a version, by its answers: the slope of the network's logarithms against theirs."""
    pixels = np.random.default_rng(0).integers(0, 256, [_PROBES, SIDE, SIDE], np.uint8)
    served = answer(**{PIXELS: tf.constant(pixels)})[PROBABILITIES].numpy().astype(np.float64)
    plain = model(pixels.astype(np.float32) / 255, training=False).numpy().astype(np.float64)
    # Differences within a picture; numbers too small to be told from 0 say nothing.
    ours, theirs = (np.log(np.maximum(values, 1e-30)) for values in (plain, served))
    known = (plain > 1e-12) & (served > 1e-12)
    ours, theirs = (values - values.max(axis=1, keepdims=True) for values in (ours, theirs))
    return float((ours * ours * known).sum() / (ours * theirs * known).sum())
