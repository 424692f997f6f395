"""Digits as people draw them with a mouse: strokes in a square, and the mouse that draws them."""

import math

from playwright.sync_api import Page

Stroke = list[tuple[float, float]]
"""Places from left to right and from top to bottom, 0 to 1."""


def _arc(x: float, y: float, wide: float, high: float, start: float, end: float) -> Stroke:
    """Part of an ellipse around a place; angles in degrees, 0 to the right, 90 below."""
    steps = 24
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles]


DIGITS: dict[int, list[Stroke]] = {
    0: [_arc(0.5, 0.5, 0.22, 0.32, -90, 270)],
    1: [[(0.5, 0.15), (0.5, 0.85)]],
    2: [[*_arc(0.5, 0.34, 0.2, 0.17, 180, 390), (0.28, 0.82), (0.74, 0.82)]],
    3: [[*_arc(0.46, 0.32, 0.2, 0.16, 200, 450), *_arc(0.46, 0.66, 0.23, 0.18, -90, 150)]],
    4: [[(0.34, 0.18), (0.28, 0.55), (0.74, 0.55)], [(0.64, 0.2), (0.62, 0.86)]],
    5: [[(0.34, 0.18), (0.32, 0.46), *_arc(0.46, 0.63, 0.22, 0.2, 230, 500)], [(0.34, 0.18), (0.7, 0.18)]],
    6: [[(0.6, 0.15), (0.42, 0.35), (0.32, 0.62), *_arc(0.5, 0.66, 0.18, 0.17, 180, 540)]],
    7: [[(0.28, 0.2), (0.72, 0.2), (0.46, 0.85)]],
    8: [[*_arc(0.5, 0.33, 0.16, 0.15, 90, 450), *_arc(0.5, 0.66, 0.2, 0.18, -90, 270)]],
    9: [[*_arc(0.48, 0.34, 0.18, 0.17, 0, 360), (0.66, 0.34), (0.64, 0.6), (0.56, 0.86)]],
}
"""Strokes of each digit."""


def draw(page: Page, text: str) -> None:
    """Draw digits beside each other on the page's paper, by mouse."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    side = min(box["height"], box["width"] / len(text))
    for place, digit in enumerate(text):
        left = box["x"] + (box["width"] - side * len(text)) / 2 + side * place
        top = box["y"] + (box["height"] - side) / 2
        for stroke in DIGITS[int(digit)]:
            points = [(left + x * side, top + y * side) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point)
            page.mouse.up()
