"""Primitives and their gradients as nodes of a graph, each traced by TensorFlow once in a process.

A piece is a function of its key alone, so it is the same whatever was traced before. A search meets a few hundred keys
(256 in its first eleven children) and then hardly any more: shapes are few, channels are multiples of F.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nasnet.networks.functions import Functions
from nasnet.training.metrics import cross_entropy

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the graph to be: its name, its shape, whether a gradient flows back to it, whether it is shifted."""

    name: str
    shape: Shape
    trained: bool = True
    shifted: bool = False


@dataclasses.dataclass(frozen=True)
class Piece:
    """Nodes of a function and of its gradient.

    Names of tensors are as the nodes of a FunctionDef write them: `node:output:0`, by the outputs of its operation, or
    the name of a placeholder.

    Attributes:
        nodes: all but placeholders and constants.
        constants: name -> value, written out; a graph has each value but once.
        inputs: the placeholders.
        output, shape: the result.
        upstream: the placeholder of the gradient that flows back into the result; empty where it starts, at the loss.
        gradients: what flows back into those inputs that are trained.
        statistics, biased: the batch's means and variances, and what to multiply them by (see `Functions.noted`).
    """

    nodes: tuple[tf.compat.v1.NodeDef, ...]
    constants: dict[str, bytes]
    inputs: tuple[str, ...]
    output: str
    shape: Shape
    upstream: str
    gradients: tuple[str, ...]
    statistics: tuple[str, ...]
    biased: tuple[np.ndarray, ...]


@functools.lru_cache(maxsize=2048)
def traced_primitive(
    primitive: str,
    xs: tuple[Value, ...],
    weights: tuple[tuple[str, Shape], ...],
    arguments: tuple[Any, ...],
    options: tuple[tuple[str, Any], ...],
    dtype: str,
    epsilon: float,
) -> Piece:
    """A primitive of `Functions` on values such as `xs`; its weights are flat, as they come out of the vector."""

    def read(*tensors: tf.Tensor) -> tuple[tf.Tensor, Functions]:
        shaped = {
            f"piece/{role}": tf.raw_ops.Reshape(tensor=part, shape=shape[2:] if shape[:2] == (1, 1) else shape)
            if role == "kernel"
            else part
            for (role, shape), part in zip(weights, tensors[len(xs) :], strict=True)
        }
        functions = Functions(shaped, epsilon, training=True)
        features = [functions.shift(x, name="") if value.shifted else x for value, x in zip(xs, tensors, strict=False)]
        read = getattr(functions, primitive)
        first = [features] if primitive == "concat" else features
        return read(*first, *arguments, name="piece", **dict(options)), functions

    flat = [Value("", (int(np.prod(shape)),)) for _, shape in weights]
    return _traced(read, [*xs, *flat], [dtype] * (len(xs) + len(flat)), upstream=True)


@functools.lru_cache(maxsize=64)
def traced_loss(logits: Shape, dtype: str, smoothing: float) -> Piece:
    """`training.cross_entropy` on logits of a shape; its second input is the labels."""

    def read(x: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, None]:
        return cross_entropy(labels, x, smoothing), None

    labels = Value("", logits[:1], trained=False)
    return _traced(read, [Value("", logits), labels], [dtype, "int32"], upstream=False)


def _traced(
    read: Callable[..., tuple[tf.Tensor, Functions | None]], values: list[Value], dtypes: list[str], *, upstream: bool
) -> Piece:
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
        written = {
            f"{operation.name}:{index}": name
            for operation in graph.get_operations()
            for index, name in enumerate(_written(operation))
        }
        nodes = graph.as_graph_def().node
    for node in nodes:
        node.input[:] = [name if name[0] == "^" else written[_with_index(name)] for name in node.input]
    statistics, biased = functions.noted() if functions else ((), ())
    return Piece(
        tuple(node for node in nodes if node.op not in ("Const", "Placeholder")),
        {
            written[f"{n.name}:0"]: n.attr["value"].tensor.SerializeToString(deterministic=True)
            for n in nodes
            if n.op == "Const"
        },
        tuple(written[tensor.name] for tensor in inputs),
        written[output.name],
        tuple(output.shape),
        "" if back is None else written[back.name],
        tuple(written[gradient.name] for gradient in gradients),
        tuple(written[tensor.name] for tensor in statistics),
        tuple(biased),
    )


def _written(operation: tf.Operation) -> list[str]:
    """The names of its outputs, in their order."""
    if operation.type == "Placeholder":
        return [operation.name]
    names: list[str] = []
    for output in operation.op_def.output_arg:
        number = operation.get_attr(output.number_attr) if output.number_attr else 1
        names += [f"{operation.name}:{output.name}:{index}" for index in range(number)]
    return names


def _with_index(name: str) -> str:
    return name if ":" in name else f"{name}:0"
