"""A table at a URL: journal and rows are kept in a local folder, and the finished table is put whole."""

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from batch.stores.faults import Kind, MissingError, StoreError, TakenError
from batch.stores.patience import Patience
from batch.stores.urls import ObjectUrl, parse_url
from exporter.command import UserError

if TYPE_CHECKING:
    from batch.stores.store import Store

_LONGEST_NAME = 60  # characters of the table's own, for people who look into the folder


def local_place(url: str) -> Path:
    """Where a table is written that is to be put to a URL; its journal lies beside it.

    The folder is the user's own: `$XDG_STATE_HOME/digits`, or `~/.local/state/digits`. The same URL has the same place,
    wherever the command is given.

    Raises:
        UserError: the URL is none, or the user has no home folder.
    """
    name = parse_url(url).key.rpartition("/")[2]
    if not name:
        raise UserError(f"--out {url} names no table: add its name, such as preds.csv")
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - a text
    readable = re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII)[:_LONGEST_NAME]
    return _state_folder() / "digits" / f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:12]}{ending}"


def make_folder(place: Path) -> None:
    """Make the folder of a `local_place`, for the user alone. Raises UserError if it cannot be made."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out URL keeps its rows in {place.parent} at first, which cannot be made: {error.strerror}; set "
            "XDG_STATE_HOME to a folder that can be written"
        ) from None


def check_remote(url: str, patience: Patience, *, replace: bool) -> None:
    """Find what would keep a table from being put before the run, not after it.

    Raises:
        UserError: there is something already, and `replace` is not said; or no such bucket.
        StoreError: the store failed.
    """
    from batch.stores.store import open_store  # noqa: PLC0415 - a run without URLs starts without it

    where = parse_url(url)
    store = open_store(where)
    try:
        if not _is_there(store, where, patience):
            # That may be for want of the bucket.
            next(store.pages(where, patience, recursive=False))
        elif not replace:
            raise UserError(_taken(url))
    except StoreError as error:
        if error.kind is Kind.PASSING:
            raise
        # Whoever may only write there can neither look nor list.
        if error.kind is not Kind.DENIED:
            raise UserError(str(error)) from None


def _is_there(store: "Store", where: ObjectUrl, patience: Patience) -> bool:
    try:
        store.find(where, patience).result()
    except MissingError:
        return False
    except StoreError as error:
        # S3 gives no reasons here. Listing tells.
        if error.kind in (Kind.DENIED, Kind.OTHER):
            return False
        raise
    return True


def put_table(path: Path, url: str, patience: Patience, *, replace: bool) -> None:
    """Put a finished table; one of the same bytes that is there already is as good.

    Raises:
        UserError: something else is there, and `replace` is not said.
        StoreError: it cannot be put.
        OSError: the file cannot be read.
    """
    from batch.stores.store import open_store  # noqa: PLC0415 - likewise

    where = parse_url(url)
    with path.open("rb") as file:
        try:
            open_store(where).put_file(where, file, patience, replace=replace)
        except TakenError:
            raise UserError(_taken(url)) from None


def _taken(url: str) -> str:
    return f"{url} is there already; add --force to write it anew, or choose another --out"


def _state_folder() -> Path:
    named = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 - a text
        return Path(named)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:
        raise UserError(
            "--out URL keeps its rows in your home folder at first, and there is none: set XDG_STATE_HOME"
        ) from None
