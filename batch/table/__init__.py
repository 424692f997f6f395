"""The rows on disk: the journal of an unfinished run, the finished table."""
