"""Faults of a store never become rows, and are told in words that hold no secret."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.files.walk import Walk
from batch.job import Job, run_job
from batch.stores.faults import StoreError
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.support import CUT, RESET, SECRET, Bucket, FaultyProxy, Reply, s3_error
from tests.conftest import RunBatch

pytestmark = pytest.mark.clusters

EXPECTED = [str(number % 10) for number in range(40)]


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy by which the bucket, which holds forty objects of one byte, is found."""
    bucket.put_numbered("scans/", 40)
    with FaultyProxy(bucket.endpoint) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint)
        yield faulty


@pytest.fixture
def job(bucket: Bucket, proxy: FaultyProxy, scripted: ScriptedServer, tmp_path: Path) -> Job:
    """Reads the forty objects, four in a request."""
    return Job(Walk((f"{bucket.url}/scans",)), tmp_path / "out.csv", (scripted.address,), batch_size=4, timeout=20.0)


def _rows(job: Job) -> list[dict[str, str]]:
    with job.out.open(newline="") as file:
        return list(csv.DictReader(file))


def _digits(job: Job) -> list[str]:
    return [row["digit"] for row in _rows(job)]


def _is_object(method: str, path: str) -> bool:
    return method == "GET" and "/scans/" in path


@pytest.mark.parametrize(
    "reply",
    [
        s3_error(503, "SlowDown"),
        s3_error(500, "InternalError"),
        s3_error(400, "RequestTimeout"),
        Reply(502, b"<html>Bad gateway</html>"),
        Reply(200, b"no XML at all"),
        RESET,
        CUT,
    ],
    ids=["SlowDown", "InternalError", "RequestTimeout", "a gateway", "garbage", "reset", "cut"],
)
def test_what_may_pass_is_waited_out(job: Job, proxy: FaultyProxy, reply: Reply) -> None:
    """Listing and reading are tried again; every object has its row."""
    failed: set[str] = set()

    def fail_once(_number: int, method: str, path: str) -> Reply | None:
        # A body that is not what was asked for is found out in listings only: of an object it could be anything.
        is_due = path not in failed and not (reply.body.startswith(b"no XML") and _is_object(method, path))
        failed.add(path)
        return reply if is_due else None

    proxy.script = fail_once
    run_job(job)
    assert _digits(job) == EXPECTED


def test_an_outage(job: Job, proxy: FaultyProxy) -> None:
    """What is waited for is told in one line; then the run goes on."""
    told: list[str] = []
    began: list[float] = []

    def out_for_three_seconds(number: int, _method: str, _path: str) -> Reply | None:
        if number < 10:
            return None
        began.append(time.monotonic())
        return RESET if time.monotonic() - began[0] < 3 else None

    proxy.script = out_for_three_seconds
    run_job(job, told.append)
    assert _digits(job) == EXPECTED
    (line,) = told
    assert line.startswith("waiting for s3://")
    assert "trying again for" in line


def test_an_outage_beyond_the_timeout(
    job: Job, bucket: Bucket, proxy: FaultyProxy, scripted: ScriptedServer, digits_batch: RunBatch
) -> None:
    """Exit code 3; the same command finishes, and reads only what was not answered."""
    proxy.script = lambda _number, method, path: RESET if _is_object(method, path) and path[-6:-4] > "19" else None
    command = (f"{bucket.url}/scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "4")
    stopped = digits_batch(*command, "--timeout", "0.5")
    assert stopped.returncode == 3
    assert "gave up after 0.5 s of faults: s3://" in stopped.stderr
    assert "repeat the command" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    asked = len(proxy.requests)
    proxy.script = lambda *_: None
    finished = digits_batch(*command)
    assert finished.returncode == 0, finished.stderr
    assert _digits(job) == EXPECTED
    read_again = [path for method, path in proxy.requests[asked:] if _is_object(method, path)]
    assert len(read_again) == 20


def test_an_object_that_has_gone_or_is_too_large(
    job: Job, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These are faults of the file: it has a row, and what is too large is not read."""
    monkeypatch.setattr("batch.files.ahead.MAX_FILE_BYTES", 10)
    bucket.put("scans/large.png", bytes(11))
    bucket.put("scans/thawed.png", bytes(1))
    gone, archived = s3_error(404, "NoSuchKey"), s3_error(403, "InvalidObjectState")

    def script(_number: int, method: str, path: str) -> Reply | None:
        faults = {"003.png": gone, "awed.png": archived}
        return next((reply for end, reply in faults.items() if _is_object(method, path) and path.endswith(end)), None)

    proxy.script = script
    run_job(job)
    errors = {row["path"].rpartition("/")[2]: row["error"] for row in _rows(job) if row["error"]}
    assert errors == {"003.png": "unreadable", "large.png": "too large", "thawed.png": "unreadable"}
    assert not [path for method, path in proxy.requests if method == "GET" and "large" in path]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (s3_error(403, "AccessDenied", SECRET), "no permission (AccessDenied)"),
        (s3_error(400, "ExpiredToken", SECRET), "no credentials that S3 takes (ExpiredToken)"),
        (s3_error(403, "SignatureDoesNotMatch", SECRET), "no credentials that S3 takes (SignatureDoesNotMatch)"),
        (s3_error(418, f"https://host/?X-Amz-Signature={SECRET}", SECRET), "S3 cannot be used: HTTP 418"),
    ],
)
def test_what_will_not_pass_ends_the_run(
    bucket: Bucket,
    proxy: FaultyProxy,
    scripted: ScriptedServer,
    digits_batch: RunBatch,
    tmp_path: Path,
    reply: Reply,
    text: str,
) -> None:
    """No row says it; nothing of the library's or the store's own words is passed on."""
    proxy.script = lambda _number, method, path: reply if _is_object(method, path) and "030" in path else None
    command = (f"{bucket.url}/scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "4")
    stopped = digits_batch(*command, "--summary", "sum.json")
    assert stopped.returncode == 3
    assert text in stopped.stderr
    assert stopped.stderr.count("\n") == 1
    assert SECRET not in stopped.stderr + stopped.stdout
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("variables", "url", "text", "code"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "s3://x/y", "no credentials that S3 takes", 2),
        ({"AWS_PROFILE": "nobody"}, "s3://x/y", "no credentials that S3 takes (ProfileNotFound)", 2),
        ({"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, "s3://x/y", "cannot be reached: its name is not known", 2),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "s3://x/y", "gave up after 0.5 s of faults", 3),
        ({"AWS_ENDPOINT_URL": "no url"}, "s3://x/y", "S3 cannot be used: ValueError", 2),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "nobody"}, "az://x/y", "no credentials that Azure", 2),
        ({"AZURE_STORAGE_CONNECTION_STRING": f"nonsense {SECRET}"}, "az://x/y", "Azure Blob Storage cannot be used", 2),
    ],
)
def test_what_is_told_before_the_run(
    environment: None, digits_batch: RunBatch, variables: dict[str, str], url: str, text: str, code: int
) -> None:
    """One line, without a trace, and without a secret."""
    refused = digits_batch(url, "--out", "out.csv", "--server", "localhost:1", "--timeout", "0.5", **variables)
    assert refused.returncode == code, refused.stderr
    assert text in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert SECRET not in refused.stderr


def test_many_are_read_at_once(job: Job, bucket: Bucket, proxy: FaultyProxy) -> None:
    """Sixty-four requests and more are under way, over several requests to the server."""
    bucket.put_numbered("scans/more/", 100)

    def script(_number: int, method: str, path: str) -> None:
        if _is_object(method, path):
            time.sleep(0.2)

    proxy.script = script
    run_job(job)
    assert len(_rows(job)) == 140
    assert proxy.most_at_once >= 64


def test_an_object_that_has_changed_is_asked_again(job: Job, bucket: Bucket, proxy: FaultyProxy) -> None:
    """By its ETag: neither its size nor, within a second, its time tells."""
    proxy.script = lambda _number, _method, path: s3_error(403, "AccessDenied") if path.endswith("030.png") else None
    with pytest.raises(StoreError):
        run_job(job)
    proxy.script = lambda *_: None
    bucket.put("scans/000.png", b"\7")
    summary, _ = run_job(job)
    assert _digits(job) == ["7", *EXPECTED[1:]]
    assert summary.resumed == 24
