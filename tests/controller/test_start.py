"""Known tokens as the first trials."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from cells.spaces.space import Decision
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.grid_search import GridSearch
from controller.policy.policy_gradient import PolicyGradient
from controller.strategies import STRATEGIES, make_strategy
from controller.strategy import Proposal
from tests.controller.test_policy_gradient import ok, weights
from tests.support.slow import some_now

DECISIONS = tuple(Decision(f"d{place}", size) for place, size in enumerate((3, 1, 4, 2)))
ALL = set(itertools.product(*(range(decision.size) for decision in DECISIONS)))
START = ((2, 0, 3, 1), (0, 0, 1, 0), (1, 0, 0, 1))
SMALL = PolicyGradientConfig(update_trials=5, update_epochs=1, units=6, embedding_size=3)


def make(name: str, start=START):
    learner = LearnerConfig(3, 2, 4, 4, imagined_steps=1, imagined_samples=4)
    return make_strategy(name, DECISIONS, None, SMALL, FailureConfig(), 3, None, learner, None, start)


@pytest.mark.parametrize("name", some_now(STRATEGIES, slow=("reinforce", "dyna_ppo")))
def test_they_come_first_and_the_strategy_hears_of_them(name):
    strategy, plain = make(name), make(name, ())
    made = []
    for trial_id in range(12):
        made.append(strategy.propose(trial_id))
        strategy.observe(ok(made[-1], float(sum(made[-1].tokens))))
        plain.observe(ok(made[-1], float(sum(made[-1].tokens))))
    assert made[:3] == [Proposal.chosen(trial_id, tokens) for trial_id, tokens in enumerate(START)]
    assert name == "grid" or strategy.propose(12) == plain.propose(12)
    assert getattr(strategy, "last_update", None) == getattr(plain, "last_update", None)


@pytest.mark.parametrize("first", [None, (1, 0, 2, 1)])
@pytest.mark.parametrize("start", [(), START[:1], START, tuple(sorted(ALL))[::-1]])
def test_a_grid_tries_every_tuple_once_and_the_known_ones_first(first, start):
    grid, plain = GridSearch(DECISIONS, first, start), GridSearch(DECISIONS, first)
    made = [grid.propose(trial_id).tokens for trial_id in range(len(ALL))]
    assert tuple(made[: len(start)]) == start
    assert made[len(start) :] == [
        tokens for trial_id in range(len(ALL)) if (tokens := plain.propose(trial_id).tokens) not in start
    ]
    assert set(made) == ALL
    with pytest.raises(ValueError, match="it has been exhausted"):
        grid.propose(len(ALL))


@pytest.mark.parametrize("loss", ["ppo", "reinforce"])
def test_what_nobody_drew_teaches_a_policy_as_what_it_drew_itself(loss):
    """The same update, to the bit, as of proposals that carry the policy's own log-probabilities."""
    told, own, before = (PolicyGradient(DECISIONS, SMALL, 0, loss=loss) for _ in range(3))
    for trial_id, tokens in enumerate(sorted(ALL)[:5]):
        scored = before.policy.score(tf.constant([tokens], tf.int32))[0].numpy()[0]
        assert scored.sum() < -1  # far from probability 1
        told.observe(ok(Proposal.chosen(trial_id, tokens), float(trial_id)))
        own.observe(ok(Proposal(trial_id, tokens, tuple(scored.tolist())), float(trial_id)))
    assert np.abs(weights(told) - weights(before)).max() > 1e-4
    np.testing.assert_allclose(weights(told), weights(own), atol=1e-6)
