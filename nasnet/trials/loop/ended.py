"""What the end of a child means: its trial; and, where none succeeded, the search's own end. No TensorFlow."""

from __future__ import annotations

from collections import Counter

from cells.spaces.space import Space
from controller.strategy import Trial
from nasnet.execution.job import Result
from nasnet.runtime.errors import RunError
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Latency


def trial_of(result: Result, journal: Journal, space: Space, latency: Latency | None) -> Trial:
    """The trial that a child was, with the rungs that it had before and what a latency makes of its accuracy."""
    trial_id, reward = result.job.trial_id, result.reward
    proposal, figures = journal.proposals[trial_id], {}
    if latency is not None and reward is not None:
        reward, figures = latency.worth(space.decode(proposal.tokens), reward)
    seconds, cause, earlier = result.seconds, result.cause, ()
    if ended := journal.rungs.get(trial_id):
        seconds, earlier = ended[-1].seconds + seconds, ended[-1].rewards
        cause = f"rung {len(ended) + 1}: {cause}" if cause else ""
    return Trial(proposal, result.outcome, reward, seconds, cause, figures, earlier)


def none_succeeded(journal: Journal, ended_by: str | None) -> RunError:
    """The error of a search without a reward, with the commonest causes; `ended_by` is what cut it short, if it was."""
    ends = Counter((str(trial.outcome), trial.cause) for trial in journal.trials.values())
    shown = "; ".join(f"{count} {outcome}: {cause}" for (outcome, cause), count in ends.most_common(3))
    early = f"; ended by {ended_by}" if ended_by else ""
    return RunError(f"none of {len(journal.trials)} trials succeeded ({shown or 'none has ended'}){early}")
