"""A machine's table of operations and their times, and what it says of a network. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nasnet.networks.latency.calls import Call, Runtime
from nasnet.runtime.schema import check

VERSION = 2
"""1 was measured by the clock, which on a busy machine is several times the processor's time."""
_ROWS, _ROWS_OF_A_KIND = 200, (2, 6)
"""How many calls are timed, about, and how many sizes of each kind; what is between them is interpolated."""


@dataclasses.dataclass(frozen=True)
class Time:
    """The median of many runs, in seconds, and their spread: how far apart the 10th and the 90th percentile are."""

    median: float
    spread: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Time:
        """Of so many runs."""
        low, middle, high = np.percentile(seconds, (10, 50, 90))
        return cls(float(middle), float(high - low))


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """What the operations of a space's networks take on one machine, one picture at a time, on one thread.

    Attributes:
        on: what ran them.
        rows: kind of a call -> (work, seconds) of the sizes that were timed, the least work first.
        start: seconds of a network that does nothing: what each call of one costs beside its operations.
        scale: what sums are multiplied by: the median, over some whole networks, of what one took over its sum.
        whole: (sum, measured) of those networks, in seconds, the sums not yet multiplied.
        spread: the median, over the rows, of a row's spread over its time.
        machine: where it was measured, and by what: any words and versions.
    """

    on: Runtime
    rows: Mapping[str, tuple[tuple[int, float], ...]]
    start: float
    scale: float = 1.0
    whole: tuple[tuple[float, float], ...] = ()
    spread: float = 0.0
    machine: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def seconds(self, calls: Iterable[Call]) -> float:
        """What a network of these calls takes for one picture.

        A call of a kind that has no row is taken to be as slow as the slowest of its primitive, or of all.
        """
        return self.scale * self.sum(calls)

    def sum(self, calls: Iterable[Call]) -> float:
        """As `seconds`, before it is held against whole networks."""
        return self.start + sum(self._call(call.kind, call.work) for call in calls)

    def _call(self, kind: str, work: int) -> float:
        if kind not in self.rows:
            alike = [known for known in self.rows if known.split()[0] == kind.split()[0]] or list(self.rows)
            return max(self._call(known, work) for known in alike)
        works, seconds = zip(*self.rows[kind], strict=True)
        if work > works[-1]:  # beyond what was timed a call takes as long for its work as the largest did
            return seconds[-1] * work / works[-1]
        return float(np.interp(work, works, seconds))

    def calibrated(self, whole: Sequence[tuple[float, float]]) -> LatencyTable:
        """The same table, its sums held against whole networks: (sum, measured) of each, in seconds."""
        scale = float(np.median([measured / summed for summed, measured in whole]))
        return dataclasses.replace(self, scale=scale, whole=tuple(whole))

    @property
    def errors(self) -> tuple[float, ...]:
        """What it says of each whole network over what that took, less 1: its scale is then that of the others."""
        ratios = [measured / summed for summed, measured in self.whole]
        if len(ratios) < 2:
            return ()
        others = [float(np.median(ratios[:index] + ratios[index + 1 :])) for index in range(len(ratios))]
        return tuple(scale / ratio - 1 for scale, ratio in zip(others, ratios, strict=True))

    def describe(self) -> str:
        """One line for the screen: how many rows, how far from whole networks."""
        sizes = np.abs(self.errors)
        middle, most = (float(np.percentile(sizes, at)) for at in (50, 90)) if len(sizes) else (np.nan, np.nan)
        return (
            f"latency table: {sum(map(len, self.rows.values()))} operations on {self.on}, one thread; of "
            f"{len(self.whole)} whole networks median error {middle:.0%}, {most:.0%} at 90%"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with the errors for who reads the file."""
        return {"version": VERSION, **dataclasses.asdict(self), "errors": list(self.errors)}

    @classmethod
    def from_json(cls, value: Any) -> LatencyTable:  # noqa: ANN401 - whatever a file held
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        check(value, "latency")
        table = cls(
            value["on"],
            {kind: tuple((int(work), float(time)) for work, time in of) for kind, of in value["rows"].items()},
            float(value["start"]),
            float(value["scale"]),
            tuple((float(summed), float(measured)) for summed, measured in value["whole"]),
            float(value["spread"]),
            value["machine"],
        )
        times = [time for of in table.rows.values() for _, time in of]
        if not np.isfinite([table.start, table.scale, table.spread, *times, *np.ravel(table.whole)]).all():
            raise ValueError("one of its times is no number")
        if unordered := [kind for kind, of in table.rows.items() if [*of] != sorted(of)]:
            raise ValueError(f"its rows of {unordered[0]!r} are out of order; expected the least work first")
        return table


def rows_of(networks: Iterable[Iterable[Call]]) -> list[Call]:
    """Which calls of some networks are timed: of each kind the least and the most work, and some between."""
    kinds: dict[str, dict[int, Call]] = {}
    for calls in networks:
        for call in calls:
            kinds.setdefault(call.kind, {}).setdefault(call.work, call)
    fewest, most = _ROWS_OF_A_KIND
    sizes = min(most, max(fewest, _ROWS // max(1, len(kinds))))
    chosen: list[Call] = []
    for by_work in kinds.values():
        works = sorted(by_work)
        # By rank: sizes that many networks have are near to one another, and so are the rows.
        places = np.unique(np.linspace(0, len(works) - 1, sizes).round().astype(int))
        chosen += [by_work[works[place]] for place in places]
    return chosen
