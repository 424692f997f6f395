"""URLs of objects in stores: `s3://bucket/key`. What would carry a secret is refused, so that none is ever written."""

import re
from typing import NamedTuple

from exporter.command import UserError

EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
"""The extra that reads the URLs of each scheme."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Of signed URLs: of AWS in both generations, of Google, and of Azure's shared access signatures.
_SIGNED = re.compile(r"[?&](sig|signature|awsaccesskeyid|googleaccessid|x-(amz|goog)-[a-z-]+)=", re.IGNORECASE)


class ObjectUrl(NamedTuple):
    """A URL of an object, or of all that begin like it.

    Attributes:
        base: the URL of the bucket, with a slash at its end, as the user wrote it.
        extra: which of the extras reads it.
        bucket: what Azure calls a container.
        host: of an Azure account, where the URL names it; empty otherwise.
        key: the name in the bucket, as the store has it: not percent-encoded.
    """

    base: str
    extra: str
    bucket: str
    host: str
    key: str

    @property
    def url(self) -> str:
        """All of it."""
        return self.base + self.key


def is_url(path: str) -> bool:
    """Whether a path is a URL, of any scheme. A local path that looks like one can be given with `./` before it."""
    return _SCHEME.match(path) is not None


def parse_url(url: str) -> ObjectUrl:
    """Take a URL apart.

    Raises:
        UserError: it is of no scheme that is read here, names no bucket, or carries a secret. Then the text does not
            repeat the URL.
    """
    found = _SCHEME.match(url)
    scheme = "" if found is None else found[1].lower()
    extra = EXTRAS.get(scheme)
    if found is None or extra is None:
        known = ", ".join(f"{name}://" for name in EXTRAS)
        raise UserError(
            f"URLs of {scheme or 'no scheme'}:// are not read: those of {known} are; a local file or folder is given "
            "as a path, which begins with ./ if it looks like a URL"
        )
    authority, slash, key = url[found.end() :].partition("/")
    bucket, at, host = authority.partition("@")
    # Azure's own form is container@account.dfs.core.windows.net; it holds no password.
    if ":" in authority or (at and extra != "azure") or _SIGNED.search(url):
        raise UserError(
            f"a {scheme}:// URL carries credentials or a signature, which would end up in tables and logs: leave them "
            "out, and give them by the environment or by a profile"
        )
    if not bucket:
        raise UserError(f"{url} names no bucket: wanted is {scheme}://BUCKET/KEY")
    try:
        url.encode()
    except UnicodeEncodeError:
        raise UserError(f"{url!r} is not UTF-8, as the names of objects are") from None
    return ObjectUrl(url[: found.end()] + authority + "/", extra, bucket, host, key if slash else "")
