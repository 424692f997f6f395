"""What several rooms' tests share: real data, odd PNGs, the shipped model behind a real server, digits-batch."""

import contextlib
import gzip
import os
import signal
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import Image, chunk, odd_pngs, write_png

# Fixtures of the tests that look at pages.
pytest_plugins = ["tests.browser"]

ROOT = Path(__file__).resolve().parent.parent
# In a CI no bar is drawn. The tests of bars run there, too.
os.environ.pop("CI", None)
RunBatch = Callable[..., "subprocess.CompletedProcess[str]"]


LONG = (
    "tests/batch/test_kills.py",
    "tests/exporter/numbers/test_reader.py",
    "tests/exporter/picture/test_closer.py",
    "tests/batch/watch/test_every_line.py",
    "tests/exporter/test_publish.py",
    "tests/exporter/network/test_fold.py",
    "tests/exporter/test_show.py",
    "tests/trainer/fitting/test_checkpoint.py",
    "tests/trainer/test_cli.py",
    "tests/trainer/numbers/test_training.py",
    "tests/exporter/numbers/test_published.py",
)
"""The files of half a minute and more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files: at the end, one would keep one of two processes busy while the other has nothing."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Processes started within take SIGINT, though a shell that runs the tests in its background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def mnist_sample() -> tuple[Image, Image]:
    """The committed sample of MNIST's test set: images, uint8 [n, 28, 28], and labels, uint8 [n]."""
    folder = ROOT / "tests" / "data" / "mnist_sample"
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


@pytest.fixture(scope="session")
def mnist_pngs(mnist_sample: tuple[Image, Image]) -> list[bytes]:
    """The sample as PNG files."""
    return [write_png(image[:, :, None]) for image in mnist_sample[0]]


@pytest.fixture(scope="session")
def all_odd_pngs(mnist_sample: tuple[Image, Image]) -> dict[str, bytes]:
    """A clear 3 of the sample in every form of PNG."""
    images, labels = mnist_sample
    return odd_pngs(images[np.flatnonzero(labels == 3)[0]])


@pytest.fixture(scope="session")
def broken_pngs(mnist_pngs: list[bytes]) -> dict[str, tuple[bytes, str]]:
    """Files that are no readable picture, with the error that each must get."""
    good = mnist_pngs[0]
    wrong_crc = bytearray(good)
    wrong_crc[-17] ^= 1  # the last byte of IDAT's CRC: IEND takes the twelve after it
    wrong_crc[-16] ^= 1
    claims = (20000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    bomb = (
        good[:8] + chunk(b"IHDR", claims) + chunk(b"IDAT", zlib.compress(bytes(400_000_000), 9)) + chunk(b"IEND", b"")
    )
    return {
        "truncated": (good[: len(good) // 2], "corrupt"),
        "header alone": (good[:20], "corrupt"),
        "zero bytes": (b"", "not an image"),
        "renamed text": (b"Dear reader,\n\nthis is no picture.\n" * 20, "not an image"),
        "a GIF": (b"GIF89a\1\0\1\0\0\0\0;", "not an image"),
        "wrong CRC": (bytes(wrong_crc), "corrupt"),
        "claims 20000x20000": (bomb, "too large"),
    }


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The full data sets; tests that need them are skipped where they are not."""
    folder = Path(os.environ.get("DIGITS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the full data sets are not here")
    return folder


@pytest.fixture(scope="session")
def shipped_model() -> Path:
    """The model folder that the distribution ships."""
    return ROOT / "serving" / "models" / "digits"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a built-in server with the shipped model."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/grpc.sock"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "serving.cli", "--port=0", f"--grpc_socket_path={path}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "gRPC on" in line:
                break
        else:
            pytest.fail("".join(lines))
        yield f"unix:{path}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def nobody_listens() -> None:
    """No server on localhost:8500: where digits-batch looks before it starts the built-in one."""
    with socket.socket() as probe:
        if probe.connect_ex(("localhost", 8500)) == 0:
            pytest.skip("something listens on localhost:8500")


@pytest.fixture
def digits_batch(tmp_path: Path) -> RunBatch:
    """Run digits-batch as a user would, in a folder of its own; no server listens unless a test names one."""

    def run_batch(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "batch.cli", *map(str, arguments)]
        variables = {name: value for name, value in os.environ.items() if name != "DIGITS_SERVER"} | environment
        return subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=300
        )

    return run_batch
