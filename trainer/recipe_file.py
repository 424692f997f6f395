"""Recipes as files: TOML that people read and change, with every value checked.

A file has the fields of `Recipe` by their names. A field that is left away has the recipe's default.
"""

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from exporter.command import UserError
from trainer.recipes import RECIPES, Augmentation, Convolution, Distillation, Hands, Recipe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_MOST_LAYERS = 64

# The lowest and the highest value of each number, of lists that of their items.
LIMITS: Final[Mapping[type, Mapping[str, tuple[float, float]]]] = {
    Recipe: {
        "hidden": (1, 16_384),
        "dropout": (0, 0.95),
        "epochs": (1, 100_000),
        "batch": (1, 100_000),
        "steps_at_once": (1, 10_000),
        "validation": (0, 0.9),
        "learning_rate": (1e-9, 10),
        "weight_decay": (0, 10),
        "non_digits": (0, 1),
    },
    Convolution: {"filters": (1, 4_096), "stride": (1, 2)},
    Augmentation: {
        "rotation": (0, 180),
        "shear": (0, 2),
        "aspect": (1, 4),
        "size": (0, 0.9),
        "shift": (0, 14),
        "elastic": (0, 10),
        "thickening": (0, 3),
        "thinning": (0, 1),
        "blur": (0, 1),
        "unevenness": (0, 1),
        "gaps": (0, 1),
        "cut": (0, 1),
        "remains": (0, 1),
        "square": (0, 1),
        "contrast": (0, 1),
        "steepness": (1, 10),
    },
    Hands: {"added": (0, 1), "redrawn": (0, 1)},
    Distillation: {"seeds": (0, 2**32 - 1), "copies": (1, 10_000), "softness": (1, 100)},
}


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; UserError names the file and the key of what is wrong with it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a recipe file with --recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: is not TOML ({error}); docs/train.md shows a recipe file") from None
    try:
        recipe: Recipe = _table(Recipe, values, "")
        _check_whole(recipe)
    except _WrongValueError as error:
        raise UserError(f"{path}: {error}") from None
    return recipe


def recipe_text(recipe: Recipe, *comments: str) -> str:
    """A recipe as the text of such a file: comments, one a line, then what differs from the defaults."""
    lines = [f"# {comment}" for comment in comments]
    return "\n".join([*lines, *_lines(recipe, "")]) + "\n"


class _WrongValueError(Exception):
    """Says which key has a value that a recipe cannot have."""


def _table(kind: type, values: object, where: str) -> Any:  # noqa: ANN401 - of the kind that was asked for
    """A table's values as a dataclass; `where` is its key, empty for the file itself."""
    if not isinstance(values, dict):
        raise _WrongValueError(f"{where} is {_shown(values)}; it must be a table, [{where}]")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(fields)}"
            raise _WrongValueError(f"unknown key {_key(where, key)}; {hint}")
    types_of = typing.get_type_hints(kind)
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise _WrongValueError(f"has no {_key(where, name)}, which a recipe needs")
    return kind(**{key: _value(types_of[key], value, kind, key, where) for key, value in values.items()})


def _value(wanted: Any, value: object, kind: type, name: str, where: str) -> object:  # noqa: ANN401 - a type hint
    """One value, checked against the type of its field."""
    key = _key(where, name)
    if typing.get_origin(wanted) is types.UnionType:  # one that may be left away
        wanted = next(part for part in typing.get_args(wanted) if part is not type(None))
    if dataclasses.is_dataclass(wanted):
        return _table(typing.cast("type", wanted), value, key)
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise _WrongValueError(f"{key} is {_shown(value)}; it must be a list")
        if len(value) > _MOST_LAYERS:
            raise _WrongValueError(f"{key} has {len(value)} items; at most {_MOST_LAYERS} are possible")
        item = typing.get_args(wanted)[0]
        return tuple(_value(item, part, kind, name, where) for part in value)
    if wanted in (int, float):
        return _number(wanted, value, LIMITS[kind][name], key)
    return _word(wanted, value, key)


def _word(wanted: Any, value: object, key: str) -> object:  # noqa: ANN401 - a type hint
    """A name, one of some words, or true or false."""
    if typing.get_origin(wanted) is Literal:
        if value not in typing.get_args(wanted):
            raise _WrongValueError(f"{key} is {_shown(value)}; it must be one of {', '.join(typing.get_args(wanted))}")
    elif wanted is bool:
        if not isinstance(value, bool):
            raise _WrongValueError(f"{key} is {_shown(value)}; it must be true or false")
    elif not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _WrongValueError(
            f"{key} is {_shown(value)}; it must be a name of letters, digits, hyphens, dots and underscores, "
            "at most 100, that begins with a letter or a digit"
        )
    return value


def _number(wanted: type, value: object, limits: tuple[float, float], key: str) -> float:
    low, high = limits
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and not (wanted is float and isinstance(value, float)):
        raise _WrongValueError(f"{key} is {_shown(value)}; it must be a {'whole ' * (wanted is int)}number")
    number = typing.cast("float", value)
    if not low <= number <= high:  # not a number is in no range
        raise _WrongValueError(f"{key} is {_shown(value)}; it must be from {low:,} to {high:,}")
    return int(number) if wanted is int else float(number)


def _check_whole(recipe: Recipe) -> None:
    """What single values do not show."""
    if recipe.name in RECIPES and recipe != RECIPES[recipe.name]:
        raise _WrongValueError(f"name is that of another recipe, {recipe.name}; choose a name of its own")
    if recipe.non_digits and not (recipe.augmentation and recipe.one_hot):
        raise _WrongValueError("non_digits needs one_hot = true and a table [augmentation]")
    if recipe.distillation is not None:
        if not recipe.one_hot:
            raise _WrongValueError("distillation needs one_hot = true, as teachers answer with probabilities")
        if not recipe.distillation.seeds:
            raise _WrongValueError("distillation.seeds is empty; name the seed of at least one teacher")


def _lines(part: object, where: str) -> Iterator[str]:
    """Values of a dataclass that differ from its defaults, then its tables."""
    tables = []
    for field in dataclasses.fields(typing.cast("Any", part)):
        value = getattr(part, field.name)
        if value == field.default:
            continue
        if dataclasses.is_dataclass(value) or (value and isinstance(value, tuple) and not isinstance(value[0], int)):
            tables.append((_key(where, field.name), value))
        else:
            # JSON writes names without quotes in them, booleans, numbers and lists of numbers as TOML does.
            yield f"{field.name} = {json.dumps(value)}"
    for key, value in tables:
        for table in value if isinstance(value, tuple) else [value]:
            yield ""
            yield f"[[{key}]]" if isinstance(value, tuple) else f"[{key}]"
            yield from _lines(table, key)


def _key(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
