"""Groups of pictures that belong together, such as those of one writer, and folds that never part a group."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exporter.command import UserError
from exporter.label_file import Label
from trainer.data.labels import Labelled

PARENT = "parent"
"""Groups by folder."""


def groups_of(labelled: Sequence[Labelled[Label]], how: str) -> list[str]:
    """The name of each picture's group.

    Args:
        labelled: the pictures, of digits or of fields.
        how: PARENT, the name of a column of the labels' CSV, or a regular expression with a group in parentheses: what
            it matches in the path.

    Raises:
        UserError: it is none of these, or a picture has no group then.
    """
    if how == PARENT:
        return [str(each.folder) for each in labelled]
    if "(" not in how:
        return [_column(each, how.lower()) for each in labelled]
    try:
        pattern = re.compile(how)
    except re.error as error:
        raise UserError(f"--group {how}: no regular expression: {error}") from None
    if not pattern.groups:
        raise UserError(f"--group {how}: it needs a group in parentheses, such as 'page-([0-9]+)'")
    return [_matched(each, pattern) for each in labelled]


def _column(each: Labelled[Label], name: str) -> str:
    if name not in each.columns:
        known = ", ".join(each.columns) or "none"
        raise UserError(
            f"--group {name}: {each.name} has no such column, its columns: {known}; give one of them, {PARENT}, or a "
            "regular expression with a group in parentheses"
        )
    return each.columns[name]


def _matched(each: Labelled[Label], pattern: re.Pattern[str]) -> str:
    found = pattern.search(each.name)
    if not found:
        raise UserError(f"--group {pattern.pattern}: does not match {each.name}; give one that matches every path")
    return str(found[1])


def folds_of(groups: Sequence[str], most: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each picture, [n], counted from 0: groups whole, folds of about as many pictures.

    Args:
        groups: the group of each picture.
        most: folds; there are no more than groups.
        seed: of which groups come together.
    """
    names, place, sizes = np.unique(np.array(groups, object), return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of_group = np.zeros(len(names), np.int64)
    filled = np.zeros(min(most, len(names)), np.int64)
    # The largest first, each to where there are the fewest pictures; chance among those of a size.
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_group[group] = filled.argmin()
        filled[filled.argmin()] += sizes[group]
    return fold_of_group[place]
