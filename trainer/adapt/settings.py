"""How an adaptation learns. Imports nothing heavy."""

from dataclasses import dataclass

from trainer.recipes import Augmentation, find


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long and how fast a network learns from labels.

    Found on folds of cut digits of bank cheques, parted by cheque, with a slice of MNIST's training images.
    """

    half: int = 128
    """Labelled pictures in each step, and as many lessons."""
    copies: int = 40
    """Of each labelled picture, as far as the steps below allow."""
    steps: tuple[int, int] = (150, 450)
    """The fewest and the most; but each picture is seen four times."""
    learning_rate: float = 3e-4
    """The highest one, of Adam."""
    certainty: float = 0.95
    """How likely it is that a label is right."""
    augmentation: Augmentation = find("champion").augmentation or Augmentation()
    """How labelled pictures and lessons are distorted."""

    def steps_for(self, labels: int) -> int:
        """How many steps so many labels are worth."""
        least, most = self.steps
        return max(least, min(labels * self.copies // self.half, max(most, 4 * labels // self.half)))
