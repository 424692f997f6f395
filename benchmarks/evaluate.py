"""The accuracy tables of docs/accuracy.md: the shipped model and every recipe, beside what hobby projects do.

    python benchmarks/evaluate.py --data DIR [--runs runs] [--recipes A,B] [--markdown FILE] [--json FILE]
        [--mistakes FOLDER]

DIR is laid out as `evaluation_sets.py` says; sets that are not there are named and left out. A recipe's network is the
run folder `RUNS/RECIPE-seed1`, which is trained first if it is not there. It is published as digits-export does it, so
that what is measured is the served signature, `serving_default`, on encoded files.

The peer is "resize and invert", with the same network: Pillow's convert("L"), resize to 28x28, bilinear, and inverted
for scans, HwD-1000 and the wild images, which hobby projects take for dark ink on light paper, but not for MNIST, USPS
and Semeion, which are white on black as they come; then the signature `pixels`. The peer's figures on some sets say
more of the rule than of the digits: USPS and Semeion have no margin, so that resizing makes them larger than MNIST's
digits ever are, down to less than chance; and a good third of the wild images are light on dark, and inverted all the
same.

What the served signature loses on MNIST's test set is counted against `pixels` on the same images. Images in MNIST's
own form are meant to pass unchanged: this checks that, and tells nothing of how well others are normalised.

An image that gets an error instead of a digit counts as a mistake. Intervals are 95 % Wilson score intervals. The
calibration error is the expected one, over 15 bins of confidence of equal width.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from batch.accuracy.tally import Score
from batch.accuracy.thumbnail import thumbnail
from benchmarks.evaluation_sets import EvaluationSet, Pixels, load_sets
from benchmarks.versions import find_versions
from exporter.command import UserError, quiet_tensorflow, run
from exporter.contract import CONFIDENCE, DIGIT, ERROR, IMAGE_BYTES, MODEL_NAME, PIXELS, PIXELS_SIGNATURE, SIGNATURE
from exporter.figures import contact_sheet
from trainer.evaluation.calibrate import Reliability, reliability
from trainer.recipes import RECIPES, find
from trainer.run_folder.runs import usual_name

quiet_tensorflow()

import tensorflow as tf  # noqa: E402 - after TensorFlow's chatter is closed off

from exporter.publish import publish  # noqa: E402 - as above

BATCH = 256
SEED = 1
SHIPPED = Path(__file__).parents[1] / "serving" / "models" / MODEL_NAME
MOST_MISTAKES = 60
PIPE_COLUMNS = 120  # where there is no terminal to fold for
COLUMNS, FEWEST_COLUMNS = 10, 4  # of a contact sheet; the fewest give its title room

Rows = list[list[str]]
"""Of a table; the first holds the headings."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of n images."""

    digits: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    errors: list[str]


@dataclass(frozen=True)
class Result:
    """A network on a set."""

    served: Score
    resized: Score
    """Of the same network after resizing and inverting."""
    errors: Counter[str]
    """How many images got which error; they are not right."""
    pixels: Score | None
    """Of the same network on the set's own pixels, where it is in MNIST's form."""
    reliability: Reliability
    """Of the served confidence; that of an error row is 0."""


Results = dict[str, dict[str, Result]]
"""By network, then by set. The shipped model, MODEL_NAME, comes first."""


def main() -> None:
    """Measure, print and write."""
    options = parse()
    console = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_COLUMNS)
    try:
        recipes = [find(name).name for name in options.recipes.split(",") if name]
        outputs(options)
        with console.status("loading the sets"):
            sets, missing = load_sets(options.data)
        for name in missing:
            console.print(f"{name}: not in {options.data}, left out", highlight=False)
        runs = {name: run_folder(name, options, console) for name in recipes}
        results = measure_all(runs, sets, options.mistakes, console)
    except KeyboardInterrupt:
        console.print("evaluate: interrupted")
        sys.exit(130)
    tables = as_tables(results)
    for title, rows in tables.items():
        print_table(title, rows, console)
    text = "\n".join(f"{title}:\n\n{markdown(rows)}" for title, rows in tables.items())
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    if options.json:
        options.json.write_text(json.dumps(figures(results), indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where run folders are, or will be; default runs"
    )
    parser.add_argument("--recipes", default=",".join(RECIPES), help="names with commas between; default all")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there; default: print them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for programs")
    parser.add_argument(
        "--mistakes", type=Path, metavar="FOLDER", help="draw the shipped model's mistakes, a sheet per set"
    )
    return parser.parse_args()


def outputs(options: argparse.Namespace) -> None:
    """Find out now, not after minutes of work, whether the results can be written."""
    for path in filter(None, (options.markdown, options.json, options.mistakes)):
        folder = path if path == options.mistakes else path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}; choose another place") from None


def run_folder(recipe: str, options: argparse.Namespace, console: Console, seed: int = SEED) -> Path:
    """The run folder of a recipe, trained with digits-train if it is not there; its teachers before it."""
    folder: Path = options.runs / usual_name(recipe, seed)
    if folder.is_dir():
        return folder
    distillation = find(recipe).distillation
    if distillation is not None:
        for number in distillation.seeds:
            run_folder(distillation.teacher, options, console, number)
    console.print(f"{folder} is not there: training it", highlight=False)
    command = [sys.executable, "-P", "-m", "trainer.cli", recipe, f"--seed={seed}", "--out", str(folder)]
    # Its progress goes to the terminal; what it says in the end is no part of this command's result.
    result = subprocess.run([*command, "--data", str(options.data / "mnist")], stdout=sys.stderr, check=False)
    if result.returncode:
        raise UserError(f"{recipe} could not be trained, see above; leave it out with --recipes")
    return folder


class Network:
    """A published version, loaded as it is served."""

    def __init__(self, version: Path) -> None:
        # Held, because its signatures alone do not keep its variables alive.
        self._model = tf.saved_model.load(str(version))

    def images(self, images: list[bytes]) -> Answers:
        """Ask `serving_default`."""
        return self._ask(SIGNATURE, IMAGE_BYTES, images)

    def pixels(self, pixels: Pixels) -> Answers:
        """Ask `pixels`."""
        return self._ask(PIXELS_SIGNATURE, PIXELS, pixels)

    def _ask(self, signature: str, name: str, values: "list[bytes] | Pixels") -> Answers:
        ask = self._model.signatures[signature]
        starts = range(0, len(values), BATCH)
        parts = [ask(**{name: tf.constant(values[start : start + BATCH])}) for start in starts]
        digits, confidence, errors = (
            np.concatenate([part[output].numpy() for part in parts]) for output in (DIGIT, CONFIDENCE, ERROR)
        )
        return Answers(digits, confidence, [error.decode() for error in errors])


def measure_all(
    runs: dict[str, Path], sets: dict[str, EvaluationSet], mistakes: Path | None, console: Console
) -> Results:
    """Measure the shipped model, then a published version of each run."""
    results: Results = {}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=(1 + len(runs)) * sum(len(images.images) for images in sets.values()))
        for name in (MODEL_NAME, *runs):

            def say(what: str, name: str = name) -> None:
                progress.update(task, description=f"{name}: {what}")

            network = Network(publish(runs[name], Path(folder) / name, say) if name in runs else newest(SHIPPED))
            results[name] = {}
            for title, images in sets.items():
                say(title)
                answers = network.images(images.images)
                results[name][title] = compare(network, images, answers)
                if mistakes and name == MODEL_NAME:
                    draw_mistakes(mistakes, title, images, answers)
                progress.advance(task, len(images.images))
    return results


def newest(model: Path) -> Path:
    """The newest version of a model. Raises UserError if there is none."""
    versions = find_versions(model)
    if not versions:
        raise UserError(f"{model} has no versions; name a model folder such as {SHIPPED}")
    return versions[max(versions)]


def compare(network: Network, images: EvaluationSet, answers: Answers) -> Result:
    """Count a network's answers from `serving_default`, and those to the same images prepared otherwise."""
    return Result(
        served=score(answers, images),
        resized=score(network.pixels(images.resized), images),
        errors=Counter(error for error in answers.errors if error),
        pixels=None if images.pixels is None else score(network.pixels(images.pixels), images),
        reliability=reliability(answers.confidence, answers.digits == images.labels),
    )


def score(answers: Answers, images: EvaluationSet) -> Score:
    """How many are right."""
    return Score(int((answers.digits == images.labels).sum()), len(images.labels))


def as_tables(results: Results) -> dict[str, Rows]:
    """All tables by their titles."""
    tables = {"The shipped model": shipped_rows(results[MODEL_NAME])}
    recipes = {name: of_sets for name, of_sets in results.items() if name != MODEL_NAME}
    if recipes:
        tables["The recipes, served"] = recipe_rows(recipes, lambda result: result.served)
        tables["The recipes, resize and invert"] = recipe_rows(recipes, lambda result: result.resized)
    lost = lost_rows(results)
    if len(lost) > 1:
        tables["Images in MNIST's own form, from files and as bare pixels"] = lost
    return tables


def shipped_rows(results: dict[str, Result]) -> Rows:
    """Sets with their counts."""
    rows = [["set", "images", "resize and invert", MODEL_NAME, "95 % interval", "error rows", "calibration error"]]
    for title, result in results.items():
        low, high = result.served.interval
        errors = ", ".join(f"{count} {text}" for text, count in sorted(result.errors.items())) or "0"
        interval = f"{100 * low:.2f} to {100 * high:.2f} %"
        rows.append(
            [title, f"{result.served.images:,}", percent(result.resized), percent(result.served), interval, errors]
        )
        rows[-1].append(f"{100 * result.reliability.error:.2f} %")
    return rows


def recipe_rows(recipes: Results, which: Callable[[Result], Score]) -> Rows:
    """Sets down, recipes across."""
    titles = next(iter(recipes.values()))
    return [
        ["set", *(f"`{name}`" for name in recipes)],
        *([title, *(percent(which(of_sets[title])) for of_sets in recipes.values())] for title in titles),
    ]


def lost_rows(results: Results) -> Rows:
    """Networks on a set whose own pixels they could have had."""
    rows = [["network", "set", "`pixels`", "`serving_default`", "points lost"]]
    for name, of_sets in results.items():
        for title, result in of_sets.items():
            if result.pixels:
                lost = 100 * (result.pixels.right - result.served.right) / result.served.images
                rows.append([f"`{name}`", title, percent(result.pixels), percent(result.served), f"{lost:.2f}"])
    return rows


def percent(score: Score) -> str:
    """An accuracy for people."""
    return f"{100 * score.right / score.images:.2f} %"


def print_table(title: str, rows: Rows, console: Console) -> None:
    """For the terminal."""
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(rows[0]):
        table.add_column(heading.strip("`"), justify="right" if place else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*(cell.strip("`") for cell in row))
    console.print(table)


def markdown(rows: Rows) -> str:
    """For docs/accuracy.md."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figures(results: Results) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "network": name,
            "set": title,
            "images": result.served.images,
            "errors": dict(result.errors),
            "served": figures_of(result.served),
            "resize_and_invert": figures_of(result.resized),
            "pixels": figures_of(result.pixels) if result.pixels else None,
            "calibration_error": result.reliability.error,
        }
        for name, of_sets in results.items()
        for title, result in of_sets.items()
    ]


def figures_of(score: Score) -> dict[str, Any]:
    """Of one count."""
    return {"right": score.right, "accuracy": score.accuracy, "interval_95": list(score.interval)}


def draw_mistakes(folder: Path, title: str, images: EvaluationSet, answers: Answers) -> None:
    """Draw a set's mistakes, the most confident first."""
    wrong = np.flatnonzero(answers.digits != images.labels)
    wrong = wrong[np.argsort(-answers.confidence[wrong], kind="stable")]
    shown = wrong[:MOST_MISTAKES]
    order = f"the {len(shown)} most confident" if len(shown) < len(wrong) else "the most confident first"
    contact_sheet(
        folder / f"{re.sub('[^a-z0-9]+', '-', title.lower())}.png",
        np.stack([draw(images.images[place]) for place in shown]) if len(shown) else np.zeros((0, 1, 1), np.uint8),
        [caption(images.labels[place], answers, place) for place in shown],
        title=f"{title}: {len(wrong):,} mistakes in {len(images.images):,} images, {order}",
        columns=min(COLUMNS, max(FEWEST_COLUMNS, len(shown))),
        notes=[images.files[place] for place in shown],
    )


def draw(image: bytes) -> Pixels:
    """An encoded image for people."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(image)
        file.flush()
        return thumbnail(file.name)


def caption(label: int, answers: Answers, place: int) -> str:
    """What an image is and what was read."""
    if answers.errors[place]:
        return f"is {label}: {answers.errors[place]}"
    return f"is {label}, read {answers.digits[place]} ({answers.confidence[place]:.3f})"


if __name__ == "__main__":
    run("evaluate", main)
