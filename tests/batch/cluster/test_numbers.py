"""Jobs over fields of several digits."""

import json
from pathlib import Path

import pytest

from batch.client.tensors import Target
from batch.cluster.finish import finish_job
from batch.cluster.planned import Plan, Planned
from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.numbers.choice import Checksum, Choice
from batch.table.number_form import NumberForm
from tests.batch.cluster.support import answer_all, plan
from tests.batch.conftest import ScriptedServer
from tests.batch.support import write_scans

FORMS = {
    "plain": NumberForm(),
    "all columns": NumberForm(True, 0.6),  # noqa: FBT003 - by place
    "chosen": NumberForm(True, None, Choice.parse("2-3", "[1-9]+", Checksum.LUHN)),  # noqa: FBT003 - likewise
    "counted": NumberForm(False, 0.1, Choice.parse("4", None, None)),  # noqa: FBT003 - likewise
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_the_table_is_that_of_one_run(tmp_path: Path, reader: ScriptedServer, form: NumberForm, ending: str) -> None:
    """Whatever is known of the fields, and in each form: the joined parts have the bytes of digits-batch's table."""
    scans = tmp_path / "fields"
    write_scans(scans, [f"{number:04} {number} 1{number} 42".encode() for number in range(60)], 60)
    target = Target("digits", "numbers", 1)
    walk = Walk((str(scans),))
    one = tmp_path / f"one{ending}"
    run_job(Job(walk, one, (reader.address,), target=target, batch_size=4, form=form))

    planned = plan(tmp_path / "job", scans, form=form, target=target)
    assert planned.plan.form == form
    answer_all(tmp_path / "job", planned, reader.address)
    joined = tmp_path / f"joined{ending}"
    summary, _ = finish_job(str(tmp_path / "job"), str(joined))
    assert joined.read_bytes() == one.read_bytes()
    assert summary.rows == 60
    assert sum(summary.digits.values()) + sum(summary.errors.values()) == 60


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_plan_is_read_back(tmp_path: Path, form: NumberForm) -> None:
    """What is known of the fields is part of the plan, and says what its workers ask."""
    write_scans(tmp_path / "fields", [b"1"], 3)
    planned = plan(tmp_path / "job", tmp_path / "fields", form=form, target=Target("digits", "numbers", 1))
    assert Planned.of(planned.to_json()) == planned
    assert Plan.of(json.loads(json.dumps(planned.plan.settings()))) == planned.plan
