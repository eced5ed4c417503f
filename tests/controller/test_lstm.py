import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, check_tokens
from controller.policy.lstm import Policy

NASNET = NASNetSpace(5).decisions
SIZES = [(4, 2, 1, 3), (1,), (5,), (1, 1), (2, 13, 1, 1, 7, 3)]


def make(sizes: tuple[int, ...], seed: int = 0, scale: float = 20.0) -> Policy:
    """A small policy whose weights are `scale` times the untrained one's: far from uniform, each token counts."""
    policy = Policy(
        tuple(Decision(f"d{i}", size) for i, size in enumerate(sizes)), units=8, embedding_size=4, seed=seed
    )
    for variable in policy.variables:
        variable.assign(scale * variable.numpy())
    return policy


def score(policy: Policy, tokens) -> tuple[np.ndarray, np.ndarray]:
    log_probs, entropies = policy.score(tf.constant(tokens, tf.int32))
    return log_probs.numpy(), entropies.numpy()


def draw(sizes: tuple[int, ...], trials: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, sizes, (trials, len(sizes)))


@pytest.mark.parametrize("sizes", SIZES)
def test_sampling_and_scoring_give_the_same_log_probs(sizes):
    policy = make(sizes)
    samples = [policy.sample(trial_id) for trial_id in range(20)]
    log_probs, _ = score(policy, [tokens for tokens, _ in samples])
    np.testing.assert_allclose([log_probs for _, log_probs in samples], log_probs, rtol=1e-5, atol=2e-6)


def test_sampling_and_scoring_give_the_same_log_probs_in_the_space_of_the_paper():
    policy = Policy(NASNET, units=100, embedding_size=32, seed=3)
    samples = [policy.sample(trial_id) for trial_id in range(20)]
    for tokens, _ in samples:
        check_tokens(NASNET, tokens)
    log_probs, entropies = score(policy, [tokens for tokens, _ in samples])
    np.testing.assert_allclose([log_probs for _, log_probs in samples], log_probs, rtol=2e-6, atol=2e-6)
    # Untrained, it knows nothing: within a percent of the uniform policy's entropy, decision by decision.
    uniform = np.broadcast_to([math.log(decision.size) for decision in NASNET], entropies.shape)
    np.testing.assert_allclose(entropies, uniform, rtol=0.01)


@pytest.mark.parametrize("sizes", [(4, 2, 1, 3), (3, 5)])
def test_the_probabilities_of_all_tuples_sum_to_one_and_their_entropy_is_the_chain_rule_s(sizes):
    policy = make(sizes)
    log_probs, entropies = score(policy, list(itertools.product(*map(range, sizes))))
    joint = np.exp(log_probs.sum(axis=1, dtype=np.float64))
    assert joint.sum() == pytest.approx(1, abs=1e-5)
    assert joint.max() > 3 / math.prod(sizes)  # not a uniform policy: the identity is worth something
    assert np.dot(joint, entropies.sum(axis=1)) == pytest.approx(-np.dot(joint, np.log(joint)), rel=1e-4)


def test_samples_are_as_frequent_as_scored():
    sizes = (3, 2, 2)
    policy = make(sizes)
    cells = list(itertools.product(*map(range, sizes)))
    trials = 3000
    samples = [policy.sample(trial_id)[0] for trial_id in range(trials)]
    expected = trials * np.exp(score(policy, cells)[0].sum(axis=1, dtype=np.float64))
    assert expected.min() > 5
    counts = np.array([samples.count(cell) for cell in cells])
    assert np.sum((counts - expected) ** 2 / expected) < 31.3  # 11 degrees of freedom, p = 0.001


def test_a_decision_depends_on_those_before_it_and_on_no_other():
    sizes = (3, 4, 5, 2)
    policy = make(sizes)
    tokens = draw(sizes, 16, seed=0)
    log_probs, entropies = score(policy, tokens)
    for t, size in enumerate(sizes):
        changed = tokens.copy()
        changed[:, t] = (changed[:, t] + 1) % size
        other_log_probs, other_entropies = score(policy, changed)
        np.testing.assert_array_equal(other_log_probs[:, :t], log_probs[:, :t])
        np.testing.assert_array_equal(other_entropies[:, : t + 1], entropies[:, : t + 1])
        assert np.all(other_entropies[:, t + 1 :] != entropies[:, t + 1 :])


@pytest.mark.parametrize("sizes", SIZES)
def test_masked_options_have_no_share_and_no_gradient(sizes):
    """Whatever stands in the padding of the softmaxes, nothing changes and nothing there is trained."""
    policy = make(sizes)
    kernel, bias = policy.variables[-2:]
    padding = np.arange(max(sizes)) >= np.array(sizes)[:, None]  # [T, K]
    tokens = draw(sizes, 8, seed=1)
    before = score(policy, tokens)
    with tf.GradientTape() as tape:
        log_probs, entropies = policy.score(tf.constant(tokens, tf.int32))
        value = tf.reduce_sum(log_probs) + tf.reduce_sum(entropies)
    in_kernel, in_bias = map(np.asarray, tape.gradient(value, [kernel.value, bias.value]))
    assert not np.any(in_kernel.transpose(0, 2, 1)[padding])
    assert not np.any(in_bias[padding])
    bias.assign(np.where(padding, 1e3, bias.numpy()))
    for new, old in zip(score(policy, tokens), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_decision_of_one_option_is_certain():
    log_probs, entropies = score(make((1, 3, 1)), draw((1, 3, 1), 8, seed=2))
    assert not np.any(log_probs[:, [0, 2]])
    assert not np.any(entropies[:, [0, 2]])


def test_weights_start_uniform_and_differ_by_seed():
    """A.3: all weights, those of biases and embeddings too, uniform between -0.1 and 0.1."""
    first, again, other = (
        np.concatenate([v.numpy().ravel() for v in Policy(NASNET, 100, 32, seed).variables]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.corrcoef(first, other)[0, 1] == pytest.approx(0, abs=0.02)
    assert np.abs(first).max() <= 0.1
    quantiles = np.quantile(first, np.linspace(0, 1, 11))
    np.testing.assert_allclose(quantiles, np.linspace(-0.1, 0.1, 11), atol=0.002)


def test_sampling_changes_nothing_and_depends_on_seed_and_trial_id():
    policy = make((5, 5, 5, 5), scale=1)
    samples = [policy.sample(trial_id) for trial_id in range(10)]
    assert [policy.sample(trial_id) for trial_id in reversed(range(10))] == samples[::-1]
    assert len({tokens for tokens, _ in samples}) > 5
    other = make((5, 5, 5, 5), seed=1, scale=1)
    assert [other.sample(trial_id) for trial_id in range(10)] != samples
