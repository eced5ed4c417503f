"""A network made as large as another one, by whole numbers and without building it. No TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Literal

from cells.architecture import Architecture
from cells.count import Shape, count
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from cells.zoo.hand_made import HandMade

Measure = Literal["params", "mult_adds"]

TOLERANCE = 0.05
"""Share of the size that is asked for by which a matched network may be off."""
_WIDTHS = 10_000  # steps of a width in 1
_HALVES = 64  # of a stem's multiplier, at most: half the cells of 72,000 parameters need more than 8 (docs/search.md)
_GUESSES = 2  # by the square that most sizes grow by, before what is left is halved once

OF_CELLS = ("filters", "stem_multiplier", "repeats")
"""The numbers that are changed of a network of cells, in this order."""


@dataclasses.dataclass(frozen=True)
class _Family:
    """The networks that a change of one number makes, smaller ones first: from 1 to `most`, looked for from `start`.

    Those near `share` of the size that is asked for are looked for.
    """

    of: Callable[[int], Architecture]
    start: int
    most: float = math.inf
    share: float = 1.0


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


@functools.lru_cache(maxsize=4096)  # a search asks for the same network again and again
def matched(
    architecture: Architecture,
    image_shape: Shape,
    target: int,
    measure: Measure,
    changing: tuple[str, ...] = OF_CELLS,
) -> Match:
    """The network made wider or narrower until it has `target` parameters or mult-adds, as near as it goes.

    A network by hand is changed in its `width`, a chain alike (each layer's filters and units times a number), one of
    cells in its `filters`. Cells of few filters come in coarse steps: where none is within `TOLERANCE`, the channels of
    the stem change, too, by as little as brings it within (a stem that makes up for all that lacks may take more
    mult-adds than all cells together), and then the number of repeats.

    Args:
        architecture: the network.
        image_shape: `[height, width, channels]` that its mult-adds, and what reads a whole picture, are counted at.
        target: parameters or mult-adds.
        measure: which of them.
        changing: those of `OF_CELLS` that may change; filters do in any case.

    Raises:
        ValueError: if the network cannot be for such pictures.
    """
    best: Match | None = None

    def near(family: _Family) -> list[Match]:
        looked_for = math.floor(family.share * target)
        found = _nearest(family, lambda network: size_of(network, image_shape, measure), looked_for)
        changed = [_changed(architecture, network, n) for n, network, _ in found]
        return [
            Match(network, size, target, names, scales=True)
            for (_, network, size), names in zip(found, changed, strict=True)
        ]

    for stage in _stages(architecture, near, changing):
        found = stage if best is None else [best, *stage]
        best = min(found, key=lambda match: abs(match.off))
        if best.within:
            break
    return best or Match(architecture, size_of(architecture, image_shape, measure), target, {}, scales=False)


def _stages(
    architecture: Architecture, near: Callable[[_Family], list[Match]], changing: tuple[str, ...]
) -> Iterator[list[Match]]:
    """The nearest networks of each family, those first that change the fewest numbers."""
    if isinstance(architecture, CellNetwork):
        others = [n for n in range(1, 2 * architecture.repeats + 2) if n != architecture.repeats]
        nearest_first = sorted(others, key=lambda n: abs(n - architecture.repeats)) if "repeats" in changing else ()
        for repeats in (architecture.repeats, *nearest_first):
            found = near(_filters(dataclasses.replace(architecture, repeats=repeats)))
            yield found
            if "stem_multiplier" in changing:
                yield _stemmed(found, near)
    elif isinstance(architecture, ChainNetwork):
        yield near(_Family(lambda n: _wider(architecture, n / _WIDTHS), _WIDTHS))
    elif isinstance(architecture, HandMade):
        start = max(1, round(architecture.width * _WIDTHS))
        yield near(_Family(lambda n: dataclasses.replace(architecture, width=n / _WIDTHS), start))


def _stemmed(found: list[Match], near: Callable[[_Family], list[Match]]) -> list[Match]:
    """Of networks of neighbouring filters the one whose stem has to change least, or all where no stem is enough."""
    stemmed = [
        (abs(math.log(_stem_filters(other) / _stem_filters(match))), other)
        for match in found
        for other in near(_stems(match.architecture, wider=match.off < 0))
    ]
    within = [each for each in stemmed if each[1].within]
    return [min(within, key=lambda each: each[0])[1]] if within else [match for _, match in stemmed]


def _stem_filters(match: Match) -> int:
    assert isinstance(match.architecture, CellNetwork)
    return match.architecture.stem_filters


def _filters(network: CellNetwork) -> _Family:
    step = 4 if network.stem == "imagenet" else 1
    return _Family(
        lambda n: dataclasses.replace(network, filters=step * (n + 1)), max(1, round(network.filters / step) - 1)
    )


def _stems(network: Architecture, *, wider: bool) -> _Family:
    assert isinstance(network, CellNetwork)
    # The widest or the narrowest first: where that is not enough, there is nothing more to look for.
    start, edge = (_HALVES, 1 - TOLERANCE) if wider else (1, 1 + TOLERANCE)
    return _Family(lambda n: dataclasses.replace(network, stem_multiplier=n / 2), start, _HALVES, edge)


def _wider(network: ChainNetwork, width: float) -> ChainNetwork:
    def times(number: int) -> int:
        return max(1, round(width * number))

    genotype = network.genotype
    layers = tuple(dataclasses.replace(layer, filters=times(layer.filters)) for layer in genotype.layers)
    dense = tuple(map(times, genotype.dense))
    return dataclasses.replace(network, genotype=dataclasses.replace(genotype, layers=layers, dense=dense))


def _nearest(
    family: _Family, size_at: Callable[[Architecture], int], target: int
) -> list[tuple[int, Architecture, int]]:
    """The largest of a family that is not above the target, and the next one, where there are such."""
    found: dict[int, tuple[int, Architecture, int]] = {}
    low, high, n = 0, family.most + 1, family.start  # what is low is not above, what is high is, or there is none
    for turn in itertools.count(1):
        if high - low <= 1:
            break
        network = family.of(n)
        size = size_at(network)
        found[n] = n, network, size
        low, high = (low, n) if size > target else (n, high)
        guess = round(n * math.sqrt(target / size))
        if low in found and high in found:
            (_, _, below), (_, _, above) = found[low], found[int(high)]
            guess = low + round((high - low) * (target - below) / (above - below))
        if turn % (_GUESSES + 1) == 0:
            guess = 2 * low if high == math.inf else (low + int(high)) // 2
        n = int(min(max(guess, low + 1), high - 1))
    return [of_it for n, of_it in sorted(found.items()) if n in (low, high)]


def _changed(before: Architecture, after: Architecture, n: int) -> dict[str, float]:
    if isinstance(after, ChainNetwork):
        return {"width": n / _WIDTHS}
    names = [field.name for field in dataclasses.fields(after)]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
