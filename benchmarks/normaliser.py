"""What decoding and normalising cost, against plain decoding and against Pillow, in one run.

    python benchmarks/normaliser.py RUN [--data DIR] [--repeats 5]
    python benchmarks/normaliser.py RUN --scans DIR [--repeats 5]

RUN is a run folder of digits-train, best of a small network (`dense-128`). Prints medians over the repeats:

- of MNIST's test images as PNGs (DIR holds MNIST's IDX files or mnist.npz; default DIGITS_DATA), images/s of
  `serving_default` in process, two threads of 512 images a call, beside the same network behind plain decoding (decode,
  divide by 255) that isolates faults in the same way;
- of the PNGs below --scans, some 170x125, CPU time for each of `serving_default`, in batches of 512, beside Pillow's to
  decode it and resize it to 28x28. TensorFlow is kept to one thread, as Pillow is: what idle threads burn waiting for
  work is no cost of the work.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from exporter.command import quiet_tensorflow

quiet_tensorflow()

import keras  # noqa: E402 - after TensorFlow's chatter is closed off
import numpy as np  # noqa: E402, TC002 - as above; an annotation alone needs it
import tensorflow as tf  # noqa: E402 - as above
from PIL import Image  # noqa: E402 - as above
from rich.console import Console  # noqa: E402 - as above
from rich.table import Table  # noqa: E402 - as above

from exporter.network.served import calibrated  # noqa: E402 - as above
from exporter.signatures import image_signature  # noqa: E402 - as above
from trainer.data.datasets import load  # noqa: E402 - as above

BATCH = 512
THREADS = 2
SPEC = [tf.TensorSpec([None], tf.string)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"))
    parser.add_argument("--scans", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    table = Table(title=f"{os.cpu_count()} cores, medians of {options.repeats}", title_justify="left")
    for heading in ("", "normalised", "peer", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    if options.scans:
        table.add_row(*measure_scans(options.run, options.scans, options.repeats))
    else:
        table.add_row(*measure_mnist(options.run, options.data, options.repeats))
    Console().print(table)


def measure_mnist(run: Path, data: Path | None, repeats: int) -> tuple[str, str, str, str]:
    """The row of MNIST's images."""
    model = load_model(run)
    plain = tf.function(lambda images: plain_decoding(model, images), input_signature=SPEC)
    digits = [encode(image) for image in load(data).x_test]
    signature = normalised(model)
    fast, peer = alternate(lambda: rate(signature, digits), lambda: rate(plain, digits), repeats)
    return "MNIST, images/s, beside plain decoding", f"{fast:,.0f}", f"{peer:,.0f}", f"{fast / peer:.2f}"


def measure_scans(run: Path, folder: Path, repeats: int) -> tuple[str, str, str, str]:
    """The row of scans."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    signature = normalised(load_model(run))
    scans = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    cost, peer = alternate(lambda: cpu_cost(signature, scans), lambda: pillow_cost(scans), repeats)
    return "scans, µs of CPU each, beside Pillow", f"{cost:.0f}", f"{peer:.0f}", f"{cost / peer:.2f}"


def load_model(run: Path) -> keras.Model:
    """The network of a run folder."""
    return keras.models.load_model(run / "model.keras", compile=False)


def normalised(model: keras.Model) -> Callable[[tf.Tensor], Any]:
    """The served signature of a network."""
    signature: Callable[[tf.Tensor], Any] = tf.function(image_signature(calibrated(model)), input_signature=SPEC)
    return signature


def plain_decoding(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Decode 28x28 images, those that fail left out, and ask the network."""
    count = tf.maximum(tf.size(images, out_type=tf.int64), 1)
    decoded = tf.data.Dataset.from_tensor_slices(images)
    decoded = decoded.map(lambda image: tf.reshape(tf.io.decode_png(image, channels=1), [28, 28])).ignore_errors()
    pixels = decoded.batch(count).take(1).get_single_element()
    return tf.argmax(model(tf.cast(pixels, tf.float32) / 255.0, training=False), axis=1)


def encode(image: "np.typing.NDArray[np.uint8]") -> bytes:
    """A PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def alternate(one: Callable[[], float], other: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Medians of both, measured in turn after an untimed round."""
    pairs = [(one(), other()) for _ in range(repeats + 1)][1:]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def rate(signature: Callable[[tf.Tensor], Any], images: list[bytes]) -> float:
    """Images/s of a signature, two threads of 512 images a call."""
    batches = [tf.constant(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(signature, batches))
    return len(images) / (time.perf_counter() - started)


def cpu_cost(signature: Callable[[tf.Tensor], Any], images: list[bytes]) -> float:
    """Microseconds of CPU time for each image."""
    batches = [tf.constant(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    started = time.process_time()
    for batch in batches:
        signature(batch)
    return (time.process_time() - started) / len(images) * 1e6


def pillow_cost(images: list[bytes]) -> float:
    """Microseconds of CPU time for each image: decode, to grey, bilinear to 28x28."""
    started = time.process_time()
    for image in images:
        Image.open(io.BytesIO(image)).convert("L").resize((28, 28), Image.Resampling.BILINEAR)
    return (time.process_time() - started) / len(images) * 1e6


if __name__ == "__main__":
    main()
