"""Primitives and their gradients as nodes of a graph, each traced by TensorFlow once in a process.

A trace is a function of its key alone, so it is the same whatever was traced before. A search meets a few hundred keys
(256 in its first eleven children) and then hardly any more: shapes are few, channels are multiples of F.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nasnet.networks.readings.functions import Functions
from nasnet.training.metrics import cross_entropy

Shape = tuple[int, ...]
Read = Callable[..., tuple[tf.Tensor, Functions | None]]
"""What is traced: from tensors to a result, and the functions that noted a batch's statistics, where there are any."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the graph to be.

    Attributes:
        name: as a node of a function writes it: `node:output:0`, or the name of an argument.
        shape: with the batch in front: `[B, height, width, channels]` of a picture, `[n]` of a weight.
        trained: whether a gradient flows back to it.
        shifted: whether `Functions.shift` is to come first, which moves nothing by itself.
    """

    name: str
    shape: Shape
    trained: bool = True
    shifted: bool = False


@dataclasses.dataclass(frozen=True)
class Trace:
    """The nodes of a primitive and of its gradient.

    Names of tensors are as the nodes of a FunctionDef write them: `node:output:0`, by the outputs of its operation, or
    the name of a placeholder.

    Attributes:
        nodes: all but placeholders and constants.
        constants: name -> value, written out; a graph has each value but once.
        inputs: the placeholders.
        output, shape: the result.
        upstream: the placeholder of d loss / d result, which flows back into the result; empty where the gradient
            starts, at the loss, and where none flows on: of what is made of the pictures alone.
        gradients: d loss / d input, for those inputs that are trained.
        statistics, to_biased: the batch's means and variances, and what to multiply them by (see
            `Functions.batch_statistics`).
    """

    nodes: tuple[tf.compat.v1.NodeDef, ...]
    constants: dict[str, bytes]
    inputs: tuple[str, ...]
    output: str
    shape: Shape
    upstream: str
    gradients: tuple[str, ...]
    statistics: tuple[str, ...]
    to_biased: tuple[np.ndarray, ...]


@functools.lru_cache(maxsize=2048)
def traced_primitive(
    primitive: Callable[..., Any],
    xs: tuple[Value, ...],
    weights: tuple[tuple[str, Shape], ...],
    arguments: tuple[Any, ...],
    options: tuple[tuple[str, Any], ...],
    dtype: str,
    epsilon: float,
) -> Trace:
    """The trace of a primitive on values such as `xs`.

    Args:
        primitive: a method of `Functions`, such as `Functions.conv`.
        xs: what it reads; their names do not matter and are empty.
        weights: role and shape (`shape_in_functions`) of each weight that it owns. They come in flat, as they lie in
            the vector.
        arguments, options: what the primitive is called with besides.
        dtype: of everything computed.
        epsilon: of batch norm.
    """

    def read(*tensors: tf.Tensor) -> tuple[tf.Tensor, Functions]:
        owned = {
            f"traced/{role}": tf.raw_ops.Reshape(tensor=part, shape=shape) if role == "kernel" else part
            for (role, shape), part in zip(weights, tensors[len(xs) :], strict=True)
        }
        functions = Functions(owned, epsilon, training=True)
        features = [functions.shift(x, name="") if value.shifted else x for value, x in zip(xs, tensors, strict=False)]
        first = [features] if primitive is Functions.concat else features  # the one that takes a list
        return primitive(functions, *first, *arguments, name="traced", **dict(options)), functions

    flat = [Value("", (int(np.prod(shape)),)) for _, shape in weights]
    values = [*xs, *flat]
    return _traced(read, values, [dtype] * len(values), upstream=any(value.trained for value in values))


@functools.lru_cache(maxsize=64)
def traced_loss(logits: Shape, dtype: str, smoothing: float) -> Trace:
    """The trace of `cross_entropy` on logits `[B, classes]`; its second input is the labels `[B]`."""

    def read(x: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, None]:
        return cross_entropy(labels, x, smoothing), None

    labels = Value("", logits[:1], trained=False)
    return _traced(read, [Value("", logits), labels], [dtype, "int32"], upstream=False)


def _traced(read: Read, values: list[Value], dtypes: list[str], *, upstream: bool) -> Trace:
    with tf.Graph().as_default() as graph:
        inputs = [
            tf.compat.v1.placeholder(dtype, value.shape, name="input")
            for dtype, value in zip(dtypes, values, strict=True)
        ]
        trained = [tensor for tensor, value in zip(inputs, values, strict=True) if value.trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            output, functions = read(*inputs)
        back = tf.compat.v1.placeholder(output.dtype, output.shape, name="upstream") if upstream else None
        gradients = tape.gradient(output, trained, output_gradients=back)

    # A graph names tensors `node:0`; a function names them `node:output:0`, and its inputs without a number.
    in_function = {
        f"{operation.name}:{index}": name
        for operation in graph.get_operations()
        for index, name in enumerate(_outputs(operation))
    }
    nodes = list(graph.as_graph_def().node)
    for node in nodes:
        node.input[:] = [name if name[0] == "^" else in_function[_with_index(name)] for name in node.input]

    constants = {
        in_function[f"{node.name}:0"]: node.attr["value"].tensor.SerializeToString(deterministic=True)
        for node in nodes
        if node.op == "Const"
    }
    statistics, to_biased = functions.batch_statistics() if functions else ([], [])
    return Trace(
        nodes=tuple(node for node in nodes if node.op not in ("Const", "Placeholder")),
        constants=constants,
        inputs=tuple(in_function[tensor.name] for tensor in inputs),
        output=in_function[output.name],
        shape=tuple(output.shape),
        upstream="" if back is None else in_function[back.name],
        gradients=tuple(in_function[gradient.name] for gradient in gradients),
        statistics=tuple(in_function[tensor.name] for tensor in statistics),
        to_biased=tuple(to_biased),
    )


def _outputs(operation: tf.Operation) -> list[str]:
    """The names of an operation's outputs inside a function, in their order."""
    if operation.type == "Placeholder":
        return [operation.name]
    names: list[str] = []
    for output in operation.op_def.output_arg:
        count = operation.get_attr(output.number_attr) if output.number_attr else 1
        names += [f"{operation.name}:{output.name}:{index}" for index in range(count)]
    return names


def _with_index(name: str) -> str:
    return name if ":" in name else f"{name}:0"
