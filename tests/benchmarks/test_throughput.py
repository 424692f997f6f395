"""The measurement of speed measures what it says; how fast anything is, is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import throughput
from benchmarks.throughput_processes import Server, Worker
from benchmarks.throughput_results import CEILING, OURS, READING, Row
from benchmarks.throughput_ways import SCANS, WAYS, Task
from exporter.command import UserError
from tests.conftest import ROOT

pytestmark = pytest.mark.benchmarks

SAMPLE = ROOT / "tests" / "data" / "mnist_sample"
IMAGES = 60


def test_every_way_is_measured_on_the_same_images(tmp_path: Path) -> None:
    """All come to the same digits, or it would have stopped; each has a row, figures of its own, and a bar."""
    program = str(ROOT / "benchmarks" / "throughput.py")
    options = ["--data", str(SAMPLE), f"--images={IMAGES}", "--repeats=1", "--chart=chart.png", "--json=figures.json"]
    result = subprocess.run(
        [sys.executable, "-P", program, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    title, *table = result.stdout.split("\n")
    assert title.startswith(f"{IMAGES} MNIST PNGs, shipped model, built-in server, ")
    assert title.endswith(" cores, medians of 1")

    figures = json.loads((tmp_path / "figures.json").read_text())
    ways = {way["way"]: way for way in figures["ways"]}
    assert list(ways) == list(WAYS)
    for name, way in ways.items():
        (line,) = [line for line in table if f"| {WAYS[name].title} " in line]
        assert f" {way['images_per_second']:,.0f} " in line
        assert [one["images"] for one in way["rounds"]] == [IMAGES]
        assert way["client_cpu_us_per_image"] > 0
        assert (way["server_cpu_us_per_image"] is not None) == WAYS[name].asks_server
    # The figures of processes with TensorFlow, and without it.
    assert ways[READING]["client_peak_mb"] < ways[OURS]["client_peak_mb"] < 200 < ways["keras"]["client_peak_mb"]
    assert ways[CEILING]["ratio_to_the_ceiling"] == 1

    with Image.open(tmp_path / "chart.png") as chart:
        assert chart.format == "PNG"


def test_a_server_that_is_named_is_asked(
    server: str, shipped_model: Path, tmp_path: Path, mnist_pngs: list[bytes]
) -> None:
    """Its process is not ours, so its CPU time is not known."""
    write_scans(tmp_path, mnist_pngs[:3])
    with Worker(OURS, tmp_path, Task(server, "digits", str(shipped_model / "1"))) as worker:
        for _ in range(2):  # the table of the first round is in nobody's way
            one, digits = throughput.measure(worker, Server(server))
            assert one.images == len(digits) == 3
            assert one.server_cpu_seconds is None
    assert Row(OURS, [one]).server_cpu is None


def test_a_server_that_does_not_answer_ends_the_measurement(
    tmp_path: Path, mnist_pngs: list[bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    """With the reason, and without figures."""
    write_scans(tmp_path, mnist_pngs[:3])
    address = f"unix:{tmp_path}/nobody"
    with (
        Worker("one-at-a-time", tmp_path, Task(address, "digits", "")) as worker,
        pytest.raises(UserError, match="see"),
    ):
        worker.measure()
    assert f"{address}: " in capfd.readouterr().err


def test_another_network_is_found_out() -> None:
    """Ways whose digits differ are no ways to the same answers; a way without digits has none that could."""
    digits = [number % 10 for number in range(1000)]
    throughput.check_digits({OURS: [*digits[:10]], READING: [], CEILING: digits})
    with pytest.raises(UserError, match="only 900 of 1,000 digits"):
        throughput.check_digits({OURS: [7 if digit == 3 else digit for digit in digits], CEILING: digits})


def test_a_folder_without_versions_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr(sys, "argv", ["throughput", "--data", str(SAMPLE), "--images=1", "--model-base-path", "models"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(UserError, match="models holds no version"):
        throughput.main()


def write_scans(folder: Path, images: list[bytes]) -> None:
    """Images where the ways look for them."""
    (folder / SCANS).mkdir()
    for number, image in enumerate(images):
        (folder / SCANS / f"{number}.png").write_bytes(image)
