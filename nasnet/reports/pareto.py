"""The Pareto front of a search's trials: those that no other beats at both accuracy and cost. No TensorFlow."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from nasnet.runtime.console import say
from nasnet.runtime.files import write_text

_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Point:
    """A trial: its accuracy, and what the network that it would be exported as costs."""

    trial_id: int
    accuracy: float
    parameters: int
    mult_adds: int
    latency_ms: float | None = None


def front(accuracies: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Which points are on the front, the cheapest first.

    None of the others is as accurate and cheaper, or as cheap and more accurate. Of equals the first stands for all.
    """
    best, found = float("-inf"), []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], -accuracies[index], index)):
        if accuracies[index] > best:
            best = accuracies[index]
            found.append(index)
    return found


def cost_of(points: Sequence[Point]) -> str:
    """The cost that accuracy is held against: the latency where it was asked for, parameters elsewhere."""
    return "parameters" if any(point.latency_ms is None for point in points) else "latency_ms"


def report_front(points: Sequence[Point], path: Path) -> None:
    """Writes the front to a CSV file, the cheapest first, and says some of it. Raises UserError if it can't be written.

    The file has a row for each trial on a front, and says on which: of accuracy against `latency_ms`, or `parameters`
    and `mult_adds` where no latency was asked for.
    """
    if not points:
        return
    by = cost_of(points)
    costs = [by] if by == "latency_ms" else [by, "mult_adds"]
    on = {cost: front([p.accuracy for p in points], [getattr(p, cost) for p in points]) for cost in costs}
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(Point) if by == "latency_ms" or field.name != "latency_ms"]
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*names, "front"])
    for index in sorted({index for of in on.values() for index in of}, key=lambda i: (getattr(points[i], by), i)):
        fronts = " ".join(cost for cost in costs if index in on[cost])
        table.writerow([*(getattr(points[index], name) for name in names), fronts])
    write_text(path, text.getvalue())
    shown = on[by]
    # From the cheapest to the most accurate, evenly, where there are too many.
    if len(shown) > _SHOWN:
        shown = [shown[round(place * (len(shown) - 1) / (_SHOWN - 1))] for place in range(_SHOWN)]
    some = f", {len(shown)} of them below, all in {path}" if len(shown) < len(on[by]) else f", in {path}"
    what = "latency" if by == "latency_ms" else "parameters"
    say(f"Pareto front, accuracy against {what}: {len(on[by])} of {len(points)} trials{some}")
    for point in (points[index] for index in shown):
        cost = f"{point.parameters:,} parameters"
        cost = cost if point.latency_ms is None else f"{point.latency_ms:.3g} ms, {cost}"
        say(f"  trial {point.trial_id:4d}  accuracy {point.accuracy:.4f}  {cost}")
