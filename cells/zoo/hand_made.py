"""What networks drawn by hand share: their width, their JSON, and a convolution with a ReLU."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar, TypeVar

from cells.architecture import BadField, Fan, Outputs
from cells.primitives import Pair, Primitives

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class HandMade(abc.ABC):
    """The part of an `Architecture` that is the same for all of them.

    Attributes:
        classes: size of the logits.
        width: multiplies each hidden count of channels or units, which is rounded and at least 1; 1 is as published.
    """

    classes: int
    width: float = 1.0
    image_shape: ClassVar[tuple[int, int, int]]
    """`(height, width, channels)` that it was published for."""
    published_classes: ClassVar[int]
    """Classes that it was published for."""

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise BadField("classes", self.classes, "must be 2 or more")
        if not 0 < self.width < math.inf:
            raise BadField("width", self.width, "must be a number above 0")

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """Its name: what `--model` takes, and its JSON's "kind"."""
        ...

    @property
    @abc.abstractmethod
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        ...

    @property
    def batch_norm(self) -> tuple[float, float]:
        """See `Architecture.batch_norm`: PyTorch's, whose momentum of 0.1 is Keras' 0.9. Most of them have none."""
        return 0.9, 1e-5

    @property
    def fan(self) -> Fan:
        """See `Architecture.fan`: He et al. 2015 (arXiv 1502.01852), for most have no batch norm.

        Differs from the papers: each had an initialisation of its own, of which some stop at once where depth, width or
        pictures are others (VGG-16 began from a shallower network's weights).
        """
        return "fan_in"

    def scaled(self, count: int) -> int:
        """So many channels or units at this width."""
        return max(1, round(self.width * count))

    @abc.abstractmethod
    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`."""
        ...

    def describe(self) -> str:
        """See `Architecture.describe`."""
        return self.kind if self.width == 1 else f"{self.kind} width={self.width:g}"

    def to_json(self) -> dict[str, Any]:
        """See `Architecture.to_json`. Readers know the classes from elsewhere: by their names."""
        return {"version": 1, "kind": self.kind, "network": {"width": self.width}}


def check_size(what: str, shape: tuple[int, ...], least: int) -> None:
    """Raises ValueError, which names `what`, where a side of the picture is below `least`."""
    height, width, _ = shape
    if min(height, width) < least:
        raise ValueError(f"{what} pictures of {least}x{least} or more, got {height}x{width}")


def conv_relu(p: Primitives[T], x: T, filters: int, size: int, *, name: str) -> T:
    """A SAME convolution with bias, and a ReLU."""
    kernel: Pair = (size, size)
    return p.relu(p.conv(x, filters, kernel, bias=True, name=name), name=f"{name}.relu")


def padded_conv(p: Primitives[T], x: T, filters: int, size: int, *, stride: int, name: str, bias: bool = False) -> T:
    """A convolution that sees `size // 2` zeros on every side, as Caffe and PyTorch have it.

    TensorFlow's SAME would start a strided one of an even picture a pixel later.
    """
    kernel = (size, size)
    if stride == 1:
        return p.conv(x, filters, kernel, name=name, bias=bias)
    if size > 1:
        x = p.pad(x, (size // 2, size // 2), (size // 2, size // 2), name=f"{name}.pad")
        return p.conv(x, filters, kernel, stride=(stride, stride), padding="valid", name=name, bias=bias)
    return p.conv(x, filters, kernel, stride=(stride, stride), name=name, bias=bias)
