"""Which faults of a server may pass, so that it is worth waiting: one list for a run's start and the run itself."""

import grpc

_MAY_PASS = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        # A server that has more callers than threads says so of every call, also of those about its models.
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # A server that shuts down cancels what it was working on.
        grpc.StatusCode.CANCELLED,
    }
)
# What gRPC says of connections that were cut in the middle of an answer, with other codes than UNAVAILABLE.
_CUT = ("RST_STREAM", "Stream removed", "Connection reset")
_TOO_LONG = "larger than max"  # what gRPC says of a message beyond the server's limit


def may_pass(error: grpc.RpcError) -> bool:
    """Whether a call that failed so may succeed if it is made again."""
    details = error.details() or ""
    if error.code() in _MAY_PASS:
        return _TOO_LONG not in details
    return error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN) and any(cut in details for cut in _CUT)
