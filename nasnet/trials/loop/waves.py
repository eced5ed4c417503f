"""Which trials the strategy has heard of, each as it ends or wave by wave; what it made of them. No TensorFlow."""

from __future__ import annotations

from controller.policy.figures import UpdateFigures
from controller.strategy import Strategy, Trial
from nasnet.trials.journal import Journal


class Waves:
    """Tells a strategy of the trials that are due, and the journal of each update that a controller makes of them.

    A wave is observed when all of it has ended, in the order of its trials, and nothing of the next is proposed before:
    so the proposals are the same whatever number of children run at a time. Without waves each trial is observed as it
    ends, which is the order of the journal.
    """

    def __init__(self, strategy: Strategy, journal: Journal, trials: int, size: int | None) -> None:
        """Tells nothing yet.

        Args:
            strategy: who is told.
            journal: holds each trial before it is told of.
            trials: how many there are, in all.
            size: trials of a wave; None observes each trial as it ends.
        """
        self._strategy, self._journal, self._trials, self._size = strategy, journal, trials, size
        self._heard = 0

    @property
    def now(self) -> range:
        """The trials of the wave that is under way."""
        return self._from(self._heard)

    @property
    def left(self) -> list[range]:
        """The trials of each wave that is not over; none where there are no waves."""
        return [self._from(first) for first in range(self._heard, self._trials, self._size)] if self._size else []

    def may_begin(self, trial_id: int) -> bool:
        """Whether the wave before that of this trial has been observed."""
        return not self._size or trial_id // self._size * self._size <= self._heard

    def hear(self, trial: Trial) -> None:
        """Tells the strategy what is due: this trial, or the waves that are whole now."""
        if not self._size:
            self._tell(trial)
            self._heard += 1
            return
        while self._heard < self._trials:
            wave = self.now
            if not all(i in self._journal.trials for i in wave):
                return
            for i in wave:
                self._tell(self._journal.trials[i])
            self._heard = wave.stop

    def _tell(self, trial: Trial) -> None:
        self._strategy.observe(trial)
        figures = getattr(self._strategy, "last_update", None)
        # A replay makes the updates that the journal has; it lacks those of an earlier program, or one that a kill cut.
        if isinstance(figures, UpdateFigures) and figures.updates == len(self._journal.updates) + 1:
            self._journal.add_update(figures)

    def _from(self, first: int) -> range:
        return range(first, min(first + (self._size or 1), self._trials))
