"""The trials of a search as a picture of parallel coordinates."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from exporter.figures import DPI, write
from trainer.search.journal import Trial
from trainer.search.space import Choices, Continuous
from trainer.search.words import shown

_BEST = "#d9730d"
_CURVE = np.linspace(0, 1, 30)
_MOST_TICKS = 11


def parallel_coordinates(
    path: Path, trials: Sequence[Trial], best: Trial, space: Mapping[str, Continuous | Choices], *, title: str
) -> None:
    """Draw each trial as a line over one axis for each value, for its epochs and for its accuracy.

    Args:
        path: the PNG to write.
        trials: which; the colour of each is its accuracy.
        best: drawn thick, in another colour.
        space: what was varied.
        title: one line on top.
    """
    accuracies = np.array([trial.accuracy for trial in trials])
    low, high = float(accuracies.min()), float(accuracies.max())
    if low == high:
        low, high = low - 0.005, high + 0.005
    epochs = Choices(tuple(sorted({trial.epochs for trial in trials})))
    axes_of = {**space, "epochs": epochs, "accuracy": Continuous(low, high)}
    figure = Figure(figsize=(1.9 * len(axes_of) + 1, 6), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(-0.5, len(axes_of) - 0.5), ylim=(-0.06, 1.06))
    axes.set_xticks(range(len(axes_of)), [name.replace("_", " ") for name in axes_of], size=12)
    axes.set_yticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)

    for place, (name, of) in enumerate(axes_of.items()):
        axes.axvline(place, ymin=0.05, ymax=0.95, color="#606060", linewidth=1, zorder=3)
        for text, height in _ticks(name, of):
            axes.text(
                place - 0.04,
                height,
                text,
                ha="right",
                va="center",
                size=9,
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},  # lines run below
            )

    colours, norm = colormaps["viridis_r"], Normalize(low, high)
    for trial in sorted(trials, key=lambda each: (each is best, each.accuracy)):
        values = {**trial.values, "epochs": trial.epochs, "accuracy": trial.accuracy}
        heights = [_height(name, axes_of[name], values[name]) for name in axes_of]
        across, up = _curve(heights)
        is_best = trial is best
        axes.plot(
            across,
            up,
            color=_BEST if is_best else colours(norm(trial.accuracy)),
            linewidth=3 if is_best else 1.4,
            alpha=1 if is_best else 0.75,
            zorder=2.5 if is_best else 2,
            label=f"best, trial {trial.number}" if is_best else None,
        )
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.06), frameon=False, fontsize=11)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, shrink=0.8, pad=0.01)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    bar.set_label("accuracy on held-out digits", size=11)
    axes.set_title(title, size=13)
    write(figure, path)


def _height(name: str, of: Continuous | Choices, value: float) -> float:
    """Where a value is on its axis, 0 to 1. Choices are as far from each other as their neighbours."""
    if isinstance(of, Choices):
        return of.values.index(value) / (len(of.values) - 1) if len(of.values) > 1 else 0.5
    if name == "accuracy":
        return (value - of.low) / (of.high - of.low)
    return float(np.log(value / of.low) / np.log(of.high / of.low))


def _ticks(name: str, of: Continuous | Choices) -> list[tuple[str, float]]:
    if isinstance(of, Choices):
        step = -(-len(of.values) // _MOST_TICKS)
        return [(shown(name, value), _height(name, of, value)) for value in of.values[::step]]
    if name == "accuracy":
        return [(f"{value:.2%}", _height(name, of, value)) for value in np.linspace(of.low, of.high, 5)]
    return [(shown(name, value), _height(name, of, value)) for value in np.geomspace(of.low, of.high, 5)]


def _curve(heights: Sequence[float]) -> tuple[list[float], list[float]]:
    """A line through heights at 0, 1, 2... that leaves and reaches each axis flat, so that lines can be followed."""
    across, up = [0.0], [heights[0]]
    smooth = _CURVE**2 * (3 - 2 * _CURVE)
    for place, (left, right) in enumerate(itertools.pairwise(heights)):
        across.extend(place + _CURVE)
        up.extend(left + smooth * (right - left))
    return across, up
