"""What a search in a table of known results came to, which a person and `metrics.json` are told. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any

from controller.grid_search import number_of_tuples
from controller.strategy import Outcome, Trial
from nasnet.estimators.table import JUDGED, Table
from nasnet.runtime.clock import clock
from nasnet.runtime.console import say
from nasnet.trials.journal import Journal

_SHOWN = 8  # decisions that are named


@dataclasses.dataclass(frozen=True)
class Found:
    """The best that a search in a table found, among all that is there.

    Attributes:
        trial_id, tokens, options, reward: the best trial, the first of equals.
        test: how the table judges it elsewhere; None where it does not. It decides nothing.
        place: its rank among the table's rows by reward, 1 where none is higher.
        rows: how many there are.
        best_reward, regret: the table's highest reward, and what the best trial's is short of it.
        trials: that have ended; `different` tuples of the table were among them, and `missing` were of none.
        seconds: that the table says the different ones took, in all; None where it does not.
    """

    trial_id: int
    tokens: tuple[int, ...]
    options: dict[str, str]
    reward: float
    test: float | None
    place: int
    rows: int
    best_reward: float
    regret: float
    trials: int
    different: int
    missing: int
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """What is written."""
        return dataclasses.asdict(self)


def found_in(table: Table, journal: Journal, best: Trial) -> Found:
    """What a journal's trials come to, the best of which is `best`."""
    assert best.reward is not None
    tokens, trials = best.proposal.tokens, journal.trials.values()
    different = {trial.proposal.tokens for trial in trials if trial.outcome is Outcome.OK}
    seconds = [known for tuple_ in different if (known := table.known[tuple_].seconds) is not None]
    return Found(
        best.proposal.trial_id,
        tokens,
        dict(table.decode(tokens).options),
        best.reward,
        table.known[tokens].judged,
        table.place(best.reward),
        len(table.known),
        table.best,
        table.best - best.reward,
        len(trials),
        len(different),
        sum(trial.outcome is Outcome.INVALID for trial in trials),
        sum(seconds) if seconds else None,
    )


def say_table(table: Table, path: str) -> None:
    """What the file holds, as it was read."""
    decisions = [f"{name} of {len(options)}" for name, options in table.options.items()]
    more = f" and {len(decisions) - _SHOWN} more" if len(decisions) > _SHOWN else ""
    rows, tuples = len(table.known), number_of_tuples(table.decisions)
    there = "all of its tuples" if rows == tuples else f"{rows / tuples:.2g} of its {tuples:,} tuples"
    say(f"{path}: {rows:,} rows, {there}; decisions {', '.join(decisions[:_SHOWN])}{more}")


def say_found(found: Found) -> None:
    """The best, and how it stands."""
    say(f"best is trial {found.trial_id}, reward {found.reward:.6g}")
    say(f"  {', '.join(f'{name}={option}' for name, option in found.options.items())}")
    missing = f", {found.missing} of none" if found.missing else ""
    say(f"{found.trials} trials were of {found.different} different tuples of the table{missing}")
    say(
        f"place {found.place:,} of {found.rows:,} in the table, whose best is {found.best_reward:.6g}: "
        f"regret {found.regret:.4g}"
    )
    if found.test is not None:
        say(f"its {JUDGED}, which decided nothing, is {found.test:.6g}")
    if found.seconds is not None:
        say(f"those tuples took {clock(found.seconds)} when the table was made")
