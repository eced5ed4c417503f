"""The loop: replay the journal, propose, submit, collect, observe. No TensorFlow.

Resuming is running the same command.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable

from cells.genotype import CellGenotype
from cells.spaces.space import Space, check_tokens
from controller.strategy import Outcome, Proposal, Strategy, Trial
from nasnet.execution.job import Job, Result
from nasnet.runtime.errors import RunError, UserError
from nasnet.trials.best_weights import BestWeights
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine


@dataclasses.dataclass(frozen=True)
class SearchProgress:
    """A finished trial, the best one so far (None before the first success) and how long the rest may take."""

    trial: Trial
    best: Trial | None
    done: int
    trials: int
    seconds_left: float


@dataclasses.dataclass
class Search:
    """A search over a space.

    Attributes:
        space, strategy, journal: what is searched, who proposes, and what happened so far.
        engine: where proposals are tried.
        trials: how many, in all.
        wave: trials of a wave, which make the proposals the same whatever number of children run at a time: a wave is
            observed when all of it has ended, in the order of its trials, and nothing of the next is proposed before.
            None observes each trial as it ends, which is the order of the journal.
        why_invalid: what is wrong with a genotype that must not be tried, in one line; None for the others.
        best_weights: where the weights of the best children go.
        report: told of each finished trial.
        controller_seconds: how long proposing, observing and the journal took so far.
    """

    space: Space
    strategy: Strategy
    journal: Journal
    engine: RetryingEngine
    trials: int
    wave: int | None = None
    why_invalid: Callable[[CellGenotype], str | None] = lambda _: None
    best_weights: BestWeights | None = None
    report: Callable[[SearchProgress], None] = lambda _: None
    controller_seconds: float = dataclasses.field(default=0.0, init=False)
    _observed: int = dataclasses.field(default=0, init=False)
    _best: Trial | None = dataclasses.field(default=None, init=False)
    _begun: float = dataclasses.field(default=0.0, init=False)
    _done_before: int = dataclasses.field(default=0, init=False)

    def run(self) -> list[Trial]:
        """Runs trials until the journal holds `trials` of them.

        What the journal holds already is told to the strategy in the same order, and not tried again; a proposal
        without an end is tried as it was recorded. So a search that was killed and started again goes on as one that
        was not.

        Returns:
            The trials that succeeded, the highest reward first, the earlier first of equals.

        Raises:
            UserError: if the journal belongs to another space.
            RunError: if no trial at all succeeded.
            Stopped: if it was asked to stop.
        """
        self._check_journal()
        for trial in self.journal.trials.values():
            self._hear(trial)
        self._begun, self._done_before = time.monotonic(), len(self.journal.trials)
        pending = [p for i, p in self.journal.proposals.items() if i not in self.journal.trials]
        while len(self.journal.trials) < self.trials:
            while self.engine.free > 0 and (proposal := pending.pop(0) if pending else self._propose()):
                self._start(proposal)
            for result in self.engine.collect():
                self._finish(self._trial(result))
        ranked = sorted((t for t in self.journal.trials.values() if t.reward is not None), key=_rank)
        if not ranked:
            ends = Counter((str(trial.outcome), trial.cause) for trial in self.journal.trials.values())
            shown = "; ".join(f"{count} {outcome}: {cause}" for (outcome, cause), count in ends.most_common(3))
            raise RunError(f"none of {self.trials} trials succeeded ({shown})")
        return ranked

    def _check_journal(self) -> None:
        for trial_id, proposal in self.journal.proposals.items():
            try:
                check_tokens(self.space.decisions, proposal.tokens)
            except ValueError as error:
                raise UserError(f"the journal's trial {trial_id} is not of this space: {error}") from error

    def _propose(self) -> Proposal | None:
        """The next proposal; None where there is none, or where the wave before has to end first."""
        trial_id = len(self.journal.proposals)
        if trial_id >= self.trials or (self.wave and trial_id // self.wave * self.wave > self._observed):
            return None
        before = time.monotonic()
        proposal = self.strategy.propose(trial_id)
        self.journal.propose(proposal)
        self.controller_seconds += time.monotonic() - before
        return proposal

    def _start(self, proposal: Proposal) -> None:
        genotype = self.space.decode(proposal.tokens)
        if (cause := self.why_invalid(genotype)) is not None:
            self._finish(Trial(proposal, Outcome.INVALID, None, 0.0, cause))
            return
        above = None if self.best_weights is None else self.best_weights.above
        self.engine.submit(Job(proposal.trial_id, genotype, keep_above=above))

    def _trial(self, result: Result) -> Trial:
        """The trial that a child was. What is worth keeping of it is kept before the journal says that it ended."""
        trial_id = result.job.trial_id
        if self.best_weights is not None and result.child is not None and result.reward is not None:
            self.best_weights.offer(trial_id, result.reward, result.child)
        proposal = self.journal.proposals[trial_id]
        return Trial(proposal, result.outcome, result.reward, result.seconds, result.cause)

    def _finish(self, trial: Trial) -> None:
        before = time.monotonic()
        self.journal.finish(trial)
        self._hear(trial)
        self.controller_seconds += time.monotonic() - before
        done = len(self.journal.trials)
        pace = (time.monotonic() - self._begun) / (done - self._done_before)
        self.report(SearchProgress(trial, self._best, done, self.trials, pace * (self.trials - done)))

    def _hear(self, trial: Trial) -> None:
        """Tells the strategy what is due: this trial, or the waves that are whole now."""
        if trial.reward is not None:
            self._best = trial if self._best is None else min(self._best, trial, key=_rank)
        if not self.wave:
            self.strategy.observe(trial)
            self._observed += 1
            return
        while self._observed < self.trials:
            wave = range(self._observed, min(self._observed + self.wave, self.trials))
            if not all(i in self.journal.trials for i in wave):
                return
            for i in wave:
                self.strategy.observe(self.journal.trials[i])
            self._observed = wave.stop


def _rank(trial: Trial) -> tuple[float, int]:
    """Sorts the highest reward first, the earlier trial first of equals."""
    assert trial.reward is not None
    return -trial.reward, trial.proposal.trial_id
