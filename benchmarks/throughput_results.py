"""What `throughput.py` found: the rounds of each way, their medians, the table, the figures for programs."""

import sys
from dataclasses import asdict, dataclass
from statistics import median

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.throughput_ways import WAYS

FIRST, OURS, CEILING, READING = "one-at-a-time", "digits-batch", "ceiling", "reading"
"""Ways that others are compared with, or that are shown otherwise."""
_PIPE_COLUMNS = 200  # where there is no terminal to fold for


@dataclass(frozen=True)
class Round:
    """A way, measured once."""

    images: int
    seconds: float
    client_cpu_seconds: float
    server_cpu_seconds: float | None
    """None where no server is asked, or none of ours."""
    client_peak_bytes: int

    @property
    def rate(self) -> float:
        """Images/s."""
        return self.images / self.seconds


@dataclass(frozen=True)
class Row:
    """A way, measured some times."""

    way: str
    rounds: list[Round]

    @property
    def title(self) -> str:
        """For people."""
        return WAYS[self.way].title

    @property
    def rates(self) -> list[float]:
        """Images/s, of each round."""
        return [one.rate for one in self.rounds]

    @property
    def rate(self) -> float:
        """Images/s, median."""
        return median(self.rates)

    @property
    def client_cpu(self) -> float:
        """Microseconds for each image, median."""
        return median(1e6 * one.client_cpu_seconds / one.images for one in self.rounds)

    @property
    def server_cpu(self) -> float | None:
        """Microseconds for each image, median."""
        spent = [(one.server_cpu_seconds, one.images) for one in self.rounds]
        costs = [1e6 * seconds / images for seconds, images in spent if seconds is not None]
        return median(costs) if costs else None

    @property
    def client_peak(self) -> float:
        """Megabytes, the most of all rounds."""
        return max(one.client_peak_bytes for one in self.rounds) / 1e6


Rows = dict[str, Row]
"""By way, in the order of WAYS."""


def print_table(rows: Rows, title: str) -> None:
    """For people, in a form that pastes into docs/speed.md."""
    table = Table(box=MARKDOWN)
    table.add_column("")
    for heading in (
        "images/s",
        "ratio to one at a time",
        "of the ceiling",
        "client's CPU, µs/image",
        "server's CPU, µs/image",
        "client's peak memory, MB",
    ):
        table.add_column(heading, justify="right")
    for row in rows.values():
        table.add_row(
            row.title,
            f"{row.rate:,.0f}",
            f"{row.rate / rows[FIRST].rate:.1f}",
            f"{100 * row.rate / rows[CEILING].rate:,.0f} %",
            f"{row.client_cpu:,.0f}",
            "" if row.server_cpu is None else f"{row.server_cpu:,.0f}",
            f"{row.client_peak:,.0f}",
        )
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
    console.print(title, table, sep="\n", highlight=False)


def as_figures(rows: Rows, title: str) -> dict[str, object]:
    """For programs."""
    ways = [
        {
            "way": row.way,
            "title": row.title,
            "images_per_second": row.rate,
            "ratio_to_one_at_a_time": row.rate / rows[FIRST].rate,
            "ratio_to_the_ceiling": row.rate / rows[CEILING].rate,
            "client_cpu_us_per_image": row.client_cpu,
            "server_cpu_us_per_image": row.server_cpu,
            "client_peak_mb": row.client_peak,
            "rounds": [asdict(one) for one in row.rounds],
        }
        for row in rows.values()
    ]
    return {"title": title, "ways": ways}
