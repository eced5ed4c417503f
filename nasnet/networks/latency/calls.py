"""The operations that a network asks a machine for, as values: what a table of latencies has rows of. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, cast

from cells.architecture import Architecture, Outputs
from cells.count import count

Shape = tuple[int, ...]

_FOLDED = ("conv", "depthwise")
_FREE = ("drop_path", "dropout")
"""What is not there outside of training."""
_SIZED = ("dense", "full_conv", "pad", "select", "rbf")
"""Primitives whose positional arguments are sizes of what they give."""
_DEFAULTS = (("stride", (1, 1)), ("stride", 1), ("dilation", 1), ("padding", "same"), ("bias", False))
"""Options that say what a call without them is: one call has one name."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One primitive on pictures of a size.

    Attributes:
        primitive: a method of `cells.primitives.Primitives`.
        inputs: what goes in: `[height, width, channels]` each, or `[channels]` of a vector.
        output: what comes out.
        arguments: positional, after the inputs.
        options: the keywords that were given, but for the name and for defaults.
        batch_norm: whether a batch norm follows at once: a convolution and that are one for most runtimes.
    """

    primitive: str
    inputs: tuple[Shape, ...]
    output: Shape
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    batch_norm: bool = False

    @property
    def kind(self) -> str:
        """What it is but for sizes: `conv 3x3 stride=(2, 2) batch_norm`. Calls of one kind are timed by their work."""
        said = self.arguments[1:] if self.primitive == "conv" else self.arguments
        said = () if self.primitive in _SIZED else said
        words = [self.primitive, *("x".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in said)]
        words += [f"{name}={value}" for name, value in self.options if name != "channels"]
        return " ".join([*words, *["batch_norm"] * self.batch_norm])

    @property
    def work(self) -> int:
        """Multiply-adds, numbers read and numbers written, of one picture: by what calls of a kind differ in time."""
        moved = math.prod(self.output) + sum(math.prod(shape) for shape in self.inputs)
        return self.mult_adds + moved

    @property
    def mult_adds(self) -> int:
        """One for each weight of a kernel at each place of the output."""
        first = self.inputs[0]
        if self.primitive == "conv":
            return math.prod(self.output) * math.prod(self.arguments[1]) * first[2]
        if self.primitive == "depthwise":
            return math.prod(self.output) * self.arguments[0] ** 2
        if self.primitive in ("dense", "full_conv"):
            return math.prod(first) * self.output[-1]
        return 0


def calls_of(architecture: Architecture, image_shape: Shape) -> tuple[Call, ...]:
    """The calls of a network for one picture, in the order of the walk, without what only training has.

    Raises:
        ValueError: if the picture is too small for the network.
    """
    heard = _Heard(architecture)
    count(cast(Architecture, heard), image_shape)
    return tuple(heard.calls)


class _Heard:
    """A network whose reading is written down: it is read by `cells.count`, whose values are shapes."""

    def __init__(self, architecture: Any) -> None:  # noqa: ANN401 - any network
        self._architecture = architecture
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the network's own
        return getattr(self._architecture, name)

    def walk(self, p: Any, image: Any, *, auxiliary: bool = False) -> Outputs[Any]:  # noqa: ANN401 - of any reading
        return self._architecture.walk(_Writing(p, self.calls), image, auxiliary=auxiliary)


class _Writing:
    """Every primitive of a reading of shapes, written down as it is called."""

    def __init__(self, reading: Any, calls: list[Call]) -> None:  # noqa: ANN401 - of `cells.count`, which is private
        self._reading, self._calls = reading, calls

    def __getattr__(self, primitive: str) -> Any:  # noqa: ANN401 - each has arguments of its own
        asked = getattr(self._reading, primitive)
        if primitive == "shape":
            return asked

        def call(x: Any, *arguments: Any, name: str, **options: Any) -> Any:  # noqa: ANN401
            made = asked(x, *arguments, name=name, **options)
            if primitive in _FREE:
                return made
            # A sum's second argument is a picture, a list has nothing but pictures.
            others = arguments[:1] if primitive == "add" else ()
            inputs = (*(x if isinstance(x, list) else [x]), *others)
            last = self._calls[-1] if self._calls else None
            if primitive == "batch_norm" and last and last.primitive in _FOLDED and last.output == x:
                self._calls[-1] = dataclasses.replace(last, batch_norm=True)
            else:
                said = tuple(sorted(item for item in options.items() if item not in _DEFAULTS))
                self._calls.append(Call(primitive, inputs, made, arguments[len(others) :], said))
            return made

        return call


Runtime = Literal["tensorflow", "litert"]
"""What runs a network where its latency counts."""
