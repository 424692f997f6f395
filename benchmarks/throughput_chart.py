"""The picture in docs/speed.md of `throughput.py`'s figures: bars of images/s."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.throughput_results import CEILING, FIRST, OURS, READING, Rows
from benchmarks.throughput_ways import ALONE

_DPI = 150
_INK, _FAINT = "#222222", "#666666"
_OUR_COLOUR, _OTHERS, _LIMIT = "#1f5fa8", "#a9b4c0", "#e9edf1"


def draw(path: Path, rows: Rows, title: str) -> None:
    """Draw horizontal bars from 0: their lengths are the rates, as they would not be on a logarithmic axis.

    Reading the files answers nothing and would make all the others look short: it stands in the note.

    Args:
        path: the PNG to write.
        rows: what was measured.
        title: one line on top.
    """
    shown = [row for row in rows.values() if row.way != READING]
    places, rates = range(len(shown)), [row.rate for row in shown]
    ours, ceiling = ([row.way for row in shown].index(way) for way in (OURS, CEILING))
    colours = [_OUR_COLOUR if place == ours else _LIMIT if place == ceiling else _OTHERS for place in places]
    figure = Figure(figsize=(9.6, 0.55 * len(shown) + 1.5), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.barh(places, rates, height=0.62, color=colours)
    drawn[ceiling].set(edgecolor=_OTHERS, linestyle="--")
    spread = [[row.rate - min(row.rates) for row in shown], [max(row.rates) - row.rate for row in shown]]
    axes.errorbar(rates, places, xerr=spread, fmt="none", ecolor=_INK, elinewidth=1, capsize=2.5)
    for place, row in enumerate(shown):
        number = axes.annotate(
            f"{row.rate:,.0f}",
            (max(row.rates), place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            size=11,
            color=_INK,
            weight="bold" if place == ours else "normal",
        )
        ratio = f"{row.rate / rows[FIRST].rate:,.1f} ×"  # noqa: RUF001 - for people
        axes.annotate(ratio, (1, 0.5), (7, 0), xycoords=number, textcoords="offset points", va="center", color=_FAINT)
    axes.set_yticks(places, [row.title for row in shown], size=10.5, color=_INK)
    axes.get_yticklabels()[ours].set_fontweight("bold")
    axes.invert_yaxis()
    # Room on the right for the numbers of the longest bar.
    axes.set_xlim(0, 1.3 * max(max(row.rates) for row in shown))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="x", labelsize=9.5, colors=_FAINT)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("images/s", size=10, color=_FAINT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_OTHERS)
    figure.suptitle(title, size=11.5, x=0.012, ha="left", color=_INK)
    note = (
        f"×: ratio to one at a time. Lines: slowest and fastest round. One image per RPC: on the first {ALONE:,}. "  # noqa: RUF001 - for people
        f"Reading the files alone: {rows[READING].rate:,.0f}/s."
    )
    figure.supxlabel(note, size=8.5, x=0.012, ha="left", color=_FAINT)
    # Through the canvas itself: pyplot would keep the figure alive and look for a display.
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")
