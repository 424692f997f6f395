"""Which adapted runs may be published."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.command import UserError
from exporter.gate import objections


def _run(folder: Path, *, old: int, new: int, least: float, p: float, mnist: float = 0.9963) -> Path:
    """A run folder of an adaptation: right of 1,000 held-out pictures, and the new share of MNIST's test digits."""
    adapted = {
        "held_out": _held_out(old, new, least, p),
        "mnist": {"old": {"accuracy": 0.9963}, "new": {"accuracy": mnist}},
    }
    return _write(folder, {"temperature": 1.0, "adapted": adapted})


def _held_out(old: int, new: int, least: float, p: float) -> dict[str, Any]:
    """Figures of 1,000 held-out pictures."""
    figures = {"images": 1000, "old": {"right": old}, "new": {"right": new}}
    return figures | {"difference_interval": [least, 1.0], "mcnemar_p": p}


def _write(folder: Path, metrics: Any) -> Path:  # noqa: ANN401 - JSON
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_a_better_run_passes(tmp_path: Path) -> None:
    """Better on held-out pictures, and a tenth of a point less of MNIST at most."""
    assert not objections(_run(tmp_path, old=900, new=950, least=0.03, p=1e-9, mnist=0.9953))


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"old": 950, "new": 940, "least": -0.02, "p": 0.03}, "reads 940 of 1,000 held-out pictures right"),
        ({"old": 950, "new": 955, "least": -0.01, "p": 0.4}, "too few to tell"),
        ({"old": 950, "new": 965, "least": -0.001, "p": 0.01}, "too few to tell"),
        ({"old": 900, "new": 950, "least": 0.03, "p": 1e-9, "mnist": 0.9951}, "0.12 points less"),
    ],
)
def test_a_run_that_is_not_better_is_refused(tmp_path: Path, figures: dict[str, Any], told: str) -> None:
    """Worse; not surely better, by either measure, of which one knows of groups; or worse on MNIST."""
    (reason,) = objections(_run(tmp_path, **figures))
    assert told in reason


def test_a_run_that_nobody_could_judge_is_refused(tmp_path: Path) -> None:
    """Where nothing could be held out, and MNIST is worse, both are told."""
    mnist = {"old": {"accuracy": 0.99}, "new": {"accuracy": 0.98}}
    reasons = objections(_write(tmp_path, {"adapted": {"held_out": None, "mnist": mnist}}))
    assert len(reasons) == 2
    assert "nobody knows" in reasons[0]


@pytest.mark.parametrize(
    ("digits", "fields", "told"),
    [
        (None, (690, 760, 0.04, 1e-6), []),
        (None, (690, 700, -0.01, 0.3), ["1,000 held-out fields are too few"]),
        ((900, 905, -0.01, 0.4), (690, 760, 0.04, 1e-6), []),
        ((900, 899, -0.02, 0.9), (690, 760, 0.04, 1e-6), ["reads 899 of 1,000 held-out pictures right"]),
        ((900, 950, 0.03, 1e-9), (690, 680, -0.03, 0.4), ["reads 680 of 1,000 held-out fields right"]),
        ((900, 905, -0.01, 0.4), (690, 690, -0.01, 1.0), ["pictures are too few", "held-out fields right"]),
    ],
)
def test_fields_count_as_digits_do(
    tmp_path: Path,
    digits: tuple[int, int, float, float] | None,
    fields: tuple[int, int, float, float],
    told: list[str],
) -> None:
    """A run must be better on one of both kinds, and read no fewer of the other; digits may have no labels."""
    mnist = {"old": {"accuracy": 0.9963}, "new": {"accuracy": 0.996}}
    adapted = {"held_out": digits and _held_out(*digits), "fields": {"held_out": _held_out(*fields)}, "mnist": mnist}
    reasons = objections(_write(tmp_path, {"adapted": adapted}))
    assert len(reasons) == len(told)
    for reason, part in zip(reasons, told, strict=True):
        assert part in reason


def test_other_runs_have_no_gate(tmp_path: Path) -> None:
    """A run of a recipe, and a published version, are not compared with anything."""
    assert not objections(tmp_path)
    assert not objections(_write(tmp_path, {"temperature": 1.0}))


@pytest.mark.parametrize("metrics", [[], {"adapted": {}}, {"adapted": {"held_out": {}, "mnist": {}}}, {"adapted": 3}])
def test_damaged_metrics_are_told(tmp_path: Path, metrics: Any) -> None:  # noqa: ANN401 - JSON
    """One line that names the file."""
    with pytest.raises(UserError, match=r"metrics.json cannot be read"):
        objections(_write(tmp_path, metrics))
