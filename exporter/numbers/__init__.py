"""The reader of numbers: from pictures of one line of digits to texts, as whole-batch operations."""
