"""An audit: a random sample of a table is answered by people who do not see the table's answers.

The seed of the sample is kept in `TABLE.audit.json`, so that an audit can be interrupted, and people share it. Their
decisions are in `TABLE.audit.csv`, a file as `decisions.py` has it.
"""

import contextlib
import json
import os
import secrets
import tempfile
from array import array
from pathlib import Path
from random import Random
from typing import IO, Any

from batch.disk.offered import sync_folder, try_sync
from batch.review.finding import Finding
from batch.review.rows import UNDECIDED, UNSURE, Filter, Rows, identity_of
from batch.review.sample import design, draw
from batch.review.session import Session
from batch.review.threshold import Looked
from exporter.command import UserError

_BOOK, _ANSWERS = ".audit.json", ".audit.csv"


class Audit(Session):
    """A session over the rows of a sample, which comes in random order and without the table's answers.

    Rows with an error have no answer, and are not drawn. The sample belongs to the table as it was when it was drawn:
    when its file changes, this session goes on with what it was.

    Args:
        table: CSV, JSON Lines or Parquet.
        by: who decides here.
        size: of the sample.
        most: the share of wrong answers that may be left when rows below a confidence are reviewed.

    Raises:
        UserError: there is no such table, or no answer in it, or it is another than the one that was being audited.
    """

    def __init__(self, table: Path, by: str, size: int, most: float) -> None:
        super().__init__(table, by)
        self._most = most
        answered = self._rows.select(Filter(error="none"))
        if not answered:
            raise UserError(f"{table} has no row with an answer: there is nothing to audit")
        self._confidences = self._rows.confidences()
        self._layers = design(self._confidences, size)
        seed = _seed(table, self._rows)
        drawn = [answered[place] for places in draw(self._layers, seed) for place in places]
        # In the order of the strata, the first rows would be known to be the least sure.
        Random(seed).shuffle(drawn)  # noqa: S311 - no secret
        self._order = array("I", drawn)
        self._drawn = frozenset(drawn)
        self._errors = self._rows.count - len(answered)
        self._result: tuple[tuple[int, int], list[str]] = ((-1, -1), [])

    @staticmethod
    def _decisions_of(table: Path) -> Path:
        return table.with_name(table.stem + _ANSWERS)

    def _select(self, _wanted: Filter) -> "array[int]":
        return self._order

    def _described(self, number: int) -> dict[str, Any]:
        return {**super()._described(number), "answer": None, "confidence": None, "alternatives": None}

    def _progress(self) -> dict[str, Any]:
        decided = sum(self._rows.state(number) != UNDECIDED for number in self._order)
        result = self.result() if decided == len(self._order) else []
        return {**super()._progress(), "rows": len(self._order), "decided": decided, "result": result}

    def describe(self) -> dict[str, Any]:
        """What a page should know of the audit."""
        return {**super().describe(), "is_blind": True}

    def decide(self, generation: str, number: int, label: str, seen: int) -> dict[str, Any]:
        """As `Session.decide`; only on rows of the sample."""
        if number not in self._drawn:
            raise UserError("this row is not in the sample")
        return super().decide(generation, number, label, seen)

    def result(self) -> list[str]:
        """What the sample tells, as far as it was looked at, in lines for people."""
        with self._lock:
            # What was found changes with the decisions alone.
            known = self._decisions.epoch, self._decisions.count
            if self._result[0] != known:
                self._result = known, self._finding().lines()
            return self._result[1]

    def _finding(self) -> Finding:
        looked: list[Looked] = []
        unsure = 0
        for number in self._order:
            state = self._rows.state(number)
            if state == UNDECIDED:
                continue
            if state == UNSURE:
                unsure += 1
                continue
            row = self._row(number)
            decision = self._decisions.of(row.path)
            label = "" if decision is None else decision.label
            looked.append(Looked(self._rows.confidence(number), label != row.answer))
        return Finding(self._confidences, self._layers, looked, unsure, self._errors, self._most)

    def _reload(self, identity: tuple[int, ...], *, is_void: bool) -> None:
        if not is_void:
            self._failed = identity
            return
        self._epoch = self._decisions.epoch
        for number in self._order:
            path = self._row(number).path
            self._rows.mark(path, self._decisions.state_of(path))
        self._views.clear()
        self._loads += 1

    def _notice(self) -> str:
        if self._failed and self._failed == identity_of(self.table):
            return f"{self.table.name} has changed: the audit is of the table as it was when you began"
        return super()._notice()


def _seed(table: Path, rows: Rows) -> int:
    """The seed of a table's sample: that of the audit that was begun, or a new one, which is kept."""
    book = table.with_name(table.stem + _BOOK)
    wanted = {"table": table.name, "fingerprint": rows.fingerprint()}
    if not book.exists():
        _keep(book, wanted | {"seed": secrets.randbits(63)})
    try:
        found = json.loads(book.read_text(encoding="utf-8"))
        seed, fingerprint = int(found["seed"]), found["fingerprint"]
    except OSError as error:
        raise UserError(f"cannot read {book}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{book} is no file of digits-review: move it away") from None
    if fingerprint != wanted["fingerprint"]:
        answers = table.with_name(table.stem + _ANSWERS)
        raise UserError(
            f"{table} has other answers than when its audit began: move {book.name} and {answers.name} away to begin "
            "anew"
        )
    return seed


def _keep(book: Path, facts: dict[str, object]) -> None:
    """Write the file, unless somebody else has just done so."""
    text = json.dumps(facts)
    try:
        with tempfile.NamedTemporaryFile("w", dir=book.parent, prefix=".digits-", encoding="utf-8") as file:
            _write(file, text)
            Path(file.name).chmod(0o644)
            try:
                os.link(file.name, book)  # whole, or not at all
            except FileExistsError:
                return
            except OSError:  # of a file system without hard links
                with contextlib.suppress(FileExistsError), book.open("x", encoding="utf-8") as own:
                    _write(own, text)
        sync_folder(book.parent)
    except OSError as error:
        raise UserError(f"cannot write {book}: {error.strerror}") from None


def _write(file: IO[str], text: str) -> None:
    file.write(text)
    file.flush()
    try_sync(file.fileno())
