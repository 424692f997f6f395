"""Labels in their three forms, and what is wrong with some."""

import os
from pathlib import Path

import pytest

from exporter.command import UserError
from exporter.contract import NO_DIGIT
from trainer.data.labels import Labelled, read_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files to label; what they hold is nobody's business here."""
    for name in ("scans/3/a.png", "scans/7/b.png", "scans/none/c.png", "scans/other/d.png", "scans/3/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def _read(folder: Path, text: str, name: str = "labels.csv") -> list[tuple[str, int]]:
    (folder / name).write_text(text, encoding="utf-8")
    found = read_labels([folder / name])
    return [(os.path.relpath(each.name, folder), each.label) for each in found.labelled]


def test_folders_named_by_digit(folder: Path) -> None:
    """A file's label is the name of its folder, `none` for no digit; other folders and hidden files are passed over."""
    found = read_labels([folder / "scans"]).labelled
    assert [(each.file.name, each.label) for each in found] == [("a.png", 3), ("b.png", 7), ("c.png", NO_DIGIT)]


@pytest.mark.parametrize("heading", ["", "path,label\n", "file,digit\n", "\ufeffpath,label\n"])
def test_a_csv_of_two_columns(folder: Path, heading: str) -> None:
    """With or without a header, paths relative to the folder of the CSV."""
    text = heading + "scans/3/a.png,8\nscans/7/b.png,none\n\n./scans/other/d.png,0\n"
    assert _read(folder, text) == [("scans/3/a.png", 8), ("scans/7/b.png", NO_DIGIT), ("scans/other/d.png", 0)]


def test_more_columns_are_kept(folder: Path) -> None:
    """A CSV with a header may have any columns in any order; each label knows its row."""
    (folder / "labels.csv").write_text("writer,Label,path\nAnn,8,scans/3/a.png\n")
    (found,) = read_labels([folder / "labels.csv"]).labelled
    assert found.label == 8
    assert found.columns["writer"] == "Ann"


def test_a_record_of_a_review(folder: Path) -> None:
    """The last line of a path counts; who is unsure, or has taken a label back, says nothing, nor does half a line."""
    text = "path,was,confidence,label,by,when\n"
    for path, label in (
        ("3/a", "8"),
        ("7/b", "1"),
        ("3/a", "5"),
        ("7/b", "unsure"),
        ("none/c", "none"),
        ("other/d", ""),
    ):
        text += f"scans/{path}.png,3,0.51,{label},ann,2026-11-30T12:00:00Z\n"
    text += "scans/3/a.png,3,0.5"
    assert _read(folder, text, "preds.review.csv") == [("scans/3/a.png", 5), ("scans/none/c.png", NO_DIGIT)]


def test_paths_as_tables_have_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths may be relative to where the command runs, absolute, and name a page."""
    (folder / "csv").mkdir()
    (folder / "scan.tif").write_bytes(b"")
    monkeypatch.chdir(folder)
    text = f"scans/3/a.png,3\n{folder}/scans/7/b.png,7\nscan.tif#page=2,1\n"
    (folder / "csv" / "labels.csv").write_text(text)
    found = read_labels([folder / "csv" / "labels.csv"]).labelled
    assert [(each.file.name, each.page, each.label) for each in found] == [
        ("a.png", 0, 3),
        ("b.png", 0, 7),
        ("scan.tif", 2, 1),
    ]
    assert found[2].name.endswith("scan.tif#page=2")


def test_labels_without_a_file_are_told(folder: Path) -> None:
    """Some files may be gone; if all are, nothing can be learned."""
    (folder / "labels.csv").write_text("scans/3/a.png,3\ngone.png,4\n")
    assert read_labels([folder / "labels.csv"]).missing == ["gone.png"]
    with pytest.raises(UserError, match=r"none of the 1 labelled files is there, the first being 'gone.png'"):
        _read(folder, "gone.png,4\n")


def test_the_same_label_twice_counts_once(folder: Path) -> None:
    """Sources may overlap, if they agree."""
    (folder / "labels.csv").write_text("scans/3/a.png,3\n")
    assert len(read_labels([folder / "scans", folder / "labels.csv"]).labelled) == 3
    (folder / "labels.csv").write_text("scans/3/a.png,4\n")
    with pytest.raises(UserError, match=r"a.png has two labels, 3 and 4"):
        read_labels([folder / "scans", folder / "labels.csv"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no labels"),
        ("path,label\n", "holds no labels"),
        ("scans/3/a.png,3\nscans/7/b.png,12\n", r"labels.csv, line 2: label '12' is no digit"),
        ("scans/3/a.png,3,x\n", r"line 1: wanted two columns"),
        ("path,label,writer\nscans/3/a.png,3\n", r"line 2: wanted 3 columns"),
        ("path,label\n,3\n", r"line 2: the path is empty"),
        ("scans/3/a.png,3\n./scans/3/a.png,4\n", r"line 2: 'scans/3/a.png' has a second label, 4"),
        ('"scans/3/a.png,3\n', r"line 1: no CSV"),
    ],
)
def test_wrong_labels_are_told(folder: Path, text: str, told: str) -> None:
    """What is wrong, in which line."""
    with pytest.raises(UserError, match=told):
        _read(folder, text)


def test_sources_that_are_none(folder: Path) -> None:
    """A folder without folders named by digit, and a file that is not there."""
    with pytest.raises(UserError, match="wanted are folders named 0 to 9 or none"):
        read_labels([folder / "scans" / "other"])
    with pytest.raises(UserError, match=r"nothing.csv: No such file"):
        read_labels([folder / "nothing.csv"])


def test_the_folder_of_a_writer(tmp_path: Path) -> None:
    """Where pictures are sorted by digit, the folder above tells writers apart."""
    assert Labelled(tmp_path / "ann" / "3" / "a.png", 0, 3).folder == tmp_path / "ann"
    assert Labelled(tmp_path / "ann" / "a.png", 0, 3).folder == tmp_path / "ann"
