"""The controller that is trained in imagination too, and what keeps it and the predictor from invalid tokens."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.learners.predictor import Predictor
from controller.learners.reward_model import FEW, Observed, ValidityModel
from controller.policy.dyna import DynaPPO
from controller.policy.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Strategy, Trial
from tests.controller.test_learners import BEST, DECISIONS, additive, searched
from tests.controller.test_policy_gradient import ok, weights
from tests.support.slow import some_now

SMALL = PolicyGradientConfig(update_trials=10, update_epochs=1, units=8, embedding_size=4)
LEARNER = LearnerConfig(uniform_trials=10, refit_trials=10, imagined_steps=3, imagined_samples=16)
LONGER = LearnerConfig(uniform_trials=10, refit_trials=10, imagined_learning_rate=0.02)
GROWING = ChainSpace(3, start_layers=2, grow_layers=1, grow_every=20)


def dyna(seed: int, learner: LearnerConfig = LEARNER, config: PolicyGradientConfig = SMALL) -> DynaPPO:
    return DynaPPO(DECISIONS, config, learner, seed)


def test_its_first_trials_are_uniform_and_the_others_the_policy_s_with_their_log_probabilities():
    strategy = dyna(1)
    made = searched(strategy, 10)
    assert {p.log_probs for p in made} == {tuple(-math.log(decision.size) for decision in DECISIONS)}
    assert made == [RandomSearch(DECISIONS, 1).propose(trial_id) for trial_id in range(10)]
    assert len({p.tokens for p in made}) == 10
    for trial_id in range(10, 15):
        proposal = strategy.propose(trial_id)
        scored = strategy.policy.score(tf.constant([proposal.tokens], tf.int32))[0].numpy()[0]
        np.testing.assert_allclose(proposal.log_probs, scored, atol=1e-6)
        assert not np.allclose(proposal.log_probs, made[0].log_probs, atol=1e-3)


SPACES = {"any": None, "cells": NASNetSpace(1), "growing": GROWING}


@pytest.mark.parametrize("name", some_now(SPACES, slow=("any", "cells")))
def test_replayed_it_is_the_same_to_the_bit_and_asking_changes_nothing(name):
    space = SPACES[name]
    decisions, more = (DECISIONS, (None,)) if space is None else (space.decisions, (space.length,))
    more = (FailureConfig(nan_reward=-9.0), *more, getattr(space, "features", None))
    lived, replayed = (DynaPPO(decisions, SMALL, LEARNER, 3, *more) for _ in range(2))
    ends = [Outcome.NAN, Outcome.INVALID]
    for trial_id in range(35):
        proposal = lived.propose(trial_id)
        assert len(proposal.tokens) == (len(decisions) if space is None else space.length(trial_id))
        failed = trial_id % 3 == 1
        reward = None if failed else float(sum(proposal.tokens))
        trial = Trial(proposal, ends[trial_id % 2] if failed else Outcome.OK, reward, 1.0, "drawn" * failed)
        for strategy in (lived, replayed):
            strategy.observe(trial)
        lived.propose(99 + trial_id)
    np.testing.assert_array_equal(weights(replayed), weights(lived))
    assert [replayed.propose(i) for i in range(35, 40)] == [lived.propose(i) for i in range(35, 40)]


def told(tokens: Tokens) -> tuple[float, ...]:
    """What a made-up space says of its tokens."""
    return (*map(float, tokens), float(tokens[0] == tokens[2]), float(tokens[4] > tokens[5]))


def test_imagined_updates_against_a_written_out_oracle():
    """Steps of Adam on the policy's own samples, whose rewards are draws of a model fitted to the trials; twice.

    Every other trial is invalid and heard as the worst so far; some are no number, which is no rule of the space's.
    """
    config = PolicyGradientConfig(update_trials=99, units=8, embedding_size=4)  # no real update meanwhile
    learner = LearnerConfig(
        uniform_trials=14,
        refit_trials=2,
        imagined_steps=3,
        imagined_samples=64,
        imagined_entropy_weight=0.3,
        imagined_learning_rate=0.02,
    )
    strategy = DynaPPO(DECISIONS, config, learner, 5, FailureConfig(nan_reward=-9.0), None, told)
    oracle, model = PolicyGradient(DECISIONS, config, 5), Observed(DECISIONS, learner, told)
    adam = keras.optimizers.Adam(0.02)
    before, worst, some_are_invalid, some_were_tried = weights(strategy), 0.0, False, False
    tried: set[Tokens] = set()
    heard: list[float] = []
    for trial_id in range(16):
        proposal = strategy.propose(trial_id)
        end = Outcome.INVALID if trial_id % 2 == 0 else Outcome.NAN if trial_id % 5 == 0 else Outcome.OK
        if end is Outcome.OK:
            heard.append(additive(proposal.tokens))
            strategy.observe(ok(proposal, heard[-1]))
        else:
            strategy.observe(Trial(proposal, end, None, 0.0, "drawn"))
        worst = min(heard, default=0.0)
        tried.add(proposal.tokens)
        rewards = {Outcome.OK: heard[-1] if heard else 0.0, Outcome.INVALID: worst, Outcome.NAN: -9.0}
        if not model.add(proposal.tokens, (rewards[end],), end):
            continue
        rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=((trial_id - 13) // 2, 1)))
        for _ in range(3):
            tokens, _ = oracle.policy.sample_batch(64, rng)
            values, invalid = model.draw(rng)(tokens)
            some_are_invalid |= 0 < (invalid > 0.5).sum() < 64
            again = np.array([tuple(row) in tried for row in tokens.tolist()])
            some_were_tried |= bool(again.any())
            values[(invalid > 0.5) | again] = min(values)
            advantages = tf.constant((values - values.mean()) / values.std(), tf.float32)
            variables = [variable.value for variable in oracle.policy.variables]
            with tf.GradientTape() as tape:
                log_probs, entropies = oracle.policy.score(tf.constant(tokens, tf.int32))
                gain = advantages * tf.reduce_sum(log_probs, axis=1) + 0.3 * tf.reduce_sum(entropies, axis=1)
                loss = -tf.reduce_mean(gain)
            adam.apply(tape.gradient(loss, variables), oracle.policy.variables)
        assert np.abs(weights(strategy) - before).max() > 0.01
        np.testing.assert_allclose(weights(strategy), weights(oracle), atol=1e-5)
        before = weights(strategy)
    assert some_are_invalid
    assert some_were_tried
    assert model.fitted


def test_it_goes_on_to_what_it_has_not_tried():
    """Of 64 tuples: by the model alone its last thirty trials are all of one."""
    decisions = tuple(Decision(name, 4) for name in "abc")
    config = dataclasses.replace(SMALL, update_trials=999)  # no real update meanwhile
    strategy = DynaPPO(decisions, config, dataclasses.replace(LONGER, imagined_steps=10), 0)
    made: list[Tokens] = []
    for trial_id in range(70):
        proposal = strategy.propose(trial_id)
        made.append(proposal.tokens)
        strategy.observe(ok(proposal, float(sum(proposal.tokens))))
    assert (3, 3, 3) in made
    assert len(set(made[-30:])) > 10


def test_real_trials_teach_it_as_they_teach_ppo():
    """While it imagines nothing, its weights are those of PPO on the same trials, to the bit."""
    learner = LearnerConfig(uniform_trials=1000)
    strategy, ppo = dyna(2, learner), PolicyGradient(DECISIONS, SMALL, 2)
    before = weights(ppo)
    for proposal in searched(strategy, 30):
        ppo.observe(ok(proposal, additive(proposal.tokens)))
    assert np.any(weights(ppo) != before)
    np.testing.assert_array_equal(weights(strategy), weights(ppo))
    assert strategy.last_update == ppo.last_update


def test_of_several_rungs_real_trials_teach_it_by_the_last_and_the_model_hears_all():
    strategy, ppo = dyna(2, LearnerConfig(uniform_trials=1000)), PolicyGradient(DECISIONS, SMALL, 2)
    for trial_id in range(12):
        proposal = strategy.propose(trial_id)
        reward = additive(proposal.tokens)
        strategy.observe(dataclasses.replace(ok(proposal, reward), earlier=(0.1, 0.2) if trial_id % 3 else ()))
        ppo.observe(ok(proposal, reward))
    np.testing.assert_array_equal(weights(strategy), weights(ppo))
    assert [rewards[:-1] for _, rewards, _ in strategy._observed._trials] == [(), (0.1, 0.2), (0.1, 0.2)] * 4


def test_it_imagines_trials_as_long_as_the_next(monkeypatch):
    lengths = []
    strategy = DynaPPO(GROWING.decisions, SMALL, LEARNER, 0, None, GROWING.length)
    drawn = strategy.policy.sample_batch

    def sample_batch(number, rng, length):
        lengths.append(length)
        return drawn(number, rng, length)

    monkeypatch.setattr(strategy.policy, "sample_batch", sample_batch)
    for trial_id in range(20):
        strategy.observe(ok(Proposal.chosen(trial_id, (0,) * GROWING.length(trial_id)), 0.1 * trial_id))
    assert lengths == [GROWING.length(10)] * 3 + [GROWING.length(20)] * 3
    assert GROWING.length(19) < GROWING.length(20)


def test_it_learns_within_sixty_trials():
    """PPO's last ten are no better than the first ten there."""
    rewards = [additive(proposal.tokens) for proposal in searched(dyna(1, LONGER), 60)]
    assert np.mean(rewards[-10:]) > np.mean(rewards[:10]) + 2
    assert max(rewards) > additive(BEST) - 1


def predictor(seed: int) -> Predictor:
    return Predictor(DECISIONS, LearnerConfig(uniform_trials=10, refit_trials=10), seed)


def imaginative(seed: int) -> DynaPPO:
    return dyna(seed, LONGER)


def share_of_invalid(strategy: Strategy, rule, trials: int = 80) -> float:
    """Among the last half of the trials."""
    bad = 0
    for trial_id in range(trials):
        proposal = strategy.propose(trial_id)
        invalid = rule(proposal.tokens)
        bad += invalid and trial_id >= trials // 2
        failed = Trial(proposal, Outcome.INVALID, None, 0.0, "a rule")
        strategy.observe(failed if invalid else ok(proposal, additive(proposal.tokens)))
    return bad / (trials - trials // 2)


CASES = [(make, seed) for make in (predictor, imaginative) for seed in range(3)]


@pytest.mark.parametrize("case", some_now(CASES, slow=[(imaginative, 1), (imaginative, 2)]))
def test_it_stops_asking_for_what_is_invalid(case):
    """A third of all tokens are, and the best of all would be."""

    def rule(tokens: Tokens) -> bool:
        return tokens[3] == BEST[3]

    assert DECISIONS[3].size == 3
    make, seed = case
    assert share_of_invalid(make(seed), rule) < 0.15  # 0.1 at the most, to the last bits of a processor


def test_which_tokens_are_invalid_is_modelled_where_a_few_were_and_a_few_were_not():
    rows = np.arange(40).reshape(-1, 1)
    decisions = (Decision("a", 40),)
    for bad in (0, FEW - 1, FEW, 40 - FEW, 41 - FEW, 40):
        observed = Observed(decisions, LearnerConfig(uniform_trials=40))
        fitted = [
            observed.add(tuple(row), (float(row[0]),), Outcome.INVALID if at < bad else Outcome.OK)
            for at, row in enumerate(rows.tolist())
        ]
        assert fitted == [False] * 39 + [True]
        _, invalid = observed.draw(np.random.default_rng(0))(rows)
        assert invalid.any() == (FEW <= bad <= 40 - FEW)


def test_the_model_of_what_is_invalid_tells_the_tokens_apart():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3)) * [1, 100, 0] + [0, 5, 7]
    bad = features[:, 1] > 40
    found = ValidityModel(features, bad).invalid(features)
    assert np.mean((found > 0.5) == bad) > 0.9
    assert (ValidityModel(0 * features, bad).invalid(features) == 0).all()
