"""Configuration files in protobuf's text form."""

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from exporter.command import UserError

AnyMessage = TypeVar("AnyMessage", bound=Message)


def read_config_file(path: Path, flag: str, message: AnyMessage) -> AnyMessage:
    """Fill an empty message from the file that a flag names, and return it.

    Raises UserError, naming flag and file, if it cannot be read or is no such message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{flag}: Invalid protobuf file: '{path}': it is no text") from None
    except OSError as error:
        raise UserError(f"{flag} {path}: {error.strerror}; name a file that can be read") from None
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        # Both halves are what people, and scripts, look for in the original's log.
        kind = f"tensorflow.serving.{message.DESCRIPTOR.name}"
        reason = f"Error parsing text-format {kind}: {error}"
        raise UserError(f"{flag}: Invalid protobuf file: '{path}': {reason}") from None
