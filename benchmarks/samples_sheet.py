"""The README's picture: the samples with the answers that `make demo` wrote into preds.csv.

python benchmarks/samples_sheet.py preds.csv benchmarks/pictures/samples.png
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from exporter.figures import contact_sheet


def main() -> None:
    """Draw the table named first into the picture named second."""
    table, picture = map(Path, sys.argv[1:])
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Columns, not rows, of one digit: the picture is as wide as there are digits.
    rows.sort(key=lambda row: (Path(row["path"]).stem[2:], row["path"]))
    images = np.stack([np.asarray(Image.open(row["path"]).convert("L")) for row in rows])
    captions = [f"{row['digit']}  ({float(row['confidence']):.3f})" for row in rows]
    wrong = np.array([row["digit"] != Path(row["path"]).parent.name for row in rows])
    contact_sheet(picture, images, captions, title="samples: answer and confidence", marked=wrong)


if __name__ == "__main__":
    main()
