"""Which image files a run takes, and in which order."""
