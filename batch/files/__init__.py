"""Which image files a run takes, in which order, and what of them is sent."""
