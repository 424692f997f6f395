"""What an interrupted search leaves."""

from pathlib import Path

import pytest

from exporter.command import UserError
from trainer.search.journal import Journal, Trial, trials_done

SETTINGS = {"recipe": "mine", "seed": 0}


def _trial(number: int) -> Trial:
    return Trial(number=number, values={"width": 2.0, "depth": 1}, epochs=2, accuracy=0.1, loss=float("inf"), seconds=1)


def test_trials_are_kept(tmp_path: Path) -> None:
    """A journal that is opened again has the finished trials, to the last bit."""
    folder = tmp_path / "kept"
    assert trials_done(folder) == 0
    journal = Journal(folder, SETTINGS)
    for number in range(3):
        journal.add(_trial(number))
    assert trials_done(folder) == 3
    assert Journal(folder, SETTINGS).trials == {number: _trial(number) for number in range(3)}


def test_a_killed_write_loses_nothing(tmp_path: Path) -> None:
    """Half a file from a process that was killed while it wrote is left aside."""
    Journal(tmp_path / "kept", SETTINGS).add(_trial(0))
    (tmp_path / "kept" / "trials.partial").write_text('{"number": 0, "val')
    journal = Journal(tmp_path / "kept", SETTINGS)
    journal.add(_trial(1))
    assert sorted(Journal(tmp_path / "kept", SETTINGS).trials) == [0, 1]


def test_another_search_is_not_mixed_in(tmp_path: Path) -> None:
    """Trials of another search are refused; a folder without any is taken."""
    folder = tmp_path / "kept"
    Journal(folder, SETTINGS | {"seed": 1})
    Journal(folder, SETTINGS).add(_trial(0))
    with pytest.raises(UserError, match=f"{folder} holds an interrupted search of another kind"):
        Journal(folder, SETTINGS | {"seed": 1})
