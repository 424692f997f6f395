"""Another service asks for digits, in Python with the thin client: no TensorFlow.

    python predict.py HOST:PORT IMAGE...

Prints a line for each image: path, digit, confidence, error.
"""

import sys
from pathlib import Path

from batch.client import Client


def main(address: str, *paths: str) -> None:
    """Ask about all images in one call."""
    with Client(address) as client:
        predictions = client.predict(Path(path) for path in paths)
    for path, prediction in zip(paths, predictions, strict=True):
        print(path, prediction.digit, f"{prediction.confidence:.4f}", prediction.error)


if __name__ == "__main__":
    main(*sys.argv[1:])
