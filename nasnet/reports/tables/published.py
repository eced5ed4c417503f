"""The papers' tables with our counts beside the printed ones, and what does not come out. No TensorFlow."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from cells.count import count
from cells.zoo.published import TABLES, Row, Table

CLOSE = 0.01
"""A printed count comes out where ours rounds to it, or is no farther from it than this share."""
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}


@dataclasses.dataclass(frozen=True)
class Run:
    """A network that was trained here: what `docs/results.md` says of it, and where."""

    network: str
    data: str
    parameters: int
    accuracy: str
    where: str


RUNS = (
    Run(
        "NASNet-A N=1 F=8",
        "Fashion-MNIST",
        71_938,
        "93.07 +- 0.11 (3 seeds)",
        "docs/results.md, 2026-11-25: NASNet-A on Fashion-MNIST, and from there to digits",
    ),
)
"""None is on a data set of the papers' tables, so that those have no column of our scores."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """A count as printed, such as "3.3M", and ours; either may be missing."""

    printed: str
    ours: int | None

    @property
    def difference(self) -> float | None:
        """Ours over the printed one, less one; None where there are not both."""
        if not self.printed or self.ours is None:
            return None
        return self.ours / _value(self.printed)[0] - 1

    @property
    def comes_out(self) -> bool:
        """Whether nothing is known against the printed figure."""
        if self.difference is None or self.ours is None:
            return True
        value, half = _value(self.printed)
        return abs(self.ours - value) <= half or abs(self.difference) <= CLOSE

    @property
    def said(self) -> str:
        """The difference in words: "=" where ours rounds to the printed figure."""
        if self.difference is None or self.ours is None:
            return "-"
        value, half = _value(self.printed)
        return "=" if abs(self.ours - value) <= half else f"{100 * self.difference:+.1f}%"


def _value(printed: str) -> tuple[float, float]:
    """A printed count, and half a unit of its last digit."""
    digits, unit = (printed[:-1], _UNITS[printed[-1]]) if printed[-1] in _UNITS else (printed, 1.0)
    decimals = len(digits.partition(".")[2])
    return float(digits.replace(",", "")) * unit, 0.5 * 10.0**-decimals * unit


@dataclasses.dataclass(frozen=True)
class Line:
    """A row of a table, compared. `comes_out` is about both of its counts."""

    row: Row
    parameters: Compared
    mult_adds: Compared

    @property
    def comes_out(self) -> bool:
        """Whether both counts do."""
        return self.parameters.comes_out and self.mult_adds.comes_out


@functools.cache
def compared(row: Row) -> Line:
    """Counts the row's network, if there is one."""
    if row.network is None:
        return Line(row, Compared(row.parameters, None), Compared(row.mult_adds, None))
    counts = count(row.network, (row.size, row.size, 3))
    return Line(row, Compared(row.parameters, counts.parameters), Compared(row.mult_adds, counts.mult_adds))


def _head(table: Table) -> list[str]:
    mult_adds = (", paper", ", ours", ", off by") if _prints_mult_adds(table) else (", ours",)
    counts = [
        *(f"parameters{what}" for what in (", paper", ", ours", ", off by")),
        *(f"mult-adds{w}" for w in mult_adds),
    ]
    return ["network", *counts, *(f"{score}, paper" for score in table.scores), "source"]


def _cells(table: Table, line: Line) -> list[str]:
    """One row as text: counts as printed, ours, their difference; scores as printed."""
    found = [line.row.name + " *" * (not line.comes_out)]
    for counted, whole in ((line.parameters, True), (line.mult_adds, _prints_mult_adds(table))):
        ours = "-" if counted.ours is None else f"{counted.ours:,}"
        found += [counted.printed or "-", ours, counted.said] if whole else [ours]
    return [*found, *(score or "-" for score in line.row.scores), line.row.source]


def _prints_mult_adds(table: Table) -> bool:
    return any(row.mult_adds for row in table.rows)


_RUN_HEAD = ["network", "data", "parameters", "test accuracy %, ours", "where"]


def _runs() -> list[list[str]]:
    return [[run.network, run.data, f"{run.parameters:,}", run.accuracy, run.where] for run in RUNS]


def _notes(table: Table) -> list[str]:
    """What is to be said of the rows; first those that do not come out, marked in the table."""
    lines = sorted(map(compared, table.rows), key=lambda line: line.comes_out)
    notes: dict[tuple[bool, str], list[str]] = {}
    for line in lines:
        if line.row.remark:
            notes.setdefault((line.comes_out, line.row.remark), []).append(line.row.name)
    return [f"{'' if comes_out else '* '}{'; '.join(names)}: {remark}" for (comes_out, remark), names in notes.items()]


def as_text() -> list[str]:
    """The lines of all tables, for the screen."""
    lines = [
        'Counts of the papers and ours: "=" where ours rounds to the printed one, * where it does not come out.',
        "Scores are the papers'.",
    ]
    for table in TABLES.values():
        rows = [_cells(table, compared(row)) for row in table.rows]
        lines += ["", table.title, *_columns([_head(table), *rows], left=(0, -1)), *_notes(table)]
    return [*lines, "", "Runs of ours", *_columns([_RUN_HEAD, *_runs()], left=(0, 1, -1))]


def _columns(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Rows as wide as their widest cell; the head's words stand one below the other where there is a comma."""
    head = [cell.split(", ") for cell in rows[0]]
    depth = max(map(len, head))
    tops = [[[*[""] * (depth - len(words)), *words][level] for words in head] for level in range(depth)]
    shown = [*tops, *rows[1:]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    places = {column % len(head) for column in left}
    return [
        "  ".join(
            cell.ljust(width) if column in places else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]


def as_markdown() -> list[str]:
    """The same, for a document."""
    lines: list[str] = []
    for table in TABLES.values():
        rows = [_cells(table, compared(row)) for row in table.rows]
        lines += [f"## {table.title}", "", *_pipes([_head(table), *rows]), ""]
        lines += [f"- {note.replace('*', chr(92) + '*')}" for note in _notes(table)]
        lines += [""]
    return [*lines, "## Runs of ours", "", *_pipes([_RUN_HEAD, *_runs()])]


def _pipes(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *rest = ["| " + " | ".join(cell.replace("*", "\\*") for cell in row) + " |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *rest]


def as_csv() -> list[str]:
    """One line a row and a head, whole numbers without separators, empty where nothing is known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = list(dict.fromkeys(score for table in TABLES.values() for score in table.scores))
    counts = [f"{name}_{whose}" for name in ("parameters", "mult_adds") for whose in ("paper", "ours", "difference")]
    writer.writerow(
        ["table", "network", "comes_out", *counts, *(f"{score} paper" for score in scores), "source", "remark"]
    )
    for name, table in TABLES.items():
        for line in map(compared, table.rows):
            printed = dict(zip(table.scores, line.row.scores, strict=True))
            figures = [
                "" if cell is None else cell
                for counted in (line.parameters, line.mult_adds)
                for cell in (counted.printed, counted.ours, counted.difference)
            ]
            marks = "" if line.row.network is None else "yes" if line.comes_out else "no"
            row = [name, line.row.name, marks, *figures, *(printed.get(score, "") for score in scores)]
            writer.writerow([*row, line.row.source, line.row.remark])
    return text.getvalue().splitlines()


FORMATS: Mapping[str, Callable[[], list[str]]] = MappingProxyType(
    {"text": as_text, "markdown": as_markdown, "csv": as_csv}
)
"""`TableConfig.format` -> what makes its lines."""
