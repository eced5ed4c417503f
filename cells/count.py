"""The reading with integers: shapes, weights, multiply-adds and activation bytes, before anything is built."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, cast

from cells.architecture import Architecture
from cells.primitives import Padding, Pair, Primitives

Shape = tuple[int, ...]
Role = Literal["kernel", "gamma", "beta", "moving_mean", "moving_variance", "bias"]


@dataclasses.dataclass(frozen=True)
class Weight:
    """One tensor of weights. Its name is `<primitive>/<role>`; depthwise kernels are `[size, size, channels, 1]`."""

    primitive: str
    role: Role
    shape: Shape

    @property
    def name(self) -> str:
        """`<primitive>/<role>`, unique in a network."""
        return f"{self.primitive}/{self.role}"

    @property
    def trainable(self) -> bool:
        """False for the moving statistics."""
        return not self.role.startswith("moving")

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a network costs.

    Attributes:
        weights: all weights in the order of the walk.
        mult_adds: of one picture: one for each weight of a convolution or dense layer at each output position; nothing
            for batch norm, pooling or biases. (The rule under which the paper's tables come out.)
        activation_bytes: of one picture in training: the float32 results of all primitives.
        endpoints: `[height, width, channels]` of each part that the walk names, such as the stem and every cell.
    """

    weights: tuple[Weight, ...]
    mult_adds: int
    activation_bytes: int
    endpoints: dict[str, Shape]

    @property
    def parameters(self) -> int:
        """Trainable numbers."""
        return sum(weight.size for weight in self.weights if weight.trainable)


IMAGE = "image"
"""The part that every network reads first."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What stands under one name in a network: a stem, a cell, a layer with its batch norm.

    Attributes:
        name: what its primitives' names begin with.
        shape: of what it gives: `[height, width, channels]`, or `[channels]` of a vector.
        parameters: trainable numbers in it.
        mult_adds: of one picture, as `count.Counts` has them.
        reads: the parts whose results it takes, in the order in which it does; `IMAGE` is one.
    """

    name: str
    shape: Shape
    parameters: int
    mult_adds: int
    reads: tuple[str, ...]


def count(architecture: Architecture, image_shape: Shape, *, auxiliary: bool = False) -> Counts:
    """Counts a network without building it.

    Args:
        architecture: the network.
        image_shape: `[height, width, channels]`.
        auxiliary: with the classifiers that only training has.

    Raises:
        ValueError: if the picture is too small for a VALID convolution or pooling (ImageNet stem, auxiliary head).
    """
    reading = _Counting()
    outputs = architecture.walk(reading, image_shape, auxiliary=auxiliary)
    endpoints = {name: feature.value for name, feature in outputs.endpoints.items()}
    return Counts(tuple(reading.weights), reading.mult_adds, 4 * reading.activations, endpoints)


def outline(architecture: Architecture, image_shape: Shape, *, auxiliary: bool = False) -> tuple[Part, ...]:
    """The parts of a network in the order of the walk. Arguments and errors are those of `count`."""
    reading = _ByPart()
    architecture.walk(cast(Primitives[_Value], reading), _Value(image_shape, IMAGE), auxiliary=auxiliary)
    return tuple(reading.parts.values())


class _Counting:
    """Implements `Primitives[Shape]`."""

    def __init__(self) -> None:
        self.weights: list[Weight] = []
        self.mult_adds = 0
        self.activations = 0

    def _made(self, shape: Shape) -> Shape:
        self.activations += math.prod(shape)
        return shape

    def _kernel(self, name: str, shape: Shape, places: int) -> None:
        self.weights.append(Weight(name, "kernel", shape))
        self.mult_adds += math.prod(shape) * places

    def _window(self, x: Shape, kernel: Pair, stride: Pair, padding: Padding, name: str) -> Pair:
        if padding == "same":
            height, width = (-(-size // step) for size, step in zip(x, stride, strict=False))
        else:
            height, width = ((size - window) // step + 1 for size, window, step in zip(x, kernel, stride, strict=False))
        if height < 1 or width < 1:
            raise ValueError(f"{name}: a window of {kernel[0]}x{kernel[1]} does not fit a picture of {x[0]}x{x[1]}")
        return height, width

    def shape(self, x: Shape) -> Shape:
        return x

    def conv(
        self,
        x: Shape,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
        bias: bool = False,
    ) -> Shape:
        assert dilation == 1 or (stride == (1, 1) and padding == "same")
        height, width = self._window(x, kernel, stride, padding, name)
        self._kernel(name, (*kernel, x[2], filters), height * width)
        if bias:
            self.weights.append(Weight(name, "bias", (filters,)))
        return self._made((height, width, filters))

    def depthwise(
        self, x: Shape, kernel: int, *, name: str, stride: int = 1, dilation: int = 1, bias: bool = False
    ) -> Shape:
        assert dilation == 1 or stride == 1
        height, width = self._window(x, (kernel, kernel), (stride, stride), "same", name)
        self._kernel(name, (kernel, kernel, x[2], 1), height * width)
        if bias:
            self.weights.append(Weight(name, "bias", (x[2],)))
        return self._made((height, width, x[2]))

    def full_conv(self, x: Shape, filters: int, *, name: str) -> Shape:
        self._kernel(name, (*x, filters), 1)
        return self._made((1, 1, filters))

    def batch_norm(self, x: Shape, *, name: str) -> Shape:
        roles: tuple[Role, ...] = ("gamma", "beta", "moving_mean", "moving_variance")
        self.weights += [Weight(name, role, (x[2],)) for role in roles]
        return self._made(x)

    def relu(self, x: Shape, *, name: str) -> Shape:  # noqa: ARG002 - the protocol names every primitive
        return self._made(x)

    def tanh(self, x: Shape, *, name: str, scale: float = 1.0, slope: float = 1.0) -> Shape:  # noqa: ARG002
        return self._made(x)

    def local_response_norm(
        self,
        x: Shape,
        *,
        name: str,  # noqa: ARG002
        size: int,
        alpha: float,  # noqa: ARG002
        beta: float,  # noqa: ARG002
        bias: float,  # noqa: ARG002
    ) -> Shape:
        assert size % 2 == 1
        return self._made(x)

    def max_pool(self, x: Shape, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Shape:
        return self.avg_pool(x, size, name=name, stride=stride, padding=padding)

    def avg_pool(self, x: Shape, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Shape:
        height, width = self._window(x, (size, size), (stride, stride), padding, name)
        return self._made((height, width, x[2]))

    def subsample(self, x: Shape, *, name: str) -> Shape:
        return self.avg_pool(x, 1, name=name, stride=2)

    def shift(self, x: Shape, *, name: str) -> Shape:  # noqa: ARG002
        return self._made(x)

    def pad(self, x: Shape, rows: Pair, columns: Pair, *, name: str, channels: Pair = (0, 0)) -> Shape:  # noqa: ARG002
        return self._made((x[0] + sum(rows), x[1] + sum(columns), x[2] + sum(channels)))

    def select(self, x: Shape, start: int, stop: int, *, name: str) -> Shape:
        assert 0 <= start < stop <= x[2], f"{name}: channels {start} to {stop} of {x[2]}"
        return self._made((*x[:2], stop - start))

    def drop_path(self, x: Shape, depth: float, *, name: str) -> Shape:  # noqa: ARG002
        return x

    def dropout(self, x: Shape, *, name: str) -> Shape:  # noqa: ARG002
        return x

    def add(self, x: Shape, y: Shape, *, name: str) -> Shape:
        assert x == y, f"{name}: {x} + {y}"
        return self._made(x)

    def concat(self, xs: list[Shape], *, name: str) -> Shape:
        assert len({x[:2] for x in xs}) == 1, f"{name}: {xs}"
        return self._made((*xs[0][:2], sum(x[2] for x in xs)))

    def global_avg_pool(self, x: Shape, *, name: str) -> Shape:  # noqa: ARG002
        return self._made((x[2],))

    def dense(self, x: Shape, units: int, *, name: str) -> Shape:
        self._kernel(name, (math.prod(x), units), 1)
        self.weights.append(Weight(name, "bias", (units,)))
        return self._made((units,))

    def rbf(self, x: Shape, centers: tuple[tuple[int, ...], ...], *, name: str) -> Shape:
        assert all((len(center),) == x for center in centers), f"{name}: {x}"
        return self._made((len(centers),))


@dataclasses.dataclass(frozen=True)
class _Value:
    """A shape on its way through the walk, and the part that it comes from."""

    shape: Shape
    part: str


class _ByPart:
    """Every primitive of `_Counting`, with what it added written down for the part that its name begins with."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self._counting = _Counting()

    def shape(self, x: _Value) -> Shape:
        """See `Primitives.shape`."""
        return x.shape

    def __getattr__(self, primitive: str) -> Any:  # noqa: ANN401 - each has arguments of its own
        counted = getattr(self._counting, primitive)

        def call(x: _Value | list[_Value], *others: object, name: str, **options: object) -> _Value:
            sources = [*(x if isinstance(x, list) else [x]), *(y for y in others if isinstance(y, _Value))]
            weights, mult_adds = len(self._counting.weights), self._counting.mult_adds
            found = counted(_shapes(x), *map(_shapes, others), name=name, **options)
            added = sum(weight.size for weight in self._counting.weights[weights:] if weight.trainable)
            return self._note(name, found, added, self._counting.mult_adds - mult_adds, sources)

        return call

    def _note(self, name: str, shape: Shape, parameters: int, mult_adds: int, sources: list[_Value]) -> _Value:
        part = name.partition(".")[0]
        before = self.parts.get(part, Part(part, shape, 0, 0, ()))
        reads = dict.fromkeys((*before.reads, *(source.part for source in sources if source.part != part)))
        self.parts[part] = Part(part, shape, before.parameters + parameters, before.mult_adds + mult_adds, tuple(reads))
        return _Value(shape, part)


def _shapes(value: Any) -> Any:  # noqa: ANN401 - an argument of any primitive
    if isinstance(value, list):
        return [_shapes(item) for item in value]
    return value.shape if isinstance(value, _Value) else value
