"""A graph in half its size: short names for what only the graph's own edges name.

TensorFlow names each operation after all the scopes that it was made in, and spells that out again at each of its
uses; the shapes that it notes beside them are inferred again when a graph is loaded. Most of a large graph's file is
that.
"""

from tensorflow.core.framework.function_pb2 import FunctionDef

_SHAPES = "_output_shapes"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def shorten(function: FunctionDef) -> None:
    """Give a function's operations short names, and drop noted shapes."""
    # An argument's name and an operation's stand in the same places.
    taken = {argument.name for argument in function.signature.input_arg}
    names: dict[str, str] = {}
    number = 0
    for node in function.node_def:
        while (short := _short(number)) in taken:
            number += 1
        names[node.name] = short
        number += 1

    def renamed(place: str) -> str:
        is_control = place.startswith("^")
        name, *output = place.removeprefix("^").split(":")
        return "^" * is_control + ":".join([names.get(name, name), *output])

    for node in function.node_def:
        node.name = names[node.name]
        node.input[:] = [renamed(place) for place in node.input]
        node.ClearField("experimental_debug_info")
        node.attr.pop(_SHAPES, None)
    for results in (function.ret, function.control_ret):
        for key, place in list(results.items()):
            results[key] = renamed(place)


def _short(number: int) -> str:
    """The name of a number: letters and digits, a letter first."""
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return f"n{text}"
