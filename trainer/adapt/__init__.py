"""Adapting a fitted network to labels of other people's pictures, and telling whether that made it better."""
