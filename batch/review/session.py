"""One table under review: its rows, its decisions, and the selections of rows that pages look at."""

import itertools
import os
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.review.decisions import Decision, Decisions, decisions_of, is_label
from batch.review.pictures import is_relative, is_there
from batch.review.rows import UNDECIDED, Filter, Rows, identity_of
from batch.table.forms import NoRowError, Row
from batch.table.journal import journal_of
from exporter.command import UserError

if TYPE_CHECKING:
    from array import array

_MOST_VIEWS = 16
_REST = 10  # times what it took to read a table, before it is read anew
_FEW = 50  # rows, of which pictures are looked for
MOST_ROWS = 500
"""Rows of one answer."""


class StaleError(Exception):
    """A page speaks of a table, or a view of it, that is no more; it has to ask anew."""


class Session:
    """What the page works on. Every method may be called by any thread.

    When the table's file is another, `refresh` reads it anew. Rows have other numbers then, which the generation tells;
    decisions hold by path and stay. Where rows were appended, the others keep their numbers, and views what they have.

    Args:
        table: CSV, JSON Lines or Parquet.
        by: who decides here.

    Attributes:
        table: as given.
        generation: names the table as it was read last; no two processes have the same.
        notice: what people should know about the table; empty for nothing.

    Raises:
        UserError: there is no such table, or nothing in it.
    """

    def __init__(self, table: Path, by: str) -> None:
        if not identity_of(table) and journal_of(table).exists():
            raise UserError(f"{table} is not there yet: a run is writing it, or was stopped; finish it first")
        self.table = table
        self.notice = ""
        self._process = secrets.token_urlsafe(8)
        self._loads = 0
        self._lock = threading.RLock()
        self._decisions = Decisions(self._decisions_of(table), by)
        self._decisions.refresh()
        self._epoch = self._decisions.epoch
        self._views: OrderedDict[str, array[int]] = OrderedDict()
        self._rows = Rows(table, self._decisions.state_of)
        self._failed: tuple[int, ...] = ()
        self._rests_until = 0.0
        if not self._rows.count:
            raise UserError(f"{table} has no rows: there is nothing to review")

    @staticmethod
    def _decisions_of(table: Path) -> Path:
        return decisions_of(table)

    @property
    def generation(self) -> str:
        """See the class."""
        return f"{self._process}-{self._loads}"

    @property
    def is_digits(self) -> bool:
        """Whether answers are single digits; else they are texts of several."""
        return self._rows.is_digits

    def found_in(self, folder: Path | None) -> int:
        """How many of the table's first relative paths lead to files or archives in a folder; None for all of them."""
        paths = (self._rows.row(number).path for number in range(min(self._rows.count, _FEW)))
        relative = [path for path in paths if is_relative(path)]
        if folder is None:
            return len(relative)
        return sum(is_there(os.path.join(folder, path)) for path in relative)  # noqa: PTH118 - paths that are no UTF-8

    def refresh(self) -> None:
        """Look at what others have decided, and at whether the table is still the same."""
        with self._lock:
            try:
                for decision in self._decisions.refresh():
                    self._rows.mark(decision.path, decision.state)
                self.notice = self._notice()
            except (UserError, OSError) as error:
                self.notice = str(error)
                return
            identity = identity_of(self.table)
            has_changed = identity and identity not in (self._rows.identity, self._failed)
            is_void = self._decisions.epoch != self._epoch
            if is_void or (has_changed and time.monotonic() > self._rests_until):
                started = time.monotonic()
                self._reload(identity, is_void=is_void)
                # A long table that grows all the time must not keep everybody waiting.
                self._rests_until = time.monotonic() + _REST * (time.monotonic() - started)

    def _reload(self, identity: tuple[int, ...], *, is_void: bool) -> None:
        self._epoch = self._decisions.epoch
        try:
            if not is_void and self._rows.grow(self.table, self._decisions.state_of):
                return
            rows = Rows(self.table, self._decisions.state_of)
        except (UserError, OSError):
            # It may be half written: looked at again when it has changed once more.
            self._failed = identity
            return
        self._rows.close()
        self._rows = rows
        self._views.clear()
        self._loads += 1

    def _notice(self) -> str:
        if not identity_of(self.table):
            return f"{self.table.name} is gone: you see it as it was"
        if self._failed == identity_of(self.table):
            return f"{self.table.name} has changed and cannot be read: you see it as it was"
        if journal_of(self.table).exists():
            return f"{self.table.name} is being written anew, or its run was stopped: you see it as it is now"
        return ""

    def describe(self) -> dict[str, Any]:
        """What a page should know of the table."""
        with self._lock:
            rows = self._rows
            return {
                "name": self.table.name,
                "kind": "digits" if rows.is_digits else "numbers",
                "errors": rows.errors,
                "folders": rows.folders[:MOST_ROWS],
                "by": self._decisions.by,
                "decisions": self._decisions.path.name,
                **self._progress(),
            }

    def _progress(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "rows": self._rows.count,
            "decided": self._rows.decided,
            "number": self._decisions.count,
            "notice": self.notice,
        }

    def view(self, wanted: Filter) -> dict[str, Any]:
        """Select rows; the selection stays as it is, whatever is decided. Its name is good for `rows` and `next`."""
        with self._lock:
            return self._add_view(self._select(wanted))

    def _select(self, wanted: Filter) -> "array[int]":
        return self._rows.select(wanted)

    def _add_view(self, order: "array[int]") -> dict[str, Any]:
        name = secrets.token_urlsafe(8)
        self._views[name] = order
        while len(self._views) > _MOST_VIEWS:
            self._views.popitem(last=False)
        return {"view": name, "generation": self.generation, "rows": len(order), "of": self._rows.count}

    def _view(self, name: str) -> "array[int]":
        try:
            self._views.move_to_end(name)
        except KeyError:
            raise StaleError from None
        return self._views[name]

    def rows(self, view: str, first: int, count: int) -> list[dict[str, Any]]:
        """Some rows of a view, MOST_ROWS at most, with the latest decisions on them.

        Raises:
            StaleError: there is no such view any more.
        """
        with self._lock:
            numbers = self._view(view)[max(0, first) : max(0, first) + min(max(0, count), MOST_ROWS)]
            return [self._described(number) for number in numbers]

    def _described(self, number: int) -> dict[str, Any]:
        row = self._row(number)
        readings = self._rows.readings(number)
        others = readings and [reading for reading in readings if reading[0] != row.answer]
        decision = described(self._decisions.of(row.path))
        return {"row": number, **row._asdict(), "alternatives": others, "decision": decision}

    def _row(self, number: int) -> Row:
        if not 0 <= number < self._rows.count:
            raise StaleError
        try:
            return self._rows.row(number)
        except NoRowError:
            raise UserError(f"{self.table.name} was written over in its place, and what is there is no table") from None

    def next(self, view: str, start: int) -> int | None:
        """The first place in a view, from a start on and then from its beginning, whose row is undecided.

        Raises:
            StaleError: there is no such view any more.
        """
        with self._lock:
            numbers = self._view(view)
            places = itertools.chain(range(start, len(numbers)), range(min(start, len(numbers))))
            return next((place for place in places if self._rows.state(numbers[place]) == UNDECIDED), None)

    def path(self, generation: str, number: int) -> str:
        """The path of a row. Raises StaleError."""
        with self._lock:
            if generation != self.generation:
                raise StaleError
            return self._row(number).path

    def decide(self, generation: str, number: int, label: str, seen: int) -> dict[str, Any]:
        """Take a decision, which is on the disk when this returns.

        Args:
            generation: of the table that the row's number is of.
            number: of the row.
            label: a digit or text, `none`, `unsure`, or empty to take the latest decision back.
            seen: the number of the decision on its path that the person knows; 0 for none.

        Returns:
            The decision.

        Raises:
            StaleError: the table is another.
            ConflictError: somebody else has decided meanwhile.
            UserError: it is no label, or the file of decisions cannot be used.
            OSError: the decision cannot be written.
        """
        with self._lock:
            if generation != self.generation:
                raise StaleError
            if not is_label(label, is_digits=self._rows.is_digits):
                raise UserError(f"{label[:40]!r} is no label for this table")
            row = self._row(number)
            # What others have decided since the last look comes before it.
            before = self._decisions.count
            try:
                return described(self._decisions.decide(row, label, seen)) or {}
            finally:
                for decision in self._decisions.since(before):
                    self._rows.mark(decision.path, decision.state)

    def changes(self, since: int) -> dict[str, Any]:
        """The latest decisions after a number, everybody's, and how far the review is."""
        with self._lock:
            return {**self._progress(), "decisions": [described(one) for one in self._decisions.since(since)]}

    def close(self) -> None:
        """Close the table."""
        self._rows.close()


def described(decision: Decision | None) -> dict[str, Any] | None:
    """A decision as pages get it."""
    if decision is None:
        return None
    return {name: getattr(decision, name) for name in ("number", "path", "was", "label", "by", "when")}
