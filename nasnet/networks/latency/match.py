"""Networks made as fast as another one, by measuring: what counting cannot tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from nasnet.networks.latency.calls import Runtime
from nasnet.networks.latency.table import Time
from nasnet.networks.matching import matched, size_of
from nasnet.networks.spec import NetworkSpec

TOLERANCE = 0.1
"""Share of the other's latency by which a network may be slower or faster: clocks are less sure than counts."""
_MOST = 6
"""Networks that are timed for one that is to be made as fast."""
_STEP = 4.0
"""Times as many mult-adds, or as few, as the next network has at most while all were too fast, or too slow."""


@dataclasses.dataclass(frozen=True)
class AsFast:
    """A network as near to another's latency as it came, by which numbers changed, and both as measured."""

    spec: NetworkSpec
    changed: Mapping[str, float]
    time: Time
    first: Time

    @property
    def off(self) -> float:
        """By what share it is slower than the first, or, below zero, faster."""
        return self.time.median / self.first.median - 1

    @property
    def within(self) -> bool:
        """Whether it came near enough."""
        return abs(self.off) <= TOLERANCE


Timed = Callable[[NetworkSpec, Runtime], Time]


def as_fast(first: NetworkSpec, others: Sequence[NetworkSpec], on: Runtime, timed: Timed) -> list[AsFast]:
    """Each of the others, wider or narrower until it is as fast as the first.

    The first is timed anew before each: what else a machine does comes and goes. Cells go by their filters, others by
    their width, and of the networks that were timed the nearest is taken.
    """
    return [_nearest(first, other, on, timed) for other in others]


def _nearest(first: NetworkSpec, other: NetworkSpec, on: Runtime, timed: Timed) -> AsFast:
    size = float(size_of(first.architecture, first.image_shape, "mult_adds"))
    found: dict[NetworkSpec, AsFast] = {}
    fast: tuple[float, float] | None = None  # mult-adds and times the first's latency of the largest that was too fast
    slow: tuple[float, float] | None = None
    while len(found) < _MOST:
        match = matched(other.architecture, other.image_shape, max(1, round(size)), "mult_adds", ("filters",))
        spec = dataclasses.replace(other, architecture=match.architecture)
        if spec in found:  # there is nothing between
            break
        target = timed(first, on)
        found[spec] = AsFast(spec, match.changed, timed(spec, on), target)
        if abs(found[spec].off) <= TOLERANCE / 2 or not match.scales:
            break
        here = float(match.size), 1 + found[spec].off
        fast, slow = (fast, here) if here[1] > 1 else (here, slow)
        if fast and slow:
            share = (1 - fast[1]) / (slow[1] - fast[1])
            size = fast[0] * (slow[0] / fast[0]) ** min(max(share, 0.1), 0.9)
        else:
            size = here[0] * min(max(here[1] ** -1.5, 1 / _STEP), _STEP)
    return min(found.values(), key=lambda each: abs(each.off))
