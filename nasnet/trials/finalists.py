"""The best trials, trained longer and ranked anew. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from cells.spaces.space import Space
from controller.strategy import Trial
from nasnet.execution.job import Job
from nasnet.runtime.errors import RunError
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.retries import Children
from nasnet.trials.search import Spent


@dataclasses.dataclass(frozen=True)
class Finalist:
    """One of the best trials, trained longer: its rewards from several fresh starts."""

    trial: Trial
    rewards: tuple[float, ...]

    @property
    def rank_by(self) -> float:
        """The mean of its rewards; minus infinity if no start succeeded."""
        return float(np.mean(self.rewards)) if self.rewards else -np.inf


def rank_finalists(
    space: Space,
    children: Children,
    journal: Journal,
    ranked: list[Trial],
    *,
    finalists: int,
    starts: int,
    report: Callable[[Finalist], None] = lambda _: None,
    spent: Spent | None = None,
) -> list[Finalist]:
    """Trains the best different cells longer, each from several fresh starts, and ranks them by their mean reward.

    As the paper trained its best 250 to find the very best (NASNet, appendix A.3).

    Args:
        space, journal: of the search. The journal holds these runs too; what it holds is not run again.
        children: where they are trained, by the estimator called "finalist".
        ranked: the successful trials, best first.
        finalists: how many different cells; starts: fresh starts of each.
        report: told of each finalist, best trial first.
        spent: where the seconds are added.

    Returns:
        The finalists, best first; of equals, the better trial first.

    Raises:
        RunError: if no finalist succeeded.
        Stopped: if it was asked to stop.
    """
    different: dict[object, Trial] = {}
    for trial in ranked:
        different.setdefault(trial.proposal.tokens, trial)
    chosen = list(different.values())[:finalists]
    runs = {
        f"finalist_{trial.proposal.trial_id}_{start}": (trial, start) for trial in chosen for start in range(starts)
    }
    missing = {name: run for name, run in runs.items() if (run[0].proposal.trial_id, run[1]) not in journal.finalists}
    waiting = list(missing)
    while missing:
        while waiting and children.free > 0:
            name = waiting.pop(0)
            children.submit(Job(name, space.decode(missing[name][0].proposal.tokens), "finalist"))
        for ended in children.collect():
            trial, start = missing.pop(ended.job.name)
            run = (ended.outcome, ended.reward, ended.seconds, ended.cause)
            journal.finish_finalist(FinalistRun(trial.proposal.trial_id, start, *run))
            if spent is not None:
                spent.add(ended)
    results: list[Finalist] = []
    for trial in chosen:
        rewards = [journal.finalists[trial.proposal.trial_id, start].reward for start in range(starts)]
        results.append(Finalist(trial, tuple(reward for reward in rewards if reward is not None)))
        report(results[-1])
    if not any(result.rewards for result in results):
        raise RunError(f"none of {len(results)} finalists succeeded; see the causes in the journal")
    return sorted(results, key=lambda finalist: -finalist.rank_by)
