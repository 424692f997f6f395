"""Straight runs of operations, outlined: each becomes a function that one thread executes from top to bottom.

TensorFlow's usual executor keeps a queue of operations that may run, in which several threads take turns. For a batch
that is cheap; for one image, whose operations take a microsecond each, it costs more than they do. Its single-threaded
executor runs a function's operations in one fixed order, for a third of that, but takes no branches and no loops
(tensorflow/core/common_runtime/single_threaded_executor.cc). So, in each function of a graph, what lies between two
branches, loops, calls or data sets becomes a function of its own. What is left runs in the usual executor, and waits
for nobody while a thread is busy elsewhere: with all of it in one thread, a few requests would wait for each other's
threads forever.

Branches and loops stay single operations. TensorFlow would otherwise turn them into switches within one graph, where
each operation of a branch that is not taken still has its turn.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.attr_value_pb2 import AttrValue
from tensorflow.core.framework.function_pb2 import FunctionDef, FunctionDefLibrary
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.op_def_pb2 import OpDef
from tensorflow.python.framework import op_def_registry

NO_INLINE = "_noinline"
"""Attribute of functions that TensorFlow is to call as they are, and that are left alone here."""

_LEAST = 4  # operations: a shorter run is not worth a call
_BRANCHES = frozenset({"If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_LOWERED = "_lower_using_switch_merge"
_EXECUTOR, _SINGLE = "_executor", b"SINGLE_THREADED_EXECUTOR"
# Grappler optimises each function of a graph alone, in tenths of a second each, and takes one with this mark to be
# optimised already (tensorflow/core/grappler/optimizers/meta_optimizer.cc).
_OPTIMISED = "_tf_data_function"
_READ = "ReadVariableOp"  # stateful, yet harmless


def outline(library: FunctionDefLibrary) -> None:
    """Outline the straight runs of all functions but those that data sets call and those marked with NO_INLINE."""
    functions = {function.signature.name: function for function in library.function}
    in_data_sets = _reached(functions, _called_by_data_sets(functions.values()))
    called = {name for function in functions.values() for node in function.node_def for name in _named_by(node, _CALLS)}
    outlined: list[FunctionDef] = []
    for name, function in functions.items():
        if name in in_data_sets or function.attr[NO_INLINE].b:
            continue
        outlined += _outline(function)
        for node in function.node_def:
            if node.op in _BRANCHES:
                node.attr[_LOWERED].b = False
        if name not in called:
            function.attr[_OPTIMISED].b = True
    library.function.extend(outlined)


def _outline(function: FunctionDef) -> list[FunctionDef]:
    """Replace the runs of a function by calls, and return them as functions."""
    runs = [run for run in _runs(function) if len(run) >= _LEAST]
    new = [_Run(function, number, run) for number, run in enumerate(runs)]
    gone = {name for run in runs for name in run}
    places = {place: run.place(place) for run in new for place in run.results}
    nodes = [node for node in function.node_def if node.name not in gone]
    nodes += [node for run in new for node in run.call()]
    for node in nodes:
        node.input[:] = [places.get(place, place) for place in node.input]
    for key, place in list(function.ret.items()):
        function.ret[key] = places.get(place, place)
    used = {_name(place) for node in nodes for place in node.input} | {_name(p) for p in function.ret.values()}
    kept = [NodeDef.FromString(n.SerializeToString()) for n in nodes if n.op != "Const" or n.name in used]
    del function.node_def[:]
    function.node_def.extend(kept)
    return [run.function for run in new]


def _runs(function: FunctionDef) -> Iterator[list[str]]:
    """The names of operations that can run together, without constants.

    An operation's run has the number of the branches, one after the other, that it comes after.
    """
    controlled = {_name(place) for node in function.node_def for place in node.input if place.startswith("^")}
    controlled |= set(function.control_ret.values())
    nodes = {node.name: node for node in function.node_def}
    straight = {n.name for n in function.node_def if _is_straight(n) and n.name not in controlled}
    after: dict[str, int] = {}
    # Not by recursion: a function may be a thousand operations deep. TensorFlow notes them in any order.
    waiting = list(nodes)[::-1]
    while waiting:
        name = waiting[-1]
        before = [_name(place) for place in nodes[name].input]
        missing = [other for other in before if other in nodes and other not in after]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        after[name] = max(
            (after[other] + (other not in straight) for other in before if other in nodes and not _is_const(nodes[other])),
            default=0,
        )
    runs = defaultdict(list)
    for name in nodes:
        if name in straight and not _is_const(nodes[name]):
            runs[after[name]].append(name)
    yield from runs.values()


class _Run:
    """A run of operations as a function of its own.

    Attributes:
        function: the function.
        results: what the rest of the function that it was taken out of takes from it: places, `operation:output:index`.
    """

    def __init__(self, whole: FunctionDef, number: int, names: list[str]) -> None:
        self._name = f"run_{number}"
        self.function = FunctionDef()
        self.function.signature.name = f"{whole.signature.name}_{self._name}"
        self.function.attr[_OPTIMISED].b = True
        nodes = {node.name: node for node in whole.node_def}
        arguments = {argument.name: argument.type for argument in whole.signature.input_arg}
        inside = set(names)
        self._inputs: dict[str, str] = {}
        constants: dict[str, NodeDef] = {}
        for name in names:
            copy = self.function.node_def.add()
            copy.CopyFrom(nodes[name])
            for index, place in enumerate(copy.input):
                source = nodes.get(_name(place))
                if source is not None and _is_const(source):
                    constants[source.name] = source
                elif _name(place) not in inside:
                    copy.input[index] = self._argument(place, arguments[place] if source is None else _dtype(source, place))
        self.function.node_def.extend(constants.values())
        outside = [node.input for node in whole.node_def if node.name not in inside]
        taken = [place for inputs in (*outside, whole.ret.values()) for place in inputs if _name(place) in inside]
        self.results = list(dict.fromkeys(taken))
        for index, place in enumerate(self.results):
            result = self.function.signature.output_arg.add(name=f"out_{index}")
            result.type = _dtype(nodes[_name(place)], place)
            self.function.ret[result.name] = place
        self._is_stateful = any(_op(nodes[name]).is_stateful for name in names)

    def _argument(self, place: str, dtype: "types_pb2.DataType") -> str:
        """The argument for what comes from a place outside."""
        if place not in self._inputs:
            argument = self.function.signature.input_arg.add(name=f"in_{len(self._inputs)}")
            argument.type = dtype
            self._inputs[place] = argument.name
        return self._inputs[place]

    def place(self, result: str) -> str:
        """Where the rest of the function finds a result."""
        return f"{self._name}:output:{self.results.index(result)}"

    def call(self) -> tuple[NodeDef, NodeDef]:
        """Operations that call it.

        A branch whose two sides are the same: it costs a third of a call, which starts a function on all devices that
        there may be, and its products are Eigen's, quicker for small matrices than oneDNN's, by which TensorFlow
        replaces those of functions that are called.
        """
        true = NodeDef(name=f"{self._name}_true", op="Const")
        true.attr["dtype"].type = types_pb2.DT_BOOL
        true.attr["value"].tensor.dtype = types_pb2.DT_BOOL
        true.attr["value"].tensor.tensor_shape.SetInParent()
        true.attr["value"].tensor.bool_val.append(True)  # noqa: FBT003 - a tensor's value
        node = NodeDef(name=self._name, op="If" if self._is_stateful else "StatelessIf")
        node.input.extend([f"{true.name}:output:0", *self._inputs])
        node.attr["Tcond"].type = types_pb2.DT_BOOL
        signature = self.function.signature
        for key, values in (("Tin", signature.input_arg), ("Tout", signature.output_arg)):
            node.attr[key].list.SetInParent()
            node.attr[key].list.type.extend(value.type for value in values)
        node.attr["output_shapes"].list.SetInParent()
        for side in ("then_branch", "else_branch"):
            node.attr[side].func.name = signature.name
            node.attr[side].func.attr[_EXECUTOR].s = _SINGLE
        return true, node


def _is_straight(node: NodeDef) -> bool:
    """Whether an operation does nothing but compute its outputs, at once."""
    op = _op(node)
    takes_functions = any("func" in attribute.type for attribute in op.attr)
    hands_on = {*(_dtypes(node, op.input_arg)), *(_dtypes(node, op.output_arg))} & {types_pb2.DT_VARIANT}
    makes_resource = types_pb2.DT_RESOURCE in _dtypes(node, op.output_arg)
    takes_resource = types_pb2.DT_RESOURCE in _dtypes(node, op.input_arg)
    is_plain = node.op == _READ or not (op.is_stateful or takes_resource)
    is_free = not any(place.startswith("^") for place in node.input)
    return is_plain and is_free and not takes_functions and not hands_on and not makes_resource and bool(op.output_arg)


def _is_const(node: NodeDef) -> bool:
    return node.op == "Const"


def _dtypes(node: NodeDef, arguments: Iterable[OpDef.ArgDef]) -> list["types_pb2.DataType"]:
    """The types of an operation's inputs or outputs, each as often as there are tensors of it in a list, or once."""
    found: list[types_pb2.DataType] = []
    for argument in arguments:
        if argument.type_list_attr:
            found += _attribute(node, argument.type_list_attr).list.type
        else:
            found.append(argument.type or _attribute(node, argument.type_attr).type)
    return found


def _dtype(node: NodeDef, place: str) -> "types_pb2.DataType":
    """The type of one of an operation's outputs, by its place."""
    _, name, index = place.split(":")
    (argument,) = (argument for argument in _op(node).output_arg if argument.name == name)
    if argument.type_list_attr:
        return _attribute(node, argument.type_list_attr).list.type[int(index)]
    return argument.type or _attribute(node, argument.type_attr).type


def _attribute(node: NodeDef, name: str) -> AttrValue:
    """An operation's attribute; SavedModels leave out what is as by default."""
    if name in node.attr:
        return node.attr[name]
    (default,) = (attribute.default_value for attribute in _op(node).attr if attribute.name == name)
    return default


def _op(node: NodeDef) -> OpDef:
    op: OpDef = op_def_registry.get(node.op)
    return op


def _name(place: str) -> str:
    """The operation or the argument of a place, `operation:output:index`, `argument` or `^operation`."""
    return place.removeprefix("^").split(":")[0]


def _named_by(node: NodeDef, ops: Iterable[str] | None = None) -> Iterator[str]:
    """The functions that an operation names, if it is one of some."""
    if ops is not None and node.op not in ops:
        return
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func if value.HasField("list") else ():
            yield function.name


def _called_by_data_sets(functions: Iterable[FunctionDef]) -> set[str]:
    return {
        name for function in functions for node in function.node_def if "Dataset" in node.op for name in _named_by(node)
    }


def _reached(functions: dict[str, FunctionDef], first: set[str]) -> set[str]:
    """Functions, by their names, and all that they name."""
    found: set[str] = set()
    waiting = list(first)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for node in functions[name].node_def for other in _named_by(node)]
    return found
