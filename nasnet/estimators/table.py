"""A table of known results: every tuple with its reward, read from a CSV file, as a space and what estimates it.

No TensorFlow.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cells.genotype.genotype import VERSION, Genotype
from cells.spaces.space import Decision, Tokens, check_tokens
from nasnet.estimators.estimator import Estimate, Timing
from nasnet.runtime.errors import UserError

KIND = "choices"
"""What the JSON of `Choices` says that it is."""
REWARD, JUDGED, SECONDS = "reward", "test", "seconds"
"""Columns that are no decisions. The last two may be missing."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a tuple of a table stands for: of each decision the option taken, as the table writes it. A genotype."""

    options: tuple[tuple[str, str], ...]
    kind = KIND

    def canonical(self) -> Self:
        """Itself: no two tuples of a table are the same."""
        return self

    def to_json(self) -> dict[str, Any]:
        """See `Genotype.to_json`."""
        return {"version": VERSION, "kind": KIND, "options": dict(self.options)}

    def __str__(self) -> str:
        return ", ".join(f"{name}={option}" for name, option in self.options)


@dataclasses.dataclass(frozen=True)
class Known:
    """What a table has of a tuple: the reward, higher is better; how it is judged elsewhere; seconds that it took."""

    reward: float
    judged: float | None = None
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """Known results, and the space that they are of (`cells.spaces.space.Space`): a decision for each column.

    Attributes:
        options: of each decision, by name, what its tokens stand for.
        known: what is known, by tokens. Tuples may be missing.
        sha256: of the file that it was read from; empty where it was not.
    """

    options: Mapping[str, tuple[str, ...]]
    known: Mapping[Tokens, Known]
    sha256: str = ""

    @classmethod
    def of(cls, names: Sequence[str], rows: Mapping[tuple[str, ...], Known], sha256: str = "") -> Self:
        """From what is known of each tuple of options.

        A decision's options are sorted, by value where all of them are numbers: the order of the rows decides nothing.
        """
        columns = [_in_order({row[place] for row in rows}) for place in range(len(names))]
        tokens = [{option: token for token, option in enumerate(column)} for column in columns]
        known = {tuple(of[option] for of, option in zip(tokens, row, strict=True)): at for row, at in rows.items()}
        return cls(dict(zip(names, columns, strict=True)), known, sha256)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """See `Space.decisions`."""
        return tuple(Decision(name, len(options)) for name, options in self.options.items())

    def length(self, trial_id: int) -> int:  # noqa: ARG002 - it does not grow
        """See `Space.length`."""
        return len(self.options)

    def decode(self, tokens: Tokens) -> Choices:
        """See `Space.decode`. Tuples that are missing have a genotype too."""
        check_tokens(self.decisions, tokens)
        return Choices(tuple((name, of[token]) for (name, of), token in zip(self.options.items(), tokens, strict=True)))

    def encode(self, genotype: Genotype) -> Tokens:
        """See `Space.encode`."""
        if not isinstance(genotype, Choices) or [name for name, _ in genotype.options] != list(self.options):
            raise ValueError(f"the table's decisions are {', '.join(self.options)}, got {genotype}")
        return tuple(self.options[name].index(option) for name, option in genotype.options)

    def why_invalid(self, genotype: Genotype) -> str | None:
        """What is wrong with a genotype, in one line: it is missing. None for the others."""
        return None if self.encode(genotype) in self.known else "not in the table"

    @property
    def best(self) -> float:
        """The highest reward."""
        return max(known.reward for known in self.known.values())

    def place(self, reward: float) -> int:
        """The rank of a reward among all: 1 where none is higher."""
        return 1 + sum(known.reward > reward for known in self.known.values())


@dataclasses.dataclass(frozen=True)
class TableEstimator:
    """Estimator (see `nasnet.estimators.estimator.Estimator`) that looks up. Its seconds are the table's, 0 for none.

    Raises KeyError for a tuple that is missing: `Table.why_invalid` says so before.
    """

    table: Table

    def estimate(self, genotype: Choices, name: str) -> Estimate:  # noqa: ARG002 - nothing is drawn
        """See `Estimator.estimate`."""
        known = self.table.known[self.table.encode(genotype)]
        return Estimate(known.reward, Timing(other=known.seconds or 0.0))


def read_table(path: Path) -> Table:
    """Reads a CSV file whose first line names its columns: one a decision, `reward`, and maybe `test` and `seconds`.

    Spaces around a value are no part of it, and empty lines are passed over. A tuple may stand twice with the same
    numbers.

    Raises:
        UserError: for anything else, in one line that names the file and the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    lines = _lines(path, content)
    names = next(lines, (1, []))[1]
    _check_names(path, names)
    decisions = [name for name in names if name not in (REWARD, JUDGED, SECONDS)]
    rows: dict[tuple[str, ...], Known] = {}
    first: dict[tuple[str, ...], int] = {}
    for number, values in lines:
        where = f"{path}:{number}"
        if len(values) != len(names):
            raise UserError(f"{where}: {len(values)} values; expected {len(names)}, one for each column of line 1")
        row = dict(zip(names, values, strict=True))
        if empty := [name for name in names if not row[name]]:
            raise UserError(f"{where}: {empty[0]} is empty; expected a value")
        known = Known(
            _number(where, REWARD, row[REWARD]),
            _number(where, JUDGED, row[JUDGED]) if JUDGED in row else None,
            _number(where, SECONDS, row[SECONDS], least=0) if SECONDS in row else None,
        )
        chosen = tuple(row[name] for name in decisions)
        if rows.setdefault(chosen, known) != known:
            shown = Choices(tuple(zip(decisions, chosen, strict=True)))
            raise UserError(f"{where}: {shown} stands in line {first[chosen]} with {_difference(rows[chosen], known)}")
        first.setdefault(chosen, number)
    if not rows:
        raise UserError(f"{path}: has no line after its first; expected a line for each tuple")
    return Table.of(decisions, rows, hashlib.sha256(content).hexdigest())


def _lines(path: Path, content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, with its number."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{number}: not UTF-8; expected a CSV file") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for line in reader:
            if line:
                yield reader.line_num, [value.strip() for value in line]
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not a line of a CSV file ({error})") from error


def _check_names(path: Path, names: list[str]) -> None:
    expected = f"expected a column for each decision, and {REWARD} ({JUDGED} and {SECONDS} may be there)"
    if not names:
        raise UserError(f"{path}: is empty; {expected}")
    if "" in names:
        raise UserError(f"{path}:1: column {names.index('') + 1} has no name; {expected}")
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise UserError(f"{path}:1: two columns are named {twice[0]}; {expected}")
    if REWARD not in names:
        raise UserError(f"{path}:1: no column {REWARD} among {', '.join(names)}; {expected}")
    if not set(names) - {REWARD, JUDGED, SECONDS}:
        raise UserError(f"{path}:1: no column of a decision among {', '.join(names)}; {expected}")


def _number(where: str, name: str, text: str, least: float = -math.inf) -> float:
    try:
        value = math.nan if "_" in text else float(text)  # Python's own numbers may have one
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least:
        rule = "a finite number" if least == -math.inf else f"a finite number of {least:g} or more"
        raise UserError(f"{where}: {name} is {text!r}; expected {rule}")
    return value


def _difference(first: Known, second: Known) -> str:
    """Of two that are not the same, what the first says otherwise."""
    pairs = ((REWARD, "reward"), (JUDGED, "judged"), (SECONDS, "seconds"))
    name, field = next((name, field) for name, field in pairs if getattr(first, field) != getattr(second, field))
    return f"another {name}, {getattr(first, field):g} and here {getattr(second, field):g}"


def _in_order(options: Iterable[str]) -> tuple[str, ...]:
    options = sorted(options)
    try:
        values = [float(option) for option in options]
    except ValueError:
        return tuple(options)
    if not all(map(math.isfinite, values)):
        return tuple(options)
    return tuple(sorted(options, key=float))
