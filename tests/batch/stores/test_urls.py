"""URLs: what they are taken apart into, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.stores.urls import EXTRAS, is_url, parse_url
from exporter.command import UserError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket", ("s3://bucket/", "s3", "bucket", "", "")),
        ("s3://bucket/", ("s3://bucket/", "s3", "bucket", "", "")),
        ("s3://bucket//a/../b#page=2?x%20y.png", ("s3://bucket/", "s3", "bucket", "", "/a/../b#page=2?x%20y.png")),
        ("GS://bucket/a", ("GS://bucket/", "gcs", "bucket", "", "a")),
        (
            "abfs://box@account.dfs.core.windows.net/a",
            ("abfs://box@account.dfs.core.windows.net/", "azure", "box", "account.dfs.core.windows.net", "a"),
        ),
    ],
)
def test_the_parts_of_a_url(url: str, expected: tuple[str, ...]) -> None:
    """Keys stay as they are written."""
    assert parse_url(url) == expected


@pytest.mark.parametrize("path", ["./s3://bucket", "/s3://bucket", "s3:/bucket", "s3", "://x", "1s3://x", "a b://x"])
def test_what_is_no_url(path: str) -> None:
    """These are paths."""
    assert not is_url(path)


@pytest.mark.parametrize("url", ["file:///scans", "http://host/a.png", "hdfs://host/a", "s3a://bucket/a"])
def test_other_schemes(url: str) -> None:
    """The line says which are read, and how a path is given."""
    with pytest.raises(UserError, match=r"s3://, gs://, gcs://, az://, abfs://, abfss:// are; a local file"):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/a",
        "s3://secret@bucket/a",
        "az://box:secret@account/a",
        "az://box/a.png?sv=2024-01-01&sig=secret",
        "s3://bucket/a.png?X-Amz-Signature=secret",
        "s3://bucket/a.png?AWSAccessKeyId=x&Signature=secret",
        "gs://bucket/a.png?x-goog-signature=secret",
    ],
)
def test_urls_with_secrets(url: str) -> None:
    """They are refused, and not repeated."""
    with pytest.raises(UserError, match="carries credentials or a signature") as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["s3://", "s3:///key"])
def test_no_bucket(url: str) -> None:
    """The line says what is wanted."""
    with pytest.raises(UserError, match="names no bucket"):
        parse_url(url)


@given(st.sampled_from(sorted(EXTRAS)), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_key(scheme: str, key: str) -> None:
    """A key comes back as it was, or the URL is refused for what looks like a signature."""
    url = f"{scheme}://bucket/{key}"
    assert is_url(url)
    try:
        parsed = parse_url(url)
    except UserError as refused:
        assert "carries" in str(refused)  # noqa: PT017 - seldom is it refused
    else:
        assert (parsed.key, parsed.url) == (key, url)


@given(st.text())
def test_any_text(text: str) -> None:
    """A text is a URL that is read, or refused in one line."""
    try:
        parsed = parse_url(text)
    except UserError as refused:
        assert str(refused)  # noqa: PT017 - most are refused
    else:
        assert is_url(text)
        assert parsed.bucket
