"""How sure the answers are, drawn in SVG: bars for ranges of confidence, their heights on a logarithmic scale."""

import math
from html import escape

BINS = 20
_LEFT, _TOP, _WIDTH, _HEIGHT, _BOTTOM = 64, 12, 640, 220, 44
_GAP = 4


def histogram(counts: list[int], unit: str) -> str:
    """An `svg` element, whose colours are those of the page.

    Args:
        counts: of equal ranges of confidence from 0 to 1.
        unit: what is counted.
    """
    top = max(1, math.ceil(math.log10(max(counts, default=0) + 1)))
    box = f"0 0 {_LEFT + _WIDTH + 16} {_TOP + _HEIGHT + _BOTTOM}"
    parts = [
        f'<svg viewBox="{box}" role="img" aria-labelledby="histogram-title">',
        f'<title id="histogram-title">How many {escape(unit)} were answered with which confidence</title>',
    ]
    for power in range(top + 1):
        y = _TOP + _HEIGHT * (1 - power / top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = f"{10**power:,}" if power else "1"
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    step = _WIDTH / len(counts)
    for place, count in enumerate(counts):
        # One is a bar to be seen, and nothing is none.
        height = _HEIGHT * max(math.log10(count), 0.06) / top if count else 0
        low, high = place / len(counts), (place + 1) / len(counts)
        x = _LEFT + place * step + _GAP / 2
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{_TOP + _HEIGHT - height:.1f}" width="{step - _GAP:.1f}" '
            f'height="{height:.1f}"><title>{low:.2f} to {high:.2f}: {count:,} {escape(unit)}</title></rect>'
        )
    for tenth in range(0, 11, 2):
        x = _LEFT + _WIDTH * tenth / 10
        parts.append(f'<text x="{x:.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{tenth / 10:.1f}</text>')
    middle = _LEFT + _WIDTH / 2
    parts.append(f'<text x="{middle:.1f}" y="{_TOP + _HEIGHT + 38}" text-anchor="middle">confidence</text>')
    return "".join([*parts, "</svg>"])
