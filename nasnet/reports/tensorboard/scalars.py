"""The scalars of a search, as its trials end. No TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping

from controller.policy.figures import UpdateFigures
from controller.strategy import Trial
from nasnet.trials.journal import Journal

_OF_UPDATES = ("entropy", "approx_kl", "clip_fraction", "baseline", "mean_reward", "loss")


@dataclasses.dataclass(frozen=True)
class Step:
    """What there is to show once `number` trials have ended: the last of these, its scalars, whether it is the best."""

    number: int
    trial: Trial
    values: Mapping[str, float]
    better: bool


class SearchScalars:
    """Trials counted as they end, as in the report: step 20 is when 20 trials had ended."""

    def __init__(self, journal: Journal, update_trials: int) -> None:
        """`update_trials` are those of an update of the controller, where there is one."""
        self._journal, self._update_trials = journal, update_trials
        self._best: Trial | None = None
        self._failed: Counter[str] = Counter()
        self._counted = 0

    def new(self) -> Iterator[Step]:
        """The trials that have ended since they were asked for last, at first all of the journal."""
        trials = self._journal.trials
        new = [*itertools.islice(reversed(trials.values()), len(trials) - self._counted)]
        return map(self._step, reversed(new))

    def _step(self, trial: Trial) -> Step:
        self._counted += 1
        values: dict[str, float] = {}
        better = False
        if trial.reward is None:
            self._failed[str(trial.outcome)] += 1
            values[f"failures/{trial.outcome}"] = self._failed[str(trial.outcome)]
        else:
            values["search/reward"] = trial.reward
            better = self._best is None or trial.rank < self._best.rank
            self._best = trial if better else self._best
        if self._best is not None and self._best.reward is not None:
            values["search/best"] = self._best.reward
        update, rest = divmod(self._counted, self._update_trials)
        if not rest and update <= len(self._journal.updates):
            values |= _of_update(self._journal.updates[update - 1])
        return Step(self._counted, trial, values, better)


def _of_update(figures: UpdateFigures) -> dict[str, float]:
    return {f"controller/{name}": getattr(figures, name) for name in _OF_UPDATES}
