"""Pictures of how a fit went and how far its confidence can be believed. Arrays in, a PNG out, no global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from exporter.figures import DPI, write
from trainer.evaluation.calibrate import BINS, Reliability
from trainer.evaluation.paired import Paired

_TRAINING, _VALIDATION = "#1f5fa8", "#d9730d"


def curves(path: Path, history: Mapping[str, Sequence[float]], *, title: str) -> None:
    """Draw accuracy and loss against epochs.

    Args:
        path: the PNG to write.
        history: values after each epoch of `accuracy` and `loss`, and of `val_accuracy` and `val_loss` where there was
            validation.
        title: one line on top.
    """
    figure = Figure(figsize=(10, 4.5), dpi=DPI, layout="constrained")
    figure.suptitle(title, size=13)
    for place, name in enumerate(("accuracy", "loss"), start=1):
        axes = figure.add_subplot(1, 2, place)
        for key, label, colour in ((name, "training", _TRAINING), (f"val_{name}", "validation", _VALIDATION)):
            if key in history:
                values = history[key]
                axes.plot(range(1, len(values) + 1), values, marker="o", markersize=4, color=colour, label=label)
        axes.set_xlabel("epoch", size=11)
        axes.set_ylabel("cross-entropy loss" if name == "loss" else name, size=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    write(figure, path)


def reliability(path: Path, found: Reliability, *, title: str) -> None:
    """Draw accuracy against confidence in bins, above how many images each bin has.

    Args:
        path: the PNG to write.
        found: the bins.
        title: one line on top.
    """
    figure = Figure(figsize=(7, 7.5), dpi=DPI, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges = np.arange(BINS) / BINS
    some = found.count > 0
    bars = {"width": 1 / BINS, "align": "edge", "edgecolor": "white"}
    axes.bar(edges[some], found.accuracy[some], color=_TRAINING, label="accuracy", **bars)
    axes.plot([0, 1], [0, 1], color="#808080", linestyle="--", linewidth=1, label="as sure as right")
    axes.plot(found.confidence[some], found.accuracy[some], "o", color=_VALIDATION, label="mean confidence")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))  # room for a dot at either end
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("accuracy", size=11)
    axes.grid(alpha=0.3)
    figure.suptitle(title, size=12)
    # Nearly all images are in the last bin: on a linear scale the others would not be seen.
    below.bar(edges[some], found.count[some], color=_TRAINING, **bars)
    below.set(yscale="log", ylim=(0.5, 6 * found.count.max()))
    # Here, as few images are as unsure as that; above, a single one may fill the left side.
    below.legend(*axes.get_legend_handles_labels(), loc="upper left", frameon=False)
    for left, count in zip(edges[some], found.count[some], strict=True):
        below.text(left + 0.5 / BINS, count, f"{count:,}", ha="center", va="bottom", size=8)
    below.set_xlabel("confidence", size=11)
    below.set_ylabel("images", size=11)
    write(figure, path)


def before_after(path: Path, rows: Sequence[tuple[str, Paired]]) -> None:
    """Draw accuracies of an old and a new network with their 95 % intervals, a set of pictures in each panel.

    Args:
        path: the PNG to write.
        rows: name and figures of each set.
    """
    figure = Figure(figsize=(4.2 * len(rows) + 0.8, 4.5), dpi=DPI, layout="constrained")
    for place, (name, compared) in enumerate(rows, start=1):
        axes = figure.add_subplot(1, len(rows), place)
        sides = (
            ("before", compared.old, compared.old_interval, _TRAINING),
            ("after", compared.new, compared.new_interval, _VALIDATION),
        )
        for column, (_, share, (low, high), colour) in enumerate(sides):
            reach = [[max(0, share - low)], [max(0, high - share)]]
            axes.errorbar([column], [share], reach, fmt="o", markersize=7, capsize=6, color=colour)
            axes.annotate(f"{share:.2%}", (column, share), (10, 0), textcoords="offset points", va="center", size=11)
        axes.set(xlim=(-0.5, 1.7), xticks=[0, 1], xticklabels=[label for label, *_ in sides])
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_ylabel("accuracy, with 95 % interval", size=11)
        axes.grid(axis="y", alpha=0.3)
        axes.set_title(f"{name}: {compared.images:,} pictures, p {compared.p:.2g}", size=11)
    write(figure, path)
