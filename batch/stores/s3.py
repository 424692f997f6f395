"""S3 and what speaks like it, through s3fs."""

from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from batch.stores.faults import Fault, Kind, LargeError, fault_of_connection, fault_of_response
from batch.stores.protocol import GETS, PART_BYTES, Again, Blob, Entry, Page

_MOST_PARTS = 10_000


class S3:
    """Credentials, region and endpoint are found as AWS's own tools find them; fsspec's configuration may say more."""

    def __init__(self) -> None:
        import s3fs  # noqa: PLC0415 - an extra
        from fsspec.config import conf  # noqa: PLC0415 - likewise

        config = {**conf.get("s3", {}).get("config_kwargs", {}), "max_pool_connections": GETS}
        # Attempts are counted in one place, which knows the timeout.
        config["retries"] = {"total_max_attempts": 1}
        self._fs = s3fs.S3FileSystem(config_kwargs=config, use_listings_cache=False, skip_instance_cache=True)
        self._fs.retries = 1

    async def page(self, bucket: str, prefix: str, token: str, *, folders: bool) -> Page:
        """See Client."""
        more = {"Delimiter": "/"} if folders else {}
        if token:
            more["ContinuationToken"] = token
        listed = await self._fs._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)  # noqa: SLF001 - s3fs has no public call for a single page
        _check(listed, "IsTruncated")
        return Page(
            [_entry(one["Key"], one["Size"], one) for one in listed.get("Contents", [])],
            [one["Prefix"] for one in listed.get("CommonPrefixes", [])],
            listed["NextContinuationToken"] if listed.get("IsTruncated") else "",
        )

    async def head(self, bucket: str, key: str) -> Entry:
        """See Client."""
        found = await self._fs._call_s3("head_object", Bucket=bucket, Key=key)  # noqa: SLF001 - as above
        _check(found, "LastModified")
        return _entry(key, found["ContentLength"], found)

    async def get(self, bucket: str, key: str, most: int, span: tuple[int, int] | None, tag: str) -> Blob:
        """See Client."""
        # cat_file would ask for the size first: twice the requests.
        more = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
        if tag:
            more["IfMatch"] = f'"{tag}"'
        found = await self._fs._call_s3("get_object", Bucket=bucket, Key=key, **more)  # noqa: SLF001 - as above
        body = found["Body"]
        try:
            _check(found, "ETag")
            if found["ContentLength"] > most:
                raise LargeError
            content = await body.read()
        finally:
            body.close()
        if len(content) != found["ContentLength"]:
            raise ConnectionError("cut off")
        return Blob(content, found["ETag"].strip('"'))

    async def put(self, bucket: str, key: str, content: bytes, *, replace: bool) -> None:
        """See Client."""
        more = {} if replace else {"IfNoneMatch": "*"}
        await self._fs._call_s3("put_object", Bucket=bucket, Key=key, Body=content, **more)  # noqa: SLF001 - as above

    async def delete(self, bucket: str, key: str) -> None:
        """See Client."""
        await self._fs._call_s3("delete_object", Bucket=bucket, Key=key)  # noqa: SLF001 - as above

    async def put_file(self, bucket: str, key: str, file: BinaryIO, size: int, again: Again, *, replace: bool) -> None:
        """See Client."""
        call, where = self._fs._call_s3, {"Bucket": bucket, "Key": key}  # noqa: SLF001 - as above
        part_bytes = max(PART_BYTES, -(-size // _MOST_PARTS))
        begun = await again(lambda: call("create_multipart_upload", **where))
        upload = {**where, "UploadId": begun["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            file.seek(0)
            while content := file.read(part_bytes):
                part = {"PartNumber": len(parts) + 1, "Body": content}
                made = await again(partial(call, "upload_part", **upload, **part))
                parts.append({"PartNumber": part["PartNumber"], "ETag": made["ETag"]})
            more = {} if replace else {"IfNoneMatch": "*"}
            await again(lambda: call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, **more))
        except BaseException:
            # Parts of an upload that never ends are paid for.
            with suppress(Exception):
                await call("abort_multipart_upload", **upload)
            raise

    def judge(self, error: Exception) -> Fault:
        """See Client."""
        from botocore import exceptions  # noqa: PLC0415 - comes with the extra
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - likewise

        # s3fs raises an OSError from the client's own exception, whose response says more.
        cause = error.__cause__ if isinstance(error.__cause__, exceptions.ClientError) else error
        if isinstance(cause, exceptions.ClientError):
            status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return fault_of_response(status, str(cause.response.get("Error", {}).get("Code", "")))
        by_connection = fault_of_connection(error)
        if by_connection is not None and by_connection.kind is Kind.NO_HOST:
            return by_connection
        name = type(error).__name__
        if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError | ResponseParserError):
            return Fault(Kind.PASSING, name)
        if isinstance(error, exceptions.ParamValidationError | exceptions.InvalidEndpointConfigurationError):
            return Fault(Kind.OTHER, name)
        if isinstance(error, exceptions.BotoCoreError):
            # NoCredentialsError, ProfileNotFound, TokenRetrievalError and their like.
            return Fault(Kind.CREDENTIALS, name)
        return by_connection or Fault(_kind_by_name(name), name)


def _kind_by_name(name: str) -> Kind:
    # aiohttp's own, which are no OSErrors: the connection went in the middle of a body.
    return Kind.PASSING if name in ("ClientPayloadError", "ServerDisconnectedError", "IncompleteRead") else Kind.OTHER


def _check(answer: dict[str, Any], field: str) -> None:
    """Raise ConnectionError for an answer that is none of a store: of a proxy, or of a page to sign in at."""
    if field not in answer:
        raise ConnectionError(field)


def _entry(key: str, size: int, found: dict[str, Any]) -> Entry:
    return Entry(key, size, int(found["LastModified"].timestamp()) * 10**9, found.get("ETag", "").strip('"'))
