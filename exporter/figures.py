"""Pictures for people: sheets of images and confusion. Arrays in, a PNG out, no global state.

What the trainer draws of a run and what digits-batch draws of a table; needs Matplotlib.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

DPI = 120
_RED = "#c81e1e"

# A contact sheet's measures, in widths of one image.
_GAP = 0.22
_CAPTION = 0.2
_INCHES = 0.85
_TITLE_INCHES = 0.4
# With notes images are larger, so that a line of a note holds some thirty characters.
_NOTED_INCHES = 1.6
_NOTED_CAPTION = 0.26
_NOTE_POINTS = 7.5
_POINTS_PER_INCH = 72
_MONOSPACE_WIDTH = 0.602  # of DejaVu Sans Mono, Matplotlib's own, in font sizes


def contact_sheet(
    path: Path,
    images: npt.NDArray[np.uint8],
    captions: Sequence[str],
    *,
    title: str,
    marked: npt.NDArray[np.bool_] | None = None,
    columns: int = 10,
    notes: Sequence[str] | None = None,
) -> None:
    """Draw images row by row, each with its caption below.

    Args:
        path: the PNG to write.
        images: uint8 [n, h, w], grey, or [n, h, w, 3], RGB; shown in squares.
        captions: n short texts, about 12 characters at most, 22 where there are notes.
        title: one line on top.
        marked: bool [n], which images get a red frame and a red caption.
        columns: images in a row.
        notes: n texts such as paths, small below the captions, shortened in the middle where they are too long. The
            images are drawn larger then.
    """
    inches, caption_height = (_INCHES, _CAPTION) if notes is None else (_NOTED_INCHES, _NOTED_CAPTION)
    rows = max(1, -(-len(images) // columns))
    pitch_x, pitch_y = 1 + _GAP, 1 + caption_height + _GAP
    width, height = columns * pitch_x + _GAP, rows * pitch_y + _GAP
    note_length = int((1 + _GAP / 2) * inches * _POINTS_PER_INCH / (_NOTE_POINTS * _MONOSPACE_WIDTH))
    figure = Figure(figsize=(inches * width, inches * height + _TITLE_INCHES), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.set_axis_off()
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(place, columns)
        left, top = _GAP + column * pitch_x, _GAP + row * pitch_y
        wrong = marked is not None and bool(marked[place])
        axes.imshow(
            image,
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(left, left + 1, top + 1, top),
            interpolation="nearest",
        )
        axes.text(
            left + 0.5,
            top + 1 + 0.068 / inches,
            caption,
            ha="center",
            va="top",
            size=10,
            color=_RED if wrong else "black",
            weight="bold" if wrong else "normal",
            parse_math=False,
        )
        if notes is not None:
            axes.text(
                left + 0.5,
                top + 1.19,
                _shortened(notes[place], note_length),
                ha="center",
                va="top",
                size=_NOTE_POINTS,
                family="monospace",
                color="#404040",
                parse_math=False,  # a path may hold dollars
            )
        if wrong:
            axes.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=_RED, linewidth=3.5))
    # Each imshow moves the limits to its own image.
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_title(title, size=13)
    write(figure, path)


def confusion(path: Path, matrix: npt.NDArray[np.int64], *, title: str) -> None:
    """Draw a confusion matrix as a heat map with the counts in its cells.

    Args:
        path: the PNG to write.
        matrix: counts, int64 [k, k]; rows are true digits, columns are predicted ones. With [k, k + 1] the last column
            counts images that could not be read.
        title: one line on top.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(8.5, 7.5), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    # Mistakes are a few in a thousand: a linear scale would show nothing but the diagonal.
    heat = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.4, vmin=0, vmax=1))
    classes, answers = (range(count) for count in matrix.shape)
    for true in classes:
        for predicted in answers:
            count = int(matrix[true, predicted])
            axes.text(
                predicted,
                true,
                str(count),
                ha="center",
                va="center",
                size=11,
                color="white" if shares[true, predicted] > 0.3 else "black" if count else "#a8a8a8",
                weight="bold" if true == predicted else "normal",
            )
    axes.set_xticks(answers, [str(answer) if answer in classes else "error" for answer in answers])
    axes.set_yticks(classes)
    axes.tick_params(length=0, labelsize=11)
    axes.set_xlabel("predicted digit", size=12)
    axes.set_ylabel("true digit", size=12)
    axes.set_title(title, size=13)
    bar = figure.colorbar(heat, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.set_label("share of the true digit's images", size=11)
    write(figure, path)


def _shortened(text: str, length: int) -> str:
    """A text of printable characters, at most so many: the end of a path tells more than its beginning."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    if len(text) <= length:
        return text
    head = length // 3
    return f"{text[:head]}…{text[head + 1 - length :]}"


def write(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG."""
    # Through the canvas itself: pyplot would keep every figure alive and look for a display.
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")
