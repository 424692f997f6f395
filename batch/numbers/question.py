"""What the signature `numbers` is asked of a run's fields, and which of its readings the rows have."""

from dataclasses import dataclass

from batch.client import wire_pb2 as wire
from batch.client.fields import Box, NumberPrediction, NumbersQuestion
from batch.numbers.answer import FieldAnswer
from batch.numbers.choice import Choice, NoneFitsError
from exporter.contract import IMAGE_BYTES


@dataclass(frozen=True)
class FieldsQuestion:
    """What `numbers` is asked for, and how rows come of its answers.

    Attributes:
        choice: what is known of the fields.
        alternatives: whether rows have the other readings.
        boxes: whether rows have the places of digits.
    """

    choice: Choice
    alternatives: bool
    boxes: bool

    @property
    def input_name(self) -> str:
        """The input for encoded images."""
        return IMAGE_BYTES

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that are wanted, of the server."""
        return self._asked.outputs

    def read(self, response: wire.PredictResponse, count: int) -> list[FieldAnswer]:
        """The answers of a response for `count` fields. Raises AnswerError if it does not keep the contract."""
        return [self._answer(prediction) for prediction in self._asked.read(response, count)]

    def fault(self, error: str) -> FieldAnswer:
        """The answer for a field that no model could be asked about, or that a server refused."""
        return FieldAnswer("", _four_decimals(0), error, "")

    @property
    def _asked(self) -> NumbersQuestion:
        return NumbersQuestion(self.alternatives or self.choice.selects, self.boxes)

    def _answer(self, found: NumberPrediction) -> FieldAnswer:
        text, confidence, error = found.text, found.confidence, found.error
        if self.choice.selects and not error:
            try:
                text, confidence = self.choice.choose(found.alternatives or ())
            except NoneFitsError as none:
                text, confidence, error = "", 0.0, str(none)
        others = [(other, _four_decimals(share)) for other, share in found.alternatives or ()]
        return FieldAnswer(
            text,
            _four_decimals(confidence),
            error,
            str(found.model_version),
            tuple(others) if self.alternatives else (),
            tuple(Box(*(round(place, 1) for place in box)) for box in found.boxes or ()),
        )


def _four_decimals(confidence: float) -> str:
    return f"{confidence:.4f}"
