"""digits-batch on an S3 server."""

import itertools
import tracemalloc
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from batch.files.file import File
from batch.files.skipped import Skipped
from batch.files.walk import Walk, walk
from batch.job import Job, run_job
from tests.batch.conftest import ScriptedServer
from tests.batch.stores.support import Bucket, FaultyProxy, Reply
from tests.batch.support import read_rows
from tests.conftest import RunBatch


def _walked(*urls: str, recursive: bool = True) -> tuple[list[File], Skipped]:
    skipped = Skipped()
    return list(walk(Walk(urls, recursive=recursive), skipped)), skipped


def test_a_row_for_each_object(
    bucket: Bucket, scripted: ScriptedServer, digits_batch: RunBatch, tmp_path: Path
) -> None:
    """Objects under a prefix become rows in the order of their keys, with their URLs as paths."""
    urls = bucket.put_numbered("scans/", 40)
    result = digits_batch(f"{bucket.url}/scans", "--out", "out.csv", "--server", scripted.address, "--batch-size", "7")
    assert result.returncode == 0, result.stderr
    rows = read_rows(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == urls
    assert [row["digit"] for row in rows] == [str(number % 10) for number in range(40)]
    assert not list(tmp_path.glob("*.part"))


def test_what_a_url_stands_for(bucket: Bucket) -> None:
    """One object, or all under a prefix up to a slash; keys come by their bytes; hidden names are left out."""
    keys = ["a/x.png", "a-b/x.png", "a/.hidden.png", "a/.git/x.png", "a/b/y.PNG", "a/b/z.jpg", "ab/x.png", "a/b/"]
    for key in keys:
        bucket.put(key, b"\1")
    bucket.put("exact", b"\2\2")
    found, skipped = _walked(bucket.url)
    taken = [file.path.removeprefix(bucket.url) for file in found]
    assert taken == ["/a-b/x.png", "/a/b/y.PNG", "/a/x.png", "/ab/x.png"]
    assert skipped.other_images == {".jpg": 1}
    found, _ = _walked(f"{bucket.url}/a")
    assert [file.path.removeprefix(bucket.url) for file in found] == ["/a/b/y.PNG", "/a/x.png"]
    found, skipped = _walked(f"{bucket.url}/a/", recursive=False)
    assert [file.path.removeprefix(bucket.url) for file in found] == ["/a/x.png"]
    assert skipped.unwalked == 1
    (exact,), _ = _walked(f"{bucket.url}/exact")
    assert (exact.path, exact.size) == (f"{bucket.url}/exact", 2)
    assert exact.tag == bucket.client.head_object(Bucket=bucket.name, Key="exact")["ETag"].strip('"')
    assert exact.mtime_ns > 0


def test_page_by_page(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing goes on where a page ends, and no page is asked for long before it is needed."""
    urls = bucket.put_numbered("", 40)
    with FaultyProxy(
        bucket.endpoint, rewrite=lambda path: path.replace("list-type=2", "list-type=2&max-keys=7")
    ) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        files = walk(Walk((bucket.url,)), Skipped())
        first = next(files)
        assert len(proxy.requests) <= 2
        assert [first.path, *(file.path for file in files)] == urls
        assert len(proxy.requests) == 6


def test_a_list_of_urls(
    bucket: Bucket, scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """URLs and paths may be mixed in a list; what is not there has a row that says so."""
    urls = bucket.put_numbered("", 30)
    (tmp_path / "here.png").write_bytes(b"\5")
    lines = [*urls[:10], "here.png", f"{bucket.url}/gone.png", *urls[10:]]
    monkeypatch.chdir(tmp_path)
    job = Job(Walk(("-",)), tmp_path / "out.csv", (scripted.address,))
    run_job(job, listed=lines)
    rows = read_rows(job.out)
    assert [row["path"] for row in rows] == lines
    assert [row["path"] for row in rows if row["error"] == "unreadable"] == [f"{bucket.url}/gone.png"]
    assert [row["digit"] for row in rows] == [*"0123456789", "5", "-1", *"0123456789" * 2]


def _page(number: int) -> Reply:
    """A page of a listing that has no end."""
    keys = (f"{number:06}/{place:02}.png" for place in range(100))
    found = "".join(
        f"<Contents><Key>{key}</Key><Size>300</Size><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>"
        "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for key in keys
    )
    answer = f"<NextContinuationToken>{number + 1}</NextContinuationToken><IsTruncated>true</IsTruncated>{found}"
    return Reply(200, f"<?xml version='1.0'?><ListBucketResult>{answer}</ListBucketResult>".encode())


def test_memory_does_not_grow_with_the_listing(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty more pages take no more than the first ten, but for what a library keeps of its own."""

    def script(_number: int, _method: str, path: str) -> Reply:
        token = parse_qs(urlsplit(path).query).get("continuation-token", ["0"])
        return _page(int(token[0]))

    with FaultyProxy(bucket.endpoint, script) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        files = walk(Walk((bucket.url,)), Skipped())
        next(itertools.islice(files, 999, None))
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        last = next(itertools.islice(files, 3999, None))
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert last.path == f"{bucket.url}/000049/99.png"
    # Two pages, of which each object takes a kilobyte or two.
    assert after - before < 400_000
