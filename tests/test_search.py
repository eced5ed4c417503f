"""The loop over real children, and its failures."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import tensorflow as tf

from cells.spaces import NASNetSpace
from controller.config import PolicyGradientConfig
from controller.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Outcome
from nasnet.config import NetworkConfig, RunError, TrainingConfig, UserError
from nasnet.data import channel_statistics, open_dataset
from nasnet.estimate import Estimate, ProxyEstimator
from nasnet.journal import Journal
from nasnet.search import rank_finalists, search
from nasnet.training import DivergedError

SPACE = NASNetSpace(1)


class ShareEstimator:
    """A real estimator without pictures: the share of tokens that are zero. Can be told to fail at a trial."""

    def __init__(self, failures=None, stop_at=None):
        self.failures, self.stop_at, self.calls = failures or {}, stop_at, []

    def estimate(self, genotype, name):
        self.calls.append(name)
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        if name in self.failures:
            raise self.failures[name]
        tokens = SPACE.encode(genotype)
        return Estimate(sum(token == 0 for token in tokens) / len(tokens), {"steps": 0.0})


def ppo():
    return PolicyGradient(SPACE.decisions, PolicyGradientConfig(update_trials=5), 3)


def test_interrupted_anywhere_the_proposals_are_the_same_and_nothing_is_tried_twice(tmp_path):
    whole = Journal(tmp_path / "whole")
    ranked = search(SPACE, ppo(), ShareEstimator(), whole, 23)
    assert ranked[0].reward == max(trial.reward for trial in whole.trials.values())
    for stop_at in (1, 2, 5, 6, 11, 23):
        path = tmp_path / f"stopped_{stop_at}"
        first, second = ShareEstimator(stop_at=stop_at), ShareEstimator()
        with pytest.raises(KeyboardInterrupt):
            search(SPACE, ppo(), first, Journal(path), 23)
        journal = Journal(path)
        assert len(journal.trials) == stop_at - 1
        again = search(SPACE, ppo(), second, journal, 23)
        assert journal.proposals == whole.proposals
        assert [t.proposal for t in again] == [t.proposal for t in ranked]
        assert first.calls[:-1] + second.calls == [f"trial_{i}" for i in range(23)]


def test_every_failure_has_its_outcome_and_the_search_goes_on(tmp_path):
    failures = {
        "trial_1": DivergedError("the loss was nan"),
        "trial_2": tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore lines"),
        "trial_3": RuntimeError("boom\nsecond line"),
        "trial_4": MemoryError(),
    }
    journal = Journal(tmp_path / "j")
    ranked = search(SPACE, ppo(), ShareEstimator(failures), journal, 12)
    outcomes = [(trial.outcome, trial.cause) for trial in journal.trials.values()][:5]
    assert outcomes == [
        (Outcome.OK, ""),
        (Outcome.NAN, "the loss was nan"),
        (Outcome.OOM, "OOM when allocating"),
        (Outcome.CRASHED, "RuntimeError: boom"),
        (Outcome.OOM, "MemoryError"),
    ]
    assert len(ranked) == 8
    assert [t.reward for t in ranked] == sorted((t.reward for t in ranked), reverse=True)


def test_no_success_at_all_is_an_error_that_tells_the_causes(tmp_path):
    estimator = ShareEstimator({f"trial_{i}": RuntimeError("no disk") for i in range(3)})
    with pytest.raises(RunError, match=r"none of 3 trials succeeded \(3 crashed: RuntimeError: no disk\)"):
        search(SPACE, ppo(), estimator, Journal(tmp_path / "j"), 3)


def test_a_journal_of_another_space_is_refused(tmp_path):
    search(SPACE, ppo(), ShareEstimator(), Journal(tmp_path / "j"), 2)
    other = NASNetSpace(2)
    with pytest.raises(UserError, match="not of this space"):
        search(other, RandomSearch(other.decisions, 0), ShareEstimator(), Journal(tmp_path / "j"), 2)


def test_finalists_are_different_cells_ranked_by_their_mean_and_not_run_twice(tmp_path):
    class Longer:
        """Turns the search's order around; the second start of every cell fails."""

        calls: list[str]

        def __init__(self):
            self.calls = []

        def estimate(self, genotype, name):
            self.calls.append(name)
            if name.endswith("_1"):
                raise DivergedError("nan")
            return Estimate(-ShareEstimator().estimate(genotype, name).reward, {})

    journal = Journal(tmp_path / "j")
    ranked = search(SPACE, RandomSearch(SPACE.decisions, 0), ShareEstimator(), journal, 30)
    longer = Longer()
    options = {"finalists": 4, "starts": 3}
    final = rank_finalists(SPACE, longer, journal, ranked, **options)
    assert len({f.trial.proposal.tokens for f in final}) == 4
    assert {f.trial.reward for f in final} <= {t.reward for t in ranked[:6]}
    assert all(len(f.rewards) == 2 for f in final)
    assert all(a.rank_by >= b.rank_by for a, b in itertools.pairwise(final))
    assert len(longer.calls) == 12
    resumed = Longer()
    assert rank_finalists(SPACE, resumed, Journal(tmp_path / "j"), ranked, **options) == final
    assert resumed.calls == []


@pytest.mark.parametrize("child", ["functions", "keras"])
def test_a_search_on_digits_repeats_to_the_bit(tmp_path, child):
    data = open_dataset("digits")
    mean, std = channel_statistics(data.train)
    training = TrainingConfig(steps=3, batch_size=16)
    estimator = ProxyEstimator(data, mean, std, NetworkConfig(1, 4), training, 7, child)
    runs = []
    for name in ("a", "b"):
        journal = Journal(tmp_path / name)
        search(SPACE, RandomSearch(SPACE.decisions, 0), estimator, journal, 2)
        runs.append([dataclasses.replace(trial, seconds=0) for trial in journal.trials.values()])
    assert runs[0] == runs[1]
    assert all(0 <= trial.reward <= 1 for trial in runs[0])


def test_best_of_last_5_is_at_least_the_last():
    data = open_dataset("digits")
    mean, std = channel_statistics(data.train)
    genotype = SPACE.decode((0, 1, 10, 5, 0) * 2)
    training = TrainingConfig(epochs=6, batch_size=500)
    rewards = {
        reward: ProxyEstimator(data, mean, std, NetworkConfig(1, 2), training, 0, "functions", reward)
        .estimate(genotype, "x")
        .reward
        for reward in ("last", "best_of_last_5")
    }
    assert rewards["best_of_last_5"] >= rewards["last"]
