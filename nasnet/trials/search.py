"""The loop: replay the journal, propose, submit, collect, observe. No TensorFlow.

Resuming is running the same command.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping

from cells.genotype.genotype import Genotype
from cells.spaces.space import Space
from controller.strategy import Outcome, Proposal, Strategy, Trial
from nasnet.execution.job import Job, Result
from nasnet.runtime.errors import SettingError, UserError
from nasnet.trials.forecast import Forecast
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Latency
from nasnet.trials.loop.ended import none_succeeded, trial_of
from nasnet.trials.loop.rungs import Promotion, RungEnd, Rungs, children_left
from nasnet.trials.loop.twins import Twins, repeated
from nasnet.trials.loop.waves import Waves
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.weights.best import BestWeights

_COUNTED_AGAIN = 20
"""Trials of the journal whose children are held against those of this program."""


@dataclasses.dataclass(frozen=True)
class SearchProgress:
    """A finished trial, the best one so far (None before the first success), and how long all the rest may take.

    That is the trials, and what comes after them; None while too little is known of it.
    """

    trial: Trial
    best: Trial | None
    done: int
    trials: int
    seconds_left: float | None


@dataclasses.dataclass
class Search:
    """A search over a space.

    Attributes:
        space, strategy, journal: what is searched, who proposes, and what happened so far.
        engine: where proposals are tried.
        trials: how many, in all.
        wave: trials of a wave (`Waves`); None observes each trial as it ends.
        repeat_cells: whether a cell is trained again that a trial before it had. Otherwise a trial of the same cell, or
            of a twin (`Cell.canonical`), gets that trial's reward, and waits for it while it runs.
        enough: what asked for no more trials, in words; None if nothing did.
        why_invalid: what is wrong with a genotype that must not be tried, in one line; None for the others.
        costs: what a child costs, by name, for the journal; of what is no network nothing.
        latency: what makes a reward of a child's accuracy and its latency; None where the accuracy is the reward.
        best_weights: where the weights of the best children go.
        rungs: those of a wave, which they need; None trains all children alike.
        report: told of each finished trial, but of those that end at a rung with what they had there.
        report_rung: told of each child that ended a rung which is not the last, and of who goes on.
        forecast: told of it too; says how long the rest may take.
        controller_seconds: how long proposing, observing and the journal took so far.
    """

    space: Space
    strategy: Strategy
    journal: Journal
    engine: RetryingEngine
    trials: int
    wave: int | None = None
    repeat_cells: bool = False
    enough: Callable[[], str | None] = lambda: None
    why_invalid: Callable[[Genotype], str | None] = lambda _: None
    costs: Callable[[Genotype], Mapping[str, int]] = lambda _: {}
    latency: Latency | None = None
    best_weights: BestWeights | None = None
    rungs: Rungs | None = None
    report: Callable[[SearchProgress], None] = lambda _: None
    report_rung: Callable[[RungEnd | Promotion], None] = lambda _: None
    forecast: Forecast | None = None
    controller_seconds: float = dataclasses.field(default=0.0, init=False)
    _best: Trial | None = dataclasses.field(default=None, init=False)
    _pending: list[Proposal] = dataclasses.field(default_factory=list, init=False)
    _running: set[int] = dataclasses.field(default_factory=set, init=False)
    _waves: Waves = dataclasses.field(init=False)
    _twins: Twins = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._waves = Waves(self.strategy, self.journal, self.trials, self.wave)
        self._twins = Twins(self.space)

    def run(self) -> list[Trial]:
        """Runs trials until the journal holds `trials` of them, or enough of them.

        What the journal holds already is told to the strategy in the same order, and not tried again; a proposal
        without an end is tried as it was recorded. So a search that was killed and started again goes on as one that
        was not. So does one that had enough: children that run then are cut off and tried again.

        Returns:
            The trials that succeeded or stand between two rungs, by `Trial.rank`: the highest reward first.

        Raises:
            UserError: if the journal belongs to another space, is of children of other sizes, or holds more trials; for
                damaged weights between rungs.
            RunError: if no trial at all succeeded.
            Stopped: if it was asked to stop.
        """
        for _ in self.turns():
            pass
        return self.ranked()

    def turns(self) -> Iterator[None]:
        """As `run`, a turn of the loop at a time: between two of them the journal says what has ended."""
        self._check_journal()
        self._replay()
        while len(self.journal.trials) < self.trials and not self.enough():
            while self._room() and (proposal := self._pending.pop(0) if self._pending else self._propose()):
                self._start(proposal)
            for result in self.engine.collect():
                self._ended(result)
            self._settle()
            yield
        if len(self.journal.trials) < self.trials:
            self.engine.abandon()

    def ranked(self) -> list[Trial]:
        """What `run` returns. Raises RunError if no trial has a reward."""
        ranked = sorted((t for t in self.journal.so_far.values() if t.reward is not None), key=lambda trial: trial.rank)
        if not ranked:
            raise none_succeeded(self.journal, self.enough())
        return ranked

    def seconds_left(self) -> float | None:
        """How long all the rest may take; None while too little is known of it."""
        if self.forecast is None:
            return None
        self.forecast.timing = self.engine.timing
        left = [self.trials - len(self.journal.trials)]
        if self.rungs is not None and self.wave:
            left = children_left(self.journal, self._waves.left, len(self.rungs))
        return self.forecast.left(left[0], self.engine.running_seconds(), later=left[1:])

    def factor(self, genotype: Genotype) -> float:
        """What the objective makes of a child's accuracy: times this."""
        return 1.0 if self.latency is None else self.latency.factor(genotype)

    def _replay(self) -> None:
        so_far = self.journal.so_far
        for trial_id, proposal in self.journal.proposals.items():
            trial = so_far.get(trial_id)
            if trial is not None and trial.reward is not None:
                self._twins.first(proposal)
        for trial in self.journal.trials.values():
            self._hear(trial)
        if self.forecast is not None:
            for trial in (*itertools.chain(*self.journal.rungs.values()), *self.journal.trials.values()):
                self.forecast.trial(trial, live=False)
        open_ends = [i for i in self.journal.proposals if i not in self.journal.trials]
        if self.rungs is not None:
            self.rungs.weights.resume([so_far[i] for i in open_ends if i in so_far])
        goes_on = {i: self.journal.may_go_on(i) for i in open_ends if i < self.trials}
        self._pending = [self.journal.proposals[i] for i, whether in goes_on.items() if whether]
        for trial in [so_far[i] for i, whether in goes_on.items() if whether is False]:
            self._finish(trial, shown=False)

    def _check_journal(self) -> None:
        ended = len(self.journal.trials) and max(self.journal.trials) + 1
        if ended > self.trials:
            raise SettingError("trials", self.trials, f"{ended} have been made here; expected that many or more")
        self.journal.check(self.space)
        self._check_costs()

    def _check_costs(self) -> None:
        """Raises UserError where the journal's children were of other sizes than this program's would be.

        Looks at the first few: what changes the networks of a space changes many, and a count takes milliseconds.
        """
        for trial_id, before in itertools.islice(self.journal.costs.items(), _COUNTED_AGAIN):
            now = self.costs(self.space.decode(self.journal.proposals[trial_id].tokens))
            if now != before:
                was, has = (", ".join(f"{number:,} {name}" for name, number in of.items()) for of in (before, now))
                what_now = f"has {has}" if now else "cannot be built"
                raise UserError(
                    f"{self.journal.path}: trial {trial_id} had {was}; this program's {what_now}: its children are of "
                    "other sizes, so the search can't go on; begin another in a new folder"
                )

    def _propose(self) -> Proposal | None:
        """The next proposal; None where there is none, or where the wave before has to end first."""
        trial_id = len(self.journal.proposals)
        if trial_id >= self.trials or not self._waves.may_begin(trial_id):
            return None
        before = time.monotonic()
        proposal = self.strategy.propose(trial_id)
        self.journal.propose(proposal)
        self.controller_seconds += time.monotonic() - before
        return proposal

    def _room(self) -> bool:
        """Whether one more may start. What waits for its twin counts where no wave bounds how many do."""
        return self.engine.free > (0 if self.wave else len(self._twins))

    def _start(self, proposal: Proposal) -> None:
        genotype = self.space.decode(proposal.tokens)
        if proposal.trial_id in self.journal.rungs:
            self._train(proposal, genotype)
            return
        if (cause := self.why_invalid(genotype)) is not None:
            self._finish(Trial(proposal, Outcome.INVALID, None, 0.0, cause))
            return
        if not self.repeat_cells:
            first = self._twins.first(proposal)
            if first in self.journal.trials:
                self._finish(repeated(proposal, self.journal.trials[first]))
                return
            if first != proposal.trial_id:
                self._twins.wait(proposal, first)
                return
        self._train(proposal, genotype)

    def _train(self, proposal: Proposal, genotype: Genotype) -> None:
        if self.rungs is not None:
            ended = self.journal.rungs.get(proposal.trial_id)
            job = self.rungs.job(proposal, genotype, ended[-1] if ended else None)
        else:
            above = None if self.best_weights is None else self.best_weights.above
            if above is not None:  # the worker knows accuracies
                above /= self.factor(genotype)
            job = Job(proposal.trial_id, genotype, keep_above=above)
        self._running.add(proposal.trial_id)
        self.engine.submit(job)

    def _ended(self, result: Result) -> None:
        """A child ended: its trial does, or it ended a rung from which it may go on."""
        trial, rungs = self._trial(result), self.rungs
        self._running.discard(trial.proposal.trial_id)
        if rungs is None or trial.reward is None or trial.rung == len(rungs):
            self._finish(trial)
            return
        assert result.child is not None
        rungs.weights.keep(trial, result.child)
        self.journal.end_rung(trial, result.seconds)
        if self.forecast is not None:
            self.forecast.trial(trial)
        waiting = self._twins.waiting
        wave = [i for i in self._waves.now if i not in waiting]
        self.report_rung(rungs.ended(trial, self.journal, wave, self.seconds_left()))

    def _settle(self) -> None:
        """Once nothing of a wave runs or is to start: of those that wait at its lowest rung some go on, others end."""
        if self.rungs is None or self._pending or self._running:
            return
        if len(self.journal.proposals) < self._waves.now.stop:
            return
        if (decided := self.rungs.decide(self.journal, self.trials)) is None:
            return
        self._pending = [self.journal.proposals[trial_id] for trial_id in decided.going]
        self.report_rung(decided)
        for trial_id in decided.ending:
            self._finish(self.journal.rungs[trial_id][-1], shown=False)

    def _trial(self, result: Result) -> Trial:
        """The trial that a child was. What is worth keeping of it is kept before the journal says that it ended."""
        trial = trial_of(result, self.journal, self.space, self.latency)
        if self.best_weights is not None and result.child is not None and trial.reward is not None:
            self.best_weights.offer(trial, result.child)
        return trial

    def _finish(self, trial: Trial, *, shown: bool = True) -> None:
        before = time.monotonic()
        self.journal.finish(trial, self.costs(self.space.decode(trial.proposal.tokens)))
        self._hear(trial)
        self.controller_seconds += time.monotonic() - before
        if self.forecast is not None:
            self.forecast.trial(trial)
        if self.rungs is not None:
            self.rungs.weights.forget(trial)
        if self.best_weights is not None and trial.reward is None:
            self.best_weights.forget(trial)
        if shown:
            self.report(SearchProgress(trial, self._best, len(self.journal.trials), self.trials, self.seconds_left()))
        twins = self._twins.ended(trial)
        if trial.reward is not None:
            for proposal in twins:
                self._finish(repeated(proposal, trial))
        else:  # the next of them is trained, and the others wait for that one
            self._pending = sorted([*twins, *self._pending], key=lambda proposal: proposal.trial_id)

    def _hear(self, trial: Trial) -> None:
        if trial.reward is not None:
            self._best = trial if self._best is None else min(self._best, trial, key=lambda best: best.rank)
        self._waves.hear(trial)
