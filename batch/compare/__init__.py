"""Two tables of the same files: which rows changed, and whether for the better."""
