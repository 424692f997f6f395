"""The one error that a call can end with, and how other errors become it. Imports no TensorFlow."""

from collections.abc import Callable
from typing import TypeVar

import grpc

Answer = TypeVar("Answer")

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


def answer(context: grpc.ServicerContext, call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns; a StatusError ends the RPC with its code and text.

    The text is cut as in TensorFlow Serving's grpc_status_util.cc: it travels in the trailing headers, which are small.
    """
    if not context.is_active():
        # Its caller gave up while it waited for a thread: computing it now would delay those who still wait.
        context.abort(grpc.StatusCode.CANCELLED, "the caller is gone")
    try:
        return call()
    except StatusError as error:
        text = error.message
        context.abort(error.code, text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}...TRUNCATED")
