"""The report of a run for everyone: one page that needs no server and no network."""
