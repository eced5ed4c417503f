"""The reading that assembles a child's training step from traces (`traces.py`): copies of them with the ends tied.

TensorFlow's Python needs 0.3 ms for every node that it traces, and a child's step has 2,000. But children are made of
the same few primitives at the same few shapes. So a primitive and its gradient, as `tf.GradientTape` gives it, are
traced when they are first met and kept as nodes; a child is their copies, a function that TensorFlow takes in one call.

The chain rule between the copies is all that is written here. With loss L, a primitive y = f(x, w) and the primitives
that read y, each of which sends dL/dy by its own reading of y:

    dL/dy = sum over the readers of y of what they send
    dL/dx = (dL/dy) dy/dx and dL/dw = (dL/dy) dy/dw, which the trace of f computes from dL/dy and its inputs.

So the walk is gone through backwards: when a copy is met, all that read its result have sent their gradient.
"""

# ruff: noqa: D102 - the protocol says what each primitive does

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cells.count import Weight
from cells.primitives import Padding, Pair
from nasnet.estimators.flat_weights import shape_in_functions
from nasnet.estimators.function_def import INPUTS, FunctionDef, renamed
from nasnet.estimators.traces import Trace, Value, traced_loss, traced_primitive
from nasnet.networks.readings.functions import Functions


@dataclasses.dataclass(frozen=True)
class ChildFunction:
    """A function of `INPUTS`: the loss `[]`, the gradient of the weights `[n]`, and the batch's statistics `[m]`.

    `to_biased` is what to multiply the statistics by: see `Functions.batch_statistics`.
    """

    definition: Any  # a FunctionDef, which has no public name
    to_biased: np.ndarray

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
        """Calls it in the graph that is being built: a session's, for a `tf.function` would not find it."""
        graph, signature = tf.compat.v1.GraphDef(), self.definition.signature
        graph.library.function.append(self.definition)
        node = graph.node.add(op="PartitionedCall", name=signature.name, input=INPUTS)
        node.attr["f"].func.name = signature.name
        node.attr["_disable_call_shape_inference"].b = True  # it would go through the whole function, 0.02 s each time
        node.attr["Tin"].list.type.extend(argument.type for argument in signature.input_arg)
        node.attr["Tout"].list.type.extend(argument.type for argument in signature.output_arg)
        inputs = dict(zip(INPUTS, (images, labels, weights), strict=True))
        outputs = [f"{signature.name}:{index}" for index in range(len(signature.output_arg))]
        loss, gradient, statistics = tf.graph_util.import_graph_def(graph, inputs, outputs, name="")
        return [loss, gradient, statistics * tf.constant(self.to_biased, statistics.dtype)]


@dataclasses.dataclass(frozen=True)
class _Copy:
    """A trace at its place in the graph: what its nodes' names begin with, and what it reads."""

    trace: Trace
    prefix: str
    inputs: tuple[Value, ...]

    @property
    def bound(self) -> dict[str, str]:
        """The trace's placeholders -> the tensors that it reads here."""
        return {name: value.name for name, value in zip(self.trace.inputs, self.inputs, strict=True)}

    @functools.cached_property
    def output(self) -> Value:
        """What it gives. A gradient flows back to it only where it flows on, to a weight."""
        trained = any(value.trained for value in self.inputs)
        return Value(renamed(self.trace.output, self.prefix, self.bound), self.trace.shape, trained)


class ChildGraph:
    """Implements `Primitives[Value]`: reading a network places the copies, `function` ties them together."""

    def __init__(self, weights: Sequence[Weight], dtype: str, epsilon: float) -> None:
        """`weights` are the trainable ones in the order of the walk, `epsilon` is batch norm's."""
        self._weights: dict[str, list[tuple[int, Weight]]] = {}
        for index, weight in enumerate(weights):
            self._weights.setdefault(weight.primitive, []).append((index, weight))
        self._sizes = [weight.size for weight in weights]
        self._dtype, self._epsilon = dtype, epsilon
        self._copies: list[_Copy] = []
        self._rectified: dict[str, Value] = {}

    def function(self, logits: Value, smoothing: float) -> ChildFunction:
        """All that was read, the loss on `logits` `[B, classes]`, and what flows back from it into the weights."""
        labels = Value("labels", logits.shape[:1], trained=False)
        loss = self._place(traced_loss(logits.shape, self._dtype, smoothing), (logits, labels))

        definition = FunctionDef(self._dtype)
        definition.split("weights", self._sizes, "parts")
        gradients: dict[str, list[str]] = {}  # value -> what its readers send back into it
        for copy in reversed(self._copies):
            bound = copy.bound
            if copy.trace.upstream:
                bound[copy.trace.upstream] = definition.sum(gradients[copy.output.name])
            definition.add(copy.trace, copy.prefix, bound)
            trained = [value for value in copy.inputs if value.trained]
            for value, gradient in zip(trained, copy.trace.gradients, strict=True):
                gradients.setdefault(value.name, []).append(renamed(gradient, copy.prefix, bound))

        # Each weight has one reader, and the vectors are in the order of the walk.
        gradient = definition.concat([gradients[_part(index)][0] for index in range(len(self._sizes))])
        noting = [copy for copy in self._copies if copy.trace.statistics]
        statistics = definition.concat([f"{copy.prefix}/{name}" for copy in noting for name in copy.trace.statistics])
        to_biased = np.concatenate([np.zeros(0), *(factors for copy in noting for factors in copy.trace.to_biased)])
        outputs = {"loss": loss.name, "gradient": gradient, "statistics": statistics}
        return ChildFunction(definition.finished(outputs), to_biased)

    def _place(self, trace: Trace, inputs: tuple[Value, ...]) -> Value:
        copy = _Copy(trace, f"p{len(self._copies)}", inputs)
        self._copies.append(copy)
        return copy.output

    def _read(
        self, primitive: Callable[..., Any], xs: Sequence[Value], name: str, *arguments: object, **options: object
    ) -> Value:
        weights = self._weights.get(name, [])
        trace = traced_primitive(
            primitive,
            tuple(dataclasses.replace(x, name="") for x in xs),
            tuple((weight.role, shape_in_functions(weight)) for _, weight in weights),
            arguments,
            tuple(options.items()),
            self._dtype,
            self._epsilon,
        )
        return self._place(trace, (*xs, *(Value(_part(index), (weight.size,)) for index, weight in weights)))

    def shape(self, x: Value) -> tuple[int, ...]:
        return x.shape[1:]

    def conv(
        self,
        x: Value,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
        bias: bool = False,
    ) -> Value:
        options = {"stride": stride, "dilation": dilation, "padding": padding, "bias": bias}
        return self._read(Functions.conv, [x], name, filters, kernel, **options)

    def depthwise(
        self, x: Value, kernel: int, *, name: str, stride: int = 1, dilation: int = 1, bias: bool = False
    ) -> Value:
        return self._read(Functions.depthwise, [x], name, kernel, stride=stride, dilation=dilation, bias=bias)

    def full_conv(self, x: Value, filters: int, *, name: str) -> Value:
        return self._read(Functions.full_conv, [x], name, filters)

    def batch_norm(self, x: Value, *, name: str) -> Value:
        return self._read(Functions.batch_norm, [x], name)

    def relu(self, x: Value, *, name: str) -> Value:
        # Several operations rectify the same state: once is enough.
        if x.name not in self._rectified:
            self._rectified[x.name] = self._read(Functions.relu, [x], name)
        return self._rectified[x.name]

    def tanh(self, x: Value, *, name: str, scale: float = 1.0, slope: float = 1.0) -> Value:
        return self._read(Functions.tanh, [x], name, scale=scale, slope=slope)

    def local_response_norm(self, x: Value, *, name: str, size: int, alpha: float, beta: float, bias: float) -> Value:
        return self._read(Functions.local_response_norm, [x], name, size=size, alpha=alpha, beta=beta, bias=bias)

    def max_pool(self, x: Value, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Value:
        return self._read(Functions.max_pool, [x], name, size, stride=stride, padding=padding)

    def avg_pool(self, x: Value, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Value:
        return self._read(Functions.avg_pool, [x], name, size, stride=stride, padding=padding)

    def subsample(self, x: Value, *, name: str) -> Value:
        return self._read(Functions.subsample, [x], name)

    def shift(self, x: Value, *, name: str) -> Value:
        del name
        return dataclasses.replace(x, shifted=True)

    def pad(self, x: Value, rows: Pair, columns: Pair, *, name: str, channels: Pair = (0, 0)) -> Value:
        return self._read(Functions.pad, [x], name, rows, columns, channels=channels)

    def select(self, x: Value, start: int, stop: int, *, name: str) -> Value:
        return self._read(Functions.select, [x], name, start, stop)

    def drop_path(self, x: Value, depth: float, *, name: str) -> Value:
        del depth, name  # a child has none
        return x

    def dropout(self, x: Value, *, name: str) -> Value:
        del name  # a child has none
        return x

    def add(self, x: Value, y: Value, *, name: str) -> Value:
        return self._read(Functions.add, [x, y], name)

    def concat(self, xs: list[Value], *, name: str) -> Value:
        return self._read(Functions.concat, xs, name)

    def global_avg_pool(self, x: Value, *, name: str) -> Value:
        return self._read(Functions.global_avg_pool, [x], name)

    def dense(self, x: Value, units: int, *, name: str) -> Value:
        return self._read(Functions.dense, [x], name, units)

    def rbf(self, x: Value, centers: tuple[tuple[int, ...], ...], *, name: str) -> Value:
        return self._read(Functions.rbf, [x], name, centers)


def _part(index: int) -> str:
    return f"parts:output:{index}"
