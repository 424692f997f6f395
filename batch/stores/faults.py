"""What can go wrong with a store, in few words: none of a library's text is passed on, for it may hold a signed URL."""

import re
from enum import Enum, auto
from typing import NamedTuple

from exporter.command import UserError

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,60}")
_TRANSIENT_CODES = frozenset(
    {"RequestTimeout", "SlowDown", "ThrottlingException", "RequestLimitExceeded", "InternalError", "ServerBusy"}
    # Two conditional writes of one object at once: one of them is asked to come again.
    | {"ConditionalRequestConflict", "OperationAborted", "OperationTimedOut"}
)
# Credentials that are no good, whatever the status: of AWS, then of Azure.
_CREDENTIAL_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
    | {"RequestTimeTooSkewed", "TokenRefreshRequired", "AuthenticationFailed", "InvalidAuthenticationInfo"}
)
_NO_BUCKET_CODES = frozenset({"NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "InvalidResourceName"})
# An object that is to be thawed first.
_ARCHIVED_CODES = frozenset({"InvalidObjectState", "BlobArchived"})


class Kind(Enum):
    """What a fault means for whoever asked."""

    PASSING = auto()
    """It may pass: throttling, a fault within the store, a connection that was cut."""
    MISSING = auto()
    """There is no such object, or it cannot be had before it is thawed."""
    NO_BUCKET = auto()
    DENIED = auto()
    CREDENTIALS = auto()
    """None were found, or the store does not take them."""
    CONDITION = auto()
    """Something is there already, or is no longer what it was."""
    NOT_OFFERED = auto()
    """The store does not know this kind of request."""
    NO_HOST = auto()
    """Its name leads nowhere, or its certificate is not trusted."""
    OTHER = auto()


class Fault(NamedTuple):
    """A fault of a store, and what it is called there: a code, a status, the class of an exception."""

    kind: Kind
    name: str


class StoreError(UserError):
    """A store failed, for too long or for good; what is done is kept."""

    exit_code = 3

    def __init__(self, text: str, kind: Kind = Kind.OTHER) -> None:
        super().__init__(text)
        self.kind = kind


class MissingError(Exception):
    """There is no such object."""


class LargeError(Exception):
    """An object is larger than was to be read."""


class TakenError(Exception):
    """Something else is there already."""


def fault_of_response(status: int, code: str) -> Fault:
    """What a response of HTTP says, by its status and the code of the store's own, which may be empty."""
    name = code if _CODE.fullmatch(code) else f"HTTP {status}"
    if code in _CREDENTIAL_CODES:
        return Fault(Kind.CREDENTIALS, name)
    if code in _NO_BUCKET_CODES:
        return Fault(Kind.NO_BUCKET, name)
    if code in _ARCHIVED_CODES or status in (404, 410):
        return Fault(Kind.MISSING, name)
    if code in _TRANSIENT_CODES or status in (408, 429) or (status >= 500 and status != 501):
        return Fault(Kind.PASSING, name)
    kinds = {401: Kind.CREDENTIALS, 403: Kind.DENIED, 409: Kind.CONDITION, 412: Kind.CONDITION, 501: Kind.NOT_OFFERED}
    return Fault(kinds.get(status, Kind.OTHER), name)


def fault_of_connection(error: BaseException) -> Fault | None:
    """What an exception means that came of the network, itself or what it was raised from; None of another."""
    import socket  # noqa: PLC0415 - a run without URLs starts without it
    import ssl  # noqa: PLC0415 - likewise

    chain: list[BaseException] = []
    last: BaseException | None = error
    while last is not None and last not in chain:
        chain.append(last)
        # Some libraries keep the cause as an attribute.
        inner = getattr(last, "inner_exception", None) or getattr(last, "os_error", None)
        last = last.__cause__ or last.__context__ or (inner if isinstance(inner, BaseException) else None)
    for link in chain:
        if isinstance(link, socket.gaierror) or "DNSError" in type(link).__name__:
            return Fault(Kind.NO_HOST, "its name is not known")
        if isinstance(link, ssl.SSLCertVerificationError):
            return Fault(Kind.NO_HOST, "its certificate is not trusted")
    for link in chain:
        if isinstance(link, TimeoutError | ConnectionError | OSError):
            return Fault(Kind.PASSING, type(link).__name__)
    return None
