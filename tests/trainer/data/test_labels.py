"""Labels in their three forms, and what is wrong with some."""

import os
from pathlib import Path

import pytest

from exporter.command import UserError
from exporter.contract import NO_DIGIT
from trainer.data.labels import DIGITS, FIELDS, Labelled, read_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files to label; what they hold is nobody's business here."""
    for name in ("scans/3/a.png", "scans/7/b.png", "scans/none/c.png", "scans/other/d.png", "scans/3/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def _read(folder: Path, text: str, name: str = "labels.csv") -> list[tuple[str, int]]:
    (folder / name).write_text(text, encoding="utf-8")
    found = read_labels([folder / name], DIGITS)
    return [(os.path.relpath(each.name, folder), each.label) for each in found.labelled]


def test_folders_named_by_digit(folder: Path) -> None:
    """A file's label is the name of its folder, `none` for no digit; other folders and hidden files are passed over."""
    found = read_labels([folder / "scans"], DIGITS).labelled
    assert [(each.file.name, each.label) for each in found] == [("a.png", 3), ("b.png", 7), ("c.png", NO_DIGIT)]


@pytest.mark.parametrize("heading", ["", "path,label\n", "file,digit\n", "\ufeffpath,label\n"])
def test_a_csv_of_two_columns(folder: Path, heading: str) -> None:
    """With or without a header, paths relative to the folder of the CSV."""
    text = heading + "scans/3/a.png,8\nscans/7/b.png,none\n\n./scans/other/d.png,0\n"
    assert _read(folder, text) == [("scans/3/a.png", 8), ("scans/7/b.png", NO_DIGIT), ("scans/other/d.png", 0)]


def test_more_columns_are_kept(folder: Path) -> None:
    """A CSV with a header may have any columns in any order; each label knows its row."""
    (folder / "labels.csv").write_text("writer,Label,path\nAnn,8,scans/3/a.png\n")
    (found,) = read_labels([folder / "labels.csv"], DIGITS).labelled
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
    found = read_labels([folder / "csv" / "labels.csv"], DIGITS).labelled
    assert [(each.file.name, each.page, each.label) for each in found] == [
        ("a.png", 0, 3),
        ("b.png", 0, 7),
        ("scan.tif", 2, 1),
    ]
    assert found[2].name.endswith("scan.tif#page=2")


def test_labels_without_a_file_are_told(folder: Path) -> None:
    """Some files may be gone; if all are, nothing can be learned."""
    (folder / "labels.csv").write_text("scans/3/a.png,3\ngone.png,4\n")
    assert read_labels([folder / "labels.csv"], DIGITS).missing == ["gone.png"]
    with pytest.raises(UserError, match=r"none of the 1 labelled files is there, the first being 'gone.png'"):
        _read(folder, "gone.png,4\n")


def test_the_same_label_twice_counts_once(folder: Path) -> None:
    """Sources may overlap, if they agree."""
    (folder / "labels.csv").write_text("scans/3/a.png,3\n")
    assert len(read_labels([folder / "scans", folder / "labels.csv"], DIGITS).labelled) == 3
    (folder / "labels.csv").write_text("scans/3/a.png,4\n")
    with pytest.raises(UserError, match=r"a.png has two labels, 3 and 4"):
        read_labels([folder / "scans", folder / "labels.csv"], DIGITS)


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
        read_labels([folder / "scans" / "other"], DIGITS)
    with pytest.raises(UserError, match=r"nothing.csv: No such file"):
        read_labels([folder / "nothing.csv"], DIGITS)


def test_the_folder_of_a_writer(tmp_path: Path) -> None:
    """Where pictures are sorted by digit, the folder above tells writers apart."""
    assert Labelled(tmp_path / "ann" / "3" / "a.png", 0, 3).folder == tmp_path / "ann"
    assert Labelled(tmp_path / "ann" / "a.png", 0, 3).folder == tmp_path / "ann"


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """A folder with files of fields to label."""
    for name in ("forms/0042/a.png", "forms/7/b.png", "forms/none/c.png", "forms/ann/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def _texts(folder: Path, text: str, name: str = "texts.csv") -> list[tuple[str, str]]:
    (folder / name).write_text(text, encoding="utf-8")
    found = read_labels([folder / name], FIELDS)
    return [(os.path.relpath(each.name, folder), each.label) for each in found.labelled]


@pytest.mark.parametrize("heading", ["", "path,text\n", "path,label\n", "\ufeffFile,Amount\n"])
def test_a_csv_of_texts(fields: Path, heading: str) -> None:
    """Zeros in front stay, blanks around a text do not."""
    text = heading + "forms/7/b.png, 0071 \n./forms/ann/d.png,12345678901234567890123456789012\n"
    assert _texts(fields, text) == [
        ("forms/7/b.png", "0071"),
        ("forms/ann/d.png", "12345678901234567890123456789012"),
    ]


def test_more_columns_beside_texts(fields: Path) -> None:
    """The header names path and text, or path and label, in any order; label counts if there are both."""
    assert _texts(fields, "writer,Text,path\nAnn,17,forms/7/b.png\n") == [("forms/7/b.png", "17")]
    assert _texts(fields, "path,text,label\nforms/7/b.png,1.7,17\n") == [("forms/7/b.png", "17")]
    (found,) = read_labels([fields / "texts.csv"], FIELDS).labelled
    assert found.columns == {"path": "forms/7/b.png", "text": "1.7", "label": "17"}


def test_a_record_of_a_review_of_numbers(fields: Path) -> None:
    """The last line of a path counts; fields without a number are counted."""
    text = "path,was,confidence,label,by,when\n"
    for path, label in (("0042/a", "42"), ("7/b", "unsure"), ("0042/a", "0042"), ("none/c", "none"), ("ann/d", "")):
        text += f"forms/{path}.png,3,0.51,{label},ann,2026-11-30T12:00:00Z\n"
    assert _texts(fields, text, "preds.review.csv") == [("forms/0042/a.png", "0042")]
    assert read_labels([fields / "preds.review.csv"], FIELDS).none == 1


def test_a_line_without_its_end(folder: Path) -> None:
    """Of a review, a whole decision counts even if an editor took the newline, and half a path in quotes does not."""
    start = "\npath,was,confidence,label,by,when\nscans/7/b.png,3,0.51,8,ann,2026-11-30T12:00:00Z"
    assert _read(folder, start, "preds.review.csv") == [("scans/7/b.png", 8)]
    assert _read(folder, start + '\n"scans/3/a', "preds.review.csv") == [("scans/7/b.png", 8)]


def test_folders_named_by_text(fields: Path) -> None:
    """A field's label is the name of its folder; `none` is counted, other folders are passed over."""
    found = read_labels([fields / "forms"], FIELDS)
    assert [(each.file.name, each.label) for each in found.labelled] == [("a.png", "0042"), ("b.png", "7")]
    assert found.none == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"--fields .*texts.csv holds no labels: wanted are lines of path,text"),
        (
            "path,text\nforms/7/b.png,12.50\n",
            r"--fields .*texts.csv, line 2: label '12.50' is no text of 1 to 32 digits",
        ),
        ("forms/7/b.png,1\nforms/ann/d.png,٤٢\n", r"line 2: label '٤٢' is no text"),
        ("forms/7/b.png,1\nforms/7/b.png,2\n", r"line 2: 'forms/7/b.png' has a second label, 2 after 1"),
        ("path,text,confidence,error,model_version\nforms/7/b.png,1,0.5,,1\n", r"line 1: wanted two columns"),
        ("forms/7/b.png,none\nforms/ann/d.png,\n", r"--fields: all labels are empty, unsure or none"),
        ("gone.png,12\nforms/7/b.png,none\n", r"--fields: none of the 1 labelled files is there"),
        ("gone.png,12\n", r"--fields: none of the 1 labelled files is there"),
    ],
)
def test_wrong_texts_are_told(fields: Path, text: str, told: str) -> None:
    """The flag, the file, the line and what is wrong in it; a table of answers is no file of labels."""
    with pytest.raises(UserError, match=told):
        _texts(fields, text)


def test_two_texts_of_a_field(fields: Path) -> None:
    """Sources that contradict each other are told, `none` as well; digits and fields may name the same file."""
    (fields / "texts.csv").write_text("forms/0042/a.png,42\n")
    with pytest.raises(UserError, match=r"a.png has two labels, 0042 and 42: keep one of them in --fields"):
        read_labels([fields / "forms", fields / "texts.csv"], FIELDS)
    (fields / "texts.csv").write_text("forms/7/b.png,none\n")
    with pytest.raises(UserError, match=r"b.png has two labels, 7 and none"):
        read_labels([fields / "forms", fields / "texts.csv"], FIELDS)
    assert read_labels([fields / "forms"], DIGITS).labelled[0].label == 7


def test_the_folder_of_a_field(tmp_path: Path) -> None:
    """A folder is passed over if it is named by the field's own text, not if it is any other number."""
    assert Labelled(tmp_path / "ann" / "0042" / "a.png", 0, "0042").folder == tmp_path / "ann"
    assert Labelled(tmp_path / "2024" / "a.png", 0, "0042").folder == tmp_path / "2024"
