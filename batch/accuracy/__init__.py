"""Answers against true digits: labels, counts, the report with its pictures."""
