"""A Celery worker that reads digits: a task for the paths of some images.

pip install "celery[redis]"
DIGITS_SERVER=localhost:8500 celery -A celery_worker worker

>>> from celery_worker import predict
>>> predict.delay(["/scans/3.png", "/scans/7.png"]).get()
[[3, 0.9998, ""], [7, 0.9991, ""]]
"""

import functools
import os
from pathlib import Path

from celery import Celery

from batch.client import Client, ServerError

app = Celery("digits", broker="redis://localhost", backend="redis://localhost")


@functools.cache
def client() -> Client:
    """One client for each worker process, made in it: connections of gRPC do not survive a fork."""
    return Client(os.environ.get("DIGITS_SERVER", "localhost:8500"))


# The client waits out what passes within a minute; after that the task goes back into the queue.
@app.task(autoretry_for=(ServerError,), retry_backoff=True)  # type: ignore[untyped-decorator]
def predict(paths: list[str]) -> list[tuple[int, float, str]]:
    """Digit, confidence and error of each image."""
    return [(found.digit, found.confidence, found.error) for found in client().predict(map(Path, paths))]
