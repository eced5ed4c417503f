"""A network made as large as another one, by whole numbers and without building it. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from cells.architecture import Architecture
from cells.count import Shape, count
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork

Measure = Literal["params", "mult_adds"]

TOLERANCE = 0.05
"""Share of the size that is asked for by which a matched network may be off."""
_WIDTHS = 10_000  # steps of a width in 1
_STEMS = tuple(half / 2 for half in range(1, 17))  # a stem's channels, as multiples of the first cell's

Family = Callable[[int], Architecture]
"""The networks that a change of one number makes, smaller ones first: numbered from 1."""


@dataclasses.dataclass(frozen=True)
class Match:
    """A network, as near to a size as its own numbers let it come.

    Attributes:
        architecture: the network; as it was given where none of its numbers makes it wider.
        size: its trainable parameters, or its mult-adds.
        target: what was asked for.
        changed: the numbers that are others than in the network that was given, by name.
        scales: whether there is a number that makes it wider.
    """

    architecture: Architecture
    size: int
    target: int
    changed: dict[str, float]
    scales: bool

    @property
    def off(self) -> float:
        """By what share of the target it is larger, or, below zero, smaller."""
        return self.size / self.target - 1

    @property
    def within(self) -> bool:
        """Whether it came near enough."""
        return abs(self.off) <= TOLERANCE


def size_of(architecture: Architecture, image_shape: Shape, measure: Measure) -> int:
    """Trainable parameters, or mult-adds of a picture, of what is left after training: no auxiliary head."""
    counts = count(architecture, image_shape)
    return counts.parameters if measure == "params" else counts.mult_adds


def matched(architecture: Architecture, image_shape: Shape, target: int, measure: Measure) -> Match:
    """The network made wider or narrower until it has `target` parameters or mult-adds, as near as it goes.

    A network by hand is changed in its `width`, a chain alike (each layer's filters and units times a number), one of
    cells in its `filters`. Cells of few filters come in coarse steps: where none is within `TOLERANCE`, the channels of
    the stem and then the number of repeats change, too.

    Args:
        architecture: the network.
        image_shape: `[height, width, channels]` that its mult-adds, and what reads a whole picture, are counted at.
        target: parameters or mult-adds.
        measure: which of them.

    Raises:
        ValueError: if the network cannot be for such pictures.
    """
    own = size_of(architecture, image_shape, measure)
    best = Match(architecture, own, target, {}, scales=False)
    for stage in _stages(architecture):
        for family in stage:
            for n, found, size in _nearest(family, image_shape, target, measure):
                match = Match(found, size, target, _changed(architecture, found, n), scales=True)
                if not best.scales or abs(match.off) < abs(best.off):
                    best = match
        if best.scales and best.within:
            break
    return best


def _stages(architecture: Architecture) -> Iterator[Iterable[Family]]:
    """Families of networks, those that change the fewest numbers first."""
    if isinstance(architecture, CellNetwork):
        yield [_filters(architecture)]
        yield [_filters(network) for network in _with_stems(architecture)]
        others = [n for n in range(1, 2 * architecture.repeats + 2) if n != architecture.repeats]
        for repeats in sorted(others, key=lambda n: abs(n - architecture.repeats)):
            network = dataclasses.replace(architecture, repeats=repeats)
            yield [_filters(network)]
            yield [_filters(stemmed) for stemmed in _with_stems(network)]
    elif isinstance(architecture, ChainNetwork):
        yield [lambda n: _wider(architecture, n / _WIDTHS)]
    elif any(field.name == "width" for field in dataclasses.fields(architecture)):
        yield [lambda n: dataclasses.replace(architecture, width=n / _WIDTHS)]


def _with_stems(network: CellNetwork) -> Iterator[CellNetwork]:
    return (dataclasses.replace(network, stem_multiplier=multiplier) for multiplier in _STEMS)


def _filters(network: CellNetwork) -> Family:
    step = 4 if network.stem == "imagenet" else 1
    return lambda n: dataclasses.replace(network, filters=step * (n + 1))


def _wider(network: ChainNetwork, width: float) -> ChainNetwork:
    def times(number: int) -> int:
        return max(1, round(width * number))

    genotype = network.genotype
    layers = tuple(dataclasses.replace(layer, filters=times(layer.filters)) for layer in genotype.layers)
    dense = tuple(map(times, genotype.dense))
    return dataclasses.replace(network, genotype=dataclasses.replace(genotype, layers=layers, dense=dense))


def _nearest(
    family: Family, image_shape: Shape, target: int, measure: Measure
) -> Iterator[tuple[int, Architecture, int]]:
    """The largest of a family that is not above the target, and the next one, or the smallest of all."""
    sizes: dict[int, int] = {}

    def above(n: int) -> bool:
        sizes[n] = size_of(family(n), image_shape, measure)
        return sizes[n] > target

    low, high = 0, 1  # the first is not above, or is no network; the second is
    while not above(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if above(middle) else (middle, high)
    return ((n, family(n), sizes[n]) for n in (low, high) if n)


def _changed(before: Architecture, after: Architecture, n: int) -> dict[str, float]:
    if isinstance(after, ChainNetwork):
        return {"width": n / _WIDTHS}
    names = [field.name for field in dataclasses.fields(after)]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
