"""A search's trials as a CSV file, one row each. No TensorFlow."""

from __future__ import annotations

import csv
import io

from nasnet.reports.page.run import SearchRun
from nasnet.runtime.clock import utc_text

TRIALS = "trials.csv"
"""What the table is called where nobody says."""
COLUMNS = {
    "trial_id": "number of the trial, from 0 in the order of proposals",
    "outcome": "ok, or how it failed",
    "reward": "what the strategy was told, higher is better; empty of one that failed",
    "accuracy": "on valid, 0 to 1, before anything else was made part of the reward; empty of one that failed",
    "seconds": "wall seconds that it took, of all its rungs",
    "time": "when that was written down: UTC, ISO 8601; empty in the journal of an older program",
    "rungs": "how many rungs it has ended well; 0 or 1 of a search without rungs",
    "ended": "true, or false of one that stands between two rungs",
    "parameters": "trainable, of the network that it would be exported as; empty where that is not known",
    "mult_adds": "of one picture, of the same network",
    "latency_ms": "as the search predicted it; empty where no latency was asked for",
    "tokens": "what was decided, with spaces between",
    "cause": "one line on a failure",
}
"""Column -> what it holds (docs/files.md)."""


def trials_csv(run: SearchRun) -> str:
    """One row a trial that has ended or stands between two rungs, by number; `COLUMNS` as its first line."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for trial_id, trial in sorted(run.journal.so_far.items()):
        point, time = run.point(trial), run.journal.times.get(trial_id)
        rows.writerow(
            {
                "trial_id": trial_id,
                "outcome": str(trial.outcome),
                "reward": trial.reward,
                "accuracy": trial.accuracy,
                "seconds": trial.seconds,
                "time": None if time is None else utc_text(time),
                "rungs": trial.rung,
                "ended": str(trial_id in run.journal.trials).lower(),
                "parameters": None if point is None else point.parameters,
                "mult_adds": None if point is None else point.mult_adds,
                "latency_ms": trial.figures.get("latency_ms"),
                "tokens": " ".join(map(str, trial.proposal.tokens)),
                "cause": " ".join(trial.cause.split()),
            }
        )
    return text.getvalue()
