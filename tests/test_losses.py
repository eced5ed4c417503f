import numpy as np
import pytest
import tensorflow as tf

from controller import losses

CLIP = 0.2


def draw(seed: int, trials: int = 5, decisions: int = 4):
    """Log-probabilities of a policy, those of the policy that drew, and advantages; ratios from about 0.5 to 2."""
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.uniform(0.05, 1, (trials, decisions)))
    return log_probs, log_probs + rng.normal(0, 0.3, log_probs.shape), rng.normal(size=trials)


def gradient(loss, log_probs):
    log_probs = tf.constant(log_probs)
    with tf.GradientTape() as tape:
        tape.watch(log_probs)
        value = loss(log_probs)
    return np.asarray(tape.gradient(value, log_probs))


@pytest.mark.parametrize("seed", range(5))
def test_losses_against_their_formula_in_loops(seed):
    log_probs, behaviour, advantages = draw(seed)
    reinforce = ppo = clipped = kl = 0.0
    for b, advantage in enumerate(advantages):
        for t in range(log_probs.shape[1]):
            ratio = np.exp(log_probs[b, t]) / np.exp(behaviour[b, t])
            reinforce -= advantage * log_probs[b, t]
            ppo -= min(ratio * advantage, max(1 - CLIP, min(1 + CLIP, ratio)) * advantage)
            clipped += not 1 - CLIP <= ratio <= 1 + CLIP
            kl += ratio - 1 - np.log(ratio)
    trials, size = len(advantages), log_probs.size
    assert 0 < clipped < size
    tensors = tf.constant(log_probs), tf.constant(behaviour)
    assert losses.reinforce_loss(tensors[0], tf.constant(advantages)).numpy() == pytest.approx(reinforce / trials)
    assert losses.ppo_loss(*tensors, tf.constant(advantages), CLIP).numpy() == pytest.approx(ppo / trials)
    assert losses.clip_fraction(*tensors, CLIP).numpy() == pytest.approx(clipped / size)
    assert losses.approx_kl(*tensors).numpy() == pytest.approx(kl / size)
    assert losses.entropy_bonus(tensors[0]).numpy() == pytest.approx(log_probs.sum() / trials)


@pytest.mark.parametrize("seed", range(5))
def test_at_ratio_one_ppo_pulls_like_reinforce(seed):
    log_probs, _, advantages = draw(seed)
    behaviour, advantages = tf.constant(log_probs), tf.constant(advantages)
    ppo = gradient(lambda x: losses.ppo_loss(x, behaviour, advantages, CLIP), log_probs)
    reinforce = gradient(lambda x: losses.reinforce_loss(x, advantages), log_probs)
    np.testing.assert_allclose(ppo, reinforce, rtol=1e-14)
    assert np.all(reinforce != 0)


@pytest.mark.parametrize("seed", range(5))
def test_ppo_stops_pulling_where_a_decision_went_far_enough(seed):
    """Each decision by itself: too far in the direction of its advantage is a gradient of 0, anything else is not."""
    log_probs, behaviour, advantages = draw(seed)
    pull = gradient(lambda x: losses.ppo_loss(x, tf.constant(behaviour), tf.constant(advantages), CLIP), log_probs)
    ratio = np.exp(log_probs - behaviour)
    done = np.where(advantages[:, None] > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
    assert done.any()
    np.testing.assert_array_equal(pull == 0, done)
    np.testing.assert_array_equal(
        np.sign(pull[~done]), -np.sign(np.broadcast_to(advantages[:, None], pull.shape)[~done])
    )


def test_constants_get_no_gradient():
    log_probs, behaviour, advantages = (tf.constant(x) for x in draw(0))
    with tf.GradientTape() as tape:
        tape.watch((behaviour, advantages))
        loss = losses.ppo_loss(log_probs, behaviour, advantages, CLIP) + losses.reinforce_loss(log_probs, advantages)
    assert tape.gradient(loss, (behaviour, advantages)) == (None, None)


@pytest.mark.parametrize("seed", range(5))
def test_approx_kl_estimates_kl(seed):
    """Averaged over what the behaviour policy draws, it is the divergence from that policy to the other one."""
    rng = np.random.default_rng(seed)
    behaviour, policy = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    each = [
        losses.approx_kl(tf.constant([[np.log(p)]]), tf.constant([[np.log(q)]])).numpy()
        for p, q in zip(policy, behaviour, strict=True)
    ]
    assert min(each) >= 0
    assert np.dot(behaviour, each) == pytest.approx(np.sum(behaviour * np.log(behaviour / policy)))
