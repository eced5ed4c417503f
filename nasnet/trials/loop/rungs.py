"""Rungs: a wave is trained a little, its best third goes on, and so on. Who goes on, and what that leaves to be done.

After successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943), of each wave by itself. No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cells.genotype.genotype import Genotype
from controller.strategy import Proposal, Trial
from nasnet.estimators.proxy import ProxyEstimator, RungEstimator
from nasnet.execution.job import Job
from nasnet.trials.journal import Journal
from nasnet.trials.weights.between import RungWeights

KEPT = 3
"""One in so many of a rung goes on, rounded up."""
PROXY = "proxy"
"""The estimator of the first rung; those of the others are `estimator_of` them."""


def estimator_of(rung: int) -> str:
    """The name of the estimator of a rung, counted from 1."""
    return PROXY if rung == 1 else f"rung_{rung}"


def rung_estimators(proxy: ProxyEstimator, steps: Sequence[int]) -> dict[str, RungEstimator]:
    """Those of the rungs after the first, which is `proxy`'s, by name. `steps` as `Rungs` has them."""
    found: dict[str, RungEstimator] = {}
    for rung, (before, after) in enumerate(itertools.pairwise(steps), 2):
        training = dataclasses.replace(proxy.training, steps=after - before)
        found[estimator_of(rung)] = RungEstimator(dataclasses.replace(proxy, training=training))
    return found


def go_on(trials: Collection[Trial]) -> list[Trial]:
    """Which of the trials that ended a rung go on: the best third, rounded up; of equals the earlier."""
    return sorted(trials, key=lambda trial: trial.rank)[: math.ceil(len(trials) / KEPT)]


@dataclasses.dataclass(frozen=True)
class RungEnd:
    """A child ended a rung that is not the last, its trial as it stands: what a person is told.

    `ended` of `children` of its wave have ended that rung. `seconds_left` are those of all the rest, None while too
    little is known.
    """

    trial: Trial
    rungs: int
    ended: int
    children: int
    seconds_left: float | None


@dataclasses.dataclass(frozen=True)
class Promotion:
    """All children of a wave ended a rung: the trials that go on, those that end there, and for how many more steps."""

    rung: int
    rungs: int
    going: tuple[int, ...]
    ending: tuple[int, ...]
    steps: int


@dataclasses.dataclass(frozen=True)
class Rungs:
    """The rungs of a search.

    Attributes:
        steps: of each rung, those in all at its end.
        weights: where children wait between two of them.
    """

    steps: tuple[int, ...]
    weights: RungWeights

    def __len__(self) -> int:
        return len(self.steps)

    def added(self, rung: int) -> int:
        """The steps of a rung, counted from 1, that come on top of the one before it."""
        return self.steps[rung - 1] - (self.steps[rung - 2] if rung > 1 else 0)

    def job(self, proposal: Proposal, genotype: Genotype, before: Trial | None) -> Job:
        """The training that a trial needs next, after what it is by now.

        Raises:
            UserError: if the weights that it goes on from are missing or damaged.
        """
        rung = 1 if before is None else before.rung + 1
        begin: Path | None = None if before is None else self.weights.checked(before)
        return Job(
            proposal.trial_id,
            genotype,
            estimator=estimator_of(rung),
            keep_above=-math.inf,
            rung=rung,
            begin=begin,
        )

    def decide(self, journal: Journal, trials: int) -> Promotion | None:
        """Decides, and records, which of the first `trials` that wait at the lowest rung go on; None if none waits."""
        waiting = [trial for i, trial in journal.so_far.items() if i not in journal.trials and i < trials]
        if not waiting:
            return None
        rung = min(trial.rung for trial in waiting)
        there = [trial for trial in waiting if trial.rung == rung]
        going = sorted(trial.proposal.trial_id for trial in go_on(there))
        ending = sorted({trial.proposal.trial_id for trial in there} - set(going))
        journal.promote(rung, going, ending)
        return Promotion(rung, len(self), tuple(going), tuple(ending), self.added(rung + 1))

    def ended(self, trial: Trial, journal: Journal, wave: Iterable[int], seconds_left: float | None) -> RungEnd:
        """What is told of a trial that ended a rung, of those of a wave that are trained."""
        reached = [len(journal.rungs.get(i, ())) for i in wave if i not in journal.trials]
        children = sum(number >= trial.rung - 1 for number in reached)
        return RungEnd(trial, len(self), sum(number >= trial.rung for number in reached), children, seconds_left)


def children_left(journal: Journal, waves: Iterable[range], rungs: int) -> list[int]:
    """How many children are still to end each rung, as far as it is known: all that are proposed ones are trained.

    Args:
        journal: what there is by now.
        waves: the trials of each wave that is not over.
        rungs: how many there are.
    """
    left = [0] * rungs
    for wave in waves:
        open_ends = [i for i in wave if i not in journal.trials]
        ended = [len(journal.rungs.get(i, ())) for i in open_ends]
        going = [bool(journal.may_go_on(i)) for i in open_ends]
        arriving = 0
        for rung in range(rungs):
            come = sum(n == rung and goes for n, goes in zip(ended, going, strict=True)) + arriving
            rest = sum(n == rung + 1 and not goes for n, goes in zip(ended, going, strict=True))
            left[rung] += come
            arriving = math.ceil((come + rest) / KEPT)
    return left
