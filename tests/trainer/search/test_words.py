"""How trials are told: the table, the CSV, the picture."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from trainer.recipes import find
from trainer.search.journal import Trial
from trainer.search.picture import parallel_coordinates
from trainer.search.space import space_of, values_of
from trainer.search.words import described, table_of, write_csv

RECIPE = find("dense-128")
OWN = Trial(number=0, values=values_of(RECIPE), epochs=6, accuracy=0.95, loss=0.2, seconds=3)
TRIALS = [
    Trial(number=1, values=OWN.values | {"width": 4.0}, epochs=2, accuracy=0.96, loss=0.1, seconds=2.5),
    Trial(number=2, values=OWN.values | {"learning_rate": 0.00234567}, epochs=6, accuracy=0.97, loss=0.1, seconds=9),
    Trial(number=3, values=OWN.values | {"depth": 3, "distortion": 1.0}, epochs=6, accuracy=0.97, loss=0.3, seconds=9),
]


def test_table() -> None:
    """The table has a row for each trial and the recipe: most epochs first, then the best, then the lowest loss."""
    text = io.StringIO()
    Console(file=text, width=80).print(table_of(TRIALS, OWN))
    headings, *rows = [line.split() for line in text.getvalue().splitlines()[1:]]
    assert "…" not in text.getvalue()
    assert headings[:3] == ["trial", "epochs", "rate"]
    assert [row[0] for row in rows] == ["2", "3", "recipe", "1"]
    assert rows[0][1:] == ["6", "0.00235", "1", "1", "0", "32", "0", "97.00%", "9.0"]


def test_line() -> None:
    """A finished trial is one line with its figures, values and size."""
    assert described(TRIALS[0], RECIPE) == (
        "accuracy 0.9600 after 2 epochs; learning rate 0.001, width 4, depth 1, dropout 0, batch 32, distortion 0; "
        "407,050 parameters, 2.5 s"
    )


def test_csv(tmp_path: Path) -> None:
    """The CSV has every number in full, in the order of the trials."""
    write_csv(tmp_path / "trials.csv", TRIALS, OWN, RECIPE)
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[2]["learning_rate"]) == 0.00234567
    assert list(rows[0]) == ["trial", "epochs", *OWN.values, "parameters", "accuracy", "loss", "seconds"]
    assert rows[1]["parameters"] == "407050"


@pytest.mark.parametrize("trials", [TRIALS, TRIALS[:1]], ids=["three", "one"])
def test_picture(trials: list[Trial], tmp_path: Path) -> None:
    """The picture is a PNG with lines on it, even of a single trial."""
    path = tmp_path / "trials.png"
    parallel_coordinates(path, trials, trials[-1], space_of(RECIPE), title="three trials")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("L")))) > 50
        orange = (np.asarray(image.convert("RGB"))[..., :] == (0xD9, 0x73, 0x0D)).all(axis=2)
    assert orange.any(axis=0).mean() > 0.5  # the best goes from the first axis to the last


@given(rate=st.floats(0.000125, 0.008))
def test_learning_rates_are_short(rate: float) -> None:
    """A learning rate takes at most nine characters of a row."""
    line = described(Trial(**{**vars(OWN), "values": OWN.values | {"learning_rate": rate}}), RECIPE)
    shown = line.split("learning rate ")[1].split(",")[0]
    assert len(shown) <= 9
    assert float(shown) == pytest.approx(rate, rel=0.006)
