"""Versions of a model on disk, for scripts beside serving.py, which would hide the room of that name from them."""

from pathlib import Path


def find_versions(base_path: Path) -> dict[int, Path]:
    """The folders of `base_path` that are named by a positive integer."""
    return {int(folder.name): folder for folder in base_path.iterdir() if folder.name.isdecimal() and folder.is_dir()}
