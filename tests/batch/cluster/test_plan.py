"""Plans: which files are in which shard, written once, and nothing that counts before the end."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.client.endpoint import ServerError
from batch.client.security import Security
from batch.client.tensors import Target
from batch.cluster.folder import open_folder
from batch.cluster.manifest import Manifests, ShardError, manifest_name, read_shard
from batch.cluster.plan import pin_version, plan_job
from batch.cluster.planned import Plan, Planned, find_job, open_job
from batch.files.file import File
from batch.files.paths import PathList
from batch.files.requests import cut
from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.job import Walked
from batch.table.output import Form
from exporter.command import UserError
from tests.batch.cluster.support import BATCH, plan, write_files
from tests.batch.conftest import ScriptedServer

DIGITS = Target("digits", "serving_default")


def _files(job: Path, planned: Planned) -> list[list[File]]:
    shards = (read_shard(open_folder(str(job)), planned.id, number) for number in range(planned.shards))
    return [list(shard.files) for shard in shards]


def test_shards_hold_the_walk_in_its_order(tmp_path: Path) -> None:
    """One after the other, the shards' files are those of the walk, with sizes and times; none has too many."""
    scans = write_files(tmp_path / "scans", 50)
    planned = plan(tmp_path / "job", scans, shard_files=12)
    shards = _files(tmp_path / "job", planned)
    assert [file for shard in shards for file in shard] == list(walk(Walk((str(scans),)), Skipped()))
    assert [len(shard) for shard in shards] == [12, 12, 12, 12, 2]
    assert (planned.shards, planned.files, planned.octets) == (5, 50, 200)
    assert open_job(open_folder(str(tmp_path / "job"))) == planned


@given(
    st.lists(st.integers(0, 20_000_000), min_size=1, max_size=600),
    st.integers(1, 300),
    st.integers(1, 400),
    st.none() | st.integers(16 << 20, 64 << 20),
)
def test_the_requests_of_shards_are_those_of_the_walk(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], batch: int, most: int, octets: int | None
) -> None:
    """Whatever the sizes and limits: cut shard by shard, the files go in the requests that the whole walk is cut in."""
    files = [File(f"{number}.png", size, 1) for number, size in enumerate(sizes)]
    requests = list(cut(files, min(batch, most)))
    folder = open_folder(str(tmp_path_factory.mktemp("job")))
    manifests = Manifests(folder, "plan", most, octets)
    assert sum(manifests.write(iter(requests))) == len(files)
    found = []
    for number in range(manifests.totals.shards):
        shard = read_shard(folder, "plan", number)
        of_shard = list(cut(shard.files, min(batch, most), shard.requests_before))
        held = [file for request in of_shard for file in request]
        assert len(held) <= most
        assert octets is None or len(of_shard) == 1 or sum(file.size for file in held) <= octets
        found += of_shard
    assert found == requests
    assert (manifests.totals.files, manifests.totals.octets) == (len(files), sum(sizes))


def test_names_of_any_bytes(tmp_path: Path) -> None:
    """Names with line ends, quotes and bytes that are no UTF-8 are planned as they are."""
    scans = tmp_path / "scans"
    scans.mkdir()
    names = [b"a\nb.png", b'c"d,.png', b"\xff\xfe.png", "ä\u2028.png".encode()]
    for name in names:
        (scans / os.fsdecode(name)).write_bytes(b"png")
    planned = plan(tmp_path / "job", scans)
    (files,) = _files(tmp_path / "job", planned)
    assert sorted(os.fsencode(Path(file.path).name) for file in files) == sorted(names)


def test_a_list_is_planned_without_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list on standard input is walked once, needs no temporary file, and may name files that are not there."""
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    there = write_files(tmp_path / "scans", 1) / "0000.png"
    listed = PathList(io.BytesIO(os.fsencode(there) + b"\nnowhere.png\n"), once=True)
    walked = Walked(Skipped(), walk(Walk(("-",)), Skipped(), listed))
    plan_ = Plan(Walk(("-",)), str(tmp_path), DIGITS, BATCH, Form(), 100)
    planned = plan_job(open_folder(str(tmp_path / "job")), plan_, walked)
    ((first, second),) = _files(tmp_path / "job", planned)
    assert (first.path, first.size) == (str(there), 4)
    assert second == File("nowhere.png", 0, 0)


def test_a_plan_that_fails_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """A walk that ends with an error makes no job; the next plan does, and clears away what a killed one left."""
    scans = write_files(tmp_path / "scans", 30)
    folder = open_folder(str(tmp_path / "job"))
    folder.put(manifest_name("killed", 0), b"half")

    def failing() -> Iterator[File]:
        yield from walk(Walk((str(scans),)), Skipped())
        raise OSError

    plan_ = Plan(Walk((str(scans),)), "/", DIGITS, BATCH, Form(), 8)
    with pytest.raises(OSError):  # noqa: PT011 - the one above
        plan_job(folder, plan_, Walked(Skipped(), failing()))
    assert find_job(folder) is None
    planned = plan(tmp_path / "job", scans)
    assert list(folder.names("manifests")) == [f"manifests/{planned.id}"]


def test_of_two_plans_one_counts(tmp_path: Path) -> None:
    """Who comes to the end of a plan second is told, and the first one's job is whole."""
    scans = write_files(tmp_path / "scans", 30)
    first = plan(tmp_path / "job", scans)
    with pytest.raises(UserError, match="meanwhile"):
        plan(tmp_path / "job", scans, shard_files=5)
    assert len(_files(tmp_path / "job", first)) == first.shards
    assert open_job(open_folder(str(tmp_path / "job"))) == first


def test_what_the_walk_passed_over_is_kept(tmp_path: Path) -> None:
    """The job says what was passed over, for its summary."""
    scans = write_files(tmp_path / "scans", 3)
    (scans / "photo.jpg").write_bytes(b"jpeg")
    (scans / "loop").symlink_to(scans)
    planned = plan(tmp_path / "job", scans)
    assert planned.skipped.other_images == {".jpg": 1}
    assert planned.skipped.loops == [str(scans / "loop")]
    assert open_job(open_folder(str(tmp_path / "job"))).skipped == planned.skipped


def test_a_folder_that_is_no_job(tmp_path: Path) -> None:
    """No job, one of another version and a damaged one are told in a sentence."""
    folder = open_folder(str(tmp_path / "job"))
    with pytest.raises(UserError, match="no planned job"):
        open_job(folder)
    for content in (b"{}", b"{", b"[]", json.dumps({"format": 99}).encode()):
        folder.put("job.json", content)
        with pytest.raises(UserError, match="another version"):
            open_job(folder)


def test_a_damaged_manifest(tmp_path: Path) -> None:
    """A manifest that was cut off, or is none, is an error of its shard that names it."""
    planned = plan(tmp_path / "job", write_files(tmp_path / "scans", 30))
    folder = open_folder(str(tmp_path / "job"))
    name = manifest_name(planned.id, 0)
    for content in (folder.read(name)[:-12], b"nothing", b""):
        folder.put(name, content)
        with pytest.raises(ShardError, match="is damaged"):
            list(read_shard(folder, planned.id, 0).files)


def test_the_version_asked_for() -> None:
    """A version that is named needs no server."""
    target = Target("digits", "serving_default", 7)
    assert pin_version(target, ("localhost:1",), Security(), 0.1) == 7


def test_the_version_of_the_server(scripted: ScriptedServer) -> None:
    """Without one, it is the newest that the server has."""
    scripted.version = 3
    assert pin_version(DIGITS, (scripted.address,), Security(), 5.0) == 3


def test_the_version_of_the_included_model(nobody_listens: None) -> None:
    """Without a server, it is that of the built-in one."""
    assert pin_version(DIGITS, (), Security(), 5.0) == 1


def test_the_version_of_a_model_that_nobody_has(nobody_listens: None, scripted: ScriptedServer) -> None:
    """A model that only a server could have needs one that has it."""
    with pytest.raises(UserError, match="--model-version"):
        pin_version(Target("other", "serving_default"), (), Security(), 5.0)
    with pytest.raises(UserError, match="NOT_FOUND"):
        pin_version(Target("other", "serving_default"), (scripted.address,), Security(), 5.0)


def test_the_version_of_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """A server that is away ends the plan after the timeout, before anything is written."""
    with pytest.raises(ServerError):
        pin_version(DIGITS, (f"unix:{tmp_path}/nobody.sock",), Security(), 0.3)
