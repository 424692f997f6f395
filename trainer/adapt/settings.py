"""How an adaptation learns. Imports nothing heavy."""

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from trainer.recipes import Augmentation, Hands, find

_USUAL = find("champion").augmentation or Augmentation()
_OWN_HANDS = replace(_USUAL, hands=Hands())


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long and how fast a network learns from labels.

    Found on folds of cut digits of bank cheques, parted by cheque, with a slice of MNIST's training images.
    """

    labelled: int = 128
    """Labelled pictures in each step."""
    lessons: int = 512
    """Images in each step whose targets are what the old network says of them."""
    copies: int = 40
    """Of each labelled picture, as far as the steps below allow."""
    steps: tuple[int, int] = (150, 450)
    """The fewest and the most; but each picture is seen four times."""
    learning_rate: float = 3e-4
    """The highest one, of Adam."""
    certainty: float = 0.9
    """How likely it is that a label is right."""
    share: float = 0.65
    """How far the weights go from the old ones to those that were fitted. On the way, less is lost of what the old
    network could than of what is new (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022)."""
    augmentation: Augmentation = _OWN_HANDS
    """How labelled pictures are distorted. They show other hands of their own."""
    lesson_augmentation: Augmentation = _USUAL
    """How half of the lessons are; the others are MNIST's images as they are."""

    field_copies: int = 4
    """Distorted copies of each labelled field, to which the reader is fitted beside the field itself."""
    strings: int = 768
    """Strings of training digits, to which it is fitted as well."""
    tested_strings: int = 512
    """Strings of test digits, which tell what both readers make of them."""
    field_epochs: int = 4
    """How often it sees all of them."""
    field_learning_rate: float = 2e-3
    """The highest one, of AdamW, of the reader."""

    def steps_for(self, labels: int) -> int:
        """How many steps so many labels are worth."""
        least, most = self.steps
        return max(least, min(labels * self.copies // self.labelled, max(most, 4 * labels // self.labelled)))


@dataclass(frozen=True, kw_only=True)
class Running:
    """What all parts of one run share."""

    settings: Settings
    seed: int
    """Of everything random."""
    kept: Path
    """Folder of what an interrupted run has left, and where this one leaves it."""
    console: Console
    """Where progress is shown, if it is a terminal."""
