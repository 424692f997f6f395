"""Fields of several digits: which reading of a field is its answer, and how that is written down."""
