"""digits-review: look through a table, put its answers right.

Imports nothing slow on top: `--help` should answer at once.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch import flags
from batch.stores.urls import is_url
from batch.terminal.ending import EXIT_INTERRUPTED, EXIT_NOT_FINISHED, end, run_to_end
from batch.terminal.progress import notify
from batch.terminal.streams import may_be_lost
from exporter.command import UserError, VersionOption, counted, require_extra
from exporter.contract import MODEL_NAME

if TYPE_CHECKING:
    from batch.review.session import Session

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_PAGE, _NETWORK, _CORRECT, _AUDIT = "The page", "Server", "The corrected table", "The audit"
_AT_MOST = 1.0  # per cent

Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A table of digits-batch: .csv, .jsonl or .parquet. Decisions are kept beside it, in NAME.review.csv.",
        show_default=False,
    ),
]
Port = Annotated[int, flags.option(_PAGE, "--port", "Listen on this port of the loopback interface.", min=0, max=65535)]
Browser = Annotated[bool, flags.option(_PAGE, "--browser/--no-browser", "Open the page in the browser.")]
By = Annotated[
    str | None,
    flags.option(_PAGE, "--by", "Who decides, for the file of decisions. Default: your login name.", metavar="NAME"),
]
Server = Annotated[
    list[str] | None,
    flags.option(
        _NETWORK,
        "--server",
        "Show beside each picture what the network of this server gets of it, 28x28. A gRPC address; repeat it for "
        "replicas.",
        metavar="HOST:PORT",
    ),
]
Apply = Annotated[
    Path | None,
    flags.option(
        _CORRECT,
        "--apply",
        "Write a copy of the table with people's decisions in the place of answers, and a column that tells which rows "
        "these are. Nothing is opened then.",
        metavar="FILE",
    ),
]
Force = Annotated[bool, flags.option(_CORRECT, "--force", "Write over a FILE that is there.")]

Sample = Annotated[
    int | None,
    flags.option(
        _AUDIT,
        "--audit",
        "Answer N rows, drawn at random, without seeing the table's answers. Then read how accurate the whole table "
        "is. Answers are kept in NAME.audit.csv. The same rows come again when you go on.",
        metavar="N",
        min=1,
    ),
]
AtMost = Annotated[
    float | None,
    flags.option(
        _AUDIT,
        "--at-most",
        f"Say below which confidence to review, so that at most P % of the rest are wrong. Default: {_AT_MOST:g}.",
        metavar="P",
        min=0,
        max=100,
    ),
]


@app.command()
def review(
    *,
    table: Table,
    port: Port = 0,
    browser: Browser = True,
    by: By = None,
    bytes_column: flags.BytesColumn = None,
    id_column: flags.IdColumn = None,
    server: Server = None,
    model: flags.Model = MODEL_NAME,
    model_version: flags.ModelVersion = None,
    model_label: flags.ModelLabel = None,
    tls: flags.Tls = False,
    tls_ca: flags.TlsCa = None,
    tls_cert: flags.TlsCert = None,
    tls_key: flags.TlsKey = None,
    metadata: flags.Metadata = None,
    audit: Sample = None,
    at_most: AtMost = None,
    apply: Apply = None,
    force: Force = False,
    version: VersionOption = False,  # noqa: ARG001 - answered before the command runs
) -> None:
    """Look through the answers of TABLE in the browser, the least sure first, and put them right.

    Exit codes: 0 done, or ended by Ctrl-C; 2 wrong usage, or nothing to review; 3 the corrected table is not written.
    """
    if is_url(table):
        raise UserError(f"{table} is in an object store: copy it to this machine, and review the copy")
    if at_most is not None and audit is None:
        raise UserError("--at-most works only with --audit: leave it out")
    if apply is not None and audit is not None:
        raise UserError("--audit and --apply exclude each other: give one")
    if apply is not None:
        _apply(Path(table), apply, force=force)
        return
    if force:
        raise UserError("--force works only with --apply: leave it out")
    if model_version is not None and model_label is not None:
        raise UserError("--model-version and --model-label exclude each other: give one")
    require_extra("review", "aiohttp")
    import asyncio

    from batch.client.endpoint import Endpoint
    from batch.client.naming import FLAGS
    from batch.client.security import read_security
    from batch.review.pictures import Pictures
    from batch.review.seen import Seen
    from batch.review.server import serve

    security = read_security(tls=tls, ca=tls_ca, certificate=tls_cert, key=tls_key, metadata=metadata, naming=FLAGS)
    try:
        session = _session(Path(table).absolute(), _name(by), audit, at_most)
        _check_folder(session.table.parent)
        if server and not session.is_digits:
            raise UserError("--server shows what a network gets of single digits, and this table has numbers")
        seen = Seen(Endpoint(server, security), model, model_version, model_label) if server else None
        _go_to_pictures(session)
        pictures = Pictures(bytes_column, id_column)
        asyncio.run(
            serve(session, pictures, seen, port=port, show=lambda address: _show(session, address, browser=browser))
        )
    except KeyboardInterrupt:
        end("digits-review", "interrupted", EXIT_INTERRUPTED)
    _print_result(session)
    progress = session.describe()
    notify(f"{progress['decided']:,} of {counted(progress['rows'], 'row')} decided, in {progress['decisions']}")


def _session(table: Path, by: str, audit: int | None, at_most: float | None) -> "Session":
    from batch.review.audit import Audit
    from batch.review.session import Session

    if audit is None:
        return Session(table, by)
    return Audit(table, by, audit, (_AT_MOST if at_most is None else at_most) / 100)


def _print_result(session: "Session") -> None:
    from batch.review.audit import Audit

    if isinstance(session, Audit):
        with may_be_lost(1):
            typer.echo("\n".join(session.result()))


def _apply(table: Path, out: Path, *, force: bool) -> None:
    from batch.review.apply import apply

    try:
        done = apply(table, out, force=force)
    except OSError as error:
        end("digits-review", f"cannot write {error.filename or out}: {error.strerror}", EXIT_NOT_FINISHED)
    except KeyboardInterrupt:
        end("digits-review", f"interrupted; {out} is not written", EXIT_INTERRUPTED)
    notify(
        f"{out}: {counted(done.rows, 'row')}; a person has confirmed {done.confirmed:,}, changed {done.changed:,}, "
        f"found no digit in {done.empty:,}"
    )
    if done.unsure:
        notify(f"unsure, left as they were: {counted(done.unsure, 'row')}")
    if done.absent:
        notify(f"not in {table}, left out: decisions on {counted(done.absent, 'file')}")


def _name(by: str | None) -> str:
    import getpass

    if by is None:
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # a container's user may have no name
            return str(os.getuid())
    if not by.strip() or not by.isprintable():
        raise UserError("--by is empty, or holds what cannot be printed: give a name")
    return by


def _check_folder(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {folder}, where decisions are kept: copy the table to a folder of your own")


def _go_to_pictures(session: "Session") -> None:
    """Make the folder that the table's paths are relative to the working directory: this one, or the table's own."""
    beside = session.table.parent
    here, there = session.found_in(Path.cwd()), session.found_in(beside)
    if there > here:
        notify(f"paths are taken relative to {beside}")
        os.chdir(beside)
    elif not here and session.found_in(None):
        notify("the first files of the table are not here: run digits-review where digits-batch was run")


def _show(session: "Session", address: str, *, browser: bool) -> None:
    import threading
    import webbrowser

    typer.echo(f"{session.table.name} is at {address}")
    notify("Ctrl-C ends it; every decision is on the disk at once")
    if browser:
        # It may take a while, or draw in this very terminal.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def main() -> None:
    """Run the command."""
    run_to_end("digits-review", app)


if __name__ == "__main__":
    main()
