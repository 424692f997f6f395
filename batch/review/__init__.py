"""Looking through a finished table and putting its answers right: the page, the decisions, the corrected table."""
