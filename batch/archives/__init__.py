"""Archives and tables of images: their members in order, as bytes, and never a file on disk."""
