"""What the network of a server gets of a picture: 28x28, as the signature `normalised` answers it."""

import zlib

import grpc

from batch.client.endpoint import Endpoint, refusal
from batch.client.tensors import AnswerError, Target, predict_request, strings, table
from batch.review.pictures import NoPictureError
from exporter.command import UserError
from exporter.contract import ERROR, IMAGE_BYTES, MODEL_NAME, NORMALISED_OUTPUTS, NORMALISED_SIGNATURE, PIXELS, SIDE

_START_S = 10.0  # how long the server is waited for
_ANSWER_S = 60.0  # the first request of this signature takes seconds on a busy machine


class Seen:
    """A model that is asked.

    Args:
        endpoint: of the servers.
        model: its name.
        version: asked for instead of the newest.
        label: likewise, by its name.

    Raises:
        UserError: the model is not there, or lacks the signature.
        ServerError: no server answers.
    """

    def __init__(
        self, endpoint: Endpoint, model: str = MODEL_NAME, version: int | None = None, label: str | None = None
    ) -> None:
        self._endpoint = endpoint
        self._target = Target(model, NORMALISED_SIGNATURE, version, label)
        endpoint.wait_until_available(self._target, _START_S)
        replica, signatures = endpoint.signatures(self._target, _START_S)
        if NORMALISED_SIGNATURE not in signatures:
            raise UserError(
                f"model {model} on {replica.address} has no signature {NORMALISED_SIGNATURE!r}, as it was published "
                "before there was one: publish it again, or leave --server out"
            )

    def read(self, image: bytes) -> bytes:
        """A PNG of 28x28 pixels, grey, white ink on black.

        Args:
            image: a PNG or JPEG.

        Raises:
            NoPictureError: the server says that the picture holds no digit, or does not answer.
        """
        request = predict_request(self._target, IMAGE_BYTES, [image], NORMALISED_OUTPUTS)
        replica = self._endpoint.next_replica()
        try:
            response = replica.predict(request, _ANSWER_S).result()
            (error,) = strings(response, ERROR, 1)
            (pixels,) = table(response, PIXELS, 1, SIDE, SIDE)
        except grpc.RpcError as failure:
            raise NoPictureError(str(refusal(replica, failure))) from None
        except AnswerError as failure:
            raise NoPictureError(f"{replica.address} does not keep the contract: {failure}") from None
        if error:
            raise NoPictureError(error.decode(errors="replace"))
        return _png(bytes(map(int, pixels)))

    def close(self) -> None:
        """Close the channels."""
        self._endpoint.close()


def _png(pixels: bytes) -> bytes:
    """A PNG of 8 bit grey. PNG specification, sections 5 and 11."""
    rows = b"".join(b"\0" + pixels[start : start + SIDE] for start in range(0, len(pixels), SIDE))
    header = SIDE.to_bytes(4, "big") * 2 + bytes((8, 0, 0, 0, 0))
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in chunks
    )
