"""KerasTuner's oracles as strategies of ours: pure, in its own sense, writing nothing."""

from __future__ import annotations

import numpy as np
import pytest

from cells.spaces.space import Decision
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.strategies import make_strategy
from controller.strategy import Outcome, Trial

DECISIONS = (Decision("a", 4), Decision("b", 3), Decision("c", 1))
LEARNER = LearnerConfig(uniform_trials=4)


def made(name, seed=1, decisions=DECISIONS, length=None):
    return make_strategy(name, decisions, length, PolicyGradientConfig(), FailureConfig(), seed, None, LEARNER)


def observed(name, trials, seed=1):
    strategy = made(name, seed)
    for number in range(trials):
        strategy.observe(of(strategy.propose(number)))
    return strategy


def of(proposal):
    a, b, _ = proposal.tokens
    if (a, b) == (3, 0):
        return Trial(proposal, Outcome.NAN, None, 1.0, "nan")
    return Trial(proposal, Outcome.OK, float(a - (b - 1) ** 2), 1.0)


def test_bayesian_proposals_are_pure(tmp_path, monkeypatch):
    """In whatever order they are asked for, and again after a replay; nothing is written."""
    monkeypatch.chdir(tmp_path)
    strategy, again = observed("kt_bayesian", 5), observed("kt_bayesian", 5)
    in_order = [strategy.propose(number) for number in (5, 6)]
    assert [again.propose(number) for number in (6, 5)] == in_order[::-1]
    assert len({proposal.tokens for proposal in in_order}) > 1  # those of a wave know of one another
    assert not list(tmp_path.iterdir())


def test_bayesian_optimization_goes_up():
    """After four uniform trials the best of twelve networks is among the next five, not their opposite."""
    strategy = observed("kt_bayesian", 4)
    found = []
    for number in range(4, 9):
        proposal = strategy.propose(number)
        found.append(proposal.tokens)
        strategy.observe(of(proposal))
    assert (3, 1, 0) in found


def test_random_ones_are_keras_tuner_s():
    for seed in (0, 1):
        strategy = made("kt_random", seed)
        tokens = [strategy.propose(number).tokens for number in range(400)]
        assert tokens == [made("kt_random", seed).propose(number).tokens for number in range(400)]
        counts = np.array([[tokens.count((a, b, 0)) for b in range(3)] for a in range(4)])
        assert counts.sum() == 400
        assert counts.min() > 12  # of 33, each with deviation 5.5
    strategy.observe(of(strategy.propose(0)))
    assert strategy.propose(399).tokens == tokens[399]
    assert made("kt_random", 2).propose(0) != made("kt_random", 3).propose(0) or made("kt_random", 2).propose(
        1
    ) != made("kt_random", 3).propose(1)


@pytest.mark.slow
def test_a_growing_space_s_trials_have_their_length():
    strategy = made("kt_bayesian", length=lambda number: 2 if number < 6 else 3)
    for number in range(12):
        proposal = strategy.propose(number)
        assert len(proposal.tokens) == (2 if number < 6 else 3)
        strategy.observe(Trial(proposal, Outcome.OK, float(sum(proposal.tokens)), 1.0))
