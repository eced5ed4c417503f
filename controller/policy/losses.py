"""The policy gradient's arithmetic: pure functions over B trials of T decisions. A loss is minimised.

Where trials have fewer than T decisions, `taken` `[B, T]` is 1 for those that they have and 0 behind them, where
log-probabilities and entropies are 0; None takes all.
"""

from __future__ import annotations

import tensorflow as tf

MAX_WEIGHT = 2.0
"""Where the weight of a decision that was drawn by an older policy is cut off: a bound on the variance."""


def reinforce_loss(log_probs: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
    """REINFORCE (Williams 1992): `-mean_b A_b sum_t log p_bt`.

    Args:
        log_probs: `[B, T]`, log-probabilities of the tokens under the policy that is trained.
        advantages: `[B]`, reward less baseline. No gradient flows into them.

    Returns:
        `[]`.
    """
    return -tf.reduce_mean(tf.stop_gradient(advantages) * tf.reduce_sum(log_probs, axis=1))


def ppo_loss(
    log_probs: tf.Tensor,
    proximal_log_probs: tf.Tensor,
    behaviour_log_probs: tf.Tensor,
    advantages: tf.Tensor,
    clip: float,
    taken: tf.Tensor | None = None,
) -> tf.Tensor:
    """PPO's clipped objective (arXiv 1707.06347, equation 7), one ratio a decision, decoupled from who drew the trial.

    `-mean_b sum_t w_bt min(r_bt A_b, clamp(r_bt, 1 - clip, 1 + clip) A_b)` with `r_bt = p_bt / proximal_bt` and
    `w_bt = min(proximal_bt / behaviour_bt, MAX_WEIGHT)`. Where all ratios are 1 its gradient is that of
    `reinforce_loss`.

    The proximal policy is the one that the update starts from; the behaviour policy drew the trial. Where children run
    side by side, that may be an older one. The textbook's objective, in which both are one, clips what the policy has
    learned since then: with 16 trials in flight, 600 trials of a bandit ended at 0.66 instead of 0.92
    (docs/results.md). The decoupling is that of arXiv 2110.00641, section 3.

    One ratio a decision, not one for the joint probability of all T: a joint ratio is the product of T of them, so at
    T = 50 it leaves [0.8, 1.2] when each decision has moved by half a percent, and a whole trial falls out of the
    batch because of decisions that have nothing to do with one another.

    Args:
        log_probs: `[B, T]`, log-probabilities of the tokens under the policy that is trained.
        proximal_log_probs: `[B, T]`, the same tokens' under the policy that the update started from. A constant.
        behaviour_log_probs: `[B, T]`, the same tokens' under the policy that drew them. A constant.
        advantages: `[B]`, reward less baseline. A constant.
        clip: how far a ratio may move from 1 before its gradient stops.
        taken: `[B, T]`, the decisions that count.

    Returns:
        `[]`.
    """
    proximal_log_probs = tf.stop_gradient(proximal_log_probs)
    ratio = tf.exp(log_probs - proximal_log_probs)
    weight = tf.minimum(tf.exp(proximal_log_probs - tf.stop_gradient(behaviour_log_probs)), MAX_WEIGHT)
    advantage = weight * tf.stop_gradient(advantages)[:, None]
    gain = tf.minimum(ratio * advantage, tf.clip_by_value(ratio, 1 - clip, 1 + clip) * advantage)
    return -tf.reduce_mean(tf.reduce_sum(gain if taken is None else taken * gain, axis=1))


def entropy_bonus(entropy: tf.Tensor) -> tf.Tensor:
    """`mean_b sum_t H_bt` in nats: the entropy of whole trials. Subtract it, weighted, from a loss.

    Args:
        entropy: `[B, T]`, the entropy of each decision given the tokens before.

    Returns:
        `[]`.
    """
    return tf.reduce_mean(tf.reduce_sum(entropy, axis=1))


def approx_kl(log_probs: tf.Tensor, proximal_log_probs: tf.Tensor, taken: tf.Tensor | None = None) -> tf.Tensor:
    """An estimate of KL(proximal || policy) in nats a decision: `mean_bt (r_bt - 1 - log r_bt)`, never negative.

    Unbiased, and of lower variance than `mean -log r` (J. Schulman, "Approximating KL divergence", 2020: k3).

    Args:
        log_probs: `[B, T]`.
        proximal_log_probs: `[B, T]`.
        taken: `[B, T]`, the decisions that count.

    Returns:
        `[]`.
    """
    log_ratio = log_probs - proximal_log_probs
    return _mean(tf.math.expm1(log_ratio) - log_ratio, taken)


def clip_fraction(
    log_probs: tf.Tensor, proximal_log_probs: tf.Tensor, clip: float, taken: tf.Tensor | None = None
) -> tf.Tensor:
    """The share of decisions whose ratio is further than `clip` from 1.

    Args:
        log_probs: `[B, T]`.
        proximal_log_probs: `[B, T]`.
        clip: as in `ppo_loss`.
        taken: `[B, T]`, the decisions that count.

    Returns:
        `[]`, 0 to 1.
    """
    ratio = tf.exp(log_probs - proximal_log_probs)
    return _mean(tf.cast(tf.abs(ratio - 1) > clip, log_probs.dtype), taken)


def _mean(values: tf.Tensor, taken: tf.Tensor | None) -> tf.Tensor:
    return tf.reduce_mean(values) if taken is None else tf.reduce_sum(taken * values) / tf.reduce_sum(taken)
