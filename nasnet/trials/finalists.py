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
from nasnet.trials.retries import RetryingEngine


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
    engine: RetryingEngine,
    journal: Journal,
    ranked: list[Trial],
    *,
    finalists: int,
    starts: int,
    report: Callable[[Finalist], None] = lambda _: None,
) -> list[Finalist]:
    """Trains the best different cells longer, each from several fresh starts, and ranks them by their mean reward.

    As the paper trained its best 250 to find the very best (NASNet, appendix A.3).

    Args:
        space, journal: of the search. The journal holds these runs too; what it holds is not run again.
        engine: where they are trained, by the estimator called "finalist".
        ranked: the successful trials, best first.
        finalists: how many different cells.
        starts: fresh starts of each.
        report: told of each finalist, best trial first.

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
    waiting = [
        Job(trial.proposal.trial_id, space.decode(trial.proposal.tokens), start, estimator="finalist")
        for trial in chosen
        for start in range(starts)
        if (trial.proposal.trial_id, start) not in journal.finalists
    ]
    missing = len(waiting)
    while missing:
        while waiting and engine.free > 0:
            engine.submit(waiting.pop(0))
        for result in engine.collect():
            job = result.job
            assert job.start is not None
            run = (result.outcome, result.reward, result.seconds, result.cause)
            journal.finish_finalist(FinalistRun(job.trial_id, job.start, *run))
            missing -= 1
    found: list[Finalist] = []
    for trial in chosen:
        rewards = [journal.finalists[trial.proposal.trial_id, start].reward for start in range(starts)]
        found.append(Finalist(trial, tuple(reward for reward in rewards if reward is not None)))
        report(found[-1])
    if not any(finalist.rewards for finalist in found):
        raise RunError(f"none of {len(found)} finalists succeeded; see the causes in the journal")
    return sorted(found, key=lambda finalist: -finalist.rank_by)
