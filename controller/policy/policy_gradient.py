"""The papers' strategies: an LSTM policy, improved by PPO or REINFORCE on batches of finished trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from cells.spaces.space import Decision, check_tokens
from controller.config import FailureConfig, PolicyGradientConfig
from controller.policy import losses
from controller.policy.figures import UpdateFigures
from controller.policy.lstm import Policy
from controller.strategy import FailureRewards, Length, Proposal, Trial

OPTIMIZERS = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}


class PolicyGradient:
    """Strategy (see `controller.strategy.Strategy`) of arXiv 1707.07012, A.2, A.3; by REINFORCE of 1611.01578, 3.2.

    Trials are collected in the order observed; every `update_trials` of them make one update, and are forgotten. They
    may have been drawn by an older policy or by another strategy altogether: PPO weighs them by the log-probabilities
    that came with them, and takes tokens that nobody drew (`Proposal.chosen`) for its own. The order of `observe`
    matters (which trials share an update; the moving average): replayed in the same order, with the same seed and
    threads, the weights are the same to the bit.

    A trial's advantage is its reward less the exponential moving average of the rewards observed before it. Read per
    trial, not per batch: per batch of 20, a weight of 0.95 would remember 400 trials, and trail behind a policy that
    improves (600 trials of the test's bandit ended at 0.67 instead of 0.96).

    In a space that grows (`length`), trials of one update may have different lengths: each is drawn and scored by its
    own decisions, and a trial's gradient is the sum over those.

    Raises:
        BadSetting: for REINFORCE with other than one pass over an update's trials.
        ValueError: for anchors that no LSTM can look back at (`Layout`).
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: PolicyGradientConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
        loss: Literal["ppo", "reinforce"] = "ppo",
    ) -> None:
        self._decisions = decisions
        self._config = config
        self._length = length
        self._loss = loss
        self._epochs = config.epochs_of(loss)
        self._policy = Policy(decisions, config.units, config.embedding_size, seed, config.layers, config.initial_scale)
        with tf.device("CPU:0"):
            self._optimizer = OPTIMIZERS[config.optimizer](config.learning_rate)
            self._optimizer.build(self._policy.variables)
        self._rewards = FailureRewards(failures, config.reward_power)
        self._batch: list[tuple[Proposal, float]] = []
        self._baseline = 0.0 if config.baseline_start == "zero" else None
        self._last_update: UpdateFigures | None = None

    @property
    def policy(self) -> Policy:
        """The policy as it stands."""
        return self._policy

    @property
    def last_update(self) -> UpdateFigures | None:
        """The figures of the last update, None before the first."""
        return self._last_update

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        return Proposal(trial_id, *self._policy.sample(trial_id, self._length and self._length(trial_id)))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Raises ValueError for tokens outside the decisions that the trial has."""
        self._learn(trial.proposal, self._heard(trial)[-1])

    def _heard(self, trial: Trial) -> tuple[float, ...]:
        """The rewards of its rungs, the last one to learn from; once for each trial."""
        length = self._length and self._length(trial.proposal.trial_id)
        check_tokens(self._decisions[:length], trial.proposal.tokens)
        return self._rewards.rewards_of(trial)

    def _learn(self, proposal: Proposal, reward: float) -> None:
        """Adds a trial to the batch, which makes an update where it is full."""
        self._batch.append((proposal, reward))
        if len(self._batch) == self._config.update_trials:
            proposals, rewards = zip(*self._batch, strict=True)
            self._batch.clear()
            self._update(proposals, rewards)

    def _update(self, proposals: tuple[Proposal, ...], rewards: tuple[float, ...]) -> None:
        advantages, baseline = self._advantages(rewards)
        self._baseline = baseline
        tokens = self._whole([proposal.tokens for proposal in proposals])
        drawn = np.array([proposal.was_drawn for proposal in proposals])
        taken = None if self._length is None else self._whole([(1.0,) * len(p.tokens) for p in proposals])
        with tf.device("CPU:0"):
            batch = (
                tf.constant(tokens, tf.int32),
                tf.constant(advantages, tf.float32),
                None if taken is None else tf.constant(taken, tf.float32),
            )
            proximal = self._log_probs(batch[0], batch[2])
            # Tokens that were chosen have no policy that drew them, and a ratio to probability 1 would count them for
            # next to nothing: they weigh as if this policy had drawn them.
            behaviour = self._whole([proposal.log_probs for proposal in proposals])
            behaviour = tf.constant(np.where(drawn[:, None], behaviour, proximal.numpy()), tf.float32)
            figures = [self._step(*batch, proximal, behaviour) for _ in range(self._epochs)][-1]
        updates = 1 if self._last_update is None else self._last_update.updates + 1
        self._last_update = UpdateFigures(updates, float(np.mean(rewards)), baseline, *(float(x) for x in figures))

    def _whole(self, rows: Sequence[Sequence[float] | np.ndarray]) -> np.ndarray:
        """The rows as `[B, T]`, 0 behind the end of each."""
        whole = np.zeros((len(rows), len(self._decisions)))
        for i, row in enumerate(rows):
            whole[i, : len(row)] = row
        return whole

    def _advantages(self, rewards: tuple[float, ...]) -> tuple[np.ndarray, float]:
        """The advantages `[B]`, and the moving average after these rewards."""
        baseline = float(np.mean(rewards)) if self._baseline is None else self._baseline
        decay = self._config.baseline_decay
        advantages = np.zeros(len(rewards))
        for i, reward in enumerate(rewards):
            advantages[i] = reward - baseline
            baseline = decay * baseline + (1 - decay) * reward
        if self._config.reward_scale == "std":
            # About the baseline, not about their mean: never larger than sqrt(B), also where all rewards are alike and
            # only the baseline differs. The small number is for a batch of zeros.
            advantages /= max(float(np.sqrt(np.mean(advantages**2))), 1e-8)
        return advantages, baseline

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)
    def _log_probs(self, tokens: tf.Tensor, taken: tf.Tensor | None) -> tf.Tensor:
        """Log-probabilities `[B, T]` of tokens `[B, T]` under the policy as it stands."""
        return self._score(tokens, taken)[0]

    def _score(self, tokens: tf.Tensor, taken: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        log_probs, entropies = self._policy.score(tokens)
        return (log_probs, entropies) if taken is None else (taken * log_probs, taken * entropies)

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)
    def _step(
        self,
        tokens: tf.Tensor,
        advantages: tf.Tensor,
        taken: tf.Tensor | None,
        proximal_log_probs: tf.Tensor,
        behaviour_log_probs: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """One step of the optimizer on tokens, log-probabilities and decisions taken `[B, T]` and advantages `[B]`."""
        config = self._config
        variables = self._policy.variables
        with tf.GradientTape() as tape:
            log_probs, entropies = self._score(tokens, taken)
            if self._loss == "ppo":
                loss = losses.ppo_loss(
                    log_probs, proximal_log_probs, behaviour_log_probs, advantages, config.clip, taken
                )
            else:
                loss = losses.reinforce_loss(log_probs, advantages)
            entropy = losses.entropy_bonus(entropies)
            loss -= config.entropy_weight * entropy
        self._optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return (
            loss,
            entropy,
            losses.approx_kl(log_probs, proximal_log_probs, taken),
            losses.clip_fraction(log_probs, proximal_log_probs, config.clip, taken),
        )
