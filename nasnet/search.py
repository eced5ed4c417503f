"""The loop: replay the journal, propose, try, observe; then the finalists. Resuming is running the same command."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from cells.spaces import Space, check_tokens
from controller.strategy import Outcome, Proposal, Strategy, Trial
from nasnet.config import RunError, UserError
from nasnet.estimate import Estimator
from nasnet.journal import FinalistRun, Journal
from nasnet.training import DivergedError


@dataclasses.dataclass(frozen=True)
class SearchProgress:
    """A finished trial, the best one so far (None before the first success) and how long the rest may take."""

    trial: Trial
    best: Trial | None
    done: int
    trials: int
    seconds_left: float


@dataclasses.dataclass(frozen=True)
class Finalist:
    """One of the best trials, trained longer: its rewards from several fresh starts."""

    trial: Trial
    rewards: tuple[float, ...]

    @property
    def rank_by(self) -> float:
        """The mean of its rewards; minus infinity if no start succeeded."""
        return float(np.mean(self.rewards)) if self.rewards else -np.inf


@dataclasses.dataclass
class Spent:
    """What the seconds of a search went to."""

    seconds: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, parts: Mapping[str, float]) -> None:
        """Adds seconds by what they went to."""
        self.seconds.update(parts)


def search(
    space: Space,
    strategy: Strategy,
    estimator: Estimator,
    journal: Journal,
    trials: int,
    report: Callable[[SearchProgress], None] = lambda _: None,
    spent: Spent | None = None,
) -> list[Trial]:
    """Runs trials until the journal holds `trials` of them.

    What the journal holds already is told to the strategy in the order of the trials, and not tried again; a proposal
    without an end is tried as it was recorded. So a search that was killed and started again makes the same proposals
    as one that was not.

    Returns:
        The trials that succeeded, the highest reward first, the earlier first of equals.

    Raises:
        UserError: if the journal belongs to another space.
        RunError: if no trial at all succeeded.
    """
    spent = spent or Spent()
    for trial_id, proposal in journal.proposals.items():
        try:
            check_tokens(space.decisions, proposal.tokens)
        except ValueError as error:
            raise UserError(f"the journal's trial {trial_id} is not of this space: {error}") from error
    best: Trial | None = None
    start, tried = time.monotonic(), 0
    for trial_id in range(trials):
        if trial_id in journal.trials:
            trial = journal.trials[trial_id]
        else:
            before = time.monotonic()
            if trial_id not in journal.proposals:
                journal.propose(strategy.propose(trial_id))
            spent.add({"controller": time.monotonic() - before})
            trial = try_out(space, estimator, journal.proposals[trial_id], spent)
            journal.finish(trial)
            tried += 1
        before = time.monotonic()
        strategy.observe(trial)
        spent.add({"controller": time.monotonic() - before})
        if trial.reward is not None and (best is None or best.reward is None or trial.reward > best.reward):
            best = trial
        if tried:
            pace = (time.monotonic() - start) / tried
            report(SearchProgress(trial, best, trial_id + 1, trials, pace * (trials - trial_id - 1)))
    if best is None:
        ends = Counter((str(trial.outcome), trial.cause) for trial in journal.trials.values())
        shown = "; ".join(f"{number} {outcome}: {cause}" for (outcome, cause), number in ends.most_common(3))
        raise RunError(f"none of {trials} trials succeeded ({shown})")
    succeeded = [journal.trials[i] for i in range(trials) if journal.trials[i].reward is not None]
    return sorted(succeeded, key=lambda trial: (-(trial.reward or 0.0), trial.proposal.trial_id))


def rank_finalists(
    space: Space,
    estimator: Estimator,
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
        estimator: what trains longer.
        ranked: the successful trials, best first.
        finalists: how many different cells; starts: fresh starts of each.
        report: told of each finalist.
        spent: where the seconds are added.

    Returns:
        The finalists, best first; of equals, the better trial first.

    Raises:
        RunError: if no finalist succeeded.
    """
    different: dict[object, Trial] = {}
    for trial in ranked:
        different.setdefault(trial.proposal.tokens, trial)
    results: list[Finalist] = []
    for trial in list(different.values())[:finalists]:
        trial_id, rewards = trial.proposal.trial_id, []
        for start in range(starts):
            run = journal.finalists.get((trial_id, start))
            if run is None:
                longer = try_out(space, estimator, trial.proposal, spent or Spent(), f"finalist_{trial_id}_{start}")
                run = FinalistRun(trial_id, start, longer.outcome, longer.reward, longer.seconds, longer.cause)
                journal.finish_finalist(run)
            if run.reward is not None:
                rewards.append(run.reward)
        results.append(Finalist(trial, tuple(rewards)))
        report(results[-1])
    if not any(result.rewards for result in results):
        raise RunError(f"none of {len(results)} finalists succeeded; see the causes in the journal")
    return sorted(results, key=lambda finalist: -finalist.rank_by)


def try_out(space: Space, estimator: Estimator, proposal: Proposal, spent: Spent, name: str | None = None) -> Trial:
    """Scores one proposal. Whatever happens to the child, it ends in exactly one outcome with a one-line cause."""
    start = time.monotonic()
    outcome, reward, cause = Outcome.OK, None, ""
    try:
        estimate = estimator.estimate(space.decode(proposal.tokens), name or f"trial_{proposal.trial_id}")
        reward = estimate.reward
        spent.add(estimate.seconds)
    except DivergedError as error:
        outcome, cause = Outcome.NAN, _line(error)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        outcome, cause = Outcome.OOM, _line(error)
    except Exception as error:
        # A child may fail in any way that TensorFlow knows; the search goes on and tells the cause.
        outcome, cause = Outcome.CRASHED, f"{type(error).__name__}: {_line(error)}"
    return Trial(proposal, outcome, reward, time.monotonic() - start, cause)


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
