"""The contract between whoever trains, exports, serves and asks a model: names, dtypes, error texts, limits.

Imports nothing, so that the thin client can hold to it without TensorFlow.
"""

from typing import Final

MODEL_NAME: Final = "digits"
DEFAULT_PORT: Final = 8500
"""TensorFlow Serving's own gRPC port."""

# What a run folder of digits-train holds for digits-export.
RUN_MODEL: Final = "model.keras"
RUN_WARMUP: Final = "warmup"
"""Folder of PNGs, 28x28 grey, real digits for warming up."""
RUN_METRICS: Final = "metrics.json"
RUN_TEMPERATURE: Final = "temperature"
"""Its number that calibrates confidence; 1 where it is missing."""
RUN_ADAPTED: Final = "adapted"
"""Its object that compares an adapted network with the one it was made from; other runs have none."""
RUN_FIELDS: Final = "fields"
"""In it, the object that compares what both make of fields of several digits; null where none were labelled."""
RUN_READER: Final = "reader.npz"
"""What `digits-train numbers`, or `adapt` with fields, has fitted: the weights of the reader of numbers."""

# The signature for encoded images.
SIGNATURE: Final = "serving_default"
IMAGE_BYTES: Final = "image_bytes"
"""Input, string [batch]: one PNG or JPEG each; turned upright by its Exif."""

# The signature for callers that hold arrays in MNIST's own form.
PIXELS_SIGNATURE: Final = "pixels"
PIXELS: Final = "pixels"
"""Input, uint8 [batch, 28, 28]: white ink on black, centred."""

# Outputs of the signatures for single digits.
DIGIT: Final = "digit"
"""int64 [batch]: 0-9, NO_DIGIT where there is an error."""
CONFIDENCE: Final = "confidence"
"""float32 [batch]: probability of the digit, 0 where there is an error."""
PROBABILITIES: Final = "probabilities"
"""float32 [batch, 10]: sum 1, zeros where there is an error."""
ERROR: Final = "error"
"""string [batch]: empty, or one of ERRORS."""
OUTPUTS: Final = (DIGIT, CONFIDENCE, PROBABILITIES, ERROR)

# The signature that shows what the network gets of encoded images: of IMAGE_BYTES it makes PIXELS, zeros where there is
# an error, and ERROR.
NORMALISED_SIGNATURE: Final = "normalised"
NORMALISED_OUTPUTS: Final = (PIXELS, ERROR)

# The signature for fields of several digits, one line of them in each picture. It takes IMAGE_BYTES, too, and answers
# CONFIDENCE and ERROR beside what is named here.
NUMBERS_SIGNATURE: Final = "numbers"
DIGITS: Final = "digits"
"""Input, int32 [batch]: how many digits are expected, 0 where that is unknown. It may be left out, or be of one element
for the whole batch."""
TEXT: Final = "text"
"""string [batch]: the digits alone, without points, commas, dashes, rules and boxes; empty where there is an error."""
ALTERNATIVES: Final = "alternatives"
"""string [batch, ALTERNATIVE_COUNT]: different readings, the best first, which is TEXT; empty beyond the last one."""
ALTERNATIVE_CONFIDENCE: Final = "alternative_confidence"
"""float32 [batch, ALTERNATIVE_COUNT]: calibrated probability that the whole reading is right; CONFIDENCE first."""
COUNT: Final = "count"
"""int32 [batch]: how many digits TEXT has."""
BOXES: Final = "boxes"
"""float32 [batch, MAX_DIGITS, 4]: top, left, bottom and right of each digit of TEXT, in pixels of the upright picture;
zeros beyond COUNT."""
NUMBERS_OUTPUTS: Final = (TEXT, CONFIDENCE, ALTERNATIVES, ALTERNATIVE_CONFIDENCE, COUNT, BOXES, ERROR)
ALTERNATIVE_COUNT: Final = 5
MAX_DIGITS: Final = 32
"""Of one field; longer ones are not read."""
MAX_FIELD_WIDTH: Final = 4096
"""In pixels; wider pictures of fields are halved until they are no wider."""

CLASSES: Final = 10
SIDE: Final = 28
"""Height and width of the network's input, in pixels."""
NO_DIGIT: Final = -1

# What the `error` output may say.
NOT_AN_IMAGE: Final = "not an image"
CORRUPT: Final = "corrupt"
TOO_LARGE: Final = "too large"
BLANK: Final = "blank"
ERRORS: Final = (NOT_AN_IMAGE, CORRUPT, TOO_LARGE, BLANK)
NO_READING: Final = "no reading of so many digits"
"""Of the signature for numbers alone: the field has ink, but no reading of it has as many digits as are expected."""
NUMBERS_ERRORS: Final = (*ERRORS, NO_READING)

# What digits-batch says by itself where it chooses among readings of a field; NO_READING, too, of a range of digits.
NO_MATCH: Final = "no reading fits the pattern"
NO_CHECKSUM: Final = "no reading has the checksum"

# What digits-batch and digits-job say by themselves: of a file that they could not read; of one in a format that the
# signature does not take, and that nothing installed turns into PNG; of one that a server whose model does not isolate
# faults will not take, not even alone; and of one that is not what it was when its job was planned.
UNREADABLE: Final = "unreadable"
UNSUPPORTED: Final = "format not supported"
REFUSED: Final = "refused by the server"
CHANGED: Final = "changed since the plan"

MAX_PIXELS: Final = 25_000_000
"""Width times height beyond which an image is refused by its header, unread. Of a JPEG, after what its decoder reduces
for nothing: both sides to an eighth."""
MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Size of an encoded image beyond which it is not sent: `too large`. No PNG within MAX_PIXELS needs as much, nor
does a camera's JPEG."""
