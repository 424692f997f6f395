"""The options of digits-batch and digits-job with their help, in the panels of `--help`."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from batch.client.window import DEFAULT_BATCH_SIZE, DEFAULT_IN_FLIGHT, FIELDS_A_REQUEST, FIELDS_IN_FLIGHT
from batch.numbers.choice import Checksum
from exporter.contract import MAX_DIGITS, NUMBERS_SIGNATURE, SIGNATURE

DEFAULT_SETTLE_S = 2.0
"""Longer than scanners and copies over a network usually pause between two writes to one file."""


def option(panel: str, flag: str, text: str, **more: Any) -> Any:  # noqa: ANN401 - whatever Typer takes
    """A flag with its help in a panel."""
    return typer.Option(flag, help=text, rich_help_panel=panel, **more)


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Folders to walk for *.png, single files, or archives: .tar, .tar.gz, .zip, .parquet, .arrow. Or their "
        "URLs in object stores, such as s3://bucket/scans. - reads paths from standard input, separated by newlines or "
        "NUL.",
        show_default=False,
    ),
]

_INPUT = "Input"
Glob = Annotated[
    list[str] | None,
    option(
        _INPUT,
        "--glob",
        "Take files with such names in folders and archives, instead of '*.png'. Repeatable. '*.tar' opens the tar "
        "archives in folders. TIFF, BMP, GIF, WebP and HEIC need the formats extra.",
        metavar="PATTERN",
    ),
]
Recursive = Annotated[bool, option(_INPUT, "--recursive/--no-recursive", "Walk subfolders.")]
FollowLinks = Annotated[
    bool,
    option(
        _INPUT,
        "--follow-links/--no-follow-links",
        "Follow symbolic links in folders, to folders and to files. A PATH that is a link is always followed.",
    ),
]

BytesColumn = Annotated[
    str | None,
    option(
        _INPUT,
        "--bytes-column",
        "The column of Parquet and Arrow files that holds the images. Default: the only one of bytes, or one called "
        "image or bytes.",
        metavar="NAME",
    ),
]
IdColumn = Annotated[
    str | None,
    option(
        _INPUT,
        "--id-column",
        "The column that names the rows of Parquet and Arrow files. Default: their numbers, from 0.",
        metavar="NAME",
    ),
]

_READING = "Reading"
What: TypeAlias = Literal["digits", "numbers"]
Read = Annotated[
    What,
    option(_READING, "--read", "What each image holds: a single digit, or a field of several, read as one text."),
]
Digits = Annotated[
    str | None,
    option(
        _READING,
        "--digits",
        f"With --read numbers: how many digits each field has, 1 to {MAX_DIGITS}. A range, such as 4-6, takes the best "
        "alternative within it.",
        metavar="N|N-M",
    ),
]
Pattern = Annotated[
    str | None,
    option(
        _READING,
        "--pattern",
        "With --read numbers: take the best alternative whose whole text matches this regular expression.",
        metavar="REGEX",
    ),
]
WithChecksum = Annotated[
    Checksum | None,
    option(
        _READING,
        "--checksum",
        "With --read numbers: take the best alternative with right check digits at its end. luhn: payment cards, IMEI. "
        "mod10: GS1's, weights 1, 3, 1, 3 from the right: EAN, GTIN, ISBN-13. mod11: weights 1, 2, 3, ... from the "
        "right, at most 10 digits: ISBN-10, ISSN, NHS. mod97: ISO 7064 MOD 97-10, the number leaves 1 when divided by "
        "97. verhoeff: Aadhaar. Needs the checksums extra.",
    ),
]

_OUTPUT = "Output"
Out = Annotated[
    str | None,
    option(
        _OUTPUT,
        "--out",
        "The table: .csv, .jsonl or .parquet; a file or a URL in an object store. - writes CSV to standard output; "
        "such a run cannot be resumed.",
        metavar="FILE|URL",
    ),
]
Probabilities = Annotated[
    bool,
    option(
        _OUTPUT,
        "--probabilities",
        "Add the probability of each digit, p0 to p9. With --read numbers: the five best texts with their confidences.",
    ),
]
MinConfidence = Annotated[
    float | None,
    option(
        _OUTPUT,
        "--min-confidence",
        "Add a column, review: 1 where there is an error or the confidence is below P.",
        metavar="P",
        min=0,
        max=1,
    ),
]
Summary = Annotated[
    Path | None,
    option(
        _OUTPUT,
        "--summary",
        "Write counts, errors by reason, versions, rate, time and retries to this file.",
        metavar="FILE.json",
        dir_okay=False,
    ),
]
Force = Annotated[bool, option(_OUTPUT, "--force", "Overwrite a finished table.")]
Fresh = Annotated[bool, option(_OUTPUT, "--fresh", "Delete the rows of an unfinished run instead of resuming it.")]

_WATCH = "Watch"
Watch = Annotated[
    bool,
    option(
        _WATCH,
        "--watch",
        "Go on until SIGTERM or Ctrl-C, and append a row for each file that comes into the folders.",
    ),
]
Settle = Annotated[
    float | None,
    option(
        _WATCH,
        "--settle",
        f"A file counts when it has not changed for so many seconds. Default: {DEFAULT_SETTLE_S:g}. A file that is "
        "moved in counts at once, with the watch extra.",
        metavar="SECONDS",
        min=0,
    ),
]
RollParts = Annotated[
    str | None,
    option(
        _WATCH,
        "--roll",
        "Write parts named after the table: one an hour, one a day, or one for every N rows. Parquet needs it.",
        metavar="hourly|daily|N",
    ),
]
MoveDone = Annotated[
    Path | None,
    option(_WATCH, "--move-done", "Move files here when their row is written, without error.", metavar="FOLDER"),
]
MoveFailed = Annotated[
    Path | None,
    option(_WATCH, "--move-failed", "Move files here when their row carries an error.", metavar="FOLDER"),
]

_SERVER = "Server"
Server = Annotated[
    list[str] | None,
    option(
        _SERVER,
        "--server",
        "gRPC address. Repeat it for replicas, or give a dns:///NAME:PORT that stands for several. Without it: "
        "localhost:8500 if something listens there, else the built-in server.",
        envvar="DIGITS_SERVER",
        metavar="HOST:PORT",
    ),
]
Model = Annotated[str, option(_SERVER, "--model", "Name of the served model.")]
Signature = Annotated[
    str | None,
    option(
        _SERVER,
        "--signature",
        f"Signature that takes encoded images. Default: {SIGNATURE}, with --read numbers {NUMBERS_SIGNATURE}.",
        metavar="NAME",
    ),
]
ModelVersion = Annotated[
    int | None, option(_SERVER, "--model-version", "Ask this version instead of the newest.", min=1)
]
ModelLabel = Annotated[str | None, option(_SERVER, "--model-label", "Ask the version with this label, e.g. stable.")]
OneVersion = Annotated[
    bool,
    option(
        _SERVER,
        "--one-version",
        "Take all rows from one version. If a newer version replaces it during the run, start over once.",
    ),
]
Tls = Annotated[bool, option(_SERVER, "--tls", "Use TLS and trust the system's certificate authorities.")]
TlsCa = Annotated[
    Path | None,
    option(_SERVER, "--tls-ca", "Use TLS and trust the certificate authorities in this PEM file.", metavar="FILE"),
]
TlsCert = Annotated[
    Path | None, option(_SERVER, "--tls-cert", "Client certificate for mutual TLS, a PEM file.", metavar="FILE")
]
TlsKey = Annotated[
    Path | None, option(_SERVER, "--tls-key", "Private key of the client certificate, a PEM file.", metavar="FILE")
]
Metadata = Annotated[
    Path | None,
    option(
        _SERVER,
        "--metadata",
        "File of 'name: value' lines to send with each call, such as a bearer token. Or set DIGITS_METADATA to such "
        "lines.",
        metavar="FILE",
    ),
]
Check = Annotated[
    bool,
    option(
        _SERVER,
        "--check",
        "Check that the server has the model and signature, and answers a test image; write nothing.",
    ),
]

_REQUESTS = "Requests"
BatchSize = Annotated[
    int | None,
    option(
        _REQUESTS,
        "--batch-size",
        f"Most images in a request. Default: {DEFAULT_BATCH_SIZE}, with --read numbers {FIELDS_A_REQUEST}.",
        min=1,
    ),
]
InFlight = Annotated[
    int | None,
    option(
        _REQUESTS,
        "--in-flight",
        f"Most requests under way. Default: {DEFAULT_IN_FLIGHT} for each server, with --read numbers "
        f"{FIELDS_IN_FLIGHT}; fewer while it is overloaded.",
        min=1,
    ),
]
Timeout = Annotated[
    float,
    option(
        _REQUESTS,
        "--timeout",
        "Stop when the server, or a store, has failed for so many seconds without a break.",
        min=0.1,
    ),
]
MaxErrors = Annotated[
    str | None,
    option(
        _REQUESTS,
        "--max-errors",
        "Stop when more rows than that carry errors. A percentage counts from the 100th row on.",
        metavar="N|P%",
    ),
]

_ACCURACY = "Accuracy"
Truth = Annotated[
    str | None,
    option(
        _ACCURACY,
        "--truth",
        "Compare the answers with true digits or texts: 'parent' for the names of the files' folders, or a CSV of "
        "path,label.",
        metavar="parent|FILE",
    ),
]
Report = Annotated[
    Path | None,
    option(
        _ACCURACY,
        "--report",
        "Write index.html to this folder: counts, confidence, errors, the least sure pictures. With --truth also "
        "mistakes.png, mistakes.csv, accuracy.json and, for single digits, confusion.png.",
        metavar="FOLDER",
    ),
]
