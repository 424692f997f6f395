"""The one error that a call can end with, and how other errors become it. Imports no TensorFlow."""

import grpc

_LONGEST_MESSAGE = 1024
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """A call's outcome other than OK: a canonical code and a text for the caller."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> StatusError:
    """Make the error of a request that is wrong in itself."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def from_exception(error: Exception) -> StatusError:
    """Make the error that tells what happened inside TensorFlow, whose own codes are gRPC's."""
    if isinstance(error, StatusError):
        return error
    number = getattr(error, "error_code", None)  # of tf.errors.OpError
    if isinstance(number, int):
        return StatusError(_BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN), str(getattr(error, "message", error)))
    code = grpc.StatusCode.NOT_FOUND if isinstance(error, OSError) else grpc.StatusCode.UNKNOWN
    return StatusError(code, str(error) or type(error).__name__)


def shortened(message: str) -> str:
    """Cut a text as TensorFlow Serving's grpc_status_util.cc does: it travels in trailing headers, which are small."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}...TRUNCATED"
