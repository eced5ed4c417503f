"""How long all of a search may still take: trials, finalists, baselines, winner, export. No TensorFlow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from controller.strategy import Trial
from nasnet.estimators.estimator import Timing
from nasnet.trials.plan import Plan

_SURE = 3
"""Children that must have ended before anything is said."""
_FASTER, _SLOWER = 0.5, 8.0
"""How far another machine, or a busy one, is taken to be off the one that was measured."""
_BUSY = 0.95
"""Share of its time that a slot is taken to be busy, as long as nothing is known of it."""


class Forecast:
    """Adds up what children took, and says what that makes of the plan.

    The start of worker processes is in no child's seconds, and so in no pace.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self.plan, self._clock = plan, clock
        self.timing = Timing()  # of the children that ended well, so that the share of their steps is known
        self._seconds, self._trained = [0.0] * max(1, len(plan.rungs)), [0] * max(1, len(plan.rungs))
        self._counted: dict[int, float] = {}
        self._busy, self._begun, self._since = 0.0, clock(), math.nan
        self._start = plan.start
        self._best: dict[int, Trial] = {}
        self._longer: list[float] = []
        self._held: list[float] = []

    def trial(self, trial: Trial, *, live: bool = True) -> None:
        """A child of a trial ended, or the trial did; not `live` if that was in another process.

        One of no more seconds than before was not trained.
        """
        trial_id, rung = trial.proposal.trial_id, len(trial.earlier)
        seconds = trial.seconds - self._counted.get(trial_id, 0.0)
        if seconds <= 0:
            return
        if self.plan.rungs:
            self._counted[trial_id] = trial.seconds
        self._seconds[rung] += seconds
        self._trained[rung] += 1
        if live and math.isnan(self._since):
            self._since = self._clock()
            self._start = self._since - self._begun - seconds
        elif live:
            self._busy += seconds
        self._best.pop(trial_id, None)
        if trial.reward is not None:
            best = sorted([*self._best.values(), trial], key=lambda t: t.rank)[: max(1, self.plan.finalists)]
            self._best = {t.proposal.trial_id: t for t in best}

    def finalist(self, seconds: float) -> None:
        """A finalist's training ended."""
        self._longer.append(seconds)

    def held_against(self, seconds: float) -> None:
        """A training of the winner, or of what it is held against, ended."""
        self._held.append(seconds)

    def left(
        self,
        trials: int,
        running: tuple[float, ...] = (),
        finalist_runs: int | None = None,
        held_against: int | None = None,
        later: Sequence[int] = (),
    ) -> float | None:
        """Seconds until all is done; None while too little is known.

        Args:
            trials: that have not ended; where there are rungs, not the first of them.
            running: for each child that runs, for how many seconds it has.
            finalist_runs: finalists' trainings that have not ended; None is all of them.
            held_against: trainings of the winner and its baselines that have not ended; None is all of them.
            later: children of each later rung that have not ended it.
        """
        trained = sum(self._trained)
        if not trained or (trained < _SURE and trials > _SURE) or not self._best:
            return None
        children = [trials, *later]
        mean = self._mean(next((rung for rung, number in enumerate(children) if number), 0))  # of those that run
        work = sum(number * self._mean(rung) for rung, number in enumerate(children) if number)
        work -= sum(min(seconds, 0.9 * mean) for seconds in running[: sum(children)])
        runs = self.plan.finalists * self.plan.starts if finalist_runs is None else finalist_runs
        held = self.plan.held_against if held_against is None else held_against
        longer = self._of_longer(runs, self.plan.longer, self._longer)
        longer += self._of_longer(held, self.plan.held_longer, self._held)
        return max(work, 0.0) / self._rate(mean) + longer + self.of_winner(next(iter(self._best.values())))

    def of_winner(self, trial: Trial) -> float:
        """Seconds of the winner's training and its export, if it is the cell of this trial."""
        return self.fixed() + trial.seconds * self._steps_share() * self.plan.winner(trial) / self.plan.share(trial)

    def fixed(self) -> float:
        """Seconds to build and export a winner, as busy as this machine is."""
        if not self.plan.start:
            return self.plan.fixed
        return self.plan.fixed * min(max(self._start / self.plan.start, _FASTER), _SLOWER)

    def _mean(self, rung: int) -> float:
        """Seconds of a child in a rung, counted from 0: as its children were, or else by their steps as the first's."""
        if self._trained[rung]:
            return self._seconds[rung] / self._trained[rung]
        first, share = self._seconds[0] / max(1, self._trained[0]), self._steps_share()
        return first * (1 - share + share * self.plan.added(rung))

    def _rate(self, mean: float) -> float:
        """Seconds of children that end in a second: the slots, less what they wait."""
        wall = 0.0 if math.isnan(self._since) else self._clock() - self._since
        known, expected = 2 * mean, _BUSY * self.plan.slots
        return (self._busy + known * expected) / (wall + known)

    def _of_longer(self, runs: int, longer: float, known: list[float]) -> float:
        """Seconds of trainings of so many times a child's steps: as the best children's, or as those that are known."""
        if not runs:
            return 0.0
        share = self._steps_share()
        seconds = [t.seconds * (1 - share + share * longer / self.plan.share(t)) for t in self._best.values()]
        seconds = sum(seconds) / len(seconds)
        if known:
            seconds = sum(known) / len(known)
        return seconds * math.ceil(runs / self.plan.slots)

    def _steps_share(self) -> float:
        """The share of its steps in a child's seconds."""
        return self.timing.steps / self.timing.seconds if self.timing.seconds else 0.8
