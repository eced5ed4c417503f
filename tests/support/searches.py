"""Folders of searches that never ran: a config and a journal, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from controller.policy.figures import UpdateFigures
from controller.strategies import WITHOUT_LSTM
from controller.strategy import Outcome, Proposal, Trial
from nasnet.modes.flags import resolve
from nasnet.modes.tables.report import setup_of
from nasnet.runtime.files import write_json
from nasnet.trials.journal import Journal

CAUSES = {Outcome.OOM: "out of memory", Outcome.NAN: "the loss is not finite", Outcome.CRASHED: "exit code 7"}


def written_search(
    folder: Path,
    trials: int,
    *,
    seed: int = 0,
    failing: float = 0.2,
    drawn: bool = True,
    reward: Callable[[int], float] | None = None,
    **given: Any,
) -> Journal:
    """Writes a search of so many trials, some of which failed, and one more that was proposed only.

    Args:
        folder: its workdir.
        trials: how many ended, not in the order of their numbers.
        seed: of all that is drawn, and of the config.
        failing: the share that failed.
        drawn: whether the proposals have log-probabilities, and the journal the figures of updates.
        reward: of a trial, by its number; drawn where it is None.
        given: flags of the search.
    """
    flags = {"strategy": "ppo" if drawn else "evolution", "trials": trials + 1, "workers": 1, **given}
    write_json(folder / "config.json", resolve("search", seed, flags).to_json())
    space, rng = setup_of(folder).space((8, 8, 3)), np.random.default_rng(seed)
    journal = Journal(folder / "journal.jsonl")
    waiting: list[Proposal] = []
    for number in range(trials + 1):
        decisions = space.decisions[: space.length(number)]
        tokens = tuple(int(rng.integers(decision.size)) for decision in decisions)
        log_probs = tuple(-float(rng.uniform(0.5, 1) * np.log(max(decision.size, 2))) for decision in decisions)
        waiting.append(Proposal(number, tokens, log_probs if drawn else (0.0,) * len(tokens)))
        journal.propose(waiting[-1])
        if len(waiting) > 2:
            _end(journal, waiting.pop(int(rng.integers(2))), rng, failing, reward)
    while len(waiting) > 1:
        _end(journal, waiting.pop(0), rng, failing, reward)
    if flags["strategy"] not in WITHOUT_LSTM:
        others = np.random.default_rng(seed + 1)
        for number in range(1, len(journal.trials) // flags.get("update_trials", 20) + 1):
            journal.add_update(UpdateFigures(number, *map(float, others.uniform(size=6))))
    return journal


def _end(
    journal: Journal,
    proposal: Proposal,
    rng: np.random.Generator,
    failing: float,
    reward: Callable[[int], float] | None,
) -> None:
    seconds = float(rng.uniform(1, 5))
    if rng.uniform() < failing:
        outcome = list(CAUSES)[int(rng.integers(len(CAUSES)))]
        journal.finish(Trial(proposal, outcome, None, seconds, CAUSES[outcome]))
        return
    value = float(rng.uniform()) if reward is None else reward(proposal.trial_id)
    journal.finish(Trial(proposal, Outcome.OK, value, seconds))
