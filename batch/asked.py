"""What a run and a watcher have in common: which files are answered, by whom, and into which table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch.client.security import Security
from batch.client.tensors import Target
from batch.client.window import DEFAULT_BATCH_SIZE
from batch.files.walk import Walk
from batch.numbers.choice import Checksum, Choice
from batch.table.columns import Columns
from batch.table.number_form import NumberForm
from batch.table.output import Form
from exporter.command import UserError
from exporter.contract import MODEL_NAME, SIGNATURE


@dataclass(frozen=True)
class Asked:
    """What is asked of digits-batch; its options by their names.

    Attributes:
        walk: folders, files and how they are walked; for a watch, the folders that are watched.
        out: the table, or what its parts are named after; STANDARD_OUTPUT for standard output, which is written as it
            goes and cannot be resumed.
        servers: gRPC addresses of replicas; none looks on localhost:8500, then starts the built-in server.
        security: TLS and call metadata.
        target: model, signature, version or label.
        batch_size: most images in a request.
        in_flight: requests under way; None for as many as the server takes well.
        timeout: seconds on end that the server may fail; a watch then makes the connection anew.
        form: what is wanted of each image, and so the columns of the table.
    """

    walk: Walk
    out: Path
    servers: tuple[str, ...] = ()
    security: Security = field(default_factory=Security)
    target: Target = field(default_factory=lambda: Target(MODEL_NAME, SIGNATURE))
    batch_size: int = DEFAULT_BATCH_SIZE
    in_flight: int | None = None
    timeout: float = 60.0
    form: Columns[Any] = field(default_factory=Form)


def form_of(
    read: str,
    *,
    digits: str | None,
    pattern: str | None,
    checksum: Checksum | None,
    probabilities: bool,
    min_confidence: float | None,
    boxes: bool = False,
) -> Columns[Any]:
    """What the options of these names want of each image; `boxes` as of NumberForm.

    Raises:
        UserError: one of them is wrong, or works only with another; says which.
    """
    if read == "numbers":
        return NumberForm(probabilities, min_confidence, Choice.parse(digits, pattern, checksum), boxes)
    for flag, value in (("--digits", digits), ("--pattern", pattern), ("--checksum", checksum)):
        if value is not None:
            raise UserError(f"{flag} works only with --read numbers: leave it out")
    return Form(probabilities, min_confidence)
