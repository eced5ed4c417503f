"""What a search says beside its trials: what is in doubt, its finalists, where the seconds went. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from controller.config import LearnerConfig, PolicyGradientConfig
from controller.strategies import blind_trials
from nasnet.data.dataset import DataSet
from nasnet.estimators.estimator import Timing
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.memory import MemoryNeed
from nasnet.reports.intervals import accuracy, half_width
from nasnet.runtime import devices
from nasnet.runtime.clock import clock
from nasnet.runtime.console import say
from nasnet.training.config import TrainingConfig
from nasnet.trials.finalists import Finalist
from nasnet.trials.journal import FinalistRun
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search

LEARNS_AFTER = 500
"""Trials below which PPO has not beaten random search (docs/results.md)."""
_RANKS = 0.05
"""Half the width of the 95% interval of an accuracy of 0.5 above which a valid split is called small."""
_NORMAL = 1.96
_GB = 1e9


def say_pictures(data: DataSet, share: str) -> None:
    """What is wanting in a search's pictures: labels of a test split, a valid split to rank by, which `share` sizes."""
    if not data.has_test:
        say("note: the labels of the test split are hidden or missing; the search goes on without a test score")
    pictures = len(data.valid)
    half = _NORMAL * (0.25 / pictures) ** 0.5
    if half > _RANKS:
        say(
            f"note: {pictures} valid pictures are few to rank by: an accuracy moves in steps of {1 / pictures:.2g}, "
            f"and its 95% interval at 0.5 is +-{half:.2g}; give more pictures, or a larger {share}"
        )


def at_work(engine: RetryingEngine) -> str:
    """What goes on, where nothing else is said."""
    running = engine.at_work()
    shown = ", ".join(f"{child} ({clock(seconds)})" for child, seconds in running[:3])
    more = f" and {len(running) - 3} more" if len(running) > 3 else ""
    return f"at work on {shown}{more}" if running else "waiting for a worker"


def say_search(
    search: Search,
    data: DataSet,
    strategy: str,
    children: str,
    training: TrainingConfig,
    execution: ExecutionConfig,
) -> None:
    """What is searched, by whom, how many at a time. `children` says what they are."""
    length = f"{training.steps} steps" if training.steps else f"{training.epochs} epochs"
    if search.rungs is not None:
        first, *more = search.rungs.steps
        length = f"{first} steps, {', '.join(map(str, more))} for the best third of each wave,"
    say(
        f"searching {search.space.length(0)} decisions with {strategy}: {search.trials} children "
        f"{children}, {length} on {len(data.train)} pictures of {data.name}"
    )
    where = f"on the Ray cluster {execution.cluster}" if execution.cluster else "on this machine"
    if not execution.cluster and not execution.workers:
        where = "in this process"
    order = "each observed as it ends"
    if search.wave:
        order = f"in waves of {search.wave}" if search.wave < search.trials else "all in one wave"
    say(f"{search.engine.slots} at a time {where}, {order}")
    if trials := search.journal.trials:
        waiting = len(search.journal.so_far) - len(trials)
        say(f"going on after {len(trials)} finished trials" + (f" and {waiting} between two rungs" if waiting else ""))
    elif search.journal.rungs:
        say(f"going on after {len(search.journal.rungs)} trials that stand between two rungs")


def fit_memory(execution: ExecutionConfig, need: MemoryNeed) -> ExecutionConfig:
    """Says how much memory a search will take; answers with fewer workers, and says so, where there is not as much."""
    wanted, free = execution.workers or 0, devices.memory_available()
    workers = need.fitting(wanted, free, devices.memory_taken())
    each = "its worker" if workers == 1 else f"each of {workers} workers"
    parts = f"{need.driver / _GB:.2g} for this process, {need.worker / _GB:.2g} for {each}"
    if workers == wanted:
        say(f"memory: about {need.total(workers) / _GB:.2g} GB, {parts}; {free / _GB:.2g} GB are free")
    else:
        say(
            f"memory: {workers} of {wanted} workers are started; all would take {need.total(wanted) / _GB:.2g} GB "
            f"and {free / _GB:.2g} GB are free; now about {need.total(workers) / _GB:.2g} GB, {parts}"
        )
    return dataclasses.replace(execution, workers=workers)


def say_updates(trials: int, update_trials: int) -> None:
    """How often the controller learned, where that was too seldom to tell."""
    if trials >= LEARNS_AFTER:
        return
    updates = trials // update_trials
    if not updates:
        say(
            f"note: {trials} trials are fewer than the {update_trials} of an update: the controller has learned nothing"
        )
        return
    made = "1 update" if updates == 1 else f"{updates} updates"
    say(f"note: {trials} trials are {made} of the controller; under {LEARNS_AFTER} trials it")
    say("  did no better than random search where that was measured (docs/results.md)")


def say_blind(strategy: str, trials: int, policy: PolicyGradientConfig, learner: LearnerConfig) -> None:
    """Says it where a strategy learned from none of its trials: that is random search, whatever it is called."""
    blind = blind_trials(strategy, policy, learner)
    if not blind or trials > blind:  # None never learns, 0 draws none at random
        return
    named = {"ppo": "update_trials", "reinforce": "update_trials", "evolution": "evolution_population"}
    were = "the trial was" if trials == 1 else f"all {trials} trials were"
    setting = f"{named.get(strategy, 'uniform_trials')}={blind}"
    say(f"note: {were} before {strategy} had learned anything ({setting}): this was random search")


def show_finalist(finalist: Finalist, place: int, pictures: int) -> None:
    """What became of a finalist, which had this place in the search and was scored on so many pictures."""
    trial = finalist.trial
    mean, _ = accuracy(finalist.counted, pictures) if finalist.rewards else (None, None)
    said = "" if mean is None else f"; mean {mean.mean:.4f}"
    if mean is not None and mean.half:  # 0 is of pictures that all are right, or none: others need not be
        said += f" +- {mean.half:.4f}" + (" over other pictures alone" if len(finalist.counted) == 1 else "")
    if finalist.rewards and finalist.factor != 1:
        said += f", with its latency {finalist.rank_by:.4f}"
    rewards = " ".join(f"{reward:.4f}" for reward in finalist.rewards)
    failed = f"{finalist.failed} failed, counted as {finalist.worst:.4f}" if finalist.failed else ""
    say(
        f"finalist: trial {trial.proposal.trial_id}, place {place} in the search with {trial.reward:.4f}; trained "
        f"longer {', '.join(filter(None, (rewards, failed)))}{said}"
    )


def say_ranking(final: Sequence[Finalist], pictures: int) -> None:
    """The finalists in their order, and which of them so many pictures cannot tell from the first."""
    numbers = [finalist.trial.proposal.trial_id for finalist in final]
    say(f"ranked by the longer training: {' > '.join(f'trial {number}' for number in numbers)}")
    like = [
        f"trial {number}" for number, other in zip(numbers, final, strict=True) if _alike(final[0], other, pictures)
    ]
    if like[1:]:
        starts = "one start" if len(final[0].counted) == 1 else f"{len(final[0].counted)} starts"
        say(
            f"note: trial {numbers[0]} cannot be told from {' or '.join(like[1:])} by these {pictures:,} pictures and "
            f"{starts}: it is first by chance as much as by what it is"
        )


def _alike(first: Finalist, other: Finalist, pictures: int) -> bool:
    """Whether 0 is within the 95% interval of the difference of what two are ranked by, their pictures taken as others.

    They are the same, which makes that interval wider than it had to be: the journal does not know which were right.
    What a latency makes of an accuracy it makes of its error, too.
    """
    if not other.rewards:
        return False
    parts = [
        (finalist.factor**2 * part, degrees)
        for finalist in (first, other)
        for part, degrees in accuracy(finalist.counted, pictures)[1]
    ]
    return abs(first.rank_by - other.rank_by) <= half_width(parts)


def show_finalist_run(run: FinalistRun, done: int, runs: int, seconds_left: float | None) -> None:
    """One longer training that ended, its accuracy before a latency is in it, and the time until everything has."""
    result = f"accuracy {run.reward:.4f}" if run.reward is not None else f"{run.outcome}: {run.cause}"
    left = "" if seconds_left is None else f", {clock(seconds_left)} left"
    say(f"finalist run {done}/{runs}  trial {run.trial_id}, start {run.start}  {result}  {run.seconds:.1f} s{left}")


def say_seconds(
    timing: Timing, slots: int, controller: float, searching: float, rest: tuple[float, float] | None
) -> None:
    """Where the seconds went: of the search on so many slots, its controller, and what came after it if there is any.

    That is the seconds to hold the winner against others, and those of the winner and its export.
    """
    longest_first = sorted(dataclasses.asdict(timing).items(), key=lambda part: -part[1])
    parts = [f"{seconds:.0f} s {name}" for name, seconds in longest_first]
    idle = max(0.0, slots * searching - timing.seconds)
    if rest is None:
        say(f"{searching:.0f} s in all")
    else:
        held, winner = rest
        against = f"{held:.0f} s the baselines, " if held >= 1 else ""
        say(
            f"{searching + held + winner:.0f} s in all: {searching:.0f} s the search, {against}{winner:.0f} s the "
            "winner and its export"
        )
    say(
        f"the search's {slots} x {searching:.0f} s: {', '.join([*parts, f'{idle:.0f} s starting and waiting'])}; "
        f"{controller:.0f} s controller and journal"
    )
