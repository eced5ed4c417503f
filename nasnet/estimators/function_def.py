"""A function put together of traces, as TensorFlow takes it: a FunctionDef, node by node."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nasnet.estimators.traces import Trace

AttrValue = tf.compat.v1.AttrValue
_INT32 = AttrValue(type=tf.int32.as_datatype_enum)
INPUTS = ("images", "labels", "weights")
"""What a child's function takes: `[B, height, width, channels]` whitened, `[B]` int32, the vector of weights."""


class FunctionDef:
    """A function in the making."""

    def __init__(self, dtype: str) -> None:
        self._function = tf.compat.v1.GraphDef().library.function.add()
        self._type = AttrValue(type=tf.as_dtype(dtype).as_datatype_enum)
        self._constants: dict[bytes, str] = {}  # a function has each value but once

    def finished(self, outputs: dict[str, str]) -> Any:  # noqa: ANN401 - a FunctionDef, which has no public name
        """What was put together, with these outputs."""
        signature = self._function.signature
        signature.name = "child"
        for name, kind in zip(INPUTS, (self._type.type, tf.int32.as_datatype_enum, self._type.type), strict=True):
            signature.input_arg.add(name=name, type=kind)
        for name, tensor in outputs.items():
            signature.output_arg.add(name=name, type=self._type.type)
            self._function.ret[name] = tensor
        return self._function

    def add(self, trace: Trace, prefix: str, bound: dict[str, str]) -> None:
        """A copy of the trace. `bound` says what its placeholders are; its constants join them there."""
        for name, value in trace.constants.items():
            bound[name] = self._constant(value)
        for node in trace.nodes:
            copy = self._function.node_def.add()
            copy.CopyFrom(node)
            copy.name = f"{prefix}/{node.name}"
            copy.input[:] = [renamed(name, prefix, bound) for name in node.input]

    def sum(self, names: list[str]) -> str:
        """Of tensors of one shape."""
        if len(names) == 1:
            return names[0]
        name = f"sum{len(self._function.node_def)}"
        return self._node("AddN", name, names, N=AttrValue(i=len(names)), T=self._type) + ":sum:0"

    def concat(self, names: list[str]) -> str:
        """Of vectors: none, two or more."""
        if not names:  # a network without batch norm has no statistics
            nothing = tf.make_tensor_proto([], self._type.type, [0])
            return self._constant(nothing.SerializeToString(deterministic=True))
        axis, size = self._numbers(0), AttrValue(i=len(names))
        name = f"joined{len(self._function.node_def)}"
        return self._node("ConcatV2", name, [*names, axis], N=size, T=self._type, Tidx=_INT32) + ":output:0"

    def split(self, vector: str, sizes: list[int], name: str) -> None:
        """Cuts a vector into `name:output:0`, `name:output:1` and so on."""
        inputs, number = [vector, self._numbers(sizes), self._numbers(0)], AttrValue(i=len(sizes))
        self._node("SplitV", name, inputs, num_split=number, T=self._type, Tlen=_INT32)

    def _numbers(self, values: int | list[int]) -> str:
        return self._constant(tf.make_tensor_proto(values, tf.int32).SerializeToString(deterministic=True))

    def _constant(self, value: bytes) -> str:
        if value not in self._constants:
            tensor = tf.compat.v1.AttrValue().tensor.FromString(value)
            name, kind = f"constant{len(self._constants)}", AttrValue(type=tensor.dtype)
            self._constants[value] = self._node("Const", name, [], value=AttrValue(tensor=tensor), dtype=kind)
            self._constants[value] += ":output:0"
        return self._constants[value]

    def _node(self, op: str, name: str, inputs: list[str], **attributes: tf.compat.v1.AttrValue) -> str:
        node = self._function.node_def.add(op=op, name=name, input=inputs)
        for key, value in attributes.items():
            node.attr[key].CopyFrom(value)
        return name


def renamed(name: str, prefix: str, bound: dict[str, str]) -> str:
    """A tensor's name in the graph; `^node`, a control input, waits for a node of the trace."""
    return f"^{prefix}/{name[1:]}" if name[0] == "^" else bound.get(name) or f"{prefix}/{name}"
