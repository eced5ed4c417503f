import math

import numpy as np
import pytest
import tensorflow as tf

from controller.policy import losses

CLIP = 0.2


def draw(seed: int, trials: int = 8, decisions: int = 4):
    """Log-probabilities of the policy, of the proximal and of the behaviour policy, and advantages.

    Ratios policy / proximal are from about 0.5 to 2, weights proximal / behaviour from about 0.1 to 10.
    """
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.uniform(0.05, 1, (trials, decisions)))
    proximal = log_probs + rng.normal(0, 0.3, log_probs.shape)
    behaviour = proximal + rng.normal(0, 1, log_probs.shape)
    return log_probs, proximal, behaviour, rng.normal(size=trials)


def gradient(loss, log_probs):
    log_probs = tf.constant(log_probs)
    with tf.GradientTape() as tape:
        tape.watch(log_probs)
        value = loss(log_probs)
    return np.asarray(tape.gradient(value, log_probs))


@pytest.mark.parametrize("seed", range(5))
def test_losses_against_their_formula_in_loops(seed):
    log_probs, proximal, behaviour, advantages = draw(seed)
    reinforce = ppo = textbook = clipped = cut = kl = 0.0
    for b, advantage in enumerate(advantages):
        for t in range(log_probs.shape[1]):
            ratio = np.exp(log_probs[b, t]) / np.exp(proximal[b, t])
            weight = np.exp(proximal[b, t]) / np.exp(behaviour[b, t])
            gain = min(ratio * advantage, max(1 - CLIP, min(1 + CLIP, ratio)) * advantage)
            reinforce -= advantage * log_probs[b, t]
            textbook -= gain
            ppo -= min(weight, losses.MAX_WEIGHT) * gain
            clipped += not 1 - CLIP <= ratio <= 1 + CLIP
            cut += weight > losses.MAX_WEIGHT
            kl += ratio - 1 - np.log(ratio)
    trials, size = len(advantages), log_probs.size
    assert 0 < clipped < size
    assert 0 < cut < size
    tensors = tf.constant(log_probs), tf.constant(proximal)
    weighed = losses.ppo_loss(*tensors, tf.constant(behaviour), tf.constant(advantages), CLIP)
    drawn_by_proximal = losses.ppo_loss(*tensors, tensors[1], tf.constant(advantages), CLIP)
    assert losses.reinforce_loss(tensors[0], tf.constant(advantages)).numpy() == pytest.approx(reinforce / trials)
    assert weighed.numpy() == pytest.approx(ppo / trials)
    assert drawn_by_proximal.numpy() == pytest.approx(textbook / trials)  # arXiv 1707.06347, equation 7
    assert losses.clip_fraction(*tensors, CLIP).numpy() == pytest.approx(clipped / size)
    assert losses.approx_kl(*tensors).numpy() == pytest.approx(kl / size)
    assert losses.entropy_bonus(tensors[0]).numpy() == pytest.approx(log_probs.sum() / trials)


@pytest.mark.parametrize("seed", range(5))
def test_at_ratios_one_ppo_pulls_like_reinforce(seed):
    log_probs, _, _, advantages = draw(seed)
    same, advantages = tf.constant(log_probs), tf.constant(advantages)
    ppo = gradient(lambda x: losses.ppo_loss(x, same, same, advantages, CLIP), log_probs)
    reinforce = gradient(lambda x: losses.reinforce_loss(x, advantages), log_probs)
    np.testing.assert_allclose(ppo, reinforce, rtol=1e-14)
    assert np.all(reinforce != 0)


@pytest.mark.parametrize("seed", range(5))
def test_ppo_stops_pulling_where_a_decision_went_far_enough(seed):
    """Each decision by itself: too far in the direction of its advantage is a gradient of 0, anything else is not.

    Far is counted from the proximal policy; who drew the trial only weighs the pull.
    """
    log_probs, proximal, behaviour, advantages = draw(seed)
    constants = tf.constant(proximal), tf.constant(behaviour), tf.constant(advantages)
    pull = gradient(lambda x: losses.ppo_loss(x, *constants, CLIP), log_probs)
    ratio, weight = np.exp(log_probs - proximal), np.exp(proximal - behaviour)
    done = np.where(advantages[:, None] > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
    assert done.any()
    assert np.any(~done & (weight > losses.MAX_WEIGHT))
    assert np.any(~done & (weight < losses.MAX_WEIGHT))
    np.testing.assert_array_equal(pull == 0, done)
    expected = -np.minimum(weight, losses.MAX_WEIGHT) * ratio * advantages[:, None] / len(advantages)
    np.testing.assert_allclose(pull[~done], expected[~done], rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_trials_of_another_policy_pull_as_if_they_were_the_proximal_policy_s(seed):
    """Averaged over what the behaviour policy draws, the weights put its frequencies right, as far as none is cut."""
    rng = np.random.default_rng(seed)
    proximal, advantages = rng.dirichlet(np.ones(5)), rng.normal(size=5)
    behaviour = 0.6 * proximal + 0.4 * rng.dirichlet(np.ones(5))  # weights of at most 1 / 0.6
    assert np.max(np.abs(behaviour - proximal)) > 0.05

    def mean_pull(draws, pulls):  # over the 5 options of one decision, each a trial
        return np.dot(draws, pulls[:, 0])

    start = np.log(proximal)[:, None]
    constants = tf.constant(start), tf.constant(np.log(behaviour)[:, None]), tf.constant(advantages)
    weighed = gradient(lambda x: losses.ppo_loss(x, *constants, CLIP), start)
    own = gradient(lambda x: losses.reinforce_loss(x, constants[2]), start)
    assert mean_pull(behaviour, weighed) == pytest.approx(mean_pull(proximal, own), rel=1e-12)
    assert mean_pull(behaviour, own) != pytest.approx(mean_pull(proximal, own), rel=1e-3)


@pytest.mark.parametrize("behaviour_log_prob", [-5.0, -50.0, -5000.0, -math.inf])
def test_no_decision_weighs_more_than_max_weight(behaviour_log_prob):
    """Not even where the behaviour policy would never have drawn it, so that the weight overflows."""
    log_probs, _, _, advantages = draw(0)
    behaviour, advantages = tf.constant(np.full_like(log_probs, behaviour_log_prob)), tf.constant(advantages)
    assert np.min(log_probs - behaviour.numpy()) > math.log(losses.MAX_WEIGHT)
    pull = gradient(lambda x: losses.ppo_loss(x, tf.constant(log_probs), behaviour, advantages, CLIP), log_probs)
    own = gradient(lambda x: losses.reinforce_loss(x, advantages), log_probs)
    np.testing.assert_allclose(pull, losses.MAX_WEIGHT * own, rtol=1e-14)


def test_constants_get_no_gradient():
    log_probs, proximal, behaviour, advantages = (tf.constant(x) for x in draw(0))
    with tf.GradientTape() as tape:
        tape.watch((log_probs, proximal, behaviour, advantages))
        loss = losses.ppo_loss(log_probs, proximal, behaviour, advantages, CLIP)
        loss += losses.reinforce_loss(log_probs, advantages)
    trained, *constants = tape.gradient(loss, (log_probs, proximal, behaviour, advantages))
    assert trained is not None
    assert constants == [None, None, None]


@pytest.mark.parametrize("seed", range(5))
def test_approx_kl_estimates_kl(seed):
    """Averaged over what the proximal policy draws, it is the divergence from that policy to the other one."""
    rng = np.random.default_rng(seed)
    proximal, policy = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    each = [
        losses.approx_kl(tf.constant([[np.log(p)]]), tf.constant([[np.log(q)]])).numpy()
        for p, q in zip(policy, proximal, strict=True)
    ]
    assert min(each) >= 0
    assert np.dot(proximal, each) == pytest.approx(np.sum(proximal * np.log(proximal / policy)))
