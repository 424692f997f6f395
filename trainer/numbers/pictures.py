"""Pictures of what a reader does: strings with boxes and answers, and how many of the surest answers are right."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from exporter.figures import DPI, write

_COLUMNS = 4
_RED, _BLUE, _ORANGE = "#c81e1e", "#1f5fa8", "#d9730d"
_CERTAIN = 0.95


def draw_strings(
    path: Path,
    pictures: Sequence[npt.NDArray[np.uint8]],
    boxes: Sequence[npt.NDArray[np.float32]],
    said: Sequence[str],
    true: Sequence[str],
    *,
    title: str,
) -> None:
    """Draw strings with the boxes of the digits that were read, and what was said of each.

    Args:
        path: the PNG to write.
        pictures: grey, uint8 [h, w] each.
        boxes: top, left, bottom and right of the digits of the answer, float32 [k, 4] each.
        said: the answers.
        true: the texts; an answer that differs is red.
        title: one line on top.
    """
    rows = -(-len(pictures) // _COLUMNS)
    figure = Figure(figsize=(3.2 * _COLUMNS, 1.25 * rows + 0.6), dpi=DPI, layout="constrained")
    figure.suptitle(title, size=13)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for place in axes:
        place.set_axis_off()
    for place, picture, found, answer, text in zip(axes, pictures, boxes, said, true, strict=False):
        place.imshow(picture, cmap="gray", vmin=0, vmax=255)
        for top, left, bottom, right in found:
            place.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=_ORANGE, linewidth=0.9)
        is_right = answer == text
        caption = answer if is_right else f"{answer or 'nothing'}, is {text}"
        place.set_title(caption, size=10, color="black" if is_right else _RED, pad=2)
    write(figure, path)


def draw_coverage(
    path: Path,
    answers: Sequence[tuple[str, npt.NDArray[np.floating], npt.NDArray[np.bool_]]],
    *,
    title: str,
) -> None:
    """Draw the share of right answers against the share that is answered, the surest first.

    Args:
        path: the PNG to write.
        answers: sets by name, each with confidence, [n], and which answers are right, bool [n].
        title: one line on top.
    """
    figure = Figure(figsize=(7, 5), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for (name, confidence, right), colour in zip(answers, (_BLUE, _ORANGE, _RED), strict=False):
        order = np.argsort(-confidence, kind="stable")
        covered = np.arange(1, len(order) + 1) / len(order)
        accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
        axes.plot(covered, accuracy, color=colour, label=name)
    axes.axhline(_CERTAIN, color="#808080", linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), xlabel="share of fields answered, the surest first", ylabel="share of these read exactly")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower left")
    axes.set_title(title, size=13)
    write(figure, path)


def coverage(confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_], accuracy: float = _CERTAIN) -> float:
    """The largest share of answers, the surest first, of which so many are right."""
    order = np.argsort(-confidence, kind="stable")
    enough = np.flatnonzero(np.cumsum(right[order]) >= accuracy * np.arange(1, len(order) + 1))
    return float(enough[-1] + 1) / len(order) if len(enough) else 0.0
