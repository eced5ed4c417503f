"""LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning Applied to Document Recognition").

Section II.B of the paper, and as it is drawn today.
"""

from __future__ import annotations

import dataclasses
import random
from typing import ClassVar, TypeVar

from cells.architecture import Outputs
from cells.primitives import Feature, Primitives
from cells.zoo.hand_made import HandMade, check_size

T = TypeVar("T")

MAPS = (6, 16)
"""Feature maps of C1 and S2, of C3 and S4."""
UNITS = (120, 84)
"""Of C5 and of F6."""
LEAST = 16
"""Pixels a side that leave one to the second pooling."""
READ_BY_C3 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
"""Table I: the maps of S2 that each map of C3 reads."""
AMPLITUDE, SLOPE = 1.7159, 2 / 3
"""Of the squashing function A tanh(S a), appendix A."""


@dataclasses.dataclass(frozen=True)
class LeNet5(HandMade):
    """An `Architecture`: as drawn today, two 5x5 convolutions with poolings, three fully connected layers.

    61,706 parameters at 32x32x1 with 10 classes. The kernel of the first fully connected layer, which is C5 of the
    paper, depends on the picture's size.
    """

    # Differs from the paper: every map of C3 reads every map of S2; the average takes the place of trainable
    # subsampling; ReLU that of the scaled tanh, as in all that came after 2012; the output is a linear layer.

    image_shape: ClassVar[tuple[int, int, int]] = (32, 32, 1)
    published_classes: ClassVar[int] = 10

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return "lenet5"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return ("conv_1", "conv_2", "fc_1", "fc_2", "head")

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. Raises ValueError below 16x16 too."""
        if auxiliary:
            raise ValueError("lenet5 has no auxiliary head")
        check_size("lenet5, whose conv_2 is followed by the second pooling, needs", p.shape(image), LEAST)
        x, endpoints = image, {}
        for level, maps in enumerate(map(self.scaled, MAPS), 1):
            name = f"conv_{level}"
            x = p.conv(x, maps, (5, 5), padding="valid", bias=True, name=f"{name}.conv")
            x = p.relu(x, name=f"{name}.relu")
            x = p.avg_pool(x, 2, stride=2, padding="valid", name=f"{name}.pool")
            endpoints[name] = Feature(x, maps, level)
        for layer, units in enumerate(map(self.scaled, UNITS), 1):
            x = p.relu(p.dense(x, units, name=f"fc_{layer}.dense"), name=f"fc_{layer}.relu")
        return Outputs(p.dense(x, self.classes, name="head.dense"), (), endpoints)


@dataclasses.dataclass(frozen=True)
class LeNet5Of1998(HandMade):
    """An `Architecture`: the published one, with partial connections, trainable subsampling and fixed output units.

    60,000 parameters at 32x32x1. Each output unit is the squared distance of F6 to a code of its class (a radial basis
    function); the logits are the distances, negated. C5 is as large as what S4 leaves, so its kernel depends on the
    picture's size.

    At another width S2's six maps are groups of maps, and C3 has no fewer than its 16, one for each column of table I.
    """

    # Differs from the paper: a code there is a picture of the class's character in 7x12 pixels (figure 3), which only
    # characters have; here it is drawn once and for all, so that any classes have one. Trained by cross-entropy on the
    # negated distances this is its criterion (equation 9) without the constant e^-j for rubbish.
    # Differs from the paper: S2 and S4 take the mean of four pixels, not the sum: coefficients are four times theirs.

    image_shape: ClassVar[tuple[int, int, int]] = (32, 32, 1)
    published_classes: ClassVar[int] = 10

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return "lenet5_1998"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`. F6 writes the codes of the classes: it is the head that has weights."""
        return ("c1", "s2", "c3", "s4", "c5", "head")

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. Raises ValueError below 16x16 too."""
        if auxiliary:
            raise ValueError("lenet5_1998 has no auxiliary head")
        check_size("lenet5_1998, whose c3 is followed by s4, needs", p.shape(image), LEAST)
        maps = self.scaled(MAPS[0])
        x = p.conv(image, maps, (5, 5), padding="valid", bias=True, name="c1.conv")
        x = self._subsampled(p, _squashed(p, x, "c1"), "s2")
        endpoints = {"s2": Feature(x, maps, 1)}
        x = self._partial(p, x, maps)
        x = self._subsampled(p, _squashed(p, x, "c3"), "s4")
        endpoints["s4"] = Feature(x, self._maps_of_c3, 2)
        x = _squashed(p, p.dense(x, self.scaled(UNITS[0]), name="c5.dense"), "c5")
        bits = max(self.scaled(UNITS[1]), (self.classes - 1).bit_length())
        x = _squashed(p, p.dense(x, bits, name="head.f6"), "head")
        return Outputs(p.rbf(x, codes(self.classes, bits), name="head.rbf"), (), endpoints)

    @property
    def _maps_of_c3(self) -> int:
        return max(MAPS[1], self.scaled(MAPS[1]))

    def _partial(self, p: Primitives[T], x: T, maps: int) -> T:
        """C3: each of its maps, or groups of them, reads some of S2's."""
        found: list[T] = []
        for index, columns in enumerate(READ_BY_C3):
            name = f"c3.map_{index}"
            read = sorted({channel for column in columns for channel in _share(column, MAPS[0], maps)})
            # Runs of neighbours, each cut out at once.
            starts = [channel for channel in read if channel - 1 not in read]
            stops = [channel + 1 for channel in read if channel + 1 not in read]
            runs = [
                p.select(x, start, stop, name=f"{name}.from_{start}")
                for start, stop in zip(starts, stops, strict=True)
                if (start, stop) != (0, maps)
            ]
            together = (runs[0] if len(runs) == 1 else p.concat(runs, name=f"{name}.read")) if runs else x
            filters = len(_share(index, MAPS[1], self._maps_of_c3))
            found.append(p.conv(together, filters, (5, 5), padding="valid", bias=True, name=name))
        return p.concat(found, name="c3.concat")

    def _subsampled(self, p: Primitives[T], x: T, name: str) -> T:
        x = p.avg_pool(x, 2, stride=2, padding="valid", name=f"{name}.pool")
        return _squashed(p, p.depthwise(x, 1, bias=True, name=f"{name}.scale"), name)


def _squashed(p: Primitives[T], x: T, name: str) -> T:
    return p.tanh(x, scale=AMPLITUDE, slope=SLOPE, name=f"{name}.tanh")


def _share(index: int, groups: int, channels: int) -> range:
    """Which of the channels are the group's: as even as it goes, and at least one, which groups may then share."""
    start = index * channels // groups
    return range(start, max(start + 1, (index + 1) * channels // groups))


def codes(classes: int, bits: int) -> tuple[tuple[int, ...], ...]:
    """A code of -1 and 1 for each class, no two alike: of the first classes the same, however many there are.

    Needs `classes <= 2**bits`.
    """
    rng = random.Random(1998)  # the documentation promises that `random()` stays the same
    found: dict[tuple[int, ...], None] = {}
    while len(found) < classes:
        found[tuple(1 if rng.random() < 0.5 else -1 for _ in range(bits))] = None
    return tuple(found)


NETWORKS = {"lenet5": LeNet5, "lenet5_1998": LeNet5Of1998}
"""`--model` name -> the network, given classes and width."""
