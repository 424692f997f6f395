"""Azure Blob Storage, through the client that adlfs makes."""

import base64
from functools import partial
from typing import Any, BinaryIO

from batch.stores.faults import Fault, Kind, LargeError, fault_of_connection, fault_of_response
from batch.stores.protocol import GETS, PART_BYTES, Again, Blob, Entry, Page

# Attempts are counted in one place, which knows the timeout.
_ONCE = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 15}


class Azure:
    """Credentials are found as adlfs finds them: by AZURE_STORAGE_* in the environment, or fsspec's configuration.

    Args:
        host: of the account, where a URL names it: `account.dfs.core.windows.net`; empty otherwise.
    """

    def __init__(self, host: str) -> None:
        import adlfs  # noqa: PLC0415 - an extra

        account = {"account_name": host.partition(".")[0]} if host else {}
        self._service = adlfs.AzureBlobFileSystem(
            **account, use_listings_cache=False, skip_instance_cache=True
        ).service_client
        assert GETS <= 100  # noqa: S101 - the connections that aiohttp makes

    async def page(self, bucket: str, prefix: str, token: str, *, folders: bool) -> Page:
        """See Client."""
        container = self._service.get_container_client(bucket)
        names = {"name_starts_with": prefix, "include": ["metadata"], **_ONCE}
        listed = container.walk_blobs(delimiter="/", **names) if folders else container.list_blobs(**names)
        pages = listed.by_page(token or None)
        entries: list[Entry] = []
        prefixes: list[str] = []
        async for blob in await anext(pages):
            if blob.get("prefix") is not None and blob.get("size") is None:
                prefixes.append(blob["name"])
            elif not _is_folder(blob):
                entries.append(_entry(blob))
        return Page(entries, prefixes, pages.continuation_token or "")

    async def head(self, bucket: str, key: str) -> Entry:
        """See Client."""
        found = await self._service.get_blob_client(bucket, key).get_blob_properties(**_ONCE)
        if _is_folder(found):
            raise FileNotFoundError
        return _entry(found)

    async def get(self, bucket: str, key: str, most: int, span: tuple[int, int] | None, tag: str) -> Blob:
        """See Client."""
        from azure.core import MatchConditions  # noqa: PLC0415 - comes with the extra

        more: dict[str, Any] = {} if span is None else {"offset": span[0], "length": span[1] - span[0]}
        if tag:
            more |= {"etag": f'"{tag}"', "match_condition": MatchConditions.IfNotModified}
        stream = await self._service.get_blob_client(bucket, key).download_blob(**more, **_ONCE)
        if stream.size > most:
            raise LargeError
        content = await stream.readall()
        if len(content) != stream.size:
            raise ConnectionError("cut off")
        return Blob(content, stream.properties.etag.strip('"'))

    async def put(self, bucket: str, key: str, content: bytes, *, replace: bool) -> None:
        """See Client."""
        blob = self._service.get_blob_client(bucket, key)
        await blob.upload_blob(content, overwrite=replace, max_concurrency=1, **_ONCE)

    async def delete(self, bucket: str, key: str) -> None:
        """See Client."""
        await self._service.get_blob_client(bucket, key).delete_blob(**_ONCE)

    async def put_file(self, bucket: str, key: str, file: BinaryIO, size: int, again: Again, *, replace: bool) -> None:
        """See Client. Parts that never become a blob are thrown away by Azure after a week."""
        from azure.core import MatchConditions  # noqa: PLC0415 - comes with the extra
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 - likewise

        blob = self._service.get_blob_client(bucket, key)
        blocks = []
        for start in range(0, size, PART_BYTES):
            file.seek(start)
            name = base64.b64encode(f"{start:020}".encode()).decode()
            await again(partial(blob.stage_block, name, file.read(PART_BYTES), **_ONCE))
            blocks.append(BlobBlock(name))
        more = {} if replace else {"match_condition": MatchConditions.IfMissing}
        await again(partial(blob.commit_block_list, blocks, **more, **_ONCE))

    def judge(self, error: Exception) -> Fault:
        """See Client."""
        from azure.core import exceptions  # noqa: PLC0415 - comes with the extra

        if isinstance(error, FileNotFoundError):
            return Fault(Kind.MISSING, "BlobNotFound")
        name = type(error).__name__
        if isinstance(error, exceptions.HttpResponseError) and error.status_code:
            code = getattr(error, "error_code", None) or ""
            return fault_of_response(error.status_code, str(getattr(code, "value", code)))
        if isinstance(error, exceptions.ClientAuthenticationError):
            return Fault(Kind.CREDENTIALS, name)
        by_connection = fault_of_connection(error)
        if by_connection is None and isinstance(error, exceptions.AzureError):
            return Fault(Kind.PASSING, name)
        return by_connection or Fault(Kind.OTHER, name)


def _is_folder(blob: Any) -> bool:  # noqa: ANN401 - BlobProperties, of an extra
    """Whether it stands for a folder, as accounts with a hierarchical namespace have them."""
    return bool((blob.get("metadata") or {}).get("hdi_isfolder"))


def _entry(blob: Any) -> Entry:  # noqa: ANN401 - as above
    return Entry(blob["name"], blob["size"], int(blob["last_modified"].timestamp()) * 10**9, blob["etag"].strip('"'))
