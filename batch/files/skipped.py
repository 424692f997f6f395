"""What a walk passes over."""

import os
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, Self

_OTHER_IMAGES = (
    ".jpg",
    ".jpeg",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".heic",
    ".heif",
    ".avif",
    ".pnm",
)


@dataclass
class Skipped:
    """What a walk passed over, and the user should know.

    Attributes:
        other_images: how many image files that are no PNGs, by their lower-case ending.
        folders: folders that could not be listed, with the reason; their files are missing from the table.
        loops: symbolic links that lead back to a folder above them.
        repeats: further ways to folders that the run had visited already.
        links: how many symbolic links to folders, or with names that are taken, were not to be followed.
        specials: how many that were to be taken but are neither files nor folders (FIFOs, sockets).
        unwalked: how many folders were left out because the walk is not recursive.
        archives: archives that could not be read to their end, with the reason.
        archive_links: how many links in archives had names that are taken.
        members: how many members of archives have no bytes, by the reason.
        unopened: how many archives were left out because no pattern names them.
    """

    other_images: Counter[str] = field(default_factory=Counter)
    folders: dict[str, str] = field(default_factory=dict)
    loops: list[str] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    links: int = 0
    specials: int = 0
    unwalked: int = 0
    archives: dict[str, str] = field(default_factory=dict)
    archive_links: int = 0
    members: Counter[str] = field(default_factory=Counter)
    unopened: int = 0

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Self:
        """What `vars` gave, after it was JSON. Raises KeyError where something is lacking."""
        found = {one.name: facts[one.name] for one in fields(cls)}
        return cls(**found | {name: Counter(found[name]) for name in ("other_images", "members")})

    def merge(self, other: "Skipped") -> None:
        """Add what another walk passed over."""
        for one in fields(self):
            mine, others = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, dict):
                mine.update(others)
            else:
                setattr(self, one.name, mine + others)

    def note_other_image(self, path: str) -> None:
        """Count a file whose name is not taken, if it is an image by its ending."""
        ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a Path for each of a million files is slow
        if ending in _OTHER_IMAGES or ending == ".png":
            self.other_images[ending] += 1
