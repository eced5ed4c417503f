"""The LSTM policy trained in imagination, too: on a model of the reward, between one batch of trials and the next."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from cells.spaces.space import Decision
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.learners.reward_model import Observed
from controller.policy import losses
from controller.policy.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Features, Length, Proposal, Trial

_IMAGINED = 1
"""Tells the random numbers of update n in imagination, of key (n, 1), from those of trial n, of key (n,)."""


class DynaPPO(PolicyGradient):
    """Strategy: PPO on real trials and on imagined ones, after DyNA-PPO (Angermueller et al. 2020).

    The first `uniform_trials` are uniform; from then on the policy proposes. It learns from real trials as
    `PolicyGradient` does. And after every `refit_trials` a model of the reward is fitted to all trials, and the policy
    takes `imagined_steps` steps on batches of its own samples, whose rewards are one draw a step from what the model
    says that the reward may be, standardised over the batch. A sample that is probably invalid has the batch's worst.
    So has one that was tried, of which there is nothing to learn: without that the policy narrows down to the best that
    it knows, and finds no better one on NAS-Bench-201 after 100 trials (docs/results.md).

    Where trials have rewards of several rungs, real ones are worth that of their last rung, and the model is of all.

    In a space that grows, it imagines trials as long as the one after the last that was observed.

    Differs from the paper: its model is an ensemble, chosen anew each round by cross-validation, and where none of them
    predicts well it imagines nothing; here it is one linear model, whose uncertainty the draws carry. A step of PPO on
    samples of the policy as it stands is one of REINFORCE, and each batch makes one.
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: PolicyGradientConfig,
        learner: LearnerConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
        features: Features | None = None,
    ) -> None:
        super().__init__(decisions, config, seed, failures, length)
        self._learner = learner
        self._seed = seed
        self._observed = Observed(decisions, learner, features)
        self._uniform = RandomSearch(decisions, seed, length)
        self._imagined_updates = 0
        with tf.device("CPU:0"):
            self._imagination = keras.optimizers.Adam(learner.imagined_learning_rate)
            self._imagination.build(self._policy.variables)

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        return super().propose(trial_id) if self._observed.fitted else self._uniform.propose(trial_id)

    def observe(self, trial: Trial) -> None:
        """See `PolicyGradient.observe`."""
        proposal, rewards = trial.proposal, self._heard(trial)
        self._learn(proposal, rewards[-1])
        if self._observed.add(proposal.tokens, rewards, trial.outcome):
            self._imagine(None if self._length is None else self._length(proposal.trial_id + 1))

    def _imagine(self, length: int | None) -> None:
        """One update in imagination: on trials of the first `length` decisions (all)."""
        key = self._imagined_updates, _IMAGINED
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))
        number = self._learner.imagined_samples
        for _ in range(self._learner.imagined_steps):
            tokens, _ = self._policy.sample_batch(number, rng, length)
            values, invalid = self._observed.draw(rng)(tokens)
            worth = (invalid < 0.5) & np.array([tuple(row) not in self._observed.tried for row in tokens.tolist()])
            values = np.where(worth, values, values.min())
            advantages = (values - values.mean()) / max(float(values.std()), 1e-8)
            taken = None if length is None else self._whole([(1.0,) * length] * number)
            with tf.device("CPU:0"):
                self._imagined_step(
                    tf.constant(self._whole(list(tokens)), tf.int32),
                    tf.constant(advantages, tf.float32),
                    None if taken is None else tf.constant(taken, tf.float32),
                )
        self._imagined_updates += 1

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)
    def _imagined_step(self, tokens: tf.Tensor, advantages: tf.Tensor, taken: tf.Tensor | None) -> None:
        """One step of the optimizer on tokens and decisions taken `[B, T]` and advantages `[B]`."""
        variables = self._policy.variables
        with tf.GradientTape() as tape:
            log_probs, entropies = self._score(tokens, taken)
            loss = losses.reinforce_loss(log_probs, advantages)
            loss -= self._learner.imagined_entropy_weight * losses.entropy_bonus(entropies)
        self._imagination.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
