"""What the processor that serves can do, found out when the SavedModel is loaded there."""

from typing import Any

import tensorflow as tf

AMX = "amx_bf16"
"""Multiplies matrices of bfloat16, many times as fast as float32; without it they take several times as long."""

_PROCESSOR = "/proc/cpuinfo"


def features() -> tf.lookup.StaticHashTable:
    """What `has` says where the model is loaded, bool by string; known are those above."""
    return tf.lookup.StaticHashTable(_Initialiser(), default_value=False)


class _Initialiser(tf.lookup.KeyValueTensorInitializer):  # type: ignore[misc] # TensorFlow ships no types
    """Fills the table where the model is loaded, not with what was true where it was exported."""

    def __init__(self) -> None:
        super().__init__(tf.constant([AMX]), tf.constant([False]))

    def initialize(self, table: Any) -> tf.Operation:  # noqa: ANN401 - the same
        """Called by every loader, before the first request."""
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=[AMX], values=[has(AMX)])


def has(feature: str) -> tf.Tensor:
    """Whether this processor has a feature, as Linux names it, bool; in a graph, the one that runs it."""
    # None, and so no feature, where the system is not Linux. As lines: such a file has no size before it is read.
    lines = tf.data.TextLineDataset(tf.io.matching_files(_PROCESSOR))
    flags = lines.filter(lambda line: tf.strings.regex_full_match(line, r"flags\s*:.*")).take(1)
    return flags.reduce(
        tf.constant(value=False), lambda _, line: tf.strings.regex_full_match(line, rf".*\b{feature}\b.*")
    )
