"""The paper's strategy: an LSTM policy, improved by PPO or REINFORCE on batches of finished trials."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from cells.spaces.space import Decision, check_tokens
from controller.config import FailureConfig, PolicyGradientConfig
from controller.policy import losses
from controller.policy.figures import UpdateFigures
from controller.policy.lstm import Policy
from controller.strategy import FailureRewards, Proposal, Trial

OPTIMIZERS = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}


class PolicyGradient:
    """Strategy (see `controller.strategy.Strategy`) of arXiv 1707.07012, A.2 and A.3.

    Trials are collected in the order observed; every `update_trials` of them make one update, and are forgotten. They
    may have been drawn by an older policy or by another strategy altogether: PPO weighs them by the log-probabilities
    that came with them. The order of `observe` matters (which trials share an update; the moving average): replayed
    in the same order, with the same seed and threads, the weights are the same to the bit.

    A trial's advantage is its reward less the exponential moving average of the rewards observed before it. Read per
    trial, not per batch: per batch of 20, a weight of 0.95 would remember 400 trials, and trail behind a policy that
    improves (600 trials of the test's bandit ended at 0.67 instead of 0.96).
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: PolicyGradientConfig,
        seed: int,
        failures: FailureConfig | None = None,
    ) -> None:
        self._decisions = decisions
        self._config = config
        self._policy = Policy(decisions, config.units, config.embedding_size, seed)
        with tf.device("CPU:0"):
            self._optimizer = OPTIMIZERS[config.optimizer](config.learning_rate)
            self._optimizer.build(self._policy.variables)
        self._rewards = FailureRewards(failures)
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
        return Proposal(trial_id, *self._policy.sample(trial_id))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Raises ValueError for tokens outside the decisions."""
        check_tokens(self._decisions, trial.proposal.tokens)
        self._batch.append((trial.proposal, self._rewards.reward_of(trial)))
        if len(self._batch) == self._config.update_trials:
            proposals, rewards = zip(*self._batch, strict=True)
            self._batch.clear()
            self._update(proposals, rewards)

    def _update(self, proposals: tuple[Proposal, ...], rewards: tuple[float, ...]) -> None:
        advantages, baseline = self._advantages(rewards)
        self._baseline = baseline
        with tf.device("CPU:0"):
            batch = (
                tf.constant([proposal.tokens for proposal in proposals], tf.int32),
                tf.constant([proposal.log_probs for proposal in proposals], tf.float32),
                tf.constant(advantages, tf.float32),
            )
            proximal = self._log_probs(batch[0])
            figures = [self._step(*batch, proximal) for _ in range(self._config.update_epochs)][-1]
        updates = 1 if self._last_update is None else self._last_update.updates + 1
        self._last_update = UpdateFigures(updates, float(np.mean(rewards)), baseline, *(float(x) for x in figures))

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
    def _log_probs(self, tokens: tf.Tensor) -> tf.Tensor:
        """Log-probabilities `[B, T]` of tokens `[B, T]` under the policy as it stands."""
        return self._policy.score(tokens)[0]

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)
    def _step(
        self, tokens: tf.Tensor, behaviour_log_probs: tf.Tensor, advantages: tf.Tensor, proximal_log_probs: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """One step of the optimizer on tokens `[B, T]`, log-probabilities `[B, T]` and advantages `[B]`."""
        config = self._config
        variables = self._policy.variables
        with tf.GradientTape() as tape:
            log_probs, entropies = self._policy.score(tokens)
            if config.loss == "ppo":
                loss = losses.ppo_loss(log_probs, proximal_log_probs, behaviour_log_probs, advantages, config.clip)
            else:
                loss = losses.reinforce_loss(log_probs, advantages)
            entropy = losses.entropy_bonus(entropies)
            loss -= config.entropy_weight * entropy
        self._optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return (
            loss,
            entropy,
            losses.approx_kl(log_probs, proximal_log_probs),
            losses.clip_fraction(log_probs, proximal_log_probs, config.clip),
        )
