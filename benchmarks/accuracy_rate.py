"""Accuracy against rate, for docs/speed.md: every recipe in one picture.

    python benchmarks/accuracy_rate.py RUN... [--data DIR] [--chart FILE.png] [--json FILE] [--rounds 5]

Each RUN is a run folder of digits-train. Runs of one recipe count as one: the mean of the accuracies that stand in
their metrics.json, and the rate of the first. That is written as digits-export writes it, in float32 and, where the
network stays within its tolerance, in bfloat16, and `serving_default` is asked in process for MNIST's test images as
PNG files, two threads of 512 images a call. After a round that does not count all are measured in turn; medians are
printed. bfloat16 is computed on processors with AMX alone: which there is, stands under the picture.

--data holds MNIST's IDX files or mnist.npz (default: DIGITS_DATA).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from rich.console import Console

from exporter.command import UserError, quiet_tensorflow, run

quiet_tensorflow()

import tensorflow as tf  # noqa: E402 - after TensorFlow's chatter is closed off

from benchmarks.evaluate import markdown  # noqa: E402 - as above
from benchmarks.nondigits import encode  # noqa: E402 - as above
from exporter.contract import IMAGE_BYTES, RUN_METRICS, SIGNATURE  # noqa: E402 - as above
from exporter.network.processor import AMX, has  # noqa: E402 - as above
from exporter.network.served import BFLOAT16, FLOAT32  # noqa: E402 - as above
from exporter.publish import prepare  # noqa: E402 - as above
from exporter.signatures import write_saved_model  # noqa: E402 - as above
from trainer.data.datasets import load  # noqa: E402 - as above

BATCH, THREADS = 512, 2
DTYPES = (FLOAT32, BFLOAT16)
_DPI = 150
_INK, _FAINT, _LINE, _BLUE, _ORANGE = "#222222", "#666666", "#a9b4c0", "#1f5fa8", "#d9730d"
_LABEL_STEP = 1.2  # at least this factor of mistakes between two labels


@dataclass
class Network:
    """A recipe that was run."""

    recipe: str
    runs: list[Path] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    parameters: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    """Images/s by dtype."""

    @property
    def accuracy(self) -> float:
        """The mean of the runs."""
        return statistics.mean(self.accuracies)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIGITS_DATA"), help="MNIST; default DIGITS_DATA")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="the PNG to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for programs")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count; default 5")
    options = parser.parse_args()
    networks = read(options.runs)
    measure(networks, encode(load(options.data).x_test), options.rounds)
    print(markdown(as_rows(networks)), end="")
    if options.json:
        figures = [
            {"recipe": network.recipe, "accuracy": network.accuracy, "images_per_second": network.rates}
            for network in networks
        ]
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.chart:
        draw(options.chart, networks)


def read(runs: list[Path]) -> list[Network]:
    """The recipes of run folders, the quickest learners first as they are named."""
    networks: dict[str, Network] = {}
    for folder in runs:
        try:
            metrics: dict[str, Any] = json.loads((folder / RUN_METRICS).read_text(encoding="utf-8"))
            network = networks.setdefault(metrics["recipe"], Network(metrics["recipe"]))
            network.accuracies.append(float(metrics["test_accuracy"]))
            network.parameters = int(metrics["parameters"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder}: no run folder of digits-train ({error}); name others") from None
        network.runs.append(folder)
    return list(networks.values())


def measure(networks: list[Network], images: list[bytes], rounds: int) -> None:
    """Fill in the rates."""
    with tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("") as status:
        models = {}
        for network in networks:
            for dtype in DTYPES:
                status.update(f"Writing {network.recipe} in {dtype}")
                version = Path(folder) / network.recipe / dtype
                try:
                    form, _, _ = prepare(network.runs[0], dtype)
                except UserError as refusal:
                    print(f"{network.recipe}: {refusal}", file=sys.stderr)
                    continue
                write_saved_model(form, version)
                models[network.recipe, dtype] = tf.saved_model.load(str(version))
        rates: dict[tuple[str, str], list[float]] = {name: [] for name in models}
        for number in range(rounds + 1):
            for name, model in models.items():
                status.update(f"Round {number} of {rounds}: {name[0]} in {name[1]}")
                rates[name].append(rate(model.signatures[SIGNATURE], images))
    for network in networks:
        network.rates = {
            dtype: statistics.median(rates[name, dtype][1:]) for name, dtype in models if name == network.recipe
        }


def rate(signature: Callable[..., Any], images: list[bytes]) -> float:
    """Images/s."""
    batches = [tf.constant(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda batch: signature(**{IMAGE_BYTES: batch}), batches))
    return len(images) / (time.perf_counter() - started)


def as_rows(networks: list[Network]) -> list[list[str]]:
    """A table."""
    rows = [["recipe", "parameters", "MNIST test accuracy", "runs", *(f"images/s, {name}" for name in DTYPES)]]
    for network in networks:
        rates = [f"{network.rates[dtype]:,.0f}" if dtype in network.rates else "" for dtype in DTYPES]
        accuracy = f"{network.accuracy:.2%}"
        rows.append([f"`{network.recipe}`", f"{network.parameters:,}", accuracy, str(len(network.runs)), *rates])
    return rows


def draw(path: Path, networks: list[Network]) -> None:
    """Draw the share of mistakes, on a logarithmic axis, against the rate: the best are low and to the right."""
    figure = Figure(figsize=(9.6, 5.6), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    fastest = max(rate for network in networks for rate in network.rates.values())
    for network, height in zip(networks, label_heights(networks), strict=True):
        error = 1 - network.accuracy
        rates = [network.rates[dtype] for dtype in DTYPES if dtype in network.rates]
        axes.plot(rates, [error] * len(rates), color=_LINE, linewidth=1.5, zorder=1)
        for dtype, colour in zip(DTYPES, (_BLUE, _ORANGE), strict=True):
            if dtype in network.rates:
                axes.scatter(network.rates[dtype], error, s=70, color=colour, zorder=2)
        axes.annotate(
            f"{network.recipe}  {network.accuracy:.2%}",
            (min(rates), error),
            xytext=(min(rates) - 0.05 * fastest, height),
            ha="right",
            va="center",
            size=10,
            color=_INK,
            arrowprops={"arrowstyle": "-", "color": _LINE, "shrinkB": 5, "relpos": (1, 0.5)},
        )
    for dtype, colour in zip(DTYPES, (_BLUE, _ORANGE), strict=True):
        axes.scatter([], [], s=70, color=colour, label=dtype)
    axes.legend(frameon=False, loc="lower right")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.1%}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks([0.002, 0.005, 0.01, 0.02, 0.05, 0.1])
    errors = [1 - network.accuracy for network in networks]
    axes.set_ylim(0.7 * min(errors), 1.6 * max(errors))
    axes.set_xlim(-0.15 * fastest, 1.1 * fastest)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1.1 * fastest])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images/s, PNG files in, in process", size=10, color=_FAINT)
    axes.set_ylabel("mistakes on MNIST's test set", size=10, color=_FAINT)
    axes.tick_params(labelsize=9.5, colors=_FAINT)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Mistakes against rate: the best are low and to the right", size=11.5, x=0.012, ha="left")
    figure.supxlabel(processor(), size=8.5, x=0.012, ha="left", color=_FAINT)
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")


def label_heights(networks: list[Network]) -> list[float]:
    """Where each label stands: at its network's share of mistakes, or above the label below."""
    heights: dict[str, float] = {}
    below = 0.0
    for network in sorted(networks, key=lambda network: -network.accuracy):
        below = heights[network.recipe] = max(1 - network.accuracy, _LABEL_STEP * below)
    return [heights[network.recipe] for network in networks]


def processor() -> str:
    """What of this machine matters here."""
    return f"{os.cpu_count()} cores, {'with' if has(AMX) else 'without'} AMX; {THREADS} threads of {BATCH}."


if __name__ == "__main__":
    run("accuracy_rate", main)
