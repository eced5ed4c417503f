"""The controller of Zoph & Le (arXiv 1611.01578) on chains that grow, and what it learns of skips."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from cells.spaces.chain import ChainSpace
from cells.spaces.space import Decision
from controller.config import FailureConfig, PolicyGradientConfig
from controller.policy.losses import MAX_WEIGHT
from controller.policy.policy_gradient import PolicyGradient
from controller.strategy import Outcome, Proposal, Trial
from tests.controller.test_strategies import CHAIN
from tests.support.slow import some_now

GROWING = ChainSpace(4, start_layers=2, grow_layers=1, grow_every=9)
FAILURES = [outcome for outcome in Outcome if outcome is not Outcome.OK]
SMALL = PolicyGradientConfig(
    update_trials=5, update_epochs=1, units=6, embedding_size=3, layers=2, optimizer="sgd", learning_rate=0.5,
    reward_scale="none", baseline_start="zero", baseline_decay=0.0,
)  # fmt: skip


def ok(proposal: Proposal, reward: float) -> Trial:
    return Trial(proposal, Outcome.OK, reward, seconds=1.0)


def controller(space: ChainSpace, config: PolicyGradientConfig, loss: str = "reinforce", seed: int = 0):
    return PolicyGradient(space.decisions, config, seed, FailureConfig(), space.length, loss)  # pyright: ignore


def weights(strategy: PolicyGradient) -> np.ndarray:
    return np.concatenate([variable.numpy().ravel() for variable in strategy.policy.variables])


@pytest.mark.parametrize("loss", ["ppo", "reinforce"])
def test_an_update_of_trials_of_several_lengths_against_a_written_out_oracle(loss):
    """Three trials of two layers, two of three. Each is scored alone, and counts by the decisions that it has."""
    config = dataclasses.replace(SMALL, entropy_weight=0.3)
    strategy, before = controller(GROWING, config, loss), controller(GROWING, config, loss)
    proposals = [strategy.propose(i) for i in (0, 9, 1, 10, 2)]
    assert {len(p.tokens) for p in proposals} == {GROWING.length(0), GROWING.length(9)}
    rng = np.random.default_rng(2)
    behaviour = [np.log(rng.uniform(0.1, 1, len(p.tokens))) for p in proposals]
    rewards = rng.normal(1, 1, 5)
    advantages = rewards - [0, *rewards[:-1]]
    variables = [variable.value for variable in before.policy.variables]
    decisions = 0
    with tf.GradientTape() as tape:
        value = entropy = tf.zeros([])
        for proposal, drawn, advantage in zip(proposals, behaviour, advantages, strict=True):
            length = len(proposal.tokens)
            tokens = np.ones((1, len(GROWING.decisions)), int)  # anything behind its end
            tokens[0, :length] = proposal.tokens
            log_probs, entropies = before.policy.score(tf.constant(tokens, tf.int32))
            weight = np.minimum(np.exp(log_probs[0, :length].numpy() - drawn), MAX_WEIGHT) if loss == "ppo" else 1
            value += tf.reduce_sum(weight * advantage * log_probs[0, :length])
            entropy += tf.reduce_sum(entropies[0, :length])
            decisions += length
        gain = (value + 0.3 * entropy) / 5
    expected = [v.numpy() + 0.5 * np.asarray(g) for v, g in zip(variables, tape.gradient(gain, variables), strict=True)]
    for proposal, drawn, reward in zip(proposals, behaviour, rewards, strict=True):
        strategy.observe(ok(dataclasses.replace(proposal, log_probs=tuple(drawn.tolist())), float(reward)))
    for variable, after in zip(strategy.policy.variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), after, atol=2e-6)
    figures = strategy.last_update
    assert figures is not None
    assert figures.entropy == pytest.approx(float(entropy) / 5, rel=1e-5)
    assert (figures.approx_kl, figures.clip_fraction) == (pytest.approx(0, abs=1e-6), 0)
    if loss == "ppo":  # all ratios are 1, so that the objective is the sum of weight times advantage
        sums = [
            advantage * np.minimum(np.exp(np.array(proposal.log_probs) - drawn), MAX_WEIGHT).sum()
            for proposal, drawn, advantage in zip(proposals, behaviour, advantages, strict=True)
        ]
        assert figures.loss == pytest.approx(-np.mean(sums) - 0.3 * float(entropy) / 5, rel=1e-4)
        strategy = controller(GROWING, dataclasses.replace(config, update_epochs=2, learning_rate=3.0), loss)
        for proposal, reward in zip(proposals, rewards, strict=True):
            strategy.observe(ok(proposal, float(reward)))
        assert strategy.last_update is not None
        assert (strategy.last_update.clip_fraction * decisions) % 1 == pytest.approx(0, abs=1e-3)
        assert strategy.last_update.clip_fraction > 0


@pytest.mark.parametrize("loss", some_now(["ppo", "reinforce"], slow=["ppo"]))
def test_gone_on_with_across_a_change_of_depth_it_is_the_same_to_the_bit(loss):
    """Killed at the first growth and after the second, with updates that mix depths; some trials fail."""
    lived = controller(GROWING, SMALL, loss)
    rng, flight, trials, following = np.random.default_rng(1), [], [], {}
    for trial_id in range(40):
        flight.append(lived.propose(trial_id))
        if len(flight) == 3:
            proposal = flight.pop(rng.integers(3))
            failure = rng.random() < 0.2
            trials.append(
                Trial(proposal, FAILURES[rng.integers(len(FAILURES))], None, 1.0, "drawn")
                if failure
                else ok(proposal, float(rng.normal()))
            )
            lived.observe(trials[-1])
            if len(trials) in (8, 30):
                following[len(trials)] = [lived.propose(i) for i in (trial_id + 1, 100)], weights(lived)
    assert len({len(trial.proposal.tokens) for trial in trials}) == 3
    for killed, (proposals, before) in following.items():
        again = controller(GROWING, SMALL, loss)
        for trial in trials[:killed]:
            record = json.loads(json.dumps(dataclasses.asdict(trial)))
            made = record.pop("proposal")
            proposal = Proposal(made["trial_id"], tuple(made["tokens"]), tuple(made["log_probs"]))
            again.observe(Trial(proposal, Outcome(record.pop("outcome")), **record))
        np.testing.assert_array_equal(weights(again), before)
        assert [again.propose(proposal.trial_id) for proposal in proposals] == proposals


def test_proposing_changes_nothing():
    asked, silent = controller(GROWING, SMALL), controller(GROWING, SMALL)
    for i in range(12):
        proposal = silent.propose(i)
        asked.propose(100 + i)
        assert asked.propose(i) == proposal
        for strategy in (asked, silent):
            strategy.observe(ok(proposal, float(i)))
    np.testing.assert_array_equal(weights(asked), weights(silent))


@pytest.mark.parametrize("trial_id", [0, 9, 100])
def test_tokens_of_another_depth_are_refused(trial_id):
    strategy = controller(GROWING, SMALL)
    right = GROWING.length(trial_id)
    for length in {0, 1, right - 1, right + 1, GROWING.length(0), len(GROWING.decisions)} - {right}:
        with pytest.raises(ValueError, match=f"the space has {right} decisions, got {length} tokens"):
            strategy.observe(ok(Proposal(trial_id, (0,) * length, (-1.0,) * length), 1.0))


def test_it_hears_the_reward_s_power_and_a_failure_as_declared():
    """To the bit what it would be if the rewards had been cubes; what is declared for a failure is not cubed."""
    decisions = tuple(Decision(f"d{i}", 3) for i in range(3))
    config = dataclasses.replace(SMALL, reward_power=3.0)
    cubed = PolicyGradient(decisions, config, 0, FailureConfig(nan_reward=0.5))
    told = PolicyGradient(decisions, SMALL, 0, FailureConfig(nan_reward=0.5))
    rng = np.random.default_rng(4)
    for i in range(20):
        proposal, failed = cubed.propose(i), {3: Outcome.NAN, 7: Outcome.OOM}.get(i % 10)
        reward = float(rng.uniform(-0.5, 1))
        for strategy, heard in ((cubed, reward), (told, np.copysign(abs(reward) ** 3.0, reward))):
            strategy.observe(Trial(proposal, failed, None, 1.0) if failed else ok(proposal, float(heard)))
    np.testing.assert_array_equal(weights(cubed), weights(told))
    assert cubed.last_update == told.last_update


def skips_learned(config: PolicyGradientConfig, seed: int, trials: int) -> tuple[float, float]:
    """A bandit: the reward is the share of layers that read layer 0. Its mean over the first and the last eighth."""
    space = ChainSpace(5, start_layers=5)
    to_first = [i for i, decision in enumerate(space.decisions) if decision.name.endswith("skip_0")]
    strategy, rewards = controller(space, config, seed=seed), []
    for trial_id in range(trials):
        proposal = strategy.propose(trial_id)
        rewards.append(float(np.mean([proposal.tokens[i] for i in to_first])))
        strategy.observe(ok(proposal, rewards[-1]))
    return float(np.mean(rewards[: trials // 8])), float(np.mean(rewards[-trials // 8 :]))


@pytest.mark.parametrize("seed", some_now(range(5), slow=(1, 2, 3, 4)))
def test_it_learns_which_layers_to_read(seed):
    """Two layers of 35 units, REINFORCE on eight trials; 15 times the paper's learning rate, for 200 trials."""
    first, last = skips_learned(dataclasses.replace(CHAIN, learning_rate=0.01), seed, 200)
    assert first < 0.7
    assert last > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_it_learns_that_as_the_paper_sets_it(seed):
    first, last = skips_learned(CHAIN, seed, 1200)
    assert first < 0.65
    assert last > 0.9
