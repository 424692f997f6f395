"""What the processor that serves can do, found out when the SavedModel is loaded there."""

from typing import Any

import tensorflow as tf

AMX, AVX512_BF16 = "amx_bf16", "avx512_bf16"
"""As Linux names what multiplies matrices of bfloat16: with AMX many times as fast as float32, with AVX-512 twice.
Without either of them such products take several times as long as float32's."""

BFLOAT16_PAYS = "bfloat16 pays"
"""The only key of the table."""

_PROCESSOR = "/proc/cpuinfo"


def features() -> tf.lookup.StaticHashTable:
    """Whether bfloat16 pays where the model is loaded, bool by string."""
    return tf.lookup.StaticHashTable(_Initialiser(), default_value=False)


class _Initialiser(tf.lookup.KeyValueTensorInitializer):  # type: ignore[misc] # TensorFlow ships no types
    """Fills the table where the model is loaded, not with what was true where it was exported."""

    def __init__(self) -> None:
        super().__init__(tf.constant([BFLOAT16_PAYS]), tf.constant([False]))

    def initialize(self, table: Any) -> tf.Operation:  # noqa: ANN401 - the same
        """Called by every loader, before the first request."""
        return tf.raw_ops.LookupTableImportV2(
            table_handle=table.resource_handle, keys=[BFLOAT16_PAYS], values=[has(AMX, AVX512_BF16)]
        )


def has(*features: str) -> tf.Tensor:
    """Whether this processor has one of some features, as Linux names them, bool; in a graph, the one that runs it."""
    # None, and so no feature, where the system is not Linux. As lines: such a file has no size before it is read.
    lines = tf.data.TextLineDataset(tf.io.matching_files(_PROCESSOR))
    flags = lines.filter(lambda line: tf.strings.regex_full_match(line, r"flags\s*:.*")).take(1)
    wanted = rf".*\b({'|'.join(features)})\b.*"
    return flags.reduce(tf.constant(value=False), lambda _, line: tf.strings.regex_full_match(line, wanted))
