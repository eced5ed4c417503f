"""A search that goes on with more trials, ends early, and takes the reward of a cell that it has trained already.

The strategy here is a plain function of all that it observed, in its order: another order or another reward, and it
proposes otherwise. Half of its proposals are mirror images of earlier ones.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np
import pytest

from cells.spaces.nasnet import NASNetSpace
from controller.strategy import Outcome, Proposal, Trial
from nasnet.estimators.estimator import Estimate
from nasnet.execution.job import Job, Result
from nasnet.runtime.errors import DivergedError, RunError, SettingError
from nasnet.trials.finalists import Finalist, rank_finalists
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from tests.support.twins import turned_sides

SPACE = NASNetSpace(2)


class Remembers:
    """Proposes by what it observed: drawn cells, and now and then the mirror image of one that it proposed before."""

    def __init__(self) -> None:
        self.state = 0

    def propose(self, trial_id: int) -> Proposal:
        rng = np.random.default_rng((self.state, trial_id % 3))
        tokens = tuple(int(rng.integers(min(2, d.size))) for d in SPACE.decisions)
        if trial_id % 2:
            tokens = SPACE.encode(turned_sides(SPACE.decode(tokens)))
        return Proposal(trial_id, tokens, (0.0,) * len(tokens))

    def observe(self, trial: Trial) -> None:
        seen = (self.state, trial.proposal.trial_id, trial.outcome, trial.reward)
        self.state = zlib.crc32(repr(seen).encode()) % 8  # few states: cells come again


class Named:
    """A reward that is the child's name's alone; a share of the children fails."""

    def __init__(self, failing: float = 0.0) -> None:
        self.failing, self.calls = failing, []

    def estimate(self, genotype, name: str) -> Estimate:
        self.calls.append(name)
        number = zlib.crc32(name.encode()) % 1000
        if number < 1000 * self.failing:
            raise DivergedError("nan")
        return Estimate(number / 1000)


class Shuffled:
    """An engine of many slots whose children end in a drawn order."""

    def __init__(self, estimator, slots: int, seed: int) -> None:
        self.slots, self.jobs = slots, []
        self._estimator = estimator
        self._rng = np.random.default_rng(seed)

    @property
    def free(self) -> int:
        return self.slots - len(self.jobs)

    def submit(self, job) -> None:
        assert self.free > 0
        self.jobs.append(job)

    def collect(self, seconds: float):
        ends = int(self._rng.integers(len(self.jobs) + 1))
        return [self._run(self.jobs.pop(self._rng.integers(len(self.jobs)))) for _ in range(ends)]

    def _run(self, job: Job) -> Result:
        # Not by `attempt`, which collects garbage after each child.
        try:
            return Result(job, Outcome.OK, self._estimator.estimate(job.genotype, job.name).reward, 0.1)
        except DivergedError as error:
            return Result(job, Outcome.NAN, None, 0.1, str(error))

    def abandon(self) -> None:
        self.jobs.clear()

    cancel = abandon


def searched(path, *, trials=40, slots=1, seed=0, wave=5, failing=0.2, ends_after=None, **options) -> Journal:
    journal = Journal(path)
    engine = RetryingEngine(Shuffled(Named(failing), slots, seed), journal)
    begun = len(journal.trials)

    def enough() -> str | None:
        return "asked to" if ends_after is not None and len(journal.trials) - begun >= ends_after else None

    Search(SPACE, Remembers(), journal, engine, trials, wave=wave, enough=enough, **options).run()
    return journal


def facts(journal: Journal):
    return journal.proposals, {i: (t.outcome, t.reward, t.cause) for i, t in sorted(journal.trials.items())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return facts(searched(tmp_path_factory.mktemp("whole") / "j"))


def test_a_twin_takes_the_reward_of_the_trial_that_succeeded_before_it(tmp_path):
    journal = searched(tmp_path / "j", trials=60)
    first: dict[object, int] = {}
    repeated = 0
    for trial_id in range(60):
        trial = journal.trials[trial_id]
        cell = SPACE.decode(trial.proposal.tokens).canonical()
        if cell in first:
            repeated += 1
            assert (trial.outcome, trial.seconds) == (Outcome.OK, 0)
            assert trial.cause == f"the same network as trial {first[cell]}"
            assert trial.reward == journal.trials[first[cell]].reward
        elif trial.reward is not None:
            assert not trial.cause
            first[cell] = trial_id
    assert 10 < repeated < 50
    again = searched(tmp_path / "again", trials=60, repeat_cells=True)
    assert not any(trial.cause for trial in again.trials.values() if trial.reward is not None)


@pytest.mark.parametrize(("slots", "seed"), [(2, 1), (3, 2), (7, 3), (30, 4)])
def test_in_waves_twins_do_not_depend_on_what_runs_side_by_side(tmp_path, whole, slots, seed):
    assert facts(searched(tmp_path / "j", slots=slots, seed=seed)) == whole


@pytest.mark.parametrize("seed", range(6))
def test_ended_early_and_with_more_trials_it_is_the_search_that_was_never_ended(tmp_path, whole, seed):
    rng = np.random.default_rng(seed)
    path, trials = tmp_path / "j", 0
    for part in range(6):
        done = len(Journal(path).proposals)
        trials = int(rng.integers(max(done, 1), 41))
        try:
            searched(path, trials=trials, slots=int(rng.integers(1, 6)), seed=part, ends_after=int(rng.integers(1, 9)))
        except RunError:
            assert not any(trial.reward is not None for trial in Journal(path).trials.values())
    assert facts(searched(path, slots=3, seed=9)) == whole


def test_observed_as_they_end_no_more_wait_for_a_twin_than_could_run(tmp_path):
    """All proposals are one cell: without a bound they would all be made before the first has ended."""

    class Same(Remembers):
        def propose(self, trial_id: int) -> Proposal:
            return Proposal(trial_id, (0,) * len(SPACE.decisions), (0.0,) * len(SPACE.decisions))

    journal, estimator = Journal(tmp_path / "j"), Named()
    most = []

    class Watched(Shuffled):
        def collect(self, seconds):
            most.append(len(journal.proposals) - len(journal.trials))
            return super().collect(seconds)

    Search(SPACE, Same(), journal, RetryingEngine(Watched(estimator, 4, 0), journal), 30).run()
    assert estimator.calls == ["trial_0"]
    assert max(most) <= 4
    assert {trial.reward for trial in journal.trials.values()} == {journal.trials[0].reward}


def test_fewer_trials_than_were_made_are_refused(tmp_path):
    searched(tmp_path / "j", trials=12)
    with pytest.raises(SettingError, match=r"trials=11: 12 have been made here; expected that many or more"):
        searched(tmp_path / "j", trials=11)
    before = (tmp_path / "j").read_bytes()
    searched(tmp_path / "j", trials=12)
    assert (tmp_path / "j").read_bytes() == before


def test_ended_before_anything_succeeded_is_an_error(tmp_path):
    with pytest.raises(RunError, match=r"none of 0 trials succeeded \(none has ended\); ended by "):
        searched(tmp_path / "j", ends_after=0)


def trial(trial_id: int, tokens, reward: float) -> Trial:
    return Trial(Proposal(trial_id, tokens, (0.0,) * len(tokens)), Outcome.OK, reward, 1.0)


def three_trials() -> list[Trial]:
    cells = [(0, 0, 1, n, 0) * 4 for n in (2, 3, 4)]
    return [trial(5, cells[0], 0.9), trial(3, cells[1], 0.8), trial(8, cells[2], 0.7)]


class Rewards:
    """What each child is worth, by name; None fails."""

    def __init__(self, rewards) -> None:
        self.rewards = rewards

    def estimate(self, genotype, name: str) -> Estimate:
        if (reward := self.rewards[name]) is None:
            raise DivergedError("nan")
        return Estimate(reward)


def test_a_start_that_fails_counts_as_the_worst_reward_of_the_search(tmp_path):
    """The mean of what succeeded would put trial 5 first."""
    journal = Journal(tmp_path / "j")
    for ended in [*three_trials(), trial(9, (1,) * 20, 0.1)]:
        journal.proposals[ended.proposal.trial_id] = ended.proposal
        journal.trials[ended.proposal.trial_id] = ended
    rewards = {"finalist_5_0": 0.99, "finalist_5_1": None, "finalist_3_0": 0.8, "finalist_3_1": 0.9}
    engine = RetryingEngine(Shuffled(Rewards(rewards), 1, 0), journal)
    found = rank_finalists(SPACE, engine, journal, three_trials(), finalists=2, starts=2)
    assert found == [Finalist(three_trials()[1], (0.8, 0.9), 0, 0.1), Finalist(three_trials()[0], (0.99,), 1, 0.1)]
    assert [round(f.rank_by, 6) for f in found] == [0.85, 0.545]


def test_mirror_images_are_one_finalist(tmp_path):
    best, second, third = three_trials()
    mirrored = trial(4, SPACE.encode(turned_sides(SPACE.decode(best.proposal.tokens))), 0.85)
    assert mirrored.proposal.tokens != best.proposal.tokens
    journal = Journal(tmp_path / "j")
    rewards = {f"finalist_{i}_0": i / 10 for i in (5, 3, 8)}
    engine = RetryingEngine(Shuffled(Rewards(rewards), 1, 0), journal)
    found = rank_finalists(SPACE, engine, journal, [best, mirrored, second, third], finalists=3, starts=1)
    assert [f.trial.proposal.trial_id for f in found] == [8, 5, 3]


@pytest.mark.parametrize(("ended", "ranked"), [(0, []), (1, []), (2, [5]), (3, [5]), (4, [3, 5]), (6, [8, 3, 5])])
def test_cut_short_only_finalists_with_all_their_starts_are_ranked(tmp_path, ended, ranked):
    journal = Journal(tmp_path / "j")
    rewards = {f"finalist_{i}_{start}": {5: 0.3, 3: 0.4, 8: 0.5}[i] for i in (5, 3, 8) for start in range(2)}
    engine = RetryingEngine(Shuffled(Rewards(rewards), 1, 0), journal)
    rank = functools.partial(rank_finalists, SPACE, engine, journal, three_trials(), finalists=3, starts=2)
    found = rank(cut_short=lambda: len(journal.finalists) >= ended)
    assert [f.trial.proposal.trial_id for f in found] == ranked
    assert engine.free == 1
    assert [f.trial.proposal.trial_id for f in rank()] == [8, 3, 5]
