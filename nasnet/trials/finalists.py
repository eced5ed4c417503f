"""The best trials, trained longer and ranked anew. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from cells.genotype.genotype import Genotype
from cells.spaces.space import Space
from controller.strategy import Trial
from nasnet.execution.job import Job
from nasnet.runtime.errors import RunError
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.retries import RetryingEngine


@dataclasses.dataclass(frozen=True)
class Finalist:
    """One of the best trials, trained longer: its rewards from several fresh starts, before a latency is in them.

    A start that failed counts as `worst`, the lowest of the whole search: a cell that fails now and then is not
    as good as its other starts. `factor` is what a latency makes of each.
    """

    trial: Trial
    rewards: tuple[float, ...]
    failed: int = 0
    worst: float = 0.0
    factor: float = 1.0

    @property
    def counted(self) -> tuple[float, ...]:
        """What each of its starts counts as."""
        return (*self.rewards, *[self.worst] * self.failed)

    @property
    def rank_by(self) -> float:
        """The mean over its starts, times the factor; minus infinity if none succeeded."""
        return self.factor * float(np.mean(self.counted)) if self.rewards else -np.inf


def choose_finalists(space: Space, ranked: list[Trial], finalists: int) -> list[Trial]:
    """The first so many trials of different cells, twins being one cell. `ranked` has the best first."""
    different: dict[object, Trial] = {}
    for trial in ranked:
        if len(different) == finalists:
            break
        different.setdefault(space.decode(trial.proposal.tokens).canonical(), trial)
    return list(different.values())


def rank_finalists(
    space: Space,
    engine: RetryingEngine,
    journal: Journal,
    ranked: list[Trial],
    *,
    finalists: int,
    starts: int,
    factor: Callable[[Genotype], float] = lambda _: 1.0,
    report: Callable[[Finalist], None] = lambda _: None,
    ended: Callable[[FinalistRun, int], None] = lambda *_: None,
    cut_short: Callable[[], object] = lambda: None,
) -> list[Finalist]:
    """Trains the best different cells longer, each from several fresh starts, and ranks them by their mean reward.

    As the paper trained its best 250 to find the very best (NASNet, appendix A.3).

    Args:
        space, journal: of the search. The journal holds these runs too; what it holds is not run again.
        engine: where they are trained, by the estimator called "finalist".
        ranked: the successful trials, best first.
        finalists: how many different cells.
        starts: fresh starts of each.
        factor: what the search's objective multiplies an accuracy by: finalists are ranked by the same objective.
        report: told of each finalist, best trial first.
        ended: told of each training that ended, and how many have not.
        cut_short: looked at while they are trained. Once it is true, those that run are cut off, and only the cells
            are ranked that have ended all of their starts.

    Returns:
        The finalists, best first; of equals, the better trial first. None at all if it was cut short before the best
        trial had ended its starts: there is nothing to hold the others against.

    Raises:
        RunError: if no finalist succeeded.
        Stopped: if it was asked to stop.
    """
    chosen = choose_finalists(space, ranked, finalists)
    waiting = [
        Job(trial.proposal.trial_id, space.decode(trial.proposal.tokens), start, estimator="finalist")
        for trial in chosen
        for start in range(starts)
        if (trial.proposal.trial_id, start) not in journal.finalists
    ]
    missing = len(waiting)
    while missing and not cut_short():
        while waiting and engine.free > 0:
            engine.submit(waiting.pop(0))
        for result in engine.collect():
            job = result.job
            assert job.start is not None
            run = FinalistRun(job.trial_id, job.start, result.outcome, result.reward, result.seconds, result.cause)
            journal.finish_finalist(run)
            missing -= 1
            ended(run, missing)
    if missing:
        engine.abandon()
    factors = [factor(space.decode(trial.proposal.tokens)) for trial in chosen]
    return _ranked(journal, chosen, factors, starts, report)


def _ranked(
    journal: Journal, chosen: list[Trial], factors: list[float], starts: int, report: Callable[[Finalist], None]
) -> list[Finalist]:
    runs: dict[int, list[float | None]] = {}
    for trial_id in (trial.proposal.trial_id for trial in chosen):
        ended = [run for start in range(starts) if (run := journal.finalists.get((trial_id, start)))]
        if len(ended) == starts:
            runs[trial_id] = [run.reward for run in ended]
    if chosen[0].proposal.trial_id not in runs:
        return []
    known = [trial.accuracy for trial in journal.so_far.values()] + [reward for of in runs.values() for reward in of]
    worst = min((reward for reward in known if reward is not None), default=0.0)
    found: list[Finalist] = []
    for trial, factor in zip(chosen, factors, strict=True):
        if trial.proposal.trial_id not in runs:
            continue
        rewards = runs[trial.proposal.trial_id]
        good = tuple(reward for reward in rewards if reward is not None)
        found.append(Finalist(trial, good, len(rewards) - len(good), worst, factor))
        report(found[-1])
    if not any(finalist.rewards for finalist in found):
        raise RunError(f"none of {len(found)} finalists succeeded; see the causes in the journal")
    return sorted(found, key=lambda finalist: -finalist.rank_by)
