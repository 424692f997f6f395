"""Which adapted runs may be published."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.command import UserError
from exporter.gate import objections


def _run(folder: Path, *, old: int, new: int, least: float, p: float, mnist: float = 0.9963) -> Path:
    """A run folder of an adaptation: right of 1,000 held-out pictures, and the new share of MNIST's test digits."""
    held_out = {"images": 1000, "old": {"right": old}, "new": {"right": new}}
    held_out |= {"difference_interval": [least, 1.0], "mcnemar_p": p}
    adapted = {"held_out": held_out, "mnist": {"old": {"accuracy": 0.9963}, "new": {"accuracy": mnist}}}
    return _write(folder, {"temperature": 1.0, "adapted": adapted})


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


def test_other_runs_have_no_gate(tmp_path: Path) -> None:
    """A run of a recipe, and a published version, are not compared with anything."""
    assert not objections(tmp_path)
    assert not objections(_write(tmp_path, {"temperature": 1.0}))


@pytest.mark.parametrize("metrics", [[], {"adapted": {}}, {"adapted": {"held_out": {}, "mnist": {}}}, {"adapted": 3}])
def test_damaged_metrics_are_told(tmp_path: Path, metrics: Any) -> None:  # noqa: ANN401 - JSON
    """One line that names the file."""
    with pytest.raises(UserError, match=r"metrics.json cannot be read"):
        objections(_write(tmp_path, metrics))
