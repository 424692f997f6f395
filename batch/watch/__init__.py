"""A folder that files come into for weeks: each gets its row once, as it comes."""
