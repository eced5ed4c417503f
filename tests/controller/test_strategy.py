import dataclasses
import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, check_tokens
from controller.config import FailureConfig
from controller.random_search import RandomSearch
from controller.strategy import FailureRewards, Outcome, Proposal, Trial, trial_rng

NASNET = NASNetSpace(5).decisions
FAILURES = [outcome for outcome in Outcome if outcome is not Outcome.OK]
REWARDS = st.floats(-1e6, 1e6)


def trial(outcome: Outcome, reward: float | None) -> Trial:
    return Trial(Proposal(0, (1,), (-0.5,)), outcome, reward, seconds=1.0)


def test_outcomes_are_the_words_of_the_journal():
    assert list(Outcome) == ["ok", "oom", "nan", "timeout", "invalid", "crashed", "lost"]


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("reward", [None, 0.0, -1.0])
def test_a_trial_has_a_reward_if_and_only_if_it_is_ok(outcome, reward):
    if (outcome is Outcome.OK) == (reward is not None):
        assert trial(outcome, reward).reward == reward
    else:
        with pytest.raises(ValueError, match=f"got {outcome} with {reward}"):
            trial(outcome, reward)


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_an_ok_reward_is_finite(reward):
    with pytest.raises(ValueError, match=str(reward)):
        trial(Outcome.OK, reward)


@pytest.mark.parametrize(("trial_id", "log_probs"), [(0, ()), (0, (-1.0, -1.0)), (-1, (-1.0,))])
def test_a_proposal_is_checked(trial_id, log_probs):
    with pytest.raises(ValueError, match="got"):
        Proposal(trial_id, (0,), log_probs)


@given(st.lists(st.one_of(REWARDS, st.sampled_from(FAILURES))))
def test_a_failure_is_heard_as_the_worst_ok_reward_so_far(ends):
    rewards = FailureRewards()
    for i, end in enumerate(ends):
        ok_before = [e for e in ends[:i] if not isinstance(e, Outcome)]
        if isinstance(end, Outcome):
            assert rewards.reward_of(trial(end, None)) == min(ok_before, default=0.0)
        else:
            assert rewards.reward_of(trial(Outcome.OK, end)) == end


DECLARED = st.fixed_dictionaries({f"{outcome}_reward": st.none() | REWARDS for outcome in FAILURES})


@given(st.lists(st.one_of(REWARDS, st.sampled_from(FAILURES))), DECLARED)
@example([Outcome.OOM, 5.0, Outcome.OOM, Outcome.NAN], {"oom_reward": 0.0})  # 0 is a number, not unset
@example([5.0, Outcome.OOM, Outcome.NAN], {"oom_reward": -3.0})  # and a declared one is no worst reward seen
def test_a_failure_is_heard_as_declared_and_else_as_the_worst_ok_reward_so_far(ends, declared):
    rewards = FailureRewards(FailureConfig(**declared))
    worst = 0.0
    seen = []
    for end in ends:
        if isinstance(end, Outcome):
            number = declared.get(f"{end}_reward")
            assert rewards.reward_of(trial(end, None)) == (worst if number is None else number)
        else:
            seen.append(end)
            worst = min(seen)
            assert rewards.reward_of(trial(Outcome.OK, end)) == end


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_reward_declared_for_one_failure_is_not_heard_for_another(outcome):
    rewards = FailureRewards(FailureConfig(**{f"{outcome}_reward": 0.0}))
    rewards.reward_of(trial(Outcome.OK, 5.0))
    assert [failure for failure in FAILURES if rewards.reward_of(trial(failure, None)) != 5.0] == [outcome]
    assert rewards.reward_of(trial(outcome, None)) == 0.0


def test_every_failure_has_its_declared_reward_and_none_is_set():
    fields = dataclasses.fields(FailureConfig)
    assert [field.name for field in fields] == [f"{outcome}_reward" for outcome in FAILURES]
    assert all(field.default is None and field.metadata["help"] for field in fields)


@pytest.mark.parametrize("outcome", FAILURES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_declared_reward_is_finite(outcome, value):
    with pytest.raises(ValueError, match=rf"^{outcome}_reward={value}: must be finite$"):
        FailureConfig(**{f"{outcome}_reward": value})


def test_random_search_is_the_same_for_ever():
    """A journal of last year must still resume: these 30 proposals may never change."""
    strategy = RandomSearch(NASNET, seed=0)
    tokens = [strategy.propose(i).tokens for i in range(30)]
    assert (
        hashlib.sha256(json.dumps(tokens).encode()).hexdigest()
        == "40f5d0206d1e311da8d37284903e4692bb95e0101bdefdba01ece8568858e657"
    )


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(0, 2**32), st.integers(0, 10**6))
def test_random_proposals_are_in_the_space_and_pure(sizes, seed, trial_id):
    decisions = tuple(Decision(f"d{i}", size) for i, size in enumerate(sizes))
    strategy = RandomSearch(decisions, seed)
    proposal = strategy.propose(trial_id)
    check_tokens(decisions, proposal.tokens)
    assert proposal.trial_id == trial_id
    assert math.exp(sum(proposal.log_probs)) == pytest.approx(1 / math.prod(sizes))
    strategy.propose(trial_id + 1)
    strategy.observe(Trial(proposal, Outcome.OK, 1.0, 1.0))
    assert strategy.propose(trial_id) == proposal == RandomSearch(decisions, seed).propose(trial_id)


def test_random_tokens_are_uniform_and_independent():
    strategy = RandomSearch((Decision("a", 2), Decision("b", 3)), seed=1)
    trials = 6000
    tokens = [strategy.propose(i).tokens for i in range(trials)]
    counts = np.array([tokens.count((a, b)) for a in range(2) for b in range(3)])
    chi_square = float(np.sum((counts - trials / 6) ** 2 / (trials / 6)))
    assert chi_square < 20.5  # 5 degrees of freedom, p = 0.001


def test_no_two_streams_of_random_numbers_are_the_same():
    streams = [np.random.default_rng(seed) for seed in range(20)]
    streams += [trial_rng(seed, trial_id) for seed in range(20) for trial_id in range(20)]
    assert len({stream.integers(2**62) for stream in streams}) == len(streams)


def test_of_several_rungs_the_last_is_heard_and_the_others_with_it_each_to_the_power():
    rewards = FailureRewards(FailureConfig(nan_reward=-3.0), power=2.0)
    assert rewards.rewards_of(trial(Outcome.OK, 0.5)) == (0.25,)
    ended = dataclasses.replace(trial(Outcome.OK, 0.6), earlier=(-0.2, 0.1))
    assert rewards.rewards_of(ended) == pytest.approx((-0.04, 0.01, 0.36))
    assert rewards.reward_of(ended) == pytest.approx(0.36)
    failed = dataclasses.replace(trial(Outcome.NAN, None), earlier=(0.4,))
    assert rewards.rewards_of(failed) == pytest.approx((0.16, -3.0))
    assert (failed.rewards, failed.rung, ended.rung) == ((0.4,), 1, 3)
    lost = dataclasses.replace(trial(Outcome.LOST, None), earlier=(0.4,))
    assert rewards.rewards_of(lost) == pytest.approx((0.16, 0.25)), "the worst of those that trials ended with"
