"""What the strategies of this folder share: decisions, seed, the rewards heard, and a uniform proposal."""

from __future__ import annotations

import numpy as np

from cells.spaces.space import Decision, Tokens, check_tokens
from controller.config import FailureConfig, LearnerConfig
from controller.learners.draws import as_tokens, sizes_of, uniform
from controller.strategy import FailureRewards, Length, Proposal, Trial, trial_rng


class Learner:
    """The common part of a strategy that learns from whole tuples: it keeps them with the rewards heard, in order.

    Args:
        decisions: those of the space.
        config: how it learns.
        seed: of what is drawn.
        failures: what it hears of a trial that failed.
        length: how many of the decisions a trial takes, in a space that grows; None where all take all.
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        config: LearnerConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
    ) -> None:
        self._decisions = decisions
        self._config = config
        self._seed = seed
        self._length = length
        self._rewards = FailureRewards(failures)
        self._trials: list[tuple[Tokens, float]] = []

    def _drawn_by(self, trial_id: int) -> tuple[np.ndarray, np.random.Generator]:
        """How many options each decision of that trial has, `[T]`, and the trial's own random numbers."""
        length = None if self._length is None else self._length(trial_id)
        return sizes_of(self._decisions[:length]), trial_rng(self._seed, trial_id)

    def _uniform(self, trial_id: int) -> Proposal:
        sizes, rng = self._drawn_by(trial_id)
        return Proposal.chosen(trial_id, as_tokens(uniform(sizes, 1, rng)[0]))

    def observe(self, trial: Trial) -> None:
        """See `Strategy.observe`. Raises ValueError for tokens outside the decisions."""
        tokens = trial.proposal.tokens
        check_tokens(self._decisions[: len(tokens)], tokens)
        self._trials.append((tokens, self._rewards.reward_of(trial)))
