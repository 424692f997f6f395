"""A run folder appears whole or not at all, and never over another one."""

from pathlib import Path

import pytest

from exporter.command import UserError
from trainer.run_folder.runs import CouldNotWriteError, new_run_folder


def test_appears_at_the_end(tmp_path: Path) -> None:
    """The folder has its name only once everything is in it, with parents made on the way."""
    out = tmp_path / "runs" / "one"
    with new_run_folder(out) as folder:
        (folder / "model.keras").write_text("weights")
        assert not out.exists()
    assert (out / "model.keras").read_text() == "weights"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_leaves_nothing_behind(tmp_path: Path, fault: type[BaseException]) -> None:
    """A run that fails or is interrupted leaves no folder, not even parents that it made."""
    with pytest.raises(fault), new_run_folder(tmp_path / "a" / "b" / "run") as folder:  # noqa: PT012 - the body is what fails
        (folder / "half").write_text("x")
        raise fault
    assert list(tmp_path.iterdir()) == []


def test_parents_in_use_stay(tmp_path: Path) -> None:
    """What somebody else put beside a failed run stays."""
    with pytest.raises(ValueError, match="fault"), new_run_folder(tmp_path / "runs" / "mine"):  # noqa: PT012 - the same
        (tmp_path / "runs" / "other").mkdir()
        raise ValueError("fault")
    assert list((tmp_path / "runs").iterdir()) == [tmp_path / "runs" / "other"]


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_never_overwrites(tmp_path: Path, kind: str) -> None:
    """Whatever already has the name is refused, with the flag to change."""
    out = tmp_path / "run"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.touch()
    else:
        out.symlink_to("nowhere")
    with (
        pytest.raises(UserError, match="already exists and is not overwritten; choose another folder with --out"),
        new_run_folder(out),
    ):
        pass
    assert list(tmp_path.iterdir()) == [out]


def test_place_that_cannot_be(tmp_path: Path) -> None:
    """A place below a file is refused with the system's reason."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot be created \(Not a directory\); choose another --out"),
        new_run_folder(tmp_path / "file" / "run"),
    ):
        pass


def test_lost_race(tmp_path: Path) -> None:
    """Two runs to one name: the second to finish fails, and the first keeps all it wrote."""
    out = tmp_path / "run"
    with (
        pytest.raises(CouldNotWriteError, match="could not be renamed"),
        new_run_folder(out),
        new_run_folder(out) as first,
    ):
        (first / "model.keras").touch()
    assert list(tmp_path.iterdir()) == [out]
    assert (out / "model.keras").exists()
