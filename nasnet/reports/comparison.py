"""What a comparison found: its statistics, and as a table, `compare.json`, `compare.csv` and a plot. No TensorFlow."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasnet.runtime.clock import clock
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import replaced, write_text

CONFIDENCE = 0.95
_MOST_LETTERS = 28  # of a network's name on the screen
_ALIKE = 1e-9  # differences of shares that are one but for the last bits
_WIDE = 3  # sizes that differ by more are drawn over logarithms


@dataclasses.dataclass(frozen=True)
class Paired:
    """The mean of the differences over the seeds that two networks share, and its 95% t-interval.

    The interval is None of fewer than two seeds, and where they all differ alike: of few pictures there are few values
    that a difference can have. It speaks of other seeds on the same pictures, of nothing else.
    """

    mean: float
    interval: tuple[float, float] | None
    seeds: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One network of a comparison.

    Attributes:
        name: as it was given.
        architecture: in a few words.
        parameters, mult_adds: of what is left after training, for one picture.
        accuracies: on valid, seed -> share; without those that failed.
        test: on test, seed -> share; None where that split stayed closed.
        train_seconds, pictures_per_second: by seed, where they are known.
        failures: seed -> one line.
        note: what is to be known of its size; empty where there is nothing.
    """

    name: str
    architecture: str
    parameters: int
    mult_adds: int
    accuracies: Mapping[int, float]
    test: Mapping[int, float] | None = None
    train_seconds: Mapping[int, float] = dataclasses.field(default_factory=dict)
    pictures_per_second: Mapping[int, float] = dataclasses.field(default_factory=dict)
    failures: Mapping[int, str] = dataclasses.field(default_factory=dict)
    note: str = ""


def mean_and_sd(values: Mapping[int, float]) -> tuple[float | None, float | None]:
    """The mean and the sample standard deviation (of n - 1); None of too few values."""
    found = list(values.values())
    mean = statistics.fmean(found) if found else None
    return mean, statistics.stdev(found) if len(found) > 1 else None


def paired(values: Mapping[int, float], base: Mapping[int, float]) -> Paired | None:
    """How much higher `values` are than `base`, seed by seed; None where no seed is in both.

    mean +- t(0.975, n - 1) * sd / sqrt(n) of the n differences.
    """
    from scipy.stats import t

    differences = [values[seed] - base[seed] for seed in values if seed in base]
    if not differences:
        return None
    mean, count = statistics.fmean(differences), len(differences)
    if max(differences) - min(differences) < _ALIKE:
        return Paired(mean, None, count)
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * statistics.stdev(differences) / count**0.5
    return Paired(mean, (mean - half, mean + half), count)


def figures(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All of it as JSON, a network an entry, each held against the first."""
    first, found = rows[0], []
    for row in rows:
        entry = {
            "name": row.name,
            "architecture": row.architecture,
            "parameters": row.parameters,
            "mult_adds": row.mult_adds,
            **_scores("valid", row.accuracies, None if row is first else first.accuracies),
            "train_seconds": mean_and_sd(row.train_seconds)[0],
            "pictures_per_second": mean_and_sd(row.pictures_per_second)[0],
            "failures": {str(seed): cause for seed, cause in row.failures.items()},
            "note": row.note,
        }
        if row.test is not None:
            entry |= _scores("test", row.test, None if row is first else first.test)
        found.append(entry)
    return found


def _scores(split: str, values: Mapping[int, float], base: Mapping[int, float] | None) -> dict[str, Any]:
    mean, sd = mean_and_sd(values)
    entry: dict[str, Any] = {
        f"{split}_accuracies": {str(seed): value for seed, value in values.items()},
        f"{split}_mean": mean,
        f"{split}_sd": sd,
    }
    if base is not None and (against := paired(values, base)):
        low, high = against.interval or (None, None)
        named = {"mean": against.mean, "low": low, "high": high, "seeds": against.seeds}
        entry[f"{split}_difference"] = named
    return entry


_CSV = ("name", "architecture", "parameters", "mult_adds", "seeds", "failed")
_CSV_SCORES = ("mean", "sd", "difference", "difference_low", "difference_high")


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """A line a network; what is not known is left empty. Raises UserError where it cannot be written."""
    splits = ("valid", "test") if rows[0].test is not None else ("valid",)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    scores = [f"{split}_{name}" for split in splits for name in _CSV_SCORES]
    table.writerow([*_CSV, *scores, "train_seconds", "pictures_per_second"])
    for entry in figures(rows):
        failed = len(entry["failures"])
        cells = [*(entry[name] for name in _CSV[:4]), len(entry["valid_accuracies"]) + failed, failed]
        for split in splits:
            against = entry.get(f"{split}_difference", {})
            cells += [entry[f"{split}_mean"], entry[f"{split}_sd"], *map(against.get, ("mean", "low", "high"))]
        table.writerow([*cells, entry["train_seconds"], entry["pictures_per_second"]])
    write_text(path, text.getvalue())


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table for the screen."""
    first = rows[0]
    header = ["", "parameters", "mult-adds", "train s", "pictures/s", "valid accuracy", "against the first (95%)"]
    if first.test is not None:
        header += ["test accuracy", "against the first (95%)"]
    lines = [header]
    for row in rows:
        line = [short(row.name), f"{row.parameters:,}", millions(row.mult_adds)]
        line += [_number(mean_and_sd(row.train_seconds)[0], ".1f"), _number(mean_and_sd(row.pictures_per_second)[0])]
        for values, base in ((row.accuracies, first.accuracies), (row.test, first.test)):
            if values is not None and base is not None:
                line += [spread(values), "" if row is first else with_interval(paired(values, base))]
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(aligned(line, widths)).rstrip() for line in lines]


def aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The name to the left, what is counted to the right."""
    return [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]


def short(name: str) -> str:
    """A network's name, its beginning left out where it is long."""
    return name if len(name) <= _MOST_LETTERS else f"…{name[1 - _MOST_LETTERS :]}"


def millions(number: int) -> str:
    """So many mult-adds."""
    return f"{number / 1e6:.2f}M" if number >= 1e5 else f"{number:,}"


def _number(value: float | None, form: str = ",.0f") -> str:
    return "-" if value is None else format(value, form)


def spread(values: Mapping[int, float]) -> str:
    """Mean and standard deviation of accuracies by seed."""
    mean, sd = mean_and_sd(values)
    if mean is None:
        return "none succeeded"
    return f"{mean:.4f}" if sd is None else f"{mean:.4f} sd {sd:.4f}"


def with_interval(found: Paired | None, none: str = "-") -> str:
    """A difference with its interval, or why it has none; `none` where there is no difference."""
    if found is None:
        return none
    if found.interval is None:
        why = "one seed" if found.seeds == 1 else f"the same from all {found.seeds} seeds"
        return f"{found.mean:+.4f} ({why})"
    return f"{found.mean:+.4f} ({found.interval[0]:+.4f} to {found.interval[1]:+.4f})"


def show_training(
    name: str, result: str, seconds: float, done: int, trainings: int, seconds_left: float | None
) -> None:
    """One training that ended, and the time until all have, where that is known."""
    left = "" if seconds_left is None else f", {clock(seconds_left)} left"
    say(f"{name}  {result}  {seconds:.0f} s  {done}/{trainings}{left}")


def draw(path: Path, rows: Sequence[Row], pictures: str) -> None:
    """Draws accuracy over parameters and over mult-adds as a PNG: each seed's, and their mean and deviation.

    Accuracy is on test where that was opened, otherwise on valid.

    Args:
        path: the file, replaced whole.
        rows: the networks.
        pictures: what they were trained on, for the title.

    Raises:
        UserError: if it cannot be written.
    """
    from matplotlib.figure import Figure

    split = "valid" if rows[0].test is None else "test"
    figure = Figure(figsize=(11.0, 5.0), dpi=100, layout="constrained")
    figure.suptitle(pictures, parse_math=False)
    for axes, of, label in zip(
        figure.subplots(1, 2, sharey=True),
        ("parameters", "mult_adds"),
        ("parameters", "mult-adds a picture"),
        strict=True,
    ):
        for number, row in enumerate(rows):
            _draw_network(axes, getattr(row, of), row, f"C{number % 10}")
        sizes = [getattr(row, of) for row in rows]
        if max(sizes) > _WIDE * min(sizes):
            axes.set_xscale("log")
        else:
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 5))
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel(f"{split} accuracy (mean, standard deviation, each seed)")
    figure.axes[1].legend(loc="best", fontsize="small")
    try:
        with replaced(path) as beside:
            figure.savefig(beside)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _draw_network(axes: Any, size: int, row: Row, colour: str) -> None:  # noqa: ANN401 - matplotlib has few types
    values = row.accuracies if row.test is None else row.test
    mean, sd = mean_and_sd(values)
    if mean is None:
        return
    label = short(row.name).replace("$", r"\$").lstrip("_")
    axes.errorbar(size, mean, yerr=sd or 0.0, fmt="o", color=colour, capsize=4, label=label)
    axes.scatter([size] * len(values), list(values.values()), color=colour, marker="_", alpha=0.7)
