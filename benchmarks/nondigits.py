"""How well confidence tells digits from what is none: areas under the ROC curve, by kinds of pictures.

    python benchmarks/nondigits.py --data DIR [--model FOLDER] [--sheet FILE.png] [--json FILE]

DIR is laid out as `evaluation_sets.py` says. All pictures go to the served signature as PNG files, half of those that
are no digit dark on light. AUROC is the chance that a digit gets a higher confidence than what is none, halves for
ties; an error row has confidence 0. FPR95 is the share of non-digits with a confidence that 95 % of MNIST's test images
reach (as Hendrycks, Mazeika and Dietterich 2019 have it). Kinds that networks may have been trained on
(`trainer/data/nondigits.py`, with another seed) stand apart from those that none has seen (`nondigit_families.py`).
"""

import argparse
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.command import UserError, quiet_tensorflow, run

quiet_tensorflow()

import numpy as np  # noqa: E402 - after TensorFlow's chatter is closed off
import numpy.typing as npt  # noqa: E402 - as above
from PIL import Image  # noqa: E402 - as above

from benchmarks import nondigit_families  # noqa: E402 - as above
from benchmarks.evaluate import SHIPPED, Answers, Network, Rows, markdown, newest  # noqa: E402 - as above
from benchmarks.evaluation_sets import EvaluationSet, load_sets  # noqa: E402 - as above
from exporter.figures import contact_sheet  # noqa: E402 - as above
from trainer.data import nondigits  # noqa: E402 - as above
from trainer.data.draw import Pixels  # noqa: E402 - as above

COUNT = 500  # pictures of each family
SEED = 2024  # never a training's
SHOWN = 12  # of each family on the sheet
MNIST = "MNIST test"
OTHERS = "the other sets"
SEEN, NEW = "as in training", "new"

Confidences = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Separation:
    """Confidence in non-digits, beside that in digits."""

    kind: str
    images: int
    auroc: dict[str, float]
    """By set of digits."""
    fpr95: float
    """On MNIST's test set."""
    mean_confidence: float


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="base path of versions; default the shipped model")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="draw pictures with their answers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for programs")
    options = parser.parse_args()
    sets, _ = load_sets(options.data)
    if MNIST not in sets:
        raise UserError(f"{options.data}: holds no MNIST, the digits to compare with; give its folder with --data")
    network = Network(newest(options.model))
    families = draw_families(sets[MNIST], COUNT)
    digits = confidence_in_digits(network, sets)
    answers = {name: network.images(encode(pictures)) for name, (_, pictures) in families.items()}
    separations = separate(families, answers, digits)
    print(markdown(as_rows(separations)), end="")
    if options.json:
        text = json.dumps({name: vars(separation) for name, separation in separations.items()}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.sheet:
        draw_sheet(options.sheet, families, answers)


Families = dict[str, tuple[str, Pixels]]
"""Kind and pictures, uint8 [n, SIZE, SIZE], by name."""


def draw_families(mnist: EvaluationSet, count: int) -> Families:
    """Draw each family; its later half is dark on light."""
    rng = np.random.default_rng(SEED)
    if mnist.pixels is None:
        raise UserError("MNIST's own pixels are needed to put several digits into one picture")
    draws = {name: (SEEN, draw) for name, (draw, _) in nondigits.FAMILIES.items()}
    draws |= {name: (NEW, draw) for name, draw in nondigit_families.FAMILIES.items()}
    families: Families = {}
    for name, (kind, draw) in draws.items():
        pictures = np.stack([draw(rng, mnist.pixels) for _ in range(count)])
        pictures[count // 2 :] = 255 - pictures[count // 2 :]
        families[name] = kind, pictures
    return families


def encode(pictures: Pixels) -> list[bytes]:
    """PNG files of uint8 [n, h, w]."""
    files = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def confidence_in_digits(network: Network, sets: dict[str, EvaluationSet]) -> dict[str, Confidences]:
    """Of MNIST's test set, and of all other sets together, whether the answers are right or not."""
    others = [images for name, images in sets.items() if name not in {MNIST, "wild, all"}]
    found = {MNIST: network.images(sets[MNIST].images).confidence}
    if others:
        found[OTHERS] = np.concatenate([network.images(images.images).confidence for images in others])
    return found


def separate(families: Families, answers: dict[str, Answers], digits: dict[str, Confidences]) -> dict[str, Separation]:
    """Each family, then each kind as a whole, then everything, against the digits."""
    parts = {name: (kind, answers[name].confidence) for name, (kind, _) in families.items()}
    for kind in (SEEN, NEW):
        parts[f"all {kind}"] = kind, np.concatenate([found for its, found in parts.values() if its == kind])
    parts["all"] = "both", np.concatenate([parts[f"all {kind}"][1] for kind in (SEEN, NEW)])
    reached = np.quantile(digits[MNIST], 0.05)
    return {
        name: Separation(
            kind=kind,
            images=len(found),
            auroc={title: auroc(of_digits, found) for title, of_digits in digits.items()},
            fpr95=float((found >= reached).mean()),
            mean_confidence=float(found.mean()),
        )
        for name, (kind, found) in parts.items()
    }


def auroc(digits: Confidences, others: Confidences) -> float:
    """Area under the ROC curve: how often one of the digits lies above one of the others, ties half (Mann-Whitney)."""
    ordered = np.sort(others)
    below, not_above = (np.searchsorted(ordered, digits, side) for side in ("left", "right"))
    return float((below + not_above).mean() / (2 * len(others)))


def as_rows(separations: dict[str, Separation]) -> Rows:
    """A table."""
    titles = list(separations["all"].auroc)
    rows = [["pictures", "kind", "images", *(f"AUROC, {title}" for title in titles), "FPR95", "mean confidence"]]
    for name, found in separations.items():
        areas = [f"{found.auroc[title]:.4f}" for title in titles]
        rows.append(
            [name, found.kind, f"{found.images:,}", *areas, f"{found.fpr95:.1%}", f"{found.mean_confidence:.3f}"]
        )
    return rows


def draw_sheet(path: Path, families: Families, answers: dict[str, Answers]) -> None:
    """Draw a row of pictures of each family with the digit read and the confidence, in red from 0.9."""
    count = len(next(iter(families.values()))[1])
    places = np.linspace(0, count - 1, SHOWN).astype(int)
    pictures = np.concatenate([pictures[places] for _, pictures in families.values()])
    captions: list[str] = []
    marked: list[Any] = []
    for name in families:
        read = answers[name]
        captions += [read.errors[place] or f"{read.digits[place]} ({read.confidence[place]:.2f})" for place in places]
        marked += list(read.confidence[places] >= 0.9)
    contact_sheet(
        path,
        pictures,
        captions,
        title="Pictures that are no digit, what is read and how surely (red: 0.9 or more)",
        marked=np.array(marked),
        columns=SHOWN,
    )


if __name__ == "__main__":
    run("nondigits", main)
