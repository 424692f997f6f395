"""Another service asks for digits, in Python with the thin client as a library: no TensorFlow.

    python predict.py HOST:PORT IMAGE...

Prints a line for each image: path, digit, confidence, error.
"""

import sys
from pathlib import Path

from batch.client.endpoint import Endpoint
from batch.client.tensors import Target, numbers, predict_request, strings
from exporter.contract import CONFIDENCE, DIGIT, ERROR, IMAGE_BYTES, MODEL_NAME, SIGNATURE


def main(address: str, *paths: str) -> None:
    """Send all images in one request."""
    endpoint = Endpoint([address])
    target = Target(MODEL_NAME, SIGNATURE)
    images = [Path(path).read_bytes() for path in paths]
    request = predict_request(target, IMAGE_BYTES, images, [DIGIT, CONFIDENCE, ERROR])
    # A future: another request may be on its way meanwhile.
    response = endpoint.next_replica().predict(request, timeout=10).result()
    count = len(images)
    digits, confidences = numbers(response, DIGIT, count), numbers(response, CONFIDENCE, count)
    for path, digit, confidence, error in zip(paths, digits, confidences, strings(response, ERROR, count), strict=True):
        print(path, digit, f"{confidence:.4f}", error.decode())
    endpoint.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
