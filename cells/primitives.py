"""The dozen primitives that every reading of a network implements.

The way from a value to a network is written once (`walks/`) against this Protocol. Read with Keras layers it gives a
model to train and export, with TensorFlow functions a child, with integers (`count.py`) shapes, weights and costs.

Pictures are `[height, width, channels]` here; a reading that computes adds the batch in front. `name` is unique in a
network and names the weights that a primitive owns: `<name>/kernel`, `<name>/gamma` and so on.
"""

from __future__ import annotations

import dataclasses
from typing import Generic, Literal, Protocol, TypeVar

T = TypeVar("T")
Padding = Literal["same", "valid"]
Pair = tuple[int, int]


class Primitives(Protocol[T]):
    """What a reading must be able to do. Square strides are given as one number twice."""

    def shape(self, x: T) -> tuple[int, ...]:
        """`[height, width, channels]` of a picture, `[channels]` of a vector, known before it computes.

        Cells do without (see `Feature`); networks that are drawn for one size, or pad to the largest, ask.
        """
        ...

    def conv(
        self,
        x: T,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
        bias: bool = False,
    ) -> T:
        """Convolution to `filters` channels. Never both strided and dilated."""
        ...

    def depthwise(self, x: T, kernel: int, *, name: str, stride: int = 1, dilation: int = 1, bias: bool = False) -> T:
        """One SAME filter a channel (depth multiplier 1). Never both strided and dilated.

        Of 1x1 with `bias` it scales and shifts each channel.
        """
        ...

    def full_conv(self, x: T, filters: int, *, name: str) -> T:
        """A VALID convolution whose kernel is as large as the picture: `[1, 1, filters]`."""
        ...

    def batch_norm(self, x: T, *, name: str) -> T:
        """Batch normalisation with scale and offset."""
        ...

    def relu(self, x: T, *, name: str) -> T:
        """max(x, 0)."""
        ...

    def tanh(self, x: T, *, name: str, scale: float = 1.0, slope: float = 1.0) -> T:
        """scale * tanh(slope * x)."""
        ...

    def local_response_norm(self, x: T, *, name: str, size: int, alpha: float, beta: float, bias: float) -> T:
        """x / (bias + alpha * s) ** beta, s being the sum of x ** 2 over `size` channels around.

        `size` is odd; channels that do not exist count as zero. (Krizhevsky et al. 2012, section 3.3; others divide
        alpha by the size.)
        """
        ...

    def max_pool(self, x: T, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> T:
        """Maximum pooling; under SAME the border's maximum is over the pixels that exist."""
        ...

    def avg_pool(self, x: T, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> T:
        """Average pooling; under SAME the border's average is over the pixels that exist."""
        ...

    def subsample(self, x: T, *, name: str) -> T:
        """Every second pixel of every second row, from the first: `ceil(size / 2)` of them."""
        ...

    def shift(self, x: T, *, name: str) -> T:
        """The picture moved one pixel up and to the left; zeros come in at the bottom and the right."""
        ...

    def pad(self, x: T, rows: Pair, columns: Pair, *, name: str, channels: Pair = (0, 0)) -> T:
        """Zeros around: so many rows above and below, columns to the left and right, channels before and after."""
        ...

    def select(self, x: T, start: int, stop: int, *, name: str) -> T:
        """The channels from `start` to `stop`, that one not among them."""
        ...

    def drop_path(self, x: T, depth: float, *, name: str) -> T:
        """A path that training may drop; `depth` in (0, 1] is its cell's place in the network. Identity otherwise."""
        ...

    def dropout(self, x: T, *, name: str) -> T:
        """The dropout in front of the classifier. Identity outside training."""
        ...

    def add(self, x: T, y: T, *, name: str) -> T:
        """Element-wise sum."""
        ...

    def concat(self, xs: list[T], *, name: str) -> T:
        """Concatenation along the channels, of two or more."""
        ...

    def global_avg_pool(self, x: T, *, name: str) -> T:
        """The mean over all pixels: `[channels]`."""
        ...

    def dense(self, x: T, units: int, *, name: str) -> T:
        """A fully connected layer with bias, on `[channels]`, or on a picture flattened by rows, channels innermost."""
        ...

    def rbf(self, x: T, centers: tuple[tuple[int, ...], ...], *, name: str) -> T:
        """-sum((x - center) ** 2) of a vector for each of some fixed ones, which nothing trains: `[number of centers]`.

        Euclidean radial basis functions (LeCun et al. 1998, section II.B), negated: the nearest is the largest.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Feature(Generic[T]):
    """A picture on its way through the walk. `level` counts the halvings since the stem.

    The walk knows channels and level by arithmetic, so it never looks at a height or a width: that is why one genotype
    gives the same weights at any resolution.
    """

    value: T
    channels: int
    level: int
