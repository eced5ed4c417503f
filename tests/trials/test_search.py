"""The loop over real children, and its failures."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import signal

import numpy as np
import pytest
import tensorflow as tf

from cells.count import count
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from controller.config import PolicyGradientConfig
from controller.policy.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import open_dataset
from nasnet.estimators.estimator import Estimate, Timing
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.engine import InProcess
from nasnet.execution.worker import attempt
from nasnet.networks.config import NetworkConfig
from nasnet.runtime.errors import DivergedError, RunError, UserError
from nasnet.runtime.signals import Stopped, Stopping
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import LatencyConfig, LimitConfig
from nasnet.trials.finalists import rank_finalists as rank
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Latency, Limits
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from nasnet.trials.weights.best import BestWeights
from tests.support.slow import some_now

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
        return Estimate(sum(token == 0 for token in tokens) / len(tokens))


def search(space, strategy, estimator, journal, trials, **options):
    engine = RetryingEngine(InProcess({"proxy": estimator}), journal)
    return Search(space, strategy, journal, engine, trials, **options).run()


def rank_finalists(space, estimator, journal, ranked, **options):
    return rank(space, RetryingEngine(InProcess({"finalist": estimator}), journal), journal, ranked, **options)


def ppo():
    return PolicyGradient(SPACE.decisions, PolicyGradientConfig(update_trials=5), 3)


@pytest.mark.parametrize("stops", some_now([(2, 6, 23), (1, 5, 11)], slow=[(1, 5, 11)]))
def test_interrupted_anywhere_the_proposals_are_the_same_and_nothing_is_tried_twice(tmp_path, stops):
    whole = Journal(tmp_path / "whole")
    ranked = search(SPACE, ppo(), ShareEstimator(), whole, 23)
    assert ranked[0].reward == max(trial.reward for trial in whole.trials.values())
    for stop_at in stops:
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


@pytest.mark.parametrize("objective", ["accuracy", "accuracy*latency"])
def test_a_latency_makes_children_invalid_or_is_in_their_rewards(tmp_path, objective):
    """And in the journal, in what is kept of the best, in the finalists' ranks; a search that goes on knows it."""

    def milliseconds(genotype):
        return 1.0 + 9.0 * (SPACE.encode(genotype)[0] == 0)  # the tokens that are worth most are slow

    latency = Latency(LatencyConfig(latency_ms=2.0, latency_weight=-1.0, objective=objective), milliseconds)
    limits = Limits(LimitConfig(), lambda _: None, (8, 8, 1), 1, latency)
    journal, estimator = Journal(tmp_path / "j"), ShareEstimator()
    options = {"why_invalid": limits.why_invalid, "latency": latency, "repeat_cells": True}
    ranked = search(SPACE, RandomSearch(SPACE.decisions, 0), estimator, journal, 30, **options)
    slow = {i for i, trial in journal.trials.items() if trial.proposal.tokens[0] == 0}
    assert 0 < len(slow) < 30
    if objective == "accuracy":
        assert {i for i, trial in journal.trials.items() if trial.outcome is Outcome.INVALID} == slow
        assert not slow & {int(name.removeprefix("trial_")) for name in estimator.calls}, "none of them was started"
        factors = (1.0, 1.0)
    else:
        assert len(ranked) == 30
        factors = (0.2, 2.0)  # (10 / 2) ^ -1, (1 / 2) ^ -1
    for trial in ranked:
        share = sum(token == 0 for token in trial.proposal.tokens) / len(trial.proposal.tokens)
        is_slow = trial.proposal.tokens[0] == 0
        assert trial.figures == {"accuracy": share, "latency_ms": 10.0 if is_slow else 1.0}
        assert trial.accuracy == share
        assert trial.reward == pytest.approx(share * factors[not is_slow])
    again = Journal(tmp_path / "j")
    assert again.trials == journal.trials
    final = rank_finalists(
        SPACE,
        ShareEstimator(),
        again,
        ranked,
        finalists=30,
        starts=1,
        factor=lambda genotype: 0.5 / milliseconds(genotype),
    )
    for finalist in final:
        assert finalist.trial.accuracy is not None
        assert finalist.rank_by == pytest.approx(finalist.trial.accuracy * 0.5 / finalist.trial.figures["latency_ms"])
    assert again.trials[ranked[0].proposal.trial_id].accuracy == final[0].rewards[0]


def test_weights_are_kept_by_the_objective(tmp_path):
    """A worker is told the accuracy that the best so far has to be beaten by, which hangs on the child's latency."""
    asked: dict[int, float | None] = {}

    class Engine(InProcess):
        def submit(self, job):
            asked[job.trial_id] = job.keep_above
            super().submit(job)

    latency = Latency(LatencyConfig(latency_ms=1.0, latency_weight=-1.0, objective="accuracy*latency"), lambda _: 4.0)
    journal, best = Journal(tmp_path / "j"), BestWeights(tmp_path / "children", 1)
    best.trials[99] = Trial(Proposal(99, (0,), (0.0,)), Outcome.OK, 0.1, 1.0)
    engine = RetryingEngine(Engine({"proxy": ShareEstimator()}), journal)
    strategy = RandomSearch(SPACE.decisions, 0)
    Search(SPACE, strategy, journal, engine, 1, best_weights=best, latency=latency).run()
    assert asked == {0: pytest.approx(0.4)}


def test_no_success_at_all_is_an_error_that_tells_the_causes(tmp_path):
    estimator = ShareEstimator({f"trial_{i}": RuntimeError("no disk") for i in range(3)})
    with pytest.raises(RunError, match=r"none of 3 trials succeeded \(3 crashed: RuntimeError: no disk\)"):
        search(SPACE, ppo(), estimator, Journal(tmp_path / "j"), 3)


def test_a_journal_of_another_space_is_refused(tmp_path):
    """Before anything is counted, which is of children of this space."""
    search(SPACE, ppo(), ShareEstimator(), Journal(tmp_path / "j"), 2, costs=lambda _: {"parameters": 12})
    other = NASNetSpace(2)
    with pytest.raises(UserError, match=f"^{tmp_path / 'j'}: trial 0 is not of this space"):
        search(other, RandomSearch(other.decisions, 0), ShareEstimator(), Journal(tmp_path / "j"), 2)


def test_a_journal_of_children_of_other_sizes_is_refused(tmp_path):
    """As after a change of how a cell comes to have so many parameters. The first trial could not be counted."""
    path = tmp_path / "j"

    def go_on(trials, other=None, number=None):
        journal = Journal(path)

        def costs(genotype):
            tokens = SPACE.encode(genotype)
            if tokens == journal.proposals[0].tokens:
                return {}
            now = {"parameters": 1000 + sum(tokens), "mult_adds": 9000}
            return now if other is None or tokens != journal.proposals[number].tokens else other(now)

        search(SPACE, RandomSearch(SPACE.decisions, 0), ShareEstimator(), journal, trials, costs=costs)

    go_on(10)
    go_on(30)
    assert list(Journal(path).costs) == list(range(1, 30))
    before = path.read_bytes()
    for number in (1, 20):
        size = 1000 + sum(Journal(path).proposals[number].tokens)
        for other, said in (
            (lambda now: {**now, "mult_adds": 9005}, f"has {size:,} parameters, 9,005 mult_adds: its children"),
            (lambda now: {**now, "parameters": 7}, "has 7 parameters, 9,000 mult_adds: its children"),
            (lambda _: {}, "cannot be built: its children"),
        ):
            with pytest.raises(UserError) as error:
                go_on(31, other, number)
            was = f"{size:,} parameters, 9,000 mult_adds"
            assert str(error.value).startswith(f"{path}: trial {number} had {was}; this program's {said}")
            assert path.read_bytes() == before
    go_on(31, lambda now: {**now, "mult_adds": 9005}, 21)  # of so many before it none was of another size


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
            return Estimate(-ShareEstimator().estimate(genotype, name).reward)

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


def test_of_equal_cells_the_better_trial_stands_and_of_equal_finalists_too(tmp_path):
    """One cell tried twice, three cells that come to the same when they are trained longer."""

    class Even:
        def estimate(self, genotype, name):
            return Estimate(0.5)

    journal = Journal(tmp_path / "j")
    cells = [(0, 0, 1, 0, 0) * 2, (0, 1, 1, 0, 0) * 2, (0, 1, 2, 0, 0) * 2]
    tried = [(7, cells[0], 0.9), (2, cells[1], 0.8), (4, cells[0], 0.7), (9, cells[2], 0.6)]
    ranked = [Trial(Proposal(i, tokens, (0.0,) * 10), Outcome.OK, reward, 1.0) for i, tokens, reward in tried]
    reported = []
    final = rank_finalists(SPACE, Even(), journal, ranked, finalists=3, starts=2, report=reported.append)
    assert [(f.trial.proposal.trial_id, f.rewards) for f in final] == [(i, (0.5, 0.5)) for i in (7, 2, 9)]
    assert reported == final
    assert list(journal.finalists) == [(i, start) for i in (7, 2, 9) for start in range(2)]


def test_the_seconds_of_all_children_are_those_of_their_trials_each_counted_once(tmp_path):
    class Timed:
        def estimate(self, genotype, name):
            return Estimate(0.5, Timing(tracing=0.25, steps=2.0, scoring=0.5))

    journal = Journal(tmp_path / "j")
    engine = RetryingEngine(InProcess({"proxy": Timed()}), journal)
    Search(SPACE, ppo(), journal, engine, 4).run()
    timing = engine.timing
    assert (timing.tracing, timing.steps, timing.scoring) == (1.0, 8.0, 2.0)
    assert timing.seconds == pytest.approx(sum(trial.seconds for trial in journal.trials.values()), abs=1e-9)


@pytest.mark.parametrize("child", some_now(["functions", "keras"], slow=["keras"]))
def test_a_search_on_digits_repeats_to_the_bit(tmp_path, child):
    data = open_dataset("digits")
    training = TrainingConfig(steps=3, batch_size=16)
    estimator = ProxyEstimator(data, NetworkConfig(1, 4), training, 7, child)
    runs = []
    for name in ("a", "b"):
        journal = Journal(tmp_path / name)
        search(SPACE, RandomSearch(SPACE.decisions, 0), estimator, journal, 2)
        runs.append([dataclasses.replace(trial, seconds=0) for trial in journal.trials.values()])
    assert runs[0] == runs[1]
    assert all(0 <= trial.reward <= 1 for trial in runs[0])


class Shuffled:
    """An engine of many slots whose children end in a drawn order. The children are real, side by side they are not."""

    def __init__(self, estimator, slots, seed):
        self.estimators, self.slots, self.rng, self.jobs = {"proxy": estimator}, slots, np.random.default_rng(seed), []

    @property
    def free(self):
        return self.slots - len(self.jobs)

    def submit(self, job):
        assert self.free > 0
        self.jobs.append(job)

    def collect(self, seconds):
        ends = 1 + int(self.rng.integers(len(self.jobs))) if self.jobs else 0
        chosen = [self.jobs.pop(self.rng.integers(len(self.jobs))) for _ in range(ends)]
        return [attempt(self.estimators, job) for job in chosen]

    def cancel(self):
        self.jobs.clear()


def side_by_side(path, slots, wave, seed=0, trials=23, stop_after=None):
    """A search with `slots` children at a time; interrupted after `stop_after` finished trials."""
    journal, strategy = Journal(path), ppo()

    def report(progress):
        if progress.done == stop_after:
            raise KeyboardInterrupt

    engine = RetryingEngine(Shuffled(ShareEstimator({"trial_3": RuntimeError("x")}), slots, seed), journal)
    search = Search(SPACE, strategy, journal, engine, trials, wave=wave, report=report)
    if stop_after is None:
        search.run()
    else:
        with pytest.raises(KeyboardInterrupt):
            search.run()
    return journal, [variable.numpy() for variable in strategy.policy.variables]


@pytest.mark.parametrize("wave", some_now([5, 8], slow=[5, 8]))
def test_in_waves_the_proposals_are_the_same_whatever_runs_side_by_side(tmp_path, wave):
    serial, weights = side_by_side(tmp_path / "serial", 1, wave)
    for slots, seed in ((2, 1), (3, 2), (30, 3)):
        other, other_weights = side_by_side(tmp_path / f"{slots}", slots, wave, seed)
        assert other.proposals == serial.proposals
        assert {i: t.reward for i, t in other.trials.items()} == {i: t.reward for i, t in serial.trials.items()}
        for a, b in zip(weights, other_weights, strict=True):
            np.testing.assert_array_equal(a, b)
    stopped = tmp_path / "stopped"
    for number, stop_after in enumerate((2, 7, 20)):
        side_by_side(stopped, 3, wave, 10 + number, stop_after=stop_after)
    resumed, resumed_weights = side_by_side(stopped, 4, wave, 20)
    assert resumed.proposals == serial.proposals
    for a, b in zip(weights, resumed_weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("slots", some_now([1, 4], slow=[1]))
def test_replaying_a_journal_gives_the_same_controller_to_the_bit(tmp_path, slots):
    """Observed as they end, over two interruptions; and one at a time it is the uninterrupted search."""
    path = tmp_path / "j"
    for number, stop_after in enumerate((4, 13)):
        side_by_side(path, slots, None, number, stop_after=stop_after)
    journal, weights = side_by_side(path, slots, None, 9)
    assert (list(journal.trials) == list(range(23))) == (slots == 1)
    replayed = ppo()
    for trial in Journal(path).trials.values():
        replayed.observe(trial)
    for a, b in zip(weights, replayed.policy.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    if slots == 1:
        assert journal.proposals == side_by_side(tmp_path / "whole", 1, None)[0].proposals


def test_what_is_over_a_limit_is_invalid_and_never_starts(tmp_path):
    """All of the space over the limit: the search ends, says so, and has not trained a child."""
    estimator = ShareEstimator()
    journal = Journal(tmp_path / "j")
    with pytest.raises(RunError, match=r"none of 4 trials succeeded \(4 invalid: too large\)"):
        search(SPACE, ppo(), estimator, journal, 4, why_invalid=lambda _: "too large")
    assert estimator.calls == []
    network = functools.partial(CellNetwork, repeats=1, filters=4, classes=10)
    limits = Limits(LimitConfig(max_params=2500), network, (8, 8, 1), 16)
    search(SPACE, ppo(), estimator, Journal(tmp_path / "k"), 20, why_invalid=limits.why_invalid)
    for trial in Journal(tmp_path / "k").trials.values():
        parameters = count(network(SPACE.decode(trial.proposal.tokens)), (8, 8, 1)).parameters
        assert (trial.outcome is Outcome.INVALID) == (parameters > 2500)
        assert trial.cause == (f"{parameters:,} parameters, over max_params=2500" if parameters > 2500 else "")
    assert 0 < len(estimator.calls) < 20


def test_asked_to_stop_it_starts_nothing_more_and_says_so(tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        journal = Journal(tmp_path / number.name)
        with Stopping() as stopping:

            def report(progress, number=number):
                if progress.done == 3:
                    signal.raise_signal(number)

            engine = RetryingEngine(Shuffled(ShareEstimator(), 1, 0), journal, stopping=stopping)
            with pytest.raises(Stopped, match=f"stopped by {number.name}; the same command goes on") as stopped:
                Search(SPACE, ppo(), journal, engine, 10, report=report).run()
        assert stopped.value.signal == number
        assert len(journal.trials) == 3
        search(SPACE, ppo(), ShareEstimator(), journal, 10)
        whole = Journal(tmp_path / f"{number.name}_whole")
        search(SPACE, ppo(), ShareEstimator(), whole, 10)
        assert journal.proposals == whole.proposals
    with Stopping():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
