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
from tensorflow.core.protobuf.config_pb2 import ConfigProto, GraphOptions
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.framework import op_def_registry

NO_INLINE = "_noinline"
"""Attribute of functions that TensorFlow is to call as they are, and that are left alone here."""

_LEAST = 4  # operations: a shorter run is not worth a call
_BRANCHES = frozenset({"If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_ONEDNN = frozenset({"AvgPool", "BatchMatMul", "BatchMatMulV2", "Conv2D", "MatMul", "MaxPool"})
_FEW = 1 << 16  # numbers, of a picture of 256x256 or of 64 small ones: up to so many, Eigen's products are quicker
_LOWERED = "_lower_using_switch_merge"
_EXECUTOR, _SINGLE = "_executor", b"SINGLE_THREADED_EXECUTOR"
# Grappler optimises each function of a graph alone, in tenths of a second each, and takes one with this mark to be
# optimised already (tensorflow/core/grappler/optimizers/meta_optimizer.cc).
_OPTIMISED = "_tf_data_function"
_AS_IT_IS = ConfigProto(
    graph_options=GraphOptions(rewrite_options=RewriterConfig(disable_meta_optimizer=True))
).SerializeToString()
_SHAPES = "_output_shapes"
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
    return [function for run in new for function in run.functions]


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
            (
                after[other] + (other not in straight)
                for other in before
                if other in nodes and not _is_const(nodes[other])
            ),
            default=0,
        )
    runs = defaultdict(list)
    for node in function.node_def:
        if node.name in straight and not _is_const(node):
            runs[after[node.name]].append(node.name)
    yield from runs.values()


class _Run:
    """A run of operations as a function of its own.

    Attributes:
        functions: the function, and one that calls it, where that is to be done with many pictures.
        results: what the rest of the function that it was taken out of takes from it: places, `operation:output:index`.
    """

    def __init__(self, whole: FunctionDef, number: int, names: list[str]) -> None:
        self._name = f"run_{number}"
        run = FunctionDef()
        run.signature.name = f"{whole.signature.name}_{self._name}"
        run.attr[_OPTIMISED].b = run.attr[NO_INLINE].b = True
        self.functions = [run]
        nodes = {node.name: node for node in whole.node_def}
        arguments = {argument.name: argument.type for argument in whole.signature.input_arg}
        has_products = any(nodes[name].op in _ONEDNN for name in names)
        inside = set(names)
        self._inputs: dict[str, OpDef.ArgDef] = {}
        constants: dict[str, NodeDef] = {}
        for name in names:
            copy = run.node_def.add()
            copy.CopyFrom(nodes[name])
            for index, place in enumerate(copy.input):
                source = nodes.get(_name(place))
                if source is not None and _is_const(source):
                    constants[source.name] = source
                elif _name(place) not in inside:
                    copy.input[index] = self._argument(
                        place, arguments[place] if source is None else _dtype(source, place)
                    )
        run.node_def.extend(constants.values())
        outside = [node.input for node in whole.node_def if node.name not in inside]
        taken = [place for inputs in (*outside, whole.ret.values()) for place in inputs if _name(place) in inside]
        self.results = list(dict.fromkeys(taken))
        for index, place in enumerate(self.results):
            result = run.signature.output_arg.add(name=f"out_{index}")
            result.type = _dtype(nodes[_name(place)], place)
            run.ret[result.name] = place
        self._is_stateful = any(_op(nodes[name]).is_stateful for name in names)
        ranks = {place: _rank(whole, place) for place in self._inputs} if has_products else {}
        self._batch = max(ranks, key=lambda place: ranks[place], default=None)
        if self._batch is not None and ranks[self._batch] < 2:
            self._batch = None
        if self._batch is not None:
            self.functions.append(self._for_many())

    def _argument(self, place: str, dtype: "types_pb2.DataType") -> str:
        """The argument for what comes from a place outside."""
        if place not in self._inputs:
            argument = self.functions[0].signature.input_arg.add(name=f"in_{len(self._inputs)}")
            argument.type = dtype
            self._inputs[place] = argument
        return str(self._inputs[place].name)

    def place(self, result: str) -> str:
        """Where the rest of the function finds a result."""
        return f"{self._name}:output:{self.results.index(result)}"

    def call(self) -> list[NodeDef]:
        """Operations that call it: a branch, which costs a third of a call.

        A call starts a function on all devices that there may be, and in it TensorFlow replaces products and pools by
        oneDNN's. For many pictures those are quicker than Eigen's, for few they take several times as long. So of a
        run with any of them the other side of the branch, the one for many pictures, is a call.
        """
        if self._batch is None:
            nodes = [_constant(f"{self._name}_few", types_pb2.DT_BOOL, "bool_val", 1)]
            is_few = f"{self._name}_few:output:0"
        else:
            size, limit = f"{self._name}_size", f"{self._name}_limit"
            nodes = [
                NodeDef(name=size, op="Size", input=[self._batch]),
                _constant(limit, types_pb2.DT_INT32, "int_val", _FEW),
                NodeDef(name=f"{self._name}_few", op="LessEqual", input=[f"{size}:output:0", f"{limit}:output:0"]),
            ]
            nodes[0].attr["T"].type = self._inputs[self._batch].type
            nodes[2].attr["T"].type = types_pb2.DT_INT32
            is_few = f"{self._name}_few:z:0"
        node = NodeDef(name=self._name, op="If" if self._is_stateful else "StatelessIf", input=[is_few, *self._inputs])
        node.attr["Tcond"].type = types_pb2.DT_BOOL
        node.attr["output_shapes"].list.SetInParent()
        few, *many = self.functions
        _set_types(node, few)
        node.attr["then_branch"].func.name = few.signature.name
        node.attr["then_branch"].func.attr[_EXECUTOR].s = _SINGLE
        if many:
            node.attr["else_branch"].func.name = many[0].signature.name
        else:
            node.attr["else_branch"].CopyFrom(node.attr["then_branch"])
        return [*nodes, node]

    def _for_many(self) -> FunctionDef:
        """A function that calls it."""
        run = self.functions[0]
        many = FunctionDef()
        many.signature.CopyFrom(run.signature)
        many.signature.name = f"{run.signature.name}_many"
        many.attr[_OPTIMISED].b = True
        node = many.node_def.add(name="call", op="StatefulPartitionedCall" if self._is_stateful else "PartitionedCall")
        node.input.extend(argument.name for argument in run.signature.input_arg)
        node.attr["f"].func.name = run.signature.name
        node.attr["config_proto"].s = _AS_IT_IS
        _set_types(node, run)
        for index, result in enumerate(run.signature.output_arg):
            many.ret[result.name] = f"call:output:{index}"
        return many


def _set_types(node: NodeDef, function: FunctionDef) -> None:
    """The types of what a call of a function takes and gives."""
    for key, values in (("Tin", function.signature.input_arg), ("Tout", function.signature.output_arg)):
        node.attr[key].list.SetInParent()
        node.attr[key].list.type.extend(value.type for value in values)


def _constant(name: str, dtype: "types_pb2.DataType", field: str, value: int) -> NodeDef:
    node = NodeDef(name=name, op="Const")
    node.attr["dtype"].type = dtype
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype
    tensor.tensor_shape.SetInParent()
    getattr(tensor, field).append(value)
    return node


def _rank(function: FunctionDef, place: str) -> int:
    """How many dimensions a place in a function has; 0 where that is not known."""
    if ":" in place:
        name, output, index = place.split(":")
        (node,) = (node for node in function.node_def if node.name == name)
        outputs = [argument.name for argument in _op(node).output_arg]
        # Of operations with one output for each argument, or one list of them.
        shapes, number = node.attr[_SHAPES].list.shape, max(outputs.index(output), int(index))
    else:
        arguments = [argument.name for argument in function.signature.input_arg]
        shapes, number = function.arg_attr[arguments.index(place)].attr[_SHAPES].list.shape, 0
    return 0 if number >= len(shapes) or shapes[number].unknown_rank else len(shapes[number].dim)


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
    return bool(node.op == "Const")


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
